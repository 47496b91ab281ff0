//! The error function and its complement.

use super::exp;
use super::poly::poly;
use crate::Real;

/// `erf x` in `f32`: a polynomial below 1, above it `1 - e^q` where the polynomial `q` is the logarithm of `erfc`.
#[inline(always)]
pub(crate) fn erf_f32(x: f32) -> f32 {
    let a = x.abs();
    let z = a * a;
    let near = a + a * poly(z, ERF_F32);
    let u = (if a > 4.0 { 4.0 } else { a }) - 1.0;
    let far = 1.0 - exp::exp_neg(-poly(u, ERF_TAIL_F32));
    f32::select(a < 1.0, near, far).copysign(x)
}

const ERF_F32: [f32; 7] =
    [1.2837917e-01, -3.7612626e-01, 1.1283579e-01, -2.6853347e-02, 5.187163e-03, -7.997871e-04, 7.807014e-05];

const ERF_TAIL_F32: [f32; 7] =
    [-1.8496056e+00, -2.6389627e+00, -8.4317243e-01, -4.126194e-02, 9.45225e-03, -1.4807397e-03, 8.999918e-05];
