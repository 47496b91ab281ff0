//! Inverse trigonometric functions.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

use super::dd::{Dd, fast_two_sum, select, two_sum};
use super::poly::poly;

/// What rounding took from `π`.
const PI_LOW: f64 = 1.224_646_799_147_353_2e-16;

/// `√z` and `p` for `asin s = s + s p`, where `s² = z`: `|x|` up to 1/2, above it the half-angle argument.
#[inline(always)]
fn half_angle(a: f64) -> (Dd, f64) {
    let far = a > 0.5;
    let z = if far { (1.0 - a) * 0.5 } else { a * a };
    let root = Dd::from(z).sqrt();
    let s = Dd { hi: if far { root.hi } else { a }, lo: if far { root.lo } else { 0.0 } };
    (s, z * poly(z, ASIN_F64))
}

/// `asin x`: above 1/2 as `π/2 - 2 asin √((1 - x) / 2)`.
#[inline(always)]
pub(crate) fn asin(x: f64) -> f64 {
    let a = x.abs();
    let (s, p) = half_angle(a);
    let near = s.hi.mul_add(p, s.hi);
    let main = fast_two_sum(FRAC_PI_2, -2.0 * s.hi);
    let far = main.hi + (main.lo + (PI_LOW / 2.0 - 2.0 * s.hi.mul_add(p, s.lo)));
    (if a > 0.5 { far } else { near }).copysign(x)
}

/// `acos x`: above 1/2 as `2 asin √((1 - x) / 2)`, below -1/2 as `π` minus that of `-x`, between as `π/2 - asin x`.
#[inline(always)]
pub(crate) fn acos(x: f64) -> f64 {
    let a = x.abs();
    let (s, p) = half_angle(a);
    let rest = s.hi.mul_add(p, s.lo);
    let main = fast_two_sum(FRAC_PI_2, -x);
    let near = main.hi + (main.lo + (-x).mul_add(p, PI_LOW / 2.0));
    let main = fast_two_sum(PI, -2.0 * s.hi);
    let below = main.hi + (main.lo + (PI_LOW - 2.0 * rest));
    let far = if x < 0.0 { below } else { 2.0 * (s.hi + rest) };
    if a > 0.5 { far } else { near }
}

/// The angle of the point `(x, y)` in the first quadrant, neither coordinate near the limits of the format.
///
/// The angle's distance from 0, π/4 or π/2, whichever is nearest, has the tangent `y/x`, `(y - x)/(y + x)` or `-x/y`.
#[inline(always)]
fn angle(y: f64, x: f64) -> Dd {
    const TAN_EIGHTH: f64 = 0.414_213_562_373_095_03;
    let (low, high) = (y < x * TAN_EIGHTH, x < y * TAN_EIGHTH);
    let (difference, sum) = (two_sum(y, -x), two_sum(y, x));

    let numerator = select(low, y.into(), select(high, (-x).into(), difference));
    let denominator = select(low, x.into(), select(high, y.into(), sum));
    let base = if low {
        0.0
    } else if high {
        2.0
    } else {
        1.0
    };
    let q = Dd::quotient(numerator, denominator);
    let z = q.hi * q.hi;
    let main = fast_two_sum(base * FRAC_PI_4, q.hi);
    Dd { hi: main.hi, lo: main.lo + ((q.hi * z).mul_add(poly(z, ATAN_F64), base.mul_add(PI_LOW / 4.0, q.lo))) }
}

/// `atan x`.
#[inline(always)]
pub(crate) fn atan(x: f64) -> f64 {
    // Above this, atan x rounds to π/2.
    const LIMIT: f64 = (1u64 << 60) as f64;
    let a = x.abs();
    angle(if a > LIMIT { LIMIT } else { a }, 1.0).value().copysign(x)
}

/// The angle of the point `(x, y)`.
#[inline(always)]
pub(crate) fn atan2(y: f64, x: f64) -> f64 {
    const SCALE: f64 = f64::from_bits((1023 + 128) << 52);
    let (ay, ax) = (y.abs(), x.abs());
    let (infinite_y, infinite_x) = (ay == f64::INFINITY, ax == f64::INFINITY);
    let (ay, ax) = (if infinite_x { 0.0 } else { ay }, if infinite_y { 0.0 } else { ax });
    let (ay, ax) = (if infinite_y { 1.0 } else { ay }, if infinite_x { 1.0 } else { ax });
    let larger = if ay < ax { ax } else { ay };
    // Sums and error terms stay in the normal range.
    let scale = if larger > 1e270 { 1.0 / SCALE } else { 1.0 };
    let scale = if larger < 1e-270 { SCALE } else { scale };
    // At the origin the sign of x decides.
    let (ay, ax) = (ay * scale, if larger == 0.0 { 1.0 } else { ax * scale });
    let right = angle(ay, ax);
    let main = fast_two_sum(PI, -right.hi);
    let left = main.hi + (main.lo + (PI_LOW - right.lo));
    let result = if x.is_sign_negative() { left } else { right.value() };
    let result = result.copysign(y);
    // NaN, and not an infinity that the other coordinate has.
    if x.is_nan() | y.is_nan() { f64::NAN } else { result }
}

const ASIN_F64: [f64; 13] = [
    1.666666666666676e-01,
    7.49999999997087e-02,
    4.464285717455533e-02,
    3.0381942710190325e-02,
    2.2372214925548986e-02,
    1.7351613055194632e-02,
    1.398080874443022e-02,
    1.1399004257685088e-02,
    1.0779758382744576e-02,
    3.7082066212868817e-03,
    2.1703219907842273e-02,
    -2.0993262957703224e-02,
    3.2625097544059546e-02,
];

const ATAN_F64: [f64; 12] = [
    -3.3333333333333326e-01,
    1.9999999999997098e-01,
    -1.4285714285317067e-01,
    1.1111111083804365e-01,
    -9.090907988484112e-02,
    7.69227926935488e-02,
    -6.666175792723424e-02,
    5.876528055485063e-02,
    -5.215259029408889e-02,
    4.490888402163175e-02,
    -3.318257019435369e-02,
    1.4901511449409224e-02,
];
