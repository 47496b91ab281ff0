//! Where the extrema are: of a slice, and along the middle axis of `[outer, n, inner]`.

use super::{LANES, max, min};
use crate::Real;
use crate::simd::{self, Kernel};

/// The index of the first largest element, or of the first NaN if there is one; `None` for an empty slice.
#[inline]
pub fn argmax<E: Real<Mask = bool>>(x: &[E]) -> Option<usize> {
    simd::run(Find { x, wanted: max(x) })
}

/// The index of the first smallest element, or of the first NaN if there is one; `None` for an empty slice.
#[inline]
pub fn argmin<E: Real<Mask = bool>>(x: &[E]) -> Option<usize> {
    simd::run(Find { x, wanted: min(x) })
}

/// `out[o, j] = argmax_k x[o, k, j]`: the first of equals, the first NaN if there is one.
///
/// # Panics
/// If `n` is 0 while there are results, `x` does not have `outer * n * inner` elements, or `out` not `outer * inner`.
#[inline]
pub fn argmax_axis<E: Real<Mask = bool>>(x: &[E], [outer, n, inner]: [usize; 3], out: &mut [i64]) {
    arg_axis::<E, false>(x, [outer, n, inner], out);
}

/// `out[o, j] = argmin_k x[o, k, j]`: the first of equals, the first NaN if there is one.
///
/// # Panics
/// As [`argmax_axis`].
#[inline]
pub fn argmin_axis<E: Real<Mask = bool>>(x: &[E], [outer, n, inner]: [usize; 3], out: &mut [i64]) {
    arg_axis::<E, true>(x, [outer, n, inner], out);
}

#[inline]
fn arg_axis<E: Real<Mask = bool>, const MIN: bool>(x: &[E], [outer, n, inner]: [usize; 3], out: &mut [i64]) {
    assert_eq!(x.len(), outer * n * inner, "an operand of outer * n * inner elements");
    assert_eq!(out.len(), outer * inner, "a result of outer * inner elements");
    assert!(n > 0 || out.is_empty(), "no extremum of nothing");
    if inner == 1 {
        for (row, out) in x.chunks_exact(n.max(1)).zip(out) {
            let found = if MIN { argmin(row) } else { argmax(row) };
            *out = found.map_or(0, |index| index as i64);
        }
    } else if !out.is_empty() {
        for (rows, out) in x.chunks_exact(n * inner).zip(out.chunks_exact_mut(inner)) {
            simd::run(ArgColumns::<E, MIN> { rows, out });
        }
    }
}

/// The first element that equals `wanted`, or the first NaN if `wanted` is NaN.
struct Find<'a, E> {
    x: &'a [E],
    wanted: E,
}

impl<E: Real<Mask = bool>> Kernel for Find<'_, E> {
    type Output = Option<usize>;
    #[inline(always)]
    fn run(self) -> Option<usize> {
        let mut start = 0;
        while let Some(row) = self.x[start..].first_chunk::<LANES>() {
            let mut any = false;
            for &x in row {
                any = any | x.eq(self.wanted) | x.is_nan();
            }
            if any {
                break;
            }
            start += LANES;
        }
        for (i, &x) in self.x.iter().enumerate().skip(start) {
            if x.eq(self.wanted) || x.is_nan() {
                return Some(i);
            }
        }
        None
    }
}

/// The rows of a matrix as wide as `out`.
struct ArgColumns<'a, E, const MIN: bool> {
    rows: &'a [E],
    out: &'a mut [i64],
}

/// Columns whose best elements so far fit into L1.
const STRIP: usize = 256;

impl<E: Real<Mask = bool>, const MIN: bool> Kernel for ArgColumns<'_, E, MIN> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let inner = self.out.len();
        for (strip, out) in self.out.chunks_mut(STRIP).enumerate() {
            let mut best = [E::of(0.0); STRIP];
            let best = &mut best[..out.len()];
            for (k, row) in self.rows.chunks_exact(inner).enumerate() {
                let row = &row[strip * STRIP..][..out.len()];
                for j in 0..out.len() {
                    let (x, old) = (row[j], best[j]);
                    let beyond = if MIN { x.lt(old) } else { old.lt(x) };
                    let wins = (k == 0) | beyond | (x.is_nan() & !old.is_nan());
                    best[j] = if wins { x } else { old };
                    out[j] = if wins { k as i64 } else { out[j] };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_agree_with_slices() {
        for [outer, n, inner] in
            [[1, 1, 1], [0, 3, 2], [2, 0, 0], [0, 0, 1], [3, 5, 1], [2, 7, 3], [2, 40, 300], [1, 3, 1000]]
        {
            let number = |i: usize| if i % 53 == 52 { f32::NAN } else { (i * 7919 % 23) as f32 };
            let x: Vec<f32> = (0..outer * n * inner).map(number).collect();
            let (mut largest, mut smallest) = (vec![-1; outer * inner], vec![-1; outer * inner]);
            argmax_axis(&x, [outer, n, inner], &mut largest);
            argmin_axis(&x, [outer, n, inner], &mut smallest);
            for i in 0..outer * inner {
                let start = i / inner * n * inner + i % inner;
                let column: Vec<f32> = x[start..].iter().step_by(inner).take(n).copied().collect();
                assert_eq!(Some(largest[i] as usize), argmax(&column), "{column:?}");
                assert_eq!(Some(smallest[i] as usize), argmin(&column), "{column:?}");
            }
        }
    }
}
