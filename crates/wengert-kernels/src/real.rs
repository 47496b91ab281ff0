//! The arithmetic that formulas are written in.

use crate::math::{erf, exp, log};
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

/// Numbers that an elementwise formula can be written in: `f32`, `f64`, tensor handles, dual numbers.
///
/// A formula never branches on a value: it compares to a [`Real::Mask`] and [`Real::select`]s, so that the same text is a
/// vectorised loop and a recorded derivative. Conventions at special points are PyTorch's.
pub trait Real:
    Copy + 'static + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// The result of a comparison.
    type Mask: Copy + BitAnd<Output = Self::Mask> + BitOr<Output = Self::Mask> + Not<Output = Self::Mask>;

    /// The constant nearest to `c`.
    fn of(c: f64) -> Self;
    /// `self < other`, false for NaN.
    fn lt(self, other: Self) -> Self::Mask;
    /// `self <= other`, false for NaN.
    fn le(self, other: Self) -> Self::Mask;
    /// `self == other`, false for NaN.
    fn eq(self, other: Self) -> Self::Mask;
    /// Whether `self` is NaN.
    fn is_nan(self) -> Self::Mask;
    /// `yes` where `mask` holds, `no` elsewhere; what is not chosen leaves no trace, not even a NaN.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;

    /// `|x|`.
    fn abs(self) -> Self;
    /// -1, 0 or 1 (0 for ±0, NaN for NaN).
    fn sign(self) -> Self;
    /// The largest integer not above `x`.
    fn floor(self) -> Self;
    /// The smallest integer not below `x`.
    fn ceil(self) -> Self;
    /// The nearest integer, halves to even.
    fn round(self) -> Self;
    /// `x` without its fraction.
    fn trunc(self) -> Self;
    /// C's `fmod`: the remainder of `self / other` with the sign of `self`.
    fn fmod(self, other: Self) -> Self;
    /// The smaller one; NaN if either is NaN.
    fn minimum(self, other: Self) -> Self;
    /// The larger one; NaN if either is NaN.
    fn maximum(self, other: Self) -> Self;

    /// `√x`.
    fn sqrt(self) -> Self;
    /// `e^x`.
    fn exp(self) -> Self;
    /// `2^x`.
    fn exp2(self) -> Self;
    /// `e^x - 1`, accurate near 0.
    fn expm1(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The logarithm to base 2.
    fn log2(self) -> Self;
    /// The logarithm to base 10.
    fn log10(self) -> Self;
    /// `ln(1 + x)`, accurate near 0.
    fn log1p(self) -> Self;
    /// `self^other` as C's `pow`: right for negative bases and integral exponents, `x^0 = 1`.
    fn pow(self, other: Self) -> Self;
    /// `√(self² + other²)` without needless overflow.
    fn hypot(self, other: Self) -> Self;
    /// The sine of `x` radians.
    fn sin(self) -> Self;
    /// The cosine of `x` radians.
    fn cos(self) -> Self;
    /// The tangent of `x` radians.
    fn tan(self) -> Self;
    /// The arc sine in radians.
    fn asin(self) -> Self;
    /// The arc cosine in radians.
    fn acos(self) -> Self;
    /// The arc tangent in radians.
    fn atan(self) -> Self;
    /// The angle in radians of the point `(other, self)`.
    fn atan2(self, other: Self) -> Self;
    /// The hyperbolic sine.
    fn sinh(self) -> Self;
    /// The hyperbolic cosine.
    fn cosh(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// The inverse hyperbolic sine.
    fn asinh(self) -> Self;
    /// The inverse hyperbolic cosine.
    fn acosh(self) -> Self;
    /// The inverse hyperbolic tangent.
    fn atanh(self) -> Self;
    /// `1 / (1 + e^-x)`.
    fn sigmoid(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
    /// `1 - erf(x)`, accurate for large `x`.
    fn erfc(self) -> Self;
}

macro_rules! real_from_std {
    ($t:ty, $erf:path, $erfc:path) => {
        impl Real for $t {
            type Mask = bool;
            #[inline(always)]
            fn of(c: f64) -> Self {
                c as $t
            }
            #[inline(always)]
            fn lt(self, other: Self) -> bool {
                self < other
            }
            #[inline(always)]
            fn le(self, other: Self) -> bool {
                self <= other
            }
            #[inline(always)]
            fn eq(self, other: Self) -> bool {
                self == other
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self != self
            }
            #[inline(always)]
            fn select(mask: bool, yes: Self, no: Self) -> Self {
                if mask { yes } else { no }
            }
            #[inline(always)]
            fn sign(self) -> Self {
                if self > 0.0 { 1.0 } else if self < 0.0 { -1.0 } else { self * 0.0 + 0.0 }
            }
            #[inline(always)]
            fn round(self) -> Self {
                self.round_ties_even()
            }
            #[inline(always)]
            fn fmod(self, other: Self) -> Self {
                self % other
            }
            #[inline(always)]
            fn minimum(self, other: Self) -> Self {
                let smaller = if self < other { self } else { other };
                <$t>::from_bits(smaller.to_bits() | if self != self { !0 } else { 0 })
            }
            #[inline(always)]
            fn maximum(self, other: Self) -> Self {
                let larger = if self > other { self } else { other };
                <$t>::from_bits(larger.to_bits() | if self != self { !0 } else { 0 })
            }
            #[inline(always)]
            fn pow(self, other: Self) -> Self {
                <$t>::powf(self, other)
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                exp::sigmoid(self)
            }
            #[inline(always)]
            fn hypot(self, other: Self) -> Self {
                <$t>::hypot(self, other)
            }
            #[inline(always)]
            fn atan2(self, other: Self) -> Self {
                <$t>::atan2(self, other)
            }
            #[inline(always)]
            fn expm1(self) -> Self {
                exp::expm1(self)
            }
            #[inline(always)]
            fn log1p(self) -> Self {
                log::log1p(self)
            }
            #[inline(always)]
            fn erf(self) -> Self {
                $erf(self)
            }
            #[inline(always)]
            fn erfc(self) -> Self {
                $erfc(self)
            }
            real_from_std!(@same $t, abs floor ceil trunc sqrt log2 log10 sin cos tan asin acos atan sinh cosh asinh acosh atanh);
            #[inline(always)]
            fn exp(self) -> Self {
                exp::exp(self)
            }
            #[inline(always)]
            fn exp2(self) -> Self {
                exp::exp2(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                log::ln(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                exp::tanh(self)
            }
        }
    };
    (@same $t:ty, $($name:ident)+) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            <$t>::$name(self)
        }
    )+};
}

real_from_std!(f32, erf::erf_f32, libm::erfcf);
real_from_std!(f64, libm::erf, libm::erfc);
