//! Powers, and the length of a vector.

use super::dd::{Dd, fast_two_sum, select, two_prod, two_sum};
use super::exp::{self, exp_parts};
use super::float::Float;
use super::log;
use super::poly::poly;

/// `ln a` for positive `a`, to about 2^-66 of it.
///
/// As [`log::ln`], by `2 artanh s = 2s + s³ (2/3 + s² p)` with everything but `p` in double `f64`.
#[inline(always)]
fn ln(a: f64) -> Dd {
    const TWO_THIRDS_LOW: f64 = 3.700_743_415_417_188e-17;
    let (k, f) = log::reduce(a);
    let s = Dd::quotient(f.into(), fast_two_sum(2.0, f));
    let z = s.times(s);
    let series = fast_two_sum(2.0 / 3.0, z.hi.mul_add(poly(z.hi, ARTANH_F64), TWO_THIRDS_LOW));
    let cube = s.times(z).times(series);
    let log = Dd { hi: 2.0 * s.hi, lo: 2.0 * s.lo }.plus_smaller(cube);
    let power = fast_two_sum(k * f64::LN2_HI, k * f64::LN2_LO);
    let sum = two_sum(power.hi, log.hi);
    fast_two_sum(sum.hi, sum.lo + (power.lo + log.lo))
}

/// `y` within bounds beyond which powers are 0, 1 or infinite.
#[inline(always)]
fn clip(y: f64) -> f64 {
    const LIMIT: f64 = 1e22;
    let y = if y > LIMIT { LIMIT } else { y };
    if y < -LIMIT { -LIMIT } else { y }
}

/// `x^y` as C's `pow` (C23, annex F.10.4.5).
#[inline(always)]
pub(crate) fn pow(x: f64, y: f64) -> f64 {
    let product = ln(x.abs()).times(clip(y).into());
    let low = product.hi < f64::EXP_ZERO;
    let high = product.hi > f64::EXP_INFINITE;
    let product = select(low, f64::EXP_ZERO.into(), select(high, f64::EXP_INFINITE.into(), product));
    let (k, power) = exp_parts(product);
    at_special_points(x, y, exp::scale(power.value(), k))
}

/// `x^y` in `f32`: the logarithm and the exponential in `f64`.
#[inline(always)]
pub(crate) fn pow_f32(x: f32, y: f32) -> f32 {
    let (x, y) = (f64::from(x), f64::from(y));
    at_special_points(x, y, exp::exp(clip(y) * log::ln(x.abs()))) as f32
}

/// C's `pow` where it is more than `power = e^(y ln |x|)`.
#[inline(always)]
fn at_special_points(x: f64, y: f64, power: f64) -> f64 {
    let a = x.abs();
    let grows = (a > 1.0) == (y > 0.0);
    let limit = if grows { f64::INFINITY } else { 0.0 };
    let power = if (a == 0.0) | (a == f64::INFINITY) { limit } else { power };
    let (whole, odd) = (y == y.trunc(), 0.5 * y != (0.5 * y).trunc());
    let power = if whole & odd { power.copysign(x) } else { power };
    let power = if (x < 0.0) & (a < f64::INFINITY) & !whole { f64::NAN } else { power };
    let power = if x.is_nan() | y.is_nan() { f64::NAN } else { power };
    if (y == 0.0) | (x == 1.0) { 1.0 } else { power }
}

/// `√(x² + y²)`, scaled by a power of two that neither overflows nor underflows.
#[inline(always)]
pub(crate) fn hypot(x: f64, y: f64) -> f64 {
    const SCALE: f64 = f64::from_bits((1023 + 768) << 52);
    let (a, b) = (x.abs(), y.abs());
    let larger = if a < b { b } else { a };
    let scale = if larger > 1e150 { 1.0 / SCALE } else { 1.0 };
    let scale = if larger < 1e-140 { SCALE } else { scale };
    let (xx, yy) = (two_prod(a * scale, a * scale), two_prod(b * scale, b * scale));
    let sum = two_sum(xx.hi, yy.hi);
    let length = Dd { hi: sum.hi, lo: sum.lo + (xx.lo + yy.lo) }.sqrt().value() * (1.0 / scale);
    if (a == f64::INFINITY) | (b == f64::INFINITY) { f64::INFINITY } else { length }
}

/// `√(x² + y²)` in `f32`, whose squares fit into `f64`.
#[inline(always)]
pub(crate) fn hypot_f32(x: f32, y: f32) -> f32 {
    let (a, b) = (f64::from(x), f64::from(y));
    let length = f64::sqrt(a * a + b * b) as f32;
    let infinite = (x.abs() == f32::INFINITY) | (y.abs() == f32::INFINITY);
    if infinite { f32::INFINITY } else { length }
}

const ARTANH_F64: [f64; 8] = [
    3.999999999999998e-01,
    2.8571428571443835e-01,
    2.2222222217791876e-01,
    1.8181818843674627e-01,
    1.5384558452474378e-01,
    1.33362635289754e-01,
    1.1675800961306629e-01,
    1.1981582337340893e-01,
];
