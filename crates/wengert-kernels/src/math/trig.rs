//! Sine, cosine and tangent.
//!
//! Polynomials on ±π/4 (Muller, "Elementary Functions", 3rd ed., chapter 11) after [`super::reduction`].

use super::dd::{Dd, fast_two_sum, select};
use super::poly::poly;
use super::reduction::{quarter_turns, quarter_turns_f32};

const HALF_PI: Dd = Dd { hi: std::f64::consts::FRAC_PI_2, lo: 6.123_233_995_736_766e-17 };

/// The quadrant of `x` in the last two bits, and sine and cosine of the angle from its middle.
#[inline(always)]
fn sin_cos(x: f64) -> (u64, Dd, Dd) {
    let (quadrant, turns) = quarter_turns(x);
    let r = turns.times(HALF_PI);
    let z = r.hi * r.hi;
    let half = 0.5 * z;
    let sin = fast_two_sum(r.hi, (r.hi * z).mul_add(poly(z, SIN_F64), r.lo * (1.0 - half)));
    // What 1 - z/2 loses is exact, but for the rounding of z: far below the last place.
    let near = 1.0 - half;
    let lost = (1.0 - near) - half;
    let cos = fast_two_sum(near, lost + (z * z).mul_add(poly(z, COS_F64), -r.hi * r.lo));
    (quadrant, sin, cos)
}

/// `value`, negative in the upper half of the quadrants.
#[inline(always)]
fn flip(value: f64, quadrant: u64) -> f64 {
    f64::from_bits(value.to_bits() ^ ((quadrant & 2) << 62))
}

/// Below this, `sin x` and `tan x` round to `x`.
const TINY: f64 = 1e-9;

/// `sin x`.
#[inline(always)]
pub(crate) fn sin(x: f64) -> f64 {
    let (quadrant, sin, cos) = sin_cos(x);
    let result = flip(select(quadrant & 1 == 1, cos, sin).value(), quadrant);
    if x.abs() < TINY { x } else { result }
}

/// `cos x`.
#[inline(always)]
pub(crate) fn cos(x: f64) -> f64 {
    let (quadrant, sin, cos) = sin_cos(x);
    let quadrant = quadrant.wrapping_add(1);
    flip(select(quadrant & 1 == 1, cos, sin).value(), quadrant)
}

/// `tan x`.
#[inline(always)]
pub(crate) fn tan(x: f64) -> f64 {
    let (quadrant, sin, cos) = sin_cos(x);
    let odd = quadrant & 1 == 1;
    let result = Dd::quotient(select(odd, -cos, sin), select(odd, sin, cos)).value();
    if x.abs() < TINY { x } else { result }
}

/// [`sin_cos`] for `f32`.
#[inline(always)]
fn sin_cos_f32(x: f32) -> (u64, f64, f64) {
    let (quadrant, turns) = quarter_turns_f32(x);
    let r = turns * HALF_PI.hi;
    let z = r * r;
    (quadrant, r * z.mul_add(poly(z, SIN_F32), 1.0), (z * z).mul_add(poly(z, COS_F32), z.mul_add(-0.5, 1.0)))
}

/// `sin x`.
#[inline(always)]
pub(crate) fn sin_f32(x: f32) -> f32 {
    let (quadrant, sin, cos) = sin_cos_f32(x);
    flip(if quadrant & 1 == 1 { cos } else { sin }, quadrant) as f32
}

/// `cos x`.
#[inline(always)]
pub(crate) fn cos_f32(x: f32) -> f32 {
    let (quadrant, sin, cos) = sin_cos_f32(x);
    let quadrant = quadrant.wrapping_add(1);
    flip(if quadrant & 1 == 1 { cos } else { sin }, quadrant) as f32
}

/// `tan x`.
#[inline(always)]
pub(crate) fn tan_f32(x: f32) -> f32 {
    let (quadrant, sin, cos) = sin_cos_f32(x);
    let odd = quadrant & 1 == 1;
    ((if odd { -cos } else { sin }) / (if odd { sin } else { cos })) as f32
}

const SIN_F64: [f64; 6] = [
    -1.666666666666663e-01,
    8.33333333332184e-03,
    -1.9841269829358322e-04,
    2.7557313538350485e-06,
    -2.5050734347239587e-08,
    1.5895429830264493e-10,
];

const COS_F64: [f64; 6] = [
    4.16666666666666e-02,
    -1.388888888887448e-03,
    2.480158728967734e-05,
    -2.755731440286313e-07,
    2.087572952690539e-09,
    -1.1359946099923295e-11,
];

const SIN_F32: [f64; 4] =
    [-1.6666666640807884e-01, 8.333329305751282e-03, -1.9839312391638786e-04, 2.718121546246008e-06];

const COS_F32: [f64; 4] =
    [4.166666662286013e-02, -1.3888883756253668e-03, 2.479952076949787e-05, -2.7210301235116284e-07];
