//! The arithmetic that formulas are written in.

use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

use crate::math::{arc, erf, exp, hyper, log, pow, trig};

/// Numbers that an elementwise formula can be written in: `f32`, `f64`, tensors whose operations are recorded, counters of cost.
///
/// A formula never branches on a value: it compares to a [`Real::Mask`] and [`Real::select`]s, so that the same text is a
/// vectorised loop and a recorded derivative. Conventions at special points are PyTorch's.
pub trait Real:
    Copy
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
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
    /// -1, 0 or 1 (0 for ±0 and for NaN).
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
    /// The smaller one, `self` if they are equal; NaN if either is NaN.
    fn minimum(self, other: Self) -> Self;
    /// The larger one, `self` if they are equal; NaN if either is NaN.
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

/// The methods that need no algorithm, or the same for both formats.
macro_rules! common {
    ($t:ty) => {
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
            if self > 0.0 {
                1.0
            } else if self < 0.0 {
                -1.0
            } else {
                0.0
            }
        }
        #[inline(always)]
        fn fmod(self, other: Self) -> Self {
            self % other
        }
        // A bit-or brings in NaN: a select of `self` that a loop stores to `self` would become a masked store, which is
        // three times slower.
        #[inline(always)]
        fn minimum(self, other: Self) -> Self {
            let smaller = if other < self { other } else { self };
            <$t>::from_bits(smaller.to_bits() | if other != other { !0 } else { 0 })
        }
        #[inline(always)]
        fn maximum(self, other: Self) -> Self {
            let larger = if other > self { other } else { self };
            <$t>::from_bits(larger.to_bits() | if other != other { !0 } else { 0 })
        }
        methods!(abs = <$t>::abs, floor = <$t>::floor, ceil = <$t>::ceil, round = <$t>::round_ties_even);
        methods!(trunc = <$t>::trunc, sqrt = <$t>::sqrt, exp = exp::exp, exp2 = exp::exp2, expm1 = exp::expm1);
        methods!(ln = log::ln, log1p = log::log1p, sigmoid = exp::sigmoid);
    };
}

/// `name = function` defines the method `name` of one operand.
macro_rules! methods {
    ($($name:ident = $function:expr),+) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            $function(self)
        }
    )+};
}

/// As `methods`, of two operands.
macro_rules! binary_methods {
    ($($name:ident = $function:expr),+) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            $function(self, other)
        }
    )+};
}

/// As `methods` for `f32`, rounded from `f64`.
macro_rules! rounded_methods {
    ($($name:ident = $function:expr),+) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            $function(f64::from(self)) as f32
        }
    )+};
}

impl Real for f32 {
    common!(f32);
    methods!(sin = trig::sin_f32, cos = trig::cos_f32, tan = trig::tan_f32, erf = erf::erf_f32, erfc = erf::erfc_f32);
    methods!(tanh = hyper::tanh_f32, asinh = hyper::asinh_f32, acosh = hyper::acosh_f32, atanh = hyper::atanh_f32);
    rounded_methods!(log2 = log::log2, log10 = log::log10, asin = arc::asin, acos = arc::acos, atan = arc::atan);
    rounded_methods!(sinh = hyper::sinh, cosh = hyper::cosh);
    binary_methods!(pow = pow::pow_f32, hypot = pow::hypot_f32);

    #[inline(always)]
    fn atan2(self, other: Self) -> Self {
        arc::atan2(self.into(), other.into()) as f32
    }
}

impl Real for f64 {
    common!(f64);
    methods!(sin = trig::sin, cos = trig::cos, tan = trig::tan, asin = arc::asin, acos = arc::acos);
    methods!(atan = arc::atan, sinh = hyper::sinh, cosh = hyper::cosh, tanh = hyper::tanh, asinh = hyper::asinh);
    methods!(acosh = hyper::acosh, atanh = hyper::atanh, log2 = log::log2, log10 = log::log10);
    methods!(erf = erf::erf, erfc = erf::erfc);
    binary_methods!(pow = pow::pow, hypot = pow::hypot, atan2 = arc::atan2);
}
