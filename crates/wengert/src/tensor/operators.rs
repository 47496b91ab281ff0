//! Operators between tensors and numbers, in every combination, and on masks.

use std::ops::{
    Add, AddAssign, BitAnd, BitOr, BitXor, Div, DivAssign, Mul, MulAssign, Neg, Not, Rem, RemAssign, Sub, SubAssign,
};

use super::TensorBase;
use crate::element::FloatElement;
use crate::error::unwrap;
use crate::ops::elementwise::{Elementwise, formulas, operator, unary};

/// Stamps one operator: tensor with tensor, tensor with number, number with tensor, the assigning form, and all of them with
/// references to tensors, which generic numeric code uses.
///
/// A tensor takes numbers of its own type and `i32`, so that both `x * 2.0` and `x * 2` have one meaning and literals need no
/// annotation; with more types, the compiler could not tell what `(x * 2.0).sum()` is.
macro_rules! operator {
    ($trait:ident $method:ident $assign:ident $assign_method:ident = $row:ident) => {
        impl<E: FloatElement> $trait for TensorBase<E> {
            type Output = Self;
            #[inline]
            #[track_caller]
            fn $method(self, other: Self) -> Self {
                operator::<formulas::$row, _>(self, other)
            }
        }
        impl<E: FloatElement> $assign for TensorBase<E> {
            /// Rebinds: `a += b` is `a = a + b`, a new tensor. The in-place form ends in `_`.
            #[track_caller]
            fn $assign_method(&mut self, other: Self) {
                *self = $trait::$method(*self, other);
            }
        }
        impl<E: FloatElement> $trait<E> for TensorBase<E> {
            type Output = Self;
            #[inline]
            #[track_caller]
            fn $method(self, other: E) -> Self {
                operator::<formulas::$row, _>(self, other.into())
            }
        }
        impl<E: FloatElement> $assign<E> for TensorBase<E> {
            /// Rebinds to a new tensor. The in-place form ends in `_`.
            #[track_caller]
            fn $assign_method(&mut self, other: E) {
                *self = $trait::$method(*self, other);
            }
        }
        impl<E: FloatElement> $trait<i32> for TensorBase<E> {
            type Output = Self;
            #[inline]
            #[track_caller]
            fn $method(self, other: i32) -> Self {
                operator::<formulas::$row, _>(self, other)
            }
        }
        impl<E: FloatElement> $trait<TensorBase<E>> for i32 {
            type Output = TensorBase<E>;
            #[inline]
            #[track_caller]
            fn $method(self, other: TensorBase<E>) -> TensorBase<E> {
                operator::<formulas::$row, _>(self, other)
            }
        }
        impl<E: FloatElement, R> $trait<R> for &TensorBase<E>
        where
            TensorBase<E>: $trait<R>,
        {
            type Output = <TensorBase<E> as $trait<R>>::Output;
            #[inline]
            #[track_caller]
            fn $method(self, other: R) -> Self::Output {
                $trait::$method(*self, other)
            }
        }
        impl<E: FloatElement> $trait<&TensorBase<E>> for TensorBase<E> {
            type Output = Self;
            #[inline]
            #[track_caller]
            fn $method(self, other: &Self) -> Self {
                $trait::$method(self, *other)
            }
        }
        impl<E: FloatElement> $assign<&TensorBase<E>> for TensorBase<E> {
            /// Rebinds to a new tensor. The in-place form ends in `_`.
            #[track_caller]
            fn $assign_method(&mut self, other: &Self) {
                *self = $trait::$method(*self, *other);
            }
        }
        operator!(@left $trait $method = $row; f32 f64);
    };
    (@left $trait:ident $method:ident = $row:ident; $($number:ty)+) => { $(
        impl $trait<TensorBase<$number>> for $number {
            type Output = TensorBase<$number>;
            #[inline]
            #[track_caller]
            fn $method(self, other: TensorBase<$number>) -> TensorBase<$number> {
                operator::<formulas::$row, _>(self, other)
            }
        }
        impl $trait<&TensorBase<$number>> for $number {
            type Output = TensorBase<$number>;
            #[inline]
            #[track_caller]
            fn $method(self, other: &TensorBase<$number>) -> TensorBase<$number> {
                operator::<formulas::$row, _>(self, *other)
            }
        }
    )+ };
}
operator!(Add add AddAssign add_assign = Add);
operator!(Sub sub SubAssign sub_assign = Sub);
operator!(Mul mul MulAssign mul_assign = Mul);
operator!(Div div DivAssign div_assign = Div);
// `%` is Rust's: the sign of the dividend. Python's is `remainder`.
operator!(Rem rem RemAssign rem_assign = Fmod);

impl<E: FloatElement> Neg for TensorBase<E> {
    type Output = Self;
    #[track_caller]
    fn neg(self) -> Self {
        unwrap(unary(Elementwise::Neg, self))
    }
}

impl<E: FloatElement> Neg for &TensorBase<E> {
    type Output = TensorBase<E>;
    #[track_caller]
    fn neg(self) -> TensorBase<E> {
        -*self
    }
}

macro_rules! mask_operator {
    ($($trait:ident $method:ident = $named:ident;)+) => { $(
        impl $trait for TensorBase<bool> {
            type Output = Self;
            #[track_caller]
            fn $method(self, other: Self) -> Self {
                self.$named(other)
            }
        }
    )+ };
}
mask_operator! {
    BitAnd bitand = logical_and;
    BitOr bitor = logical_or;
    BitXor bitxor = logical_xor;
}

impl Not for TensorBase<bool> {
    type Output = Self;
    #[track_caller]
    fn not(self) -> Self {
        self.logical_not()
    }
}
