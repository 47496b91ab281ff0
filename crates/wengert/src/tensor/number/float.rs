//! `num_traits::Float` and `FloatConst`.

use std::num::FpCategory;

use num_traits::{Float, FloatConst, One};

use super::{constant, value};
use crate::element::FloatElement;
use crate::error::unwrap;
use crate::ops::elementwise::{Elementwise, unary};
use crate::tensor::TensorBase;

/// Stamps constants of the float type.
macro_rules! constants {
    ($($name:ident)+) => { $(
        #[track_caller]
        fn $name() -> Self {
            constant(<E::Number as Float>::$name())
        }
    )+ };
}

/// Stamps questions about the one value.
macro_rules! questions {
    ($($name:ident -> $answer:ty;)+) => { $(
        #[track_caller]
        fn $name(self) -> $answer {
            value(stringify!($name), self).number().$name()
        }
    )+ };
}

/// Stamps functions that are recorded as the tensor's method of the given name.
macro_rules! functions {
    ($($name:ident = $method:ident;)+) => { $(
        #[inline]
        #[track_caller]
        fn $name(self) -> Self {
            TensorBase::$method(self)
        }
    )+ };
}

/// Float arithmetic, recorded.
///
/// Functions work element by element on any shape; questions such as `is_nan`, and `integer_decode`, need one element. The functions
/// whose values are integers have a derivative of 0. `mul_add` rounds twice. `max` and `min` ignore a NaN, as those of `f64` do,
/// and share the gradient of a tie evenly.
impl<E: FloatElement> Float for TensorBase<E> {
    constants! { nan infinity neg_infinity neg_zero min_value min_positive_value max_value epsilon }
    questions! {
        is_nan -> bool;
        is_infinite -> bool;
        is_finite -> bool;
        is_normal -> bool;
        is_subnormal -> bool;
        is_sign_positive -> bool;
        is_sign_negative -> bool;
        classify -> FpCategory;
        integer_decode -> (u64, i16, i8);
    }
    functions! {
        floor = floor;
        ceil = ceil;
        trunc = trunc;
        abs = abs;
        recip = reciprocal;
        sqrt = sqrt;
        cbrt = cbrt;
        exp = exp;
        exp2 = exp2;
        exp_m1 = expm1;
        ln = ln;
        ln_1p = log1p;
        log2 = log2;
        log10 = log10;
        sin = sin;
        cos = cos;
        tan = tan;
        asin = asin;
        acos = acos;
        atan = atan;
        sinh = sinh;
        cosh = cosh;
        tanh = tanh;
        asinh = asinh;
        acosh = acosh;
        atanh = atanh;
    }

    /// The nearest integer, halves away from 0; the inherent method rounds them to even, as PyTorch does.
    #[track_caller]
    fn round(self) -> Self {
        unwrap(unary(Elementwise::RoundHalfAway, self))
    }
    #[track_caller]
    fn fract(self) -> Self {
        self - TensorBase::trunc(self)
    }
    #[track_caller]
    fn signum(self) -> Self {
        unwrap(unary(Elementwise::Signum, self))
    }
    #[inline]
    #[track_caller]
    fn mul_add(self, a: Self, b: Self) -> Self {
        self * a + b
    }
    #[inline]
    #[track_caller]
    fn powi(self, n: i32) -> Self {
        TensorBase::powi(self, n)
    }
    #[inline]
    #[track_caller]
    fn powf(self, n: Self) -> Self {
        TensorBase::pow(self, n)
    }
    #[track_caller]
    fn log(self, base: Self) -> Self {
        TensorBase::ln(self) / TensorBase::ln(base)
    }
    #[track_caller]
    fn to_degrees(self) -> Self {
        self * E::from_number(E::Number::one().to_degrees())
    }
    #[track_caller]
    fn to_radians(self) -> Self {
        self * E::from_number(E::Number::one().to_radians())
    }
    #[track_caller]
    fn max(self, other: Self) -> Self {
        self.fmax(other)
    }
    #[track_caller]
    fn min(self, other: Self) -> Self {
        self.fmin(other)
    }
    /// Limited to `min ..= max`; the gradient of a tie is shared evenly, as by the inherent method.
    #[track_caller]
    fn clamp(self, min: Self, max: Self) -> Self {
        TensorBase::clamp(self, min, max)
    }
    /// `self - other`, 0 where that is negative; the derivative at a tie is 0.
    #[track_caller]
    fn abs_sub(self, other: Self) -> Self {
        // C's `fdim`: a tie of infinities is 0, not NaN.
        self.le(other).where_(0.0, self - other)
    }
    #[track_caller]
    fn hypot(self, other: Self) -> Self {
        TensorBase::hypot(self, other)
    }
    #[track_caller]
    fn atan2(self, other: Self) -> Self {
        TensorBase::atan2(self, other)
    }
    #[inline]
    #[track_caller]
    fn sin_cos(self) -> (Self, Self) {
        (TensorBase::sin(self), TensorBase::cos(self))
    }
    #[track_caller]
    fn copysign(self, sign: Self) -> Self {
        TensorBase::copysign(self, sign)
    }
}

/// Stamps the constants of `FloatConst`.
macro_rules! named_constants {
    ($($name:ident)+) => {
        impl<E: FloatElement> FloatConst for TensorBase<E> { $(
            #[allow(non_snake_case, reason = "the trait's names")]
            #[track_caller]
            fn $name() -> Self {
                constant(<E::Number as FloatConst>::$name())
            }
        )+ }
    };
}
named_constants! {
    E FRAC_1_PI FRAC_1_SQRT_2 FRAC_2_PI FRAC_2_SQRT_PI FRAC_PI_2 FRAC_PI_3 FRAC_PI_4 FRAC_PI_6 FRAC_PI_8 LN_10 LN_2 LOG10_E LOG2_E PI
    SQRT_2 TAU LOG10_2 LOG2_10
}
