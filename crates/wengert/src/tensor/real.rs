//! Tensors as numbers that formulas are written in: each operation is recorded.

use wengert_kernels::Real;

use super::TensorBase;
use crate::element::FloatElement;

/// Stamps the functions that tensors have methods of the same name for.
macro_rules! unary {
    ($($name:ident)+) => { $(
        fn $name(self) -> Self {
            TensorBase::$name(self)
        }
    )+ };
}
macro_rules! binary {
    ($($name:ident)+) => { $(
        fn $name(self, other: Self) -> Self {
            TensorBase::$name(self, other)
        }
    )+ };
}

impl<E: FloatElement> Real for TensorBase<E> {
    type Mask = TensorBase<bool>;

    fn of(c: f64) -> Self {
        TensorBase::scalar(E::of(c))
    }
    fn lt(self, other: Self) -> TensorBase<bool> {
        TensorBase::lt(self, other)
    }
    fn le(self, other: Self) -> TensorBase<bool> {
        TensorBase::le(self, other)
    }
    fn eq(self, other: Self) -> TensorBase<bool> {
        TensorBase::eq(self, other)
    }
    fn is_nan(self) -> TensorBase<bool> {
        TensorBase::is_nan(self)
    }
    fn select(mask: TensorBase<bool>, yes: Self, no: Self) -> Self {
        mask.where_(yes, no)
    }
    unary!(abs sign floor ceil round trunc sqrt exp exp2 expm1 ln log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh
        asinh acosh atanh sigmoid erf erfc);
    binary!(fmod minimum maximum pow hypot atan2);
}
