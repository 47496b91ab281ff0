//! The traits of `num_traits` that are about numbers, not floats; sums and products.

use std::iter::{Product, Sum};

use num_traits::{Bounded, Euclid, Inv, MulAdd, MulAddAssign, Num, One, Pow, Signed, Zero};

use super::{constant, value};
use crate::element::FloatElement;
use crate::error::unwrap;
use crate::ops::elementwise::{Elementwise, unary};
use crate::tensor::TensorBase;

impl<E: FloatElement> Zero for TensorBase<E> {
    #[inline]
    #[track_caller]
    fn zero() -> Self {
        TensorBase::scalar(E::of(0.0))
    }
    #[track_caller]
    fn is_zero(&self) -> bool {
        value("is_zero", *self) == E::of(0.0)
    }
}

impl<E: FloatElement> One for TensorBase<E> {
    #[inline]
    #[track_caller]
    fn one() -> Self {
        TensorBase::scalar(E::of(1.0))
    }
    #[track_caller]
    fn is_one(&self) -> bool {
        value("is_one", *self) == E::of(1.0)
    }
}

impl<E: FloatElement> Num for TensorBase<E> {
    type FromStrRadixErr = <E::Number as Num>::FromStrRadixErr;
    #[track_caller]
    fn from_str_radix(text: &str, radix: u32) -> Result<Self, Self::FromStrRadixErr> {
        E::Number::from_str_radix(text, radix).map(constant)
    }
}

impl<E: FloatElement> Bounded for TensorBase<E> {
    #[track_caller]
    fn min_value() -> Self {
        constant(<E::Number as Bounded>::min_value())
    }
    #[track_caller]
    fn max_value() -> Self {
        constant(<E::Number as Bounded>::max_value())
    }
}

impl<E: FloatElement> Signed for TensorBase<E> {
    #[track_caller]
    fn abs(&self) -> Self {
        TensorBase::abs(*self)
    }
    /// `self - other`, 0 where that is negative; the derivative at a tie is 0.
    #[track_caller]
    fn abs_sub(&self, other: &Self) -> Self {
        num_traits::Float::abs_sub(*self, *other)
    }
    /// -1 or 1 by the sign, of 0 too, and NaN for NaN; the derivative is 0.
    #[track_caller]
    fn signum(&self) -> Self {
        unwrap(unary(Elementwise::Signum, *self))
    }
    #[track_caller]
    fn is_positive(&self) -> bool {
        num_traits::Float::is_sign_positive(*self)
    }
    #[track_caller]
    fn is_negative(&self) -> bool {
        num_traits::Float::is_sign_negative(*self)
    }
}

impl<E: FloatElement> MulAdd for TensorBase<E> {
    type Output = Self;
    /// `self * a + b`, rounded twice.
    #[track_caller]
    fn mul_add(self, a: Self, b: Self) -> Self {
        self * a + b
    }
}
impl<E: FloatElement> MulAddAssign for TensorBase<E> {
    #[track_caller]
    fn mul_add_assign(&mut self, a: Self, b: Self) {
        *self = *self * a + b;
    }
}

impl<E: FloatElement> Inv for TensorBase<E> {
    type Output = Self;
    #[track_caller]
    fn inv(self) -> Self {
        self.reciprocal()
    }
}

impl<E: FloatElement> Euclid for TensorBase<E> {
    /// The integer `q` for which `self - q other` is not negative and below `|other|`; its derivative is 0.
    #[track_caller]
    fn div_euclid(&self, other: &Self) -> Self {
        let quotient = (*self / *other).trunc();
        match value("div_euclid", *self % *other) < E::of(0.0) {
            true => quotient - other.sign(),
            false => quotient,
        }
    }
    #[track_caller]
    fn rem_euclid(&self, other: &Self) -> Self {
        let remainder = *self % *other;
        match value("rem_euclid", remainder) < E::of(0.0) {
            true => remainder + TensorBase::abs(*other),
            false => remainder,
        }
    }
}

/// Stamps powers: the exponents that one of the tensor's methods takes as they are.
macro_rules! powers {
    ($([$($generics:tt)*] $exponent:ty, |$x:ident, $n:ident| $power:expr;)+) => { $(
        impl<$($generics)*> Pow<$exponent> for TensorBase<E> {
            type Output = Self;
            #[track_caller]
            fn pow(self, exponent: $exponent) -> Self {
                let ($x, $n) = (self, exponent);
                $power
            }
        }
    )+ };
}
powers! {
    [E: FloatElement] TensorBase<E>, |x, n| TensorBase::pow(x, n);
    [E: FloatElement] &TensorBase<E>, |x, n| TensorBase::pow(x, *n);
    [E: FloatElement] E, |x, n| TensorBase::pow::<f64>(x, n.into());
    [E: FloatElement] i8, |x, n| x.powi(n.into());
    [E: FloatElement] u8, |x, n| x.powi(n.into());
    [E: FloatElement] i16, |x, n| x.powi(n.into());
    [E: FloatElement] u16, |x, n| x.powi(n.into());
    [E: FloatElement] i32, |x, n| x.powi(n);
}

/// Stamps folds; an empty iterator gives the constant of no operands.
macro_rules! folds {
    ($($trait:ident $method:ident $operator:tt $empty:expr;)+) => { $(
        impl<E: FloatElement> $trait for TensorBase<E> {
            #[track_caller]
            fn $method<I: Iterator<Item = Self>>(mut numbers: I) -> Self {
                match numbers.next() {
                    Some(first) => numbers.fold(first, |total, x| total $operator x),
                    None => $empty,
                }
            }
        }
        impl<'a, E: FloatElement> $trait<&'a TensorBase<E>> for TensorBase<E> {
            #[track_caller]
            fn $method<I: Iterator<Item = &'a TensorBase<E>>>(numbers: I) -> Self {
                numbers.copied().$method()
            }
        }
    )+ };
}
folds! {
    Sum sum + Self::zero();
    Product product * Self::one();
}
