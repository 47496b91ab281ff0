//! Polynomials.

use super::float::Float;

/// `c[0] + c[1] x + c[2] x² + ...`, for four coefficients or more.
///
/// Two or four interleaved Horner schemes in `x²` or `x⁴` leave the processor independent operations (Knuth, "The Art of
/// Computer Programming", volume 2, section 4.6.4). The loops have constant bounds and vanish.
#[inline(always)]
pub(super) fn poly<T: Float, const N: usize>(x: T, c: [T; N]) -> T {
    let square = x * x;
    if N < 8 { two_schemes(x, square, c) } else { four_schemes(x, square, c) }
}

#[inline(always)]
fn two_schemes<T: Float, const N: usize>(x: T, square: T, c: [T; N]) -> T {
    let (mut p0, mut p1) = (c[N - 2], c[N - 1]);
    let mut i = N - 2;
    while i > 0 {
        i -= 1;
        (p0, p1) = (square.mul_add(p1, c[i]), p0);
    }
    x.mul_add(p1, p0)
}

#[inline(always)]
fn four_schemes<T: Float, const N: usize>(x: T, square: T, c: [T; N]) -> T {
    let fourth = square * square;
    let (mut p0, mut p1, mut p2, mut p3) = (c[N - 4], c[N - 3], c[N - 2], c[N - 1]);
    let mut i = N - 4;
    while i > 0 {
        i -= 1;
        (p0, p1, p2, p3) = (fourth.mul_add(p3, c[i]), p0, p1, p2);
    }
    square.mul_add(x.mul_add(p3, p2), x.mul_add(p1, p0))
}
