//! Tensor handles, and what needs no operation: making them, reading them, their place in the graph.

mod compare;
mod create;
mod inplace;
mod number;
mod operators;
mod read;
pub(crate) mod recorded;
mod update;

use std::fmt;
use std::marker::PhantomData;

pub(crate) use self::compare::map;
pub use self::create::NestedArray;
use crate::display::{self, Gradient};
use crate::element::{DType, Element, FloatElement};
use crate::error::{Result, error, twins};
use crate::ops::Op;
use crate::shape::{Layout, Shape};
use crate::tape::{self, Entry, Filling, Flags, Handle, Tape};

/// A tensor of `f32`.
pub type Tensor = TensorBase<f32>;
/// A tensor of `f64`.
pub type Tensor64 = TensorBase<f64>;
/// A tensor of `i64`: indices and labels.
pub type IndexTensor = TensorBase<i64>;
/// A tensor of `bool`: a mask.
pub type BoolTensor = TensorBase<bool>;

/// A handle to a tensor on this thread's tape: 8 bytes, `Copy`, plain data.
///
/// It names an entry by the scope that recorded it and a position. Used after its scope has ended, or on another thread, it is
/// refused with an error; it never shows another tensor's value.
pub struct TensorBase<E> {
    scope: u32,
    index: u32,
    element: PhantomData<fn() -> E>,
}
const _: () = assert!(size_of::<TensorBase<f32>>() == 8);

impl<E> Clone for TensorBase<E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<E> Copy for TensorBase<E> {}

impl<E> TensorBase<E> {
    #[inline]
    pub(crate) fn handle(self) -> Handle {
        Handle { scope: self.scope, index: self.index }
    }

    #[inline]
    pub(crate) fn from_handle(handle: Handle) -> Self {
        Self { scope: handle.scope, index: handle.index, element: PhantomData }
    }
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// The lengths of the dimensions, outermost first.
        pub fn shape | try_shape(self) -> Shape {
            tape::with(|tape| {
                let index = tape.locate(self.handle())?;
                Ok(Shape::of(tape.layout(index).shape()))
            })
        }

        /// The number of elements, 1 for rank 0.
        pub fn numel | try_numel(self) -> usize {
            Ok(self.try_shape()?.numel())
        }

        /// The number of dimensions, 0 to [`crate::MAX_RANK`].
        pub fn dim | try_dim(self) -> usize {
            Ok(self.try_shape()?.len())
        }

        /// The length of dimension `dim`, counted from the end if negative.
        pub fn size | try_size(self, dim: isize) -> usize {
            let shape = self.try_shape()?;
            match shape.len() {
                0 => Err(error!(Dim, "size: a tensor of rank 0 has no dimensions")),
                rank => Ok(shape[crate::shape::wrap_dim("size", dim, rank)?]),
            }
        }

        /// The distance in elements between neighbours along each dimension; 0 where a dimension is broadcast.
        pub fn strides | try_strides(self) -> Shape {
            tape::with(|tape| {
                let index = tape.locate(self.handle())?;
                Ok(Shape::of(tape.layout(index).strides()))
            })
        }

        /// Whether the elements lie row-major without gaps.
        pub fn is_contiguous | try_is_contiguous(self) -> bool {
            tape::with(|tape| {
                let index = tape.locate(self.handle())?;
                Ok(tape.layout(index).is_contiguous())
            })
        }

        /// Whether operations on this tensor are recorded for differentiation.
        pub fn requires_grad | try_requires_grad(self) -> bool {
            Ok(self.entry()?.flags.has(Flags::GRAD))
        }

        /// Whether this tensor was made, not computed from one that requires a gradient.
        pub fn is_leaf | try_is_leaf(self) -> bool {
            let entry = self.entry()?;
            Ok(entry.op == Op::Leaf || !entry.flags.has(Flags::GRAD))
        }

        /// The name of the derivative that backward will use, such as `AddBackward0`; `None` for a leaf.
        pub fn grad_fn | try_grad_fn(self) -> Option<&'static str> {
            tape::with(|tape| {
                let index = tape.locate(self.handle())?;
                Ok(grad_fn(tape, index))
            })
        }
    }
}

impl<E: Element> TensorBase<E> {
    /// The type of the elements.
    pub fn dtype(self) -> DType {
        E::DTYPE
    }

    /// Whether this tensor was computed from or is one that records derivatives, and its scope is open.
    pub fn is_alive(self) -> bool {
        tape::with(|tape| tape.check(self.handle())).is_ok()
    }

    /// Where the elements lie.
    pub(crate) fn try_layout(self) -> Result<Layout> {
        tape::with(|tape| {
            let index = tape.locate(self.handle())?;
            Ok(*tape.layout(index))
        })
    }

    fn entry(self) -> Result<Entry> {
        tape::with(|tape| {
            let index = tape.locate(self.handle())?;
            Ok(*tape.entry(index))
        })
    }
}

fn is_computed(entry: &Entry) -> bool {
    entry.op != Op::Leaf && entry.flags.has(Flags::GRAD)
}

fn grad_fn(tape: &Tape, index: u32) -> Option<&'static str> {
    let entry = tape.entry(index);
    is_computed(entry).then(|| entry.op.grad_fn(tape, index))
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// Makes a leaf require a gradient, or no longer, and returns it. Whether operations recorded *before* are
        /// differentiated does not change.
        ///
        /// # Errors
        /// A tensor that was computed under derivatives requires a gradient already, and can't stop to.
        pub fn requires_grad_ | try_requires_grad_(self, requires_grad: bool) -> TensorBase<E>
            where Some = { self.set_number(requires_grad) }
        {
            tape::with(|tape| {
                let index = tape.resolve(self.handle())?;
                let name = tape.name(tape.entry(index));
                let entry = tape.entry_mut(index);
                if is_computed(entry) {
                    if requires_grad {
                        return Ok(self);
                    }
                    return Err(error!(
                        Grad,
                        "requires_grad_: you can only change requires_grad flags of leaf tensors, and this one was computed by \
                         `{}`; use `detach()`",
                        name
                    ));
                }
                if entry.op != Op::Leaf {
                    entry.op = Op::Leaf;
                    entry.flags.set(Flags::LIST | Flags::CONST_A | Flags::CONST_B, false);
                }
                entry.flags.set(Flags::GRAD, requires_grad);
                Ok(self)
            })
        }

        /// The accumulated gradient: `None` before the first backward that reaches this tensor and after `zero_grad`. The tensor
        /// shares the gradient's memory, so `w.grad().unwrap().zero_()` clears it.
        pub fn grad | try_grad(self) -> Option<TensorBase<E>> {
            tape::with(|tape| {
                let index = tape.locate(self.handle())?;
                Ok(tape.show_gradient::<E>(index)?.map(TensorBase::from_handle))
            })
        }

        /// Forgets the gradient: `grad()` is `None` until the next backward, which stores instead of adding.
        pub fn zero_grad | try_zero_grad(self) -> () {
            tape::with(|tape| {
                let index = tape.locate(self.handle())?;
                if let Some(slot) = tape.slot_of(index) {
                    tape.slot_mut(slot).state = Filling::Empty;
                    tape.slot_mut(slot).recorded = None;
                }
                Ok(())
            })
        }

        /// Makes backward keep the gradient of this tensor too, though it is no leaf; read it by [`Self::grad`].
        ///
        /// # Errors
        /// The tensor does not require a gradient.
        pub fn retain_grad | try_retain_grad(self) -> TensorBase<E> {
            tape::with(|tape| {
                let index = tape.locate(self.handle())?;
                if !tape.entry(index).flags.has(Flags::GRAD) {
                    return Err(error!(
                        Grad,
                        "retain_grad: can't retain the gradient of a tensor that does not require one; call \
                         `requires_grad_(true)` on the leaves before computing it"
                    ));
                }
                tape.slot_or_new(index)?;
                Ok(self)
            })
        }
    }
}

impl<E: FloatElement> TensorBase<E> {
    /// Sets whether a leaf that is a number requires a gradient; `None` if it is something else.
    #[inline]
    fn set_number(self, requires_grad: bool) -> Option<Self> {
        tape::with_free(|tape| {
            let (index, entry) = tape.find(self.handle())?;
            if entry.op != Op::Leaf || !entry.is_number::<E>() {
                return None;
            }
            tape.entry_mut(index).flags.set(Flags::GRAD, requires_grad);
            Some(self)
        })
    }
}

impl<E: Element> TensorBase<E> {
    fn text(self) -> Result<String> {
        tape::with(|tape| {
            let index = tape.resolve(self.handle())?;
            let (layout, data) = (tape.layout(index), tape.data::<E>(index));
            let entry = tape.entry(index);
            let gradient = match (grad_fn(tape, index), entry.flags.has(Flags::GRAD)) {
                (Some(name), _) => Gradient::Function(name),
                (None, true) => Gradient::Leaf,
                (None, false) => Gradient::None,
            };
            let at = |mut row_major: usize| {
                let mut place = 0;
                for (&length, &stride) in layout.shape().iter().zip(layout.strides()).rev() {
                    place += row_major % length * stride;
                    row_major /= length;
                }
                data[place]
            };
            Ok(display::format("tensor(", layout.shape(), at, gradient, &display::print_options()))
        })
    }
}

impl<E: Element> fmt::Display for TensorBase<E> {
    /// What PyTorch prints, with the options of [`crate::set_print_options`]; a stale handle prints as such.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Ok(text) => f.write_str(&text),
            Err(error) => write!(f, "<{error}>"),
        }
    }
}

impl<E: Element> fmt::Debug for TensorBase<E> {
    /// The same as `Display`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
