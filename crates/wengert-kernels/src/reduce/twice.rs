//! Reductions that look at each column twice: variances around the mean.

use super::axis::{Column, Compensated, STRIP, write_results};
use super::{Fold, Single, Sum};
use crate::Real;
use crate::map::Map1;
use crate::simd::{self, Kernel};

/// `out[o, j] = Σ_k (x[o, k, j] - mean)² / divisor`, NaN where `n` is 0.
///
/// Two passes over differences from the column's first element, which are exact where the spread is small: constant columns
/// give 0, and a large mean costs no digits.
///
/// # Panics
/// If `x` does not have `outer * n * inner` elements or `out` not `outer * inner`.
pub fn var_axis<E: Real<Mask = bool>>(x: &[E], [outer, n, inner]: [usize; 3], divisor: E, out: &mut [E]) {
    assert_eq!(x.len(), outer * n * inner, "an operand of outer * n * inner elements");
    assert_eq!(out.len(), outer * inner, "a result of outer * inner elements");
    if x.is_empty() {
        return out.fill(E::of(f64::NAN));
    }
    simd::run(Var { x, n, inner, divisor, out });
}

/// The term `a - first`.
#[derive(Clone, Copy)]
struct Shifted<E> {
    first: E,
}

impl<E: Real> Map1<E> for Shifted<E> {
    #[inline(always)]
    fn at(self, a: E) -> E {
        a - self.first
    }
}

/// The term `((a - first) - mean)²`.
#[derive(Clone, Copy)]
struct Deviation<E> {
    first: E,
    mean: E,
}

impl<E: Real> Map1<E> for Deviation<E> {
    #[inline(always)]
    fn at(self, a: E) -> E {
        let d = (a - self.first) - self.mean;
        d * d
    }
}

/// The sum of `term` over a line.
#[inline(always)]
fn sum_line<E: Real<Mask = bool>, F: Map1<E>>(term: F, x: &[E]) -> E {
    Fold { term: Single(term), x, y: x, op: std::marker::PhantomData::<Sum> }.run()
}

/// `running[j]` takes in `term(j)` of every element of column `start + j` of a matrix of `inner` columns.
#[inline(always)]
fn sum_columns<E: Copy, A: Column<E>, F: Map1<E>>(
    x: &[E],
    inner: usize,
    start: usize,
    running: &mut [A],
    term: impl Fn(usize) -> F,
) {
    let count = running.len();
    for row in x.chunks_exact(inner) {
        for (j, (column, &x)) in running.iter_mut().zip(&row[start..start + count]).enumerate() {
            column.add(term(j).at(x));
        }
    }
}

struct Var<'a, E> {
    x: &'a [E],
    n: usize,
    inner: usize,
    divisor: E,
    out: &'a mut [E],
}

impl<E: Real<Mask = bool>> Kernel for Var<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (inner, count) = (self.inner, E::of(self.n as f64));
        for (x, out) in self.x.chunks_exact(self.n * inner).zip(self.out.chunks_exact_mut(inner)) {
            if inner == 1 {
                let first = x[0];
                let mean = sum_line(Shifted { first }, x) / count;
                out[0] = sum_line(Deviation { first, mean }, x) / self.divisor;
                continue;
            }
            for (i, out) in out.chunks_mut(STRIP).enumerate() {
                let (start, width) = (i * STRIP, out.len());
                let first = &x[start..start + width];
                let mut sums = [Compensated::new(); STRIP];
                sum_columns(x, inner, start, &mut sums[..width], |j| Shifted { first: first[j] });
                write_results(&sums, out);
                let mut squares = [Compensated::new(); STRIP];
                sum_columns(x, inner, start, &mut squares[..width], |j| Deviation {
                    first: first[j],
                    mean: out[j] / count,
                });
                write_results(&squares, out);
                out.iter_mut().for_each(|out| *out = *out / self.divisor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, noise};
    use super::*;

    #[test]
    fn a_variance_is_the_naive_formula() {
        for [outer, n, inner] in [[1, 1, 1], [0, 3, 2], [2, 3, 0], [3, 1500, 1], [700, 7, 1], [2, 900, 3], [2, 33, 300]]
        {
            let x = noise(outer * n * inner);
            let mut variance = vec![-1.0; outer * inner];
            var_axis(&x, [outer, n, inner], n as f64, &mut variance);
            for i in 0..outer * inner {
                let line = || (0..n).map(|k| x[(i / inner * n + k) * inner + i % inner]);
                let mean = line().sum::<f64>() / n as f64;
                let want = line().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64;
                check("variance", n, variance[i], want, 1e-14);
            }
        }
        let mut variance = [0.0f32; 6];
        var_axis(&[], [2, 0, 3], 1.0, &mut variance);
        assert!(variance.iter().all(|x| x.is_nan()));
    }

    #[test]
    fn hard_columns_are_right() {
        for inner in [1, 2] {
            let of = |line: &[f32]| line.iter().flat_map(|&x| vec![x; inner]).collect::<Vec<f32>>();
            let mut out = vec![0.0f32; inner];
            let mut variance = |line: &[f32]| {
                var_axis(&of(line), [1, line.len(), inner], line.len() as f32, &mut out);
                out[inner - 1]
            };
            assert_eq!(variance(&[0.1; 1001]), 0.0);
            assert_eq!(variance(&[16_777_216.0, 16_777_218.0, 16_777_220.0, 16_777_222.0]), 5.0);
            assert!(variance(&[1.0, f32::INFINITY]).is_nan());
        }
    }
}
