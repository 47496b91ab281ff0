//! Exponentials.
//!
//! `x = k ln 2 + r` with `|r| <= ln 2 / 2` and `e^x = 2^k e^r` (Muller, "Elementary Functions", 3rd ed., section 11.3).
//! The power of two is applied in two steps, so that a subnormal result is rounded once.

use super::dd::{Dd, fast_two_sum};
use super::float::Float;

/// `k`, `r` and what rounding took from `r`, for `x` in the range of the format's exponents.
#[inline(always)]
pub(super) fn reduce<T: Float>(x: T) -> (T, T, T) {
    let k = x.mul_add(T::of(std::f64::consts::LOG2_E), T::ROUNDER) - T::ROUNDER;
    let high = (-k).mul_add(T::LN2_HI, x);
    let r = (-k).mul_add(T::LN2_LO, high);
    (k, r, (-k).mul_add(T::LN2_LO, high - r))
}

/// `scale e^(r + low) - unit` for `|r| <= ln 2 / 2`, where `scale` is `unit` times a power of two.
#[inline(always)]
pub(super) fn scaled_expm1<T: Float>(scale: T, unit: T, r: T, low: T) -> T {
    scale.mul_add((r * r).mul_add(T::exp_tail(r), low), scale.mul_add(r, scale - unit))
}

/// `e^r` for `|r| <= ln 2 / 2`, to an ulp.
#[inline(always)]
fn exp_reduced<T: Float>(r: T) -> T {
    (r * r).mul_add(T::exp_tail(r), r) + T::of(1.0)
}

/// `e^(r + low)` for `|r| <= ln 2 / 2`, to little more than half an ulp.
#[inline(always)]
fn exp_sharply<T: Float>(r: T, low: T) -> T {
    let sum = T::of(1.0) + r;
    let lost = r - (sum - T::of(1.0));
    sum + (r * r).mul_add(T::exp_tail(r), lost + low)
}

/// `x` where its exponential is neither 0 nor infinite, a bound of that range elsewhere.
#[inline(always)]
fn clip<T: Float>(x: T, low: T, high: T) -> T {
    let x = T::select(x.lt(low), low, x);
    T::select(high.lt(x), high, x)
}

/// `2^k p` for `p` near 1, rounded once.
#[inline(always)]
pub(super) fn scale<T: Float>(p: T, k: T) -> T {
    let below = k.lt(T::of(0.0));
    let shifted = T::select(below, k + T::LIFT_EXPONENT, k - T::LIFT_EXPONENT);
    p * T::pow2(shifted) * T::select(below, T::of(1.0) / T::LIFT, T::LIFT)
}

/// `e^x`.
#[inline(always)]
pub(crate) fn exp<T: Float>(x: T) -> T {
    let (k, r, _) = reduce(clip(x, T::EXP_ZERO, T::EXP_INFINITE));
    scale(exp_reduced(r), k)
}

/// `e^x / 2` for `x >= 0`, finite as long as the result is.
#[inline(always)]
pub(super) fn half_exp<T: Float>(x: T) -> T {
    let limit = T::EXP_INFINITE + T::of(1.0);
    let (k, r, low) = reduce(T::select(limit.lt(x), limit, x));
    scale(exp_sharply(r, low), k - T::of(1.0))
}

/// `e^-x` for `x >= 0`.
#[inline(always)]
pub(super) fn exp_neg<T: Float>(x: T) -> T {
    let x = -x;
    let (k, r, low) = reduce(T::select(x.lt(T::EXP_ZERO), T::EXP_ZERO, x));
    exp_sharply(r, low) * T::pow2(k + T::LIFT_EXPONENT) * (T::of(1.0) / T::LIFT)
}

/// `2^x`.
#[inline(always)]
pub(crate) fn exp2<T: Float>(x: T) -> T {
    let log2_e = T::of(std::f64::consts::LOG2_E);
    let x = clip(x, T::EXP_ZERO * log2_e, T::EXP_INFINITE * log2_e);
    let k = (x + T::ROUNDER) - T::ROUNDER;
    scale(exp_reduced((x - k) * T::of(std::f64::consts::LN_2)), k)
}

/// `e^x - 1`.
#[inline(always)]
pub(crate) fn expm1<T: Float>(x: T) -> T {
    let low = T::EXP_ZERO * T::of(0.5);
    let (k, r, low) = reduce(clip(x, low, T::EXP_INFINITE));
    // Half of the power of two: all of it overflows before the result does.
    let result = T::of(2.0) * scaled_expm1(T::pow2(k - T::of(1.0)), T::of(0.5), r, low);
    // The halves of tiny results are subnormal.
    T::select(x.abs().lt(T::of(1e-20)), x, result)
}

/// `1 / (1 + e^-x)`, for negative `x` with `e = e^x` as `e / (1 + e)`.
#[inline(always)]
pub(crate) fn sigmoid<T: Float>(x: T) -> T {
    let one = T::of(1.0);
    let e = exp_neg(x.abs());
    let quotient = T::select(x.lt(T::of(0.0)), e, one) / (one + e);
    // For small e the quotient is better as a correction: e / (1 + e) = e - e² / (1 + e).
    T::select(x.lt(T::of(-0.7)), (-e).mul_add(quotient, e), quotient)
}

/// `k` and `e^r` for `e^(x + low) = 2^k e^r`, as long as the result and its reciprocal are finite.
#[inline(always)]
pub(super) fn exp_parts(x: Dd) -> (f64, Dd) {
    let (k, r, low) = reduce(x.hi);
    let sum = 1.0 + r;
    let tail = (r * r).mul_add(f64::exp_tail(r), r - (sum - 1.0));
    (k, fast_two_sum(sum, (low + x.lo).mul_add(sum + tail, tail)))
}
