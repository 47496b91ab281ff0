//! Tensors of one element as real fields, which `nalgebra` computes in.
//!
//! A real number is a complex field with itself as its real part; the methods that `num_traits::Float` has too forward to it.

use num_traits::{Float, FloatConst, Signed, Zero};
use simba::scalar::{ComplexField, Field, RealField, SubsetOf};
use simba::simd::{PrimitiveSimdValue, SimdValue};

use super::value;
use crate::element::FloatElement;
use crate::tensor::TensorBase;

/// A float type that `nalgebra` computes in.
pub trait Scalar: FloatElement + RealField {}
impl<E: FloatElement + RealField> Scalar for E {}

impl<E: FloatElement> SimdValue for TensorBase<E> {
    const LANES: usize = 1;
    type Element = Self;
    type SimdBool = bool;

    fn splat(value: Self) -> Self {
        value
    }
    fn extract(&self, _: usize) -> Self {
        *self
    }
    unsafe fn extract_unchecked(&self, _: usize) -> Self {
        *self
    }
    fn replace(&mut self, _: usize, value: Self) {
        *self = value;
    }
    unsafe fn replace_unchecked(&mut self, _: usize, value: Self) {
        *self = value;
    }
    fn select(self, condition: bool, other: Self) -> Self {
        if condition { self } else { other }
    }
}
impl<E: FloatElement> PrimitiveSimdValue for TensorBase<E> {}
impl<E: FloatElement> Field for TensorBase<E> {}

/// Floats of either size are the same set to `simba`: the conversion is recorded.
impl<A: FloatElement, B: FloatElement> SubsetOf<TensorBase<B>> for TensorBase<A> {
    #[track_caller]
    fn to_superset(&self) -> TensorBase<B> {
        convert(*self)
    }
    #[track_caller]
    fn from_superset_unchecked(element: &TensorBase<B>) -> Self {
        convert(*element)
    }
    fn is_in_subset(_: &TensorBase<B>) -> bool {
        true
    }
}

/// `x` in another float type, and itself in its own.
#[track_caller]
fn convert<A: FloatElement, B: FloatElement>(x: TensorBase<A>) -> TensorBase<B> {
    if A::DTYPE == B::DTYPE { TensorBase::from_handle(x.handle()) } else { x.cast() }
}

/// Stamps the primitive types as subsets: constants in, values out.
macro_rules! subsets {
    ($($number:ty)+) => { $(
        impl<E: FloatElement> SubsetOf<TensorBase<E>> for $number {
            #[track_caller]
            fn to_superset(&self) -> TensorBase<E> {
                TensorBase::scalar(E::of(*self as f64))
            }
            #[track_caller]
            fn from_superset_unchecked(element: &TensorBase<E>) -> Self {
                num_traits::AsPrimitive::as_(*element)
            }
            fn is_in_subset(_: &TensorBase<E>) -> bool {
                true
            }
        }
    )+ };
}
subsets!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64);

/// Stamps methods that forward to those of [`Float`] or of the tensor: `forward! { Float: floor(), log(base) }` makes
/// `fn log(self, base: Self) -> Self { Float::log(self, base) }`, and so on.
macro_rules! forward {
    ($target:ident: $($name:ident($($operand:ident),*))+) => { $(
        #[inline]
        #[track_caller]
        fn $name(self $(, $operand: Self)*) -> Self {
            $target::$name(self $(, $operand)*)
        }
    )+ };
}

impl<E: Scalar> ComplexField for TensorBase<E> {
    type RealField = Self;

    forward! {
        Float: floor() ceil() round() trunc() fract() abs() signum() recip() sin() cos() tan() asin() acos() atan() sinh() cosh() tanh()
        asinh() acosh() atanh() log2() log10() ln() ln_1p() sqrt() cbrt() exp() exp2() exp_m1() log(base) powf(n)
    }
    forward! { TensorBase: hypot(other) }

    fn from_real(re: Self) -> Self {
        re
    }
    fn real(self) -> Self {
        self
    }
    #[track_caller]
    fn imaginary(self) -> Self {
        Self::zero()
    }
    #[track_caller]
    fn modulus(self) -> Self {
        TensorBase::abs(self)
    }
    #[track_caller]
    fn modulus_squared(self) -> Self {
        self.square()
    }
    /// 0 or π, a constant.
    #[track_caller]
    fn argument(self) -> Self {
        if value("argument", self) >= E::of(0.0) { Self::zero() } else { Self::PI() }
    }
    #[track_caller]
    fn norm1(self) -> Self {
        TensorBase::abs(self)
    }
    #[track_caller]
    fn scale(self, factor: Self) -> Self {
        self * factor
    }
    #[track_caller]
    fn unscale(self, factor: Self) -> Self {
        self / factor
    }
    #[track_caller]
    fn to_exp(self) -> (Self, Self) {
        match value("to_exp", self) >= E::of(0.0) {
            true => (self, TensorBase::scalar(E::of(1.0))),
            false => (self.neg(), TensorBase::scalar(E::of(-1.0))),
        }
    }
    #[track_caller]
    fn mul_add(self, a: Self, b: Self) -> Self {
        self * a + b
    }
    fn conjugate(self) -> Self {
        self
    }
    #[track_caller]
    fn sin_cos(self) -> (Self, Self) {
        Float::sin_cos(self)
    }
    #[track_caller]
    fn powi(self, n: i32) -> Self {
        TensorBase::powi(self, n)
    }
    #[track_caller]
    fn powc(self, n: Self) -> Self {
        TensorBase::pow(self, n)
    }
    #[track_caller]
    fn is_finite(&self) -> bool {
        Float::is_finite(*self)
    }
    #[track_caller]
    fn try_sqrt(self) -> Option<Self> {
        (value("try_sqrt", self) >= E::of(0.0)).then(|| TensorBase::sqrt(self))
    }
}

/// Stamps the constants of [`RealField`].
macro_rules! constants {
    ($($name:ident = $constant:ident;)+) => { $(
        #[track_caller]
        fn $name() -> Self {
            Self::$constant()
        }
    )+ };
}

impl<E: Scalar> RealField for TensorBase<E> {
    constants! {
        pi = PI;
        two_pi = TAU;
        frac_pi_2 = FRAC_PI_2;
        frac_pi_3 = FRAC_PI_3;
        frac_pi_4 = FRAC_PI_4;
        frac_pi_6 = FRAC_PI_6;
        frac_pi_8 = FRAC_PI_8;
        frac_1_pi = FRAC_1_PI;
        frac_2_pi = FRAC_2_PI;
        frac_2_sqrt_pi = FRAC_2_SQRT_PI;
        e = E;
        log2_e = LOG2_E;
        log10_e = LOG10_E;
        ln_2 = LN_2;
        ln_10 = LN_10;
    }

    #[track_caller]
    fn is_sign_positive(&self) -> bool {
        Signed::is_positive(self)
    }
    #[track_caller]
    fn is_sign_negative(&self) -> bool {
        Signed::is_negative(self)
    }
    forward! { TensorBase: copysign(sign) atan2(other) clamp(min, max) }
    #[track_caller]
    fn max(self, other: Self) -> Self {
        self.fmax(other)
    }
    #[track_caller]
    fn min(self, other: Self) -> Self {
        self.fmin(other)
    }
    #[track_caller]
    fn min_value() -> Option<Self> {
        Some(Float::min_value())
    }
    #[track_caller]
    fn max_value() -> Option<Self> {
        Some(Float::max_value())
    }
}
