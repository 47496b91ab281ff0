//! Formulas on tensors: each operation is recorded.
//!
//! A formula has no way to fail. An operation that does gives nothing, operations on nothing give nothing, and the error waits for who asked
//! for the formula.

use std::cell::Cell;
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

use wengert_kernels::Real;

use super::TensorBase;
use crate::element::FloatElement;
use crate::error::{Error, Result};

/// What a formula on tensors computes with; nothing after a failure.
#[derive(Clone, Copy)]
pub(crate) struct Recorded<E>(Option<TensorBase<E>>);

/// The result of a comparison of them.
#[derive(Clone, Copy)]
pub(crate) struct RecordedMask(Option<TensorBase<bool>>);

thread_local! {
    static FAILURE: Cell<Option<Error>> = const { Cell::new(None) };
}

/// Records the operations of a formula of `operands`.
///
/// # Errors
/// That of an operation.
pub(crate) fn record_formula<E: FloatElement, const N: usize>(
    operands: [TensorBase<E>; N],
    formula: impl FnOnce([Recorded<E>; N]) -> Recorded<E>,
) -> Result<TensorBase<E>> {
    formula(operands.map(|operand| Recorded(Some(operand))))
        .0
        .ok_or_else(|| FAILURE.take().expect("the error of what failed"))
}

/// The value, if there is one; else the error is noted.
fn keep<T>(result: Result<T>) -> Option<T> {
    result.map_err(|error| FAILURE.set(Some(error))).ok()
}

macro_rules! unary {
    ($($name:ident $try_name:ident,)+) => { $(
        fn $name(self) -> Self {
            Self(self.0.and_then(|x| keep(x.$try_name())))
        }
    )+ };
}
macro_rules! binary {
    ($($name:ident $try_name:ident -> $result:ident,)+) => { $(
        fn $name(self, other: Self) -> $result {
            $result(self.0.zip(other.0).and_then(|(x, y)| keep(x.$try_name(y))))
        }
    )+ };
}
macro_rules! operator {
    (impl[$($bound:tt)*] $trait:ident for $type:ty: $name:ident $try_name:ident) => {
        impl<$($bound)*> $trait for $type {
            type Output = Self;
            fn $name(self, other: Self) -> Self {
                Self(self.0.zip(other.0).and_then(|(x, y)| keep(x.$try_name(y))))
            }
        }
    };
}
operator!(impl[E: FloatElement] Add for Recorded<E>: add try_add);
operator!(impl[E: FloatElement] Sub for Recorded<E>: sub try_sub);
operator!(impl[E: FloatElement] Mul for Recorded<E>: mul try_mul);
operator!(impl[E: FloatElement] Div for Recorded<E>: div try_div);
operator!(impl[] BitAnd for RecordedMask: bitand try_logical_and);
operator!(impl[] BitOr for RecordedMask: bitor try_logical_or);

impl<E: FloatElement> Neg for Recorded<E> {
    type Output = Self;
    unary!(neg try_neg,);
}
impl Not for RecordedMask {
    type Output = Self;
    unary!(not try_logical_not,);
}

impl<E: FloatElement> Real for Recorded<E> {
    type Mask = RecordedMask;

    fn of(c: f64) -> Self {
        Self(keep(TensorBase::try_scalar(E::of(c))))
    }
    fn is_nan(self) -> RecordedMask {
        RecordedMask(self.0.and_then(|x| keep(x.try_is_nan())))
    }
    fn select(mask: RecordedMask, yes: Self, no: Self) -> Self {
        Self(mask.0.zip(yes.0).zip(no.0).and_then(|((mask, yes), no)| keep(mask.try_where_(yes, no))))
    }
    unary!(abs try_abs, sign try_sign, floor try_floor, ceil try_ceil, round try_round, trunc try_trunc, sqrt try_sqrt,);
    unary!(exp try_exp, exp2 try_exp2, expm1 try_expm1, ln try_ln, log2 try_log2, log10 try_log10, log1p try_log1p,);
    unary!(sin try_sin, cos try_cos, tan try_tan, asin try_asin, acos try_acos, atan try_atan,);
    unary!(sinh try_sinh, cosh try_cosh, tanh try_tanh, asinh try_asinh, acosh try_acosh, atanh try_atanh,);
    unary!(sigmoid try_sigmoid, erf try_erf, erfc try_erfc,);
    binary!(fmod try_fmod -> Self, minimum try_minimum -> Self, maximum try_maximum -> Self, pow try_pow -> Self,);
    binary!(hypot try_hypot -> Self, atan2 try_atan2 -> Self,);
    binary!(lt try_lt -> RecordedMask, le try_le -> RecordedMask, eq try_eq -> RecordedMask,);
}
