//! Hyperbolic functions and their inverses.

use super::dd::{Dd, fast_two_sum, two_prod, two_sum};
use super::exp::{half_exp, reduce, scaled_expm1};
use super::float::Float;
use super::log::{ln_1p, log1p};
use super::poly::poly;

/// `tanh x = t / (t + 2)` with `t = e^2x - 1`.
#[inline(always)]
pub(crate) fn tanh(x: f64) -> f64 {
    let a = x.abs();
    let (k, r, low) = reduce(2.0 * if a > 22.0 { 22.0 } else { a });
    let t = scaled_expm1(f64::pow2(k), 1.0, r, low);
    let q = t / (t + 2.0);
    // Near 0 the quotient is better as a correction: t / (t + 2) = (t - t² / (t + 2)) / 2.
    let near = 0.5 * (-t).mul_add(q, t);
    (if a < 0.35 { near } else { q }).copysign(x)
}

/// `tanh x` in `f32`: a polynomial while the result is below 1/2, `1 - 2 / (e^2x + 1)` above.
#[inline(always)]
pub(crate) fn tanh_f32(x: f32) -> f32 {
    let a = x.abs();
    let z = a * a;
    let near = (a * z).mul_add(poly(z, TANH_F32), a);
    let twice = a + a;
    let (k, r, _) = reduce(if twice > 20.0 { 20.0 } else { twice });
    let power = f32::pow2(k);
    // power (e^r - 1) + (power + 1), of which the last sum is exact below 2^24.
    let sum = power.mul_add((r * r).mul_add(f32::exp_tail(r), r), power + 1.0);
    (if a < 0.55 { near } else { 1.0 - 2.0 / sum }).copysign(x)
}

/// `sinh x`: a polynomial below 1, `(e^x - e^-x) / 2` above.
#[inline(always)]
pub(crate) fn sinh(x: f64) -> f64 {
    let a = x.abs();
    let z = a * a;
    let near = (a * z).mul_add(poly(z, SINH_F64), a);
    let half = half_exp(a);
    let far = half - 0.25 / half;
    (if a < 1.0 { near } else { far }).copysign(x)
}

/// `cosh x = (e^x + e^-x) / 2`.
#[inline(always)]
pub(crate) fn cosh(x: f64) -> f64 {
    let half = half_exp(x.abs());
    half + 0.25 / half
}

/// Arguments above which `x² ± 1` is `x²`.
const HUGE: f64 = (1u64 << 60) as f64;

/// `asinh x = ln(1 + v)` with `v = a + a² / (1 + √(1 + a²))`, `a = |x|`.
#[inline(always)]
pub(crate) fn asinh(x: f64) -> f64 {
    let a = x.abs();
    let square = a * a;
    let v = two_sum(a, square / (1.0 + (1.0 + square).sqrt()));
    ln_1p_or_ln_2x(a, v).copysign(x)
}

/// `acosh x = ln(1 + v)` with `v = t + √(t² + 2t)`, `t = x - 1`.
#[inline(always)]
pub(crate) fn acosh(x: f64) -> f64 {
    let t = x - 1.0;
    let square = two_prod(t, t);
    let radicand = two_sum(2.0 * t, square.hi);
    let root = Dd { hi: radicand.hi, lo: radicand.lo + square.lo }.sqrt();
    let v = two_sum(t, root.hi);
    let result = ln_1p_or_ln_2x(x, Dd { hi: v.hi, lo: v.lo + root.lo });
    if x < 1.0 { f64::NAN } else { result }
}

/// `ln(1 + v)`, or `ln 2a` where `a` is huge.
#[inline(always)]
fn ln_1p_or_ln_2x(a: f64, v: Dd) -> f64 {
    let huge = a > HUGE;
    let v = Dd { hi: if huge { a } else { v.hi }, lo: if huge { 0.0 } else { v.lo } };
    ln_1p(v, if huge { 1.0 } else { 0.0 })
}

/// `atanh x = ln(1 + v) / 2` with `v = 2a / (1 - a)`, `a = |x|`.
#[inline(always)]
pub(crate) fn atanh(x: f64) -> f64 {
    let a = x.abs();
    let v = Dd::quotient((2.0 * a).into(), fast_two_sum(1.0, -a));
    let result = 0.5 * ln_1p(v, 0.0);
    let result = if a < 1.0 { result } else { f64::NAN };
    (if a == 1.0 { f64::INFINITY } else { result }).copysign(x)
}

/// [`asinh`] for `f32`, whose square fits into `f64`.
#[inline(always)]
pub(crate) fn asinh_f32(x: f32) -> f32 {
    let a = f64::from(x.abs());
    let v = a + a * a / (1.0 + (1.0 + a * a).sqrt());
    // The quotient of infinities is NaN.
    (log1p(if a < f64::INFINITY { v } else { a }) as f32).copysign(x)
}

/// [`acosh`] for `f32`.
#[inline(always)]
pub(crate) fn acosh_f32(x: f32) -> f32 {
    let t = f64::from(x) - 1.0;
    let result = log1p(t + (t * (t + 2.0)).sqrt()) as f32;
    if x < 1.0 { f32::NAN } else { result }
}

/// [`atanh`] for `f32`.
#[inline(always)]
pub(crate) fn atanh_f32(x: f32) -> f32 {
    let a = f64::from(x.abs());
    ((0.5 * log1p(2.0 * a / (1.0 - a))) as f32).copysign(x)
}

const SINH_F64: [f64; 8] = [
    1.6666666666666666e-01,
    8.333333333333573e-03,
    1.984126984106116e-04,
    2.7557319310089112e-06,
    2.5052089413731864e-08,
    1.606133894209472e-10,
    7.503288313347458e-13,
    6.474465306723807e-15,
];

const TANH_F32: [f32; 5] = [-3.3333316e-01, 1.3332544e-01, -5.3847548e-02, 2.1050714e-02, -6.242848e-03];
