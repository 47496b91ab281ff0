//! Logarithms.
//!
//! `x = 2^k (1 + f)` with `1 + f` near 1 and `ln x = k ln 2 + ln(1 + f)` (Muller, "Elementary Functions", 3rd ed.,
//! section 11.4).

use super::dd::{Dd, fast_two_sum, two_sum};
use super::float::Float;

/// `k` and `f` of a positive `x`.
#[inline(always)]
pub(super) fn reduce<T: Float>(x: T) -> (T, T) {
    let subnormal = x.lt(T::MIN_POSITIVE);
    let (k, m) = T::select(subnormal, x * T::LIFT, x).decompose();
    (T::select(subnormal, k - T::LIFT_EXPONENT, k), m - T::of(1.0))
}

/// `k ln 2 + ln(1 + f)`.
#[inline(always)]
fn combine<T: Float>(k: T, f: T) -> T {
    k.mul_add(T::LN2_HI, f + k.mul_add(T::LN2_LO, T::log1p_tail(f)))
}

/// `result` for positive finite `x`, what a logarithm is elsewhere.
#[inline(always)]
fn at_the_ends<T: Float>(x: T, result: T) -> T {
    let result = T::select(x.lt(T::of(f64::INFINITY)), result, x);
    let end = T::select(x.eq(T::of(0.0)), T::of(f64::NEG_INFINITY), T::of(f64::NAN));
    T::select(x.le(T::of(0.0)), end, result)
}

/// The natural logarithm.
#[inline(always)]
pub(crate) fn ln<T: Float>(x: T) -> T {
    let (k, f) = reduce(x);
    at_the_ends(x, combine(k, f))
}

/// `ln(1 + x)`.
#[inline(always)]
pub(crate) fn log1p<T: Float>(x: T) -> T {
    let one = T::of(1.0);
    let u = one + x;
    // What 1 + x lost: an error-free sum, the larger summand first.
    let error = T::select(one.lt(x), one - (u - x), x - (u - one));
    let (k, m) = u.decompose();
    // Where 2^-k is not normal, it does not matter either.
    let f = (m - one) + T::select(k.lt(T::LIFT_EXPONENT), error * T::pow2(-k), T::of(0.0));
    let result = at_the_ends(u, combine(k, f));
    T::select(x.eq(T::of(0.0)), x, result)
}

/// `ln(1 + v) + extra ln 2` for `v >= 0`.
#[inline(always)]
pub(super) fn ln_1p(v: Dd, extra: f64) -> f64 {
    let u = two_sum(1.0, v.hi);
    let (k, m) = u.hi.decompose();
    let rest = (u.lo + v.lo) * f64::pow2(if k < 1000.0 { -k } else { 0.0 });
    let f = fast_two_sum(m - 1.0, if k < 60.0 { rest } else { 0.0 });
    let (log, rest) = (f64::log1p_tail(f.hi), f.lo / m);
    let k = k + extra;
    let result = k.mul_add(f64::LN2_HI, f.hi + (log + k.mul_add(f64::LN2_LO, rest)));
    if v.hi < f64::INFINITY { result } else { v.hi }
}

/// The logarithm to base 2.
#[inline(always)]
pub(crate) fn log2(x: f64) -> f64 {
    let (k, f) = reduce(x);
    let log = scaled(f, LOG2_E);
    let sum = fast_two_sum(k, log.hi);
    at_the_ends(x, sum.hi + (sum.lo + log.lo))
}

/// The logarithm to base 10.
#[inline(always)]
pub(crate) fn log10(x: f64) -> f64 {
    let (k, f) = reduce(x);
    let log = scaled(f, LOG10_E);
    let sum = fast_two_sum(k * LOG10_2.hi, log.hi);
    at_the_ends(x, sum.hi + (sum.lo + k.mul_add(LOG10_2.lo, log.lo)))
}

/// `factor ln(1 + f)`.
#[inline(always)]
fn scaled(f: f64, factor: Dd) -> Dd {
    fast_two_sum(f, f64::log1p_tail(f)).times(factor)
}

const LOG2_E: Dd = Dd { hi: std::f64::consts::LOG2_E, lo: 2.035_527_374_093_103_3e-17 };
const LOG10_E: Dd = Dd { hi: std::f64::consts::LOG10_E, lo: 1.098_319_650_216_765e-17 };
/// `log10 2`, of which the upper part times an exponent is exact.
const LOG10_2: Dd = Dd { hi: 0.301_029_995_549_470_2, lo: 1.145_110_089_802_183_8e-10 };
