//! Gradients and leaves as flat slices: what optimisers are made of.

use wengert_kernels::strided::{pack, unpack};

use super::TensorBase;
use crate::element::FloatElement;
use crate::error::{Result, error, twins};
use crate::ops::Op;
use crate::ops::movement::assign::check_overlap;
use crate::tape::arena::{Storage, lend};
use crate::tape::{self, Flags, Tape};

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// Changes a leaf in place from its accumulated gradient: calls `f` with the elements and the gradient, both row-major,
        /// and gives what it returns. A leaf without a gradient is left alone, and the result is `None`.
        ///
        /// Nothing is recorded, whether derivatives are on or not, and nothing is allocated. Every handle and view of the tensor
        /// sees the new values; a later backward through an operation that needs the old ones is refused. The tape is in use
        /// meanwhile: `f` must not call tensor operations.
        ///
        /// ```
        /// # use wengert::Tensor;
        /// let w = Tensor::from_slice(&[1.0, 2.0], [2]).requires_grad_(true);
        /// (w * w).sum().backward();
        /// w.update(|values, grad| {
        ///     for (value, grad) in values.iter_mut().zip(grad) {
        ///         *value -= 0.25 * grad;
        ///     }
        /// });
        /// assert_eq!(w.to_vec(), [0.5, 1.0]);
        /// ```
        ///
        /// # Errors
        /// The tensor was computed under derivatives, so it is no leaf; or it is broadcast, so that elements share memory.
        pub fn update | try_update<R: Sized, F: FnOnce(&mut [E], &[E]) -> R>(self, f: F) -> Option<R> {
            tape::with(|tape| {
                let index = tape.resolve(self.handle())?;
                check_leaf(tape, index)?;
                match tape.gradient_block::<E>(index)? {
                    Some((_, grad)) => write(tape, index, grad, f).map(Some),
                    None => Ok(None),
                }
            })
        }

        /// Calls `f` with the accumulated gradient, row-major, and gives what it returns; `None` without a gradient.
        ///
        /// As [`Self::grad`], without making a tensor of it. The tape is in use meanwhile: `f` must not call tensor operations.
        pub fn with_grad | try_with_grad<R: Sized, F: FnOnce(&[E]) -> R>(self, f: F) -> Option<R> {
            tape::with(|tape| {
                let index = tape.resolve(self.handle())?;
                let grad = tape.gradient_block::<E>(index)?;
                Ok(grad.map(|(_, grad)| f(tape.arena.read(grad))))
            })
        }

        /// Calls `f` with the accumulated gradient, row-major, to change it in place, and gives what it returns; `None` without
        /// a gradient. A gradient that has a history of its own ([`Self::backward_create_graph`]) loses it.
        ///
        /// The tape is in use meanwhile: `f` must not call tensor operations.
        ///
        /// ```
        /// # use wengert::Tensor;
        /// let w = Tensor::from_slice(&[1.0, 2.0], [2]).requires_grad_(true);
        /// (w * w).sum().backward();
        /// w.with_grad_mut(|grad| grad.fill(7.0));
        /// assert_eq!(w.grad().unwrap().to_vec(), [7.0, 7.0]);
        /// ```
        pub fn with_grad_mut | try_with_grad_mut<R: Sized, F: FnOnce(&mut [E]) -> R>(self, f: F) -> Option<R> {
            tape::with(|tape| {
                let index = tape.resolve(self.handle())?;
                let Some((slot, grad)) = tape.gradient_block::<E>(index)? else { return Ok(None) };
                tape.slot_mut(slot).recorded = None;
                tape.stamp_slot(slot);
                Ok(Some(lend(tape, grad, |grad: &mut [E], _| f(grad))))
            })
        }
    }
}

impl<E> TensorBase<E> {
    /// Whether both are handles of one tensor, as Python's `is` says; views of it are others.
    pub fn is(self, other: Self) -> bool {
        self.handle() == other.handle()
    }
}

fn check_leaf(tape: &Tape, index: u32) -> Result<()> {
    let entry = tape.entry(index);
    if entry.op != Op::Leaf && entry.flags.has(Flags::GRAD) {
        return Err(error!(
            Grad,
            "update: only leaves are changed from their gradients, and this tensor of shape {:?} was computed by `{}`; use \
             `detach()`",
            tape.layout(index).shape(),
            tape.name(entry)
        ));
    }
    check_overlap("update", tape.layout(index))
}

/// Lends the elements of entry `index` to `f`, row-major, with the block `grad`, which has as many.
fn write<E: FloatElement, R>(
    tape: &mut Tape,
    index: u32,
    grad: Storage,
    f: impl FnOnce(&mut [E], &[E]) -> R,
) -> Result<R> {
    let (layout, storage) = (*tape.layout(index), tape.block(index)?);
    let numel = layout.numel();
    if numel == 0 {
        return Ok(f(&mut [], &[]));
    }
    tape.compute_readers(storage)?;
    tape.stamp(storage);
    lend(tape, storage, |block: &mut [E], tape| {
        let (place, grad) = (&mut block[layout.offset()..], tape.arena.read(grad));
        if layout.is_contiguous() {
            return Ok(f(&mut place[..numel], grad));
        }
        tape.arena.scratch(numel, |values: &mut [E]| {
            pack(place, layout.shape(), layout.strides(), 0, values);
            let result = f(values, grad);
            unpack(place, layout.shape(), layout.strides(), values);
            result
        })
    })
}
