//! Comparisons, which give masks.

use super::TensorBase;
use crate::element::{Element, FloatElement};
use crate::error::{Result, twins};
use crate::ops::elementwise::{IntoOperand, Operand};
use crate::shape::broadcast;

/// Compares element by element; NaN compares as in IEEE 754.
fn compare<E: FloatElement>(
    op: &str,
    a: TensorBase<E>,
    b: Operand<E>,
    f: impl Fn(E, E) -> bool,
) -> Result<TensorBase<bool>> {
    match b {
        Operand::Tensor(b) => compare_tensors(op, a, b, f),
        Operand::Number(b) => {
            let b = E::of(b);
            let mask: Vec<bool> = a.try_to_vec()?.into_iter().map(|a| f(a, b)).collect();
            TensorBase::try_from_slice(&mask, a.try_shape()?)
        }
        Operand::Mask(_) => unreachable!("a mask is no operand of a comparison"),
    }
}

fn compare_tensors<E: Element>(
    op: &str,
    a: TensorBase<E>,
    b: TensorBase<E>,
    f: impl Fn(E, E) -> bool,
) -> Result<TensorBase<bool>> {
    let shape = broadcast(op, &a.try_shape()?, &b.try_shape()?)?;
    let (x, y) = (a.stretched(&shape)?.try_to_vec()?, b.stretched(&shape)?.try_to_vec()?);
    let mask: Vec<bool> = x.into_iter().zip(y).map(|(x, y)| f(x, y)).collect();
    TensorBase::try_from_slice(&mask, shape)
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
            compare("is_nan", self, Operand::Number(0.0), |a, _| wengert_kernels::Real::is_nan(a))
        }

        /// The mask of elements that are neither infinite nor NaN.
        pub fn is_finite | try_is_finite(self) -> TensorBase<bool> {
            compare("is_finite", self, Operand::Number(0.0), |a, _| a.into().is_finite())
        }
    }
}

twins! {
    impl[] TensorBase<i64> {
        /// The mask of equal elements; the shapes broadcast.
        pub fn equal | try_equal(self, other: TensorBase<i64>) -> TensorBase<bool> {
            compare_tensors("equal", self, other, |a, b| a == b)
        }
    }
}
