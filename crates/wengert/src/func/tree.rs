//! Structures of tensors: what functions that are differentiated take and give.

use smallvec::SmallVec;

use crate::element::{DType, FloatElement};
use crate::error::{Result, error};
use crate::shape::Shape;
use crate::tape::{Escape, Flags, Handle, ScopeExit, with};
use crate::tensor::TensorBase;

/// A structure of float tensors: a tensor, or a tuple, array or `Vec` of structures, nested as you like.
///
/// A structure of your own says how to replace its tensors:
///
/// ```
/// use wengert::func::{grad, Leaf, Tree};
/// use wengert::Tensor;
///
/// #[derive(Clone)]
/// struct Line { slope: Tensor, offset: Tensor }
///
/// impl Tree for Line {
///     type Of<T> = (T, T);
///     fn map(&self, f: &mut dyn FnMut(Leaf) -> Leaf) -> Self {
///         Line { slope: self.slope.map(f), offset: self.offset.map(f) }
///     }
///     fn fill<T>(&self, make: &mut dyn FnMut() -> T) -> (T, T) {
///         (make(), make())
///     }
/// }
///
/// let line = Line { slope: Tensor::scalar(2.0), offset: Tensor::scalar(1.0) };
/// let g = grad(|line: Line| (line.slope * 3.0 + line.offset).square(), line);
/// assert_eq!((g.slope.item(), g.offset.item()), (42.0, 14.0));
/// ```
pub trait Tree: Sized {
    /// The same structure with a `T` in the place of each tensor.
    type Of<T>;

    /// The same structure with `f` of each tensor, in order. Every tensor must be passed to `f`, once.
    fn map(&self, f: &mut dyn FnMut(Leaf) -> Leaf) -> Self;

    /// The same structure with what `make` gives in the place of each tensor, in the order of [`Self::map`].
    fn fill<T>(&self, make: &mut dyn FnMut() -> T) -> Self::Of<T>;
}

/// A tensor of a [`Tree`], of either float type.
#[derive(Clone, Copy, Debug)]
pub struct Leaf {
    handle: Handle,
    dtype: DType,
}

/// The tensors of a tree, in order.
pub(super) type Leaves = SmallVec<[Leaf; 4]>;

impl<E: FloatElement> From<TensorBase<E>> for Leaf {
    fn from(tensor: TensorBase<E>) -> Self {
        Self { handle: tensor.handle(), dtype: E::DTYPE }
    }
}

/// Evaluates `$body` with the leaf as a tensor `$tensor` of its type.
macro_rules! typed {
    ($leaf:expr, $tensor:ident => $body:expr) => {
        match $leaf {
            leaf if leaf.dtype() == $crate::DType::F32 => {
                let $tensor = leaf.tensor::<f32>();
                $body
            }
            leaf => {
                let $tensor = leaf.tensor::<f64>();
                $body
            }
        }
    };
}
pub(super) use typed;

impl Leaf {
    pub(super) fn dtype(self) -> DType {
        self.dtype
    }

    pub(super) fn handle(self) -> Handle {
        self.handle
    }

    /// The leaf of the same type at another entry.
    pub(super) fn at(self, handle: Handle) -> Self {
        Self { handle, ..self }
    }

    pub(super) fn tensor<E: FloatElement>(self) -> TensorBase<E> {
        assert_eq!(self.dtype, E::DTYPE, "`Tree::map` gives each tensor the leaf that was made of it");
        TensorBase::from_handle(self.handle)
    }

    pub(super) fn shape(self) -> Result<Shape> {
        typed!(self, x => x.try_shape())
    }

    pub(super) fn reshaped(self, shape: &Shape) -> Result<Self> {
        Ok(typed!(self, x => Self::from(x.try_reshape(shape)?)))
    }

    pub(super) fn requires_grad(self) -> Result<bool> {
        typed!(self, x => x.try_requires_grad())
    }

    /// The same elements without a history.
    pub(super) fn detached(self) -> Result<Self> {
        Ok(typed!(self, x => Self::from(x.try_detach()?)))
    }

    /// The tensor as an entry of the current scope that derivatives flow through.
    pub(super) fn tracked(self) -> Result<Self> {
        let shape = self.shape()?;
        // A number stays in its entry if it is multiplied by 1; a view would need it in a block.
        let again = match shape.len() {
            0 => typed!(self, x => Self::from(x.try_mul(1)?)),
            _ => self.reshaped(&shape)?,
        };
        with(|tape| {
            tape.entry_mut(again.handle.index).flags.set(Flags::GRAD, true);
            Ok(again)
        })
    }
}

impl Escape for Leaf {
    fn escape(self, exit: &mut ScopeExit) -> Self {
        typed!(self, x => Self::from(x.escape(exit)))
    }
}

/// The tensors of `tree`.
pub(super) fn leaves<T: Tree>(tree: &T) -> Leaves {
    let mut leaves = Leaves::new();
    tree.map(&mut |leaf| {
        leaves.push(leaf);
        leaf
    });
    leaves
}

/// `tree` with other tensors, as many as it has.
pub(super) fn with_leaves<T: Tree>(tree: &T, leaves: &[Leaf]) -> T {
    let mut next = leaves.iter().copied();
    tree.map(&mut |_| next.next().expect("a leaf for each"))
}

/// Checks that `given` has as many tensors as `expected`, of the same shapes and types.
pub(super) fn check_alike(op: &str, what: &str, given: &[Leaf], whose: &str, expected: &[Leaf]) -> Result<()> {
    if given.len() != expected.len() {
        return Err(error!(
            Shape,
            "{op}: {} {what}s were given for {} {whose}s; each needs one",
            given.len(),
            expected.len()
        ));
    }
    for (k, (given, expected)) in given.iter().zip(expected).enumerate() {
        let (shape, wanted) = (given.shape()?, expected.shape()?);
        if shape != wanted || given.dtype != expected.dtype {
            return Err(error!(
                Shape,
                "{op}: {what} {k} has shape {shape:?} and type {}, its {whose} {wanted:?} and {}; they must be equal",
                given.dtype,
                expected.dtype
            ));
        }
    }
    Ok(())
}

impl<E: FloatElement> Tree for TensorBase<E> {
    type Of<T> = T;
    fn map(&self, f: &mut dyn FnMut(Leaf) -> Leaf) -> Self {
        f(Leaf::from(*self)).tensor()
    }
    fn fill<T>(&self, make: &mut dyn FnMut() -> T) -> T {
        make()
    }
}

impl<A: Tree, const N: usize> Tree for [A; N] {
    type Of<T> = [A::Of<T>; N];
    fn map(&self, f: &mut dyn FnMut(Leaf) -> Leaf) -> Self {
        std::array::from_fn(|i| self[i].map(f))
    }
    fn fill<T>(&self, make: &mut dyn FnMut() -> T) -> Self::Of<T> {
        std::array::from_fn(|i| self[i].fill(make))
    }
}

impl<A: Tree> Tree for Vec<A> {
    type Of<T> = Vec<A::Of<T>>;
    fn map(&self, f: &mut dyn FnMut(Leaf) -> Leaf) -> Self {
        self.iter().map(|part| part.map(f)).collect()
    }
    fn fill<T>(&self, make: &mut dyn FnMut() -> T) -> Self::Of<T> {
        self.iter().map(|part| part.fill(make)).collect()
    }
}

macro_rules! tuples {
    ($($($name:ident $place:tt)+;)+) => { $(
        impl<$($name: Tree),+> Tree for ($($name,)+) {
            type Of<T> = ($($name::Of<T>,)+);
            fn map(&self, f: &mut dyn FnMut(Leaf) -> Leaf) -> Self {
                ($(self.$place.map(f),)+)
            }
            fn fill<T>(&self, make: &mut dyn FnMut() -> T) -> Self::Of<T> {
                ($(self.$place.fill(make),)+)
            }
        }
    )+ };
}
tuples! {
    A 0;
    A 0 B 1;
    A 0 B 1 C 2;
    A 0 B 1 C 2 D 3;
    A 0 B 1 C 2 D 3 F 4;
    A 0 B 1 C 2 D 3 F 4 G 5;
    A 0 B 1 C 2 D 3 F 4 G 5 H 6;
    A 0 B 1 C 2 D 3 F 4 G 5 H 6 I 7;
}
