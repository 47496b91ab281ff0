//! The error function and its complement.

use super::dd::{Dd, fast_two_sum, two_prod};
use super::exp::{self, exp_parts};
use super::poly::poly;
use crate::Real;

/// `erf x` in `f32`: a polynomial below 1, above it `1 - e^q` where the polynomial `q` is the logarithm of `erfc`.
#[inline(always)]
pub(crate) fn erf_f32(x: f32) -> f32 {
    let a = x.abs();
    let z = a * a;
    let near = a.mul_add(poly(z, ERF_F32), a);
    let u = (if a > 4.0 { 4.0 } else { a }) - 1.0;
    let far = 1.0 - exp::exp_neg(-poly(u, ERF_TAIL_F32));
    f32::select(a < 1.0, near, far).copysign(x)
}

/// `erf x`: a polynomial below 1, `1 - erfc x` above.
#[inline(always)]
pub(crate) fn erf(x: f64) -> f64 {
    let a = x.abs();
    let near = a.mul_add(poly(a * a, ERF_F64), a);
    (if a < 1.0 { near } else { 1.0 - erfc_roughly(a) }).copysign(x)
}

/// `1 - erf x`.
#[inline(always)]
pub(crate) fn erfc(x: f64) -> f64 {
    let a = x.abs();
    let excess = x * poly(x * x, ERF_F64);
    let near = if x < 0.5 { 1.0 - (x + excess) } else { (1.0 - x) - excess };
    let far = erfc_far(a);
    let far = if x < 0.0 { 2.0 - far } else { far };
    // Above, the difference loses digits.
    if a < 0.8 { near } else { far }
}

/// `erfc x` in `f32`, by way of `f64`.
#[inline(always)]
pub(crate) fn erfc_f32(x: f32) -> f32 {
    let x = f64::from(x);
    let a = x.abs();
    let near = 1.0 - (x.mul_add(poly(x * x, ERF_F64), x));
    let far = erfc_roughly(a);
    let far = if x < 0.0 { 2.0 - far } else { far };
    (if a < 0.8 { near } else { far }) as f32
}

/// `erfc a` for `a >= 3/4`, with the rounding error of `a²` in the exponent, and next to nothing above 11.
#[inline(always)]
fn erfc_roughly(a: f64) -> f64 {
    let clipped = if a > 11.0 { 11.0 } else { a };
    exp::exp_neg(clipped * clipped) * (0.5 + tail(clipped)) / clipped
}

/// `erfc a` for `a >= 3/4`.
#[inline(always)]
fn erfc_far(a: f64) -> f64 {
    // Above 28 the result is 0.
    let a = if a > 28.0 { 28.0 } else { a };
    let factor = fast_two_sum(0.5, tail(a));
    let (k, power) = exp_parts(-two_prod(a, a));
    let quotient = Dd::quotient(power.times(factor), a.into());
    exp::scale(quotient.value(), k)
}

/// `p` for `erfc a = e^(-a²) (1/2 + p) / a` where `3/4 <= a <= 28`: a polynomial of `(a - 2) / (a + 2)` (Shepherd and
/// Laframboise, "Chebyshev Approximation of (1 + 2x) exp(x²) erfc x", 1981).
#[inline(always)]
fn tail(a: f64) -> f64 {
    poly((a - 2.0) / (a + 2.0), ERFCX_F64)
}

const ERF_F32: [f32; 7] =
    [1.2837917e-01, -3.7612626e-01, 1.1283579e-01, -2.6853347e-02, 5.187163e-03, -7.997871e-04, 7.807014e-05];

const ERF_TAIL_F32: [f32; 7] =
    [-1.8496056e+00, -2.6389627e+00, -8.4317243e-01, -4.126194e-02, 9.45225e-03, -1.4807397e-03, 8.999918e-05];

const ERF_F64: [f64; 13] = [
    1.283791670955126e-01,
    -3.76126389031841e-01,
    1.1283791670971187e-01,
    -2.6866170648064173e-02,
    5.2239776531627915e-03,
    -8.54832857082818e-04,
    1.2055387744727725e-04,
    -1.492692492707925e-05,
    1.6481849552819266e-06,
    -1.6566447390332773e-07,
    1.6081849428461045e-08,
    -1.6751746334681756e-09,
    1.4863923249579625e-10,
];

const ERFCX_F64: [f64; 24] = [
    1.0791352621011488e-02,
    1.672110104141062e-01,
    -2.0384429592887787e-01,
    1.2151493052458907e-01,
    -2.8976446698186196e-02,
    -7.515738410963864e-03,
    4.784898563547474e-03,
    1.1266580016411943e-03,
    -7.501847847722126e-04,
    -3.1435110103236773e-04,
    8.942111247486687e-05,
    8.93106149008082e-05,
    6.225827461990548e-06,
    -1.8914200675865708e-05,
    -8.616889385061707e-06,
    1.2816598128200743e-06,
    2.782871356009299e-06,
    9.625185728255644e-07,
    -1.572904863376825e-07,
    -4.68389146168094e-07,
    -3.3752792586863337e-07,
    1.9990282841332397e-07,
    1.2084927975975526e-07,
    -6.071307883174284e-08,
];
