//! Logarithms.
//!
//! `x = 2^k (1 + f)` with `1 + f` near 1 and `ln x = k ln 2 + ln(1 + f)` (Muller, "Elementary Functions", 3rd ed.,
//! section 11.4).

use super::float::Float;

/// `k` and `f` of a positive `x`.
#[inline(always)]
fn reduce<T: Float>(x: T) -> (T, T) {
    let subnormal = x.lt(T::MIN_POSITIVE);
    let (k, m) = T::select(subnormal, x * T::LIFT, x).decompose();
    (T::select(subnormal, k - T::LIFT_EXPONENT, k), m - T::of(1.0))
}

/// `k ln 2 + ln(1 + f)`.
#[inline(always)]
fn combine<T: Float>(k: T, f: T) -> T {
    k * T::LN2_HI + (f + (T::log1p_tail(f) + k * T::LN2_LO))
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
