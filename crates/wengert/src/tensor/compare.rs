//! Comparisons, which give masks.

use wengert_kernels::strided::pack;

use super::TensorBase;
use crate::element::{Element, FloatElement};
use crate::error::{Result, twins};
use crate::ops::elementwise::{IntoOperand, Operand};
use crate::shape::broadcast;
use crate::tape;

/// Elements that are packed at a time.
const BLOCK: usize = 256;

/// The leaf of `f` of the elements of two tensors that broadcast.
fn zip<E: Element, R: Element>(
    op: &str,
    a: TensorBase<E>,
    b: TensorBase<E>,
    f: impl Fn(E, E) -> R,
) -> Result<TensorBase<R>> {
    tape::with(|tape| {
        let (a, b) = (tape.resolve(a.handle())?, tape.resolve(b.handle())?);
        let shape = broadcast(op, tape.layout(a).shape(), tape.layout(b).shape())?;
        let index = tape.push_leaf_of(&shape, |tape, out: &mut [R]| {
            let views = [a, b].map(|index| (tape.data::<E>(index), tape.layout(index).broadcast_to(&shape)));
            for (block, out) in out.chunks_mut(BLOCK).enumerate() {
                let mut parts = [[E::default(); BLOCK]; 2];
                for (part, (data, layout)) in parts.iter_mut().zip(&views) {
                    pack(data, layout.shape(), layout.strides(), block * BLOCK, &mut part[..out.len()]);
                }
                for (out, (&x, &y)) in out.iter_mut().zip(parts[0].iter().zip(&parts[1])) {
                    *out = f(x, y);
                }
            }
        })?;
        Ok(TensorBase::from_handle(tape.handle(index)))
    })
}

/// The leaf of `f` of the elements of a tensor.
pub(crate) fn map<E: Element, R: Element>(a: TensorBase<E>, f: impl Fn(E) -> R) -> Result<TensorBase<R>> {
    zip("", a, a, |x, _| f(x))
}

/// Compares element by element; NaN compares as in IEEE 754.
fn compare<E: FloatElement>(
    op: &str,
    a: TensorBase<E>,
    b: Operand<E>,
    f: impl Fn(E, E) -> bool,
) -> Result<TensorBase<bool>> {
    match b {
        Operand::Tensor(b) => zip(op, a, b, f),
        Operand::Number(b) => map(a, |a| f(a, E::of(b))),
        Operand::Mask(_) => unreachable!("a mask is no operand of a comparison"),
    }
}

macro_rules! comparisons {
    ($($name:ident $try_name:ident $sign:tt;)+) => {
        twins! {
            impl[E: FloatElement] TensorBase<E> { $(
                #[doc = concat!("The mask of `self ", stringify!($sign), " other`; `other` is a tensor that broadcasts, or a number.")]
                pub fn $name | $try_name<O: IntoOperand<E>>(self, other: O) -> TensorBase<bool> {
                    compare(stringify!($name), self, other.operand(), |a, b| a $sign b)
                }
            )+ }
        }
    };
}
comparisons! {
    eq try_eq ==;
    ne try_ne !=;
    lt try_lt <;
    le try_le <=;
    gt try_gt >;
    ge try_ge >=;
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The mask of NaN elements.
        pub fn is_nan | try_is_nan(self) -> TensorBase<bool> {
            map(self, wengert_kernels::Real::is_nan)
        }

        /// The mask of elements that are neither infinite nor NaN.
        pub fn is_finite | try_is_finite(self) -> TensorBase<bool> {
            map(self, |a| a.into().is_finite())
        }
    }
}

twins! {
    impl[] TensorBase<i64> {
        /// The mask of equal elements; the shapes broadcast.
        pub fn equal | try_equal(self, other: TensorBase<i64>) -> TensorBase<bool> {
            zip("equal", self, other, |a, b| a == b)
        }
    }
}

twins! {
    impl[] TensorBase<bool> {
        /// Where both masks hold, which broadcast; the operator `&`.
        pub fn logical_and | try_logical_and(self, other: TensorBase<bool>) -> TensorBase<bool> {
            zip("logical_and", self, other, |a, b| a & b)
        }

        /// Where either mask holds, which broadcast; the operator `|`.
        pub fn logical_or | try_logical_or(self, other: TensorBase<bool>) -> TensorBase<bool> {
            zip("logical_or", self, other, |a, b| a | b)
        }

        /// Where one of the masks holds and not the other, which broadcast; the operator `^`.
        pub fn logical_xor | try_logical_xor(self, other: TensorBase<bool>) -> TensorBase<bool> {
            zip("logical_xor", self, other, |a, b| a ^ b)
        }

        /// Where the mask does not hold; the operator `!`.
        pub fn logical_not | try_logical_not(self) -> TensorBase<bool> {
            map(self, |holds| !holds)
        }
    }
}
