//! Reductions that look at each column twice: variances around the mean, exponentials relative to the maximum.

use super::axis::{Column, Compensated, STRIP, write_results};
use super::{BLOCK, ExpMinus, First, Fold, Max, Single, Sum, fold_block, max};
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

/// `out[o, j] = ln Σ_k e^x[o, k, j]`, without overflow; `-∞` where `n` is 0.
///
/// # Panics
/// As [`var_axis`].
pub fn logsumexp_axis<E: Real<Mask = bool>>(x: &[E], [outer, n, inner]: [usize; 3], out: &mut [E]) {
    assert_eq!(x.len(), outer * n * inner, "an operand of outer * n * inner elements");
    assert_eq!(out.len(), outer * inner, "a result of outer * inner elements");
    if x.is_empty() {
        return out.fill(E::of(f64::NEG_INFINITY));
    }
    simd::run(LogSumExp { x, n, inner, out });
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

struct LogSumExp<'a, E> {
    x: &'a [E],
    n: usize,
    inner: usize,
    out: &'a mut [E],
}

/// What to subtract before exponentiation: the maximum, unless it is infinite.
#[inline(always)]
fn shift<E: Real<Mask = bool>>(max: E) -> E {
    E::select(max.abs().eq(E::of(f64::INFINITY)), E::of(0.0), max)
}

impl<E: Real<Mask = bool>> Kernel for LogSumExp<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (n, inner) = (self.n, self.inner);
        if inner == 1 && n <= BLOCK / 2 {
            return short_lines(self.x, n, self.out);
        }
        for (x, out) in self.x.chunks_exact(n * inner).zip(self.out.chunks_exact_mut(inner)) {
            if inner == 1 {
                let shift = shift(max(x));
                out[0] = sum_line(ExpMinus(shift), x).ln() + shift;
                continue;
            }
            for (i, out) in out.chunks_mut(STRIP).enumerate() {
                strip_of_columns(x, inner, i * STRIP, out);
            }
        }
    }
}

/// The log-sum-exps of lines of `n` elements, many of which fit into a block, so that the exponentials are one long loop.
#[inline(always)]
fn short_lines<E: Real<Mask = bool>>(x: &[E], n: usize, out: &mut [E]) {
    let mut block = [E::of(0.0); BLOCK];
    let lines = BLOCK / n;
    for (x, out) in x.chunks(lines * n).zip(out.chunks_mut(lines)) {
        for ((x, terms), out) in x.chunks_exact(n).zip(block.chunks_exact_mut(n)).zip(&mut *out) {
            *out = shift(fold_block::<E, First, Max>(First, x, x));
            terms.iter_mut().zip(x).for_each(|(term, &x)| *term = x - *out);
        }
        exponentiate(&mut block[..x.len()]);
        for (terms, out) in block.chunks_exact(n).zip(out) {
            *out = fold_block::<E, First, Sum>(First, terms, terms).ln() + *out;
        }
    }
}

/// The log-sum-exps of the columns from `start` on, as many as there are results.
#[inline(always)]
fn strip_of_columns<E: Real<Mask = bool>>(x: &[E], inner: usize, start: usize, out: &mut [E]) {
    let columns = start..start + out.len();
    let mut shifts = [E::of(f64::NEG_INFINITY); STRIP];
    let shifts = &mut shifts[..out.len()];
    for row in x.chunks_exact(inner) {
        for (most, &x) in shifts.iter_mut().zip(&row[columns.clone()]) {
            *most = most.maximum(x);
        }
    }
    shifts.iter_mut().for_each(|most| *most = shift(*most));
    let mut sums = [Compensated::new(); STRIP];
    let mut block = [E::of(0.0); BLOCK];
    let rows = BLOCK / out.len();
    for x in x.chunks(rows * inner) {
        let block = &mut block[..x.len() / inner * out.len()];
        for (row, terms) in x.chunks_exact(inner).zip(block.chunks_exact_mut(out.len())) {
            for ((term, &x), &shift) in terms.iter_mut().zip(&row[columns.clone()]).zip(&*shifts) {
                *term = x - shift;
            }
        }
        exponentiate(block);
        for terms in block.chunks_exact(out.len()) {
            sums.iter_mut().zip(terms).for_each(|(sum, &term)| sum.add(term));
        }
    }
    write_results(&sums, out);
    out.iter_mut().zip(&*shifts).for_each(|(out, &shift)| *out = out.ln() + shift);
}

/// `e^x` of each element.
#[inline(always)]
fn exponentiate<E: Real>(x: &mut [E]) {
    x.iter_mut().for_each(|x| *x = x.exp());
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, noise};
    use super::*;

    #[test]
    fn a_column_is_the_naive_formula() {
        for [outer, n, inner] in [[1, 1, 1], [0, 3, 2], [2, 3, 0], [3, 1500, 1], [700, 7, 1], [2, 900, 3], [2, 33, 300]]
        {
            let x = noise(outer * n * inner);
            let (mut variance, mut sum) = (vec![-1.0; outer * inner], vec![-1.0; outer * inner]);
            var_axis(&x, [outer, n, inner], n as f64, &mut variance);
            logsumexp_axis(&x, [outer, n, inner], &mut sum);
            for i in 0..outer * inner {
                let line = || (0..n).map(|k| x[(i / inner * n + k) * inner + i % inner]);
                let mean = line().sum::<f64>() / n as f64;
                let want = line().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64;
                check("variance", n, variance[i], want, 1e-14);
                check("logsumexp", n, sum[i], line().map(f64::exp).sum::<f64>().ln(), 1e-13);
            }
        }
        let (mut variance, mut sum) = ([0.0f32; 6], [0.0f32; 6]);
        var_axis(&[], [2, 0, 3], 1.0, &mut variance);
        logsumexp_axis(&[], [2, 0, 3], &mut sum);
        assert!(variance.iter().all(|x| x.is_nan()));
        assert_eq!(sum, [f32::NEG_INFINITY; 6]);
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
            let mut logsumexp = |line: &[f32]| {
                logsumexp_axis(&of(line), [1, line.len(), inner], &mut out);
                out[inner - 1]
            };
            let (most, least) = (f32::INFINITY, f32::NEG_INFINITY);
            assert_eq!(logsumexp(&[1000.0, 1000.0]), 1000.0 + std::f32::consts::LN_2);
            assert_eq!(logsumexp(&[least, -1000.0]), -1000.0);
            assert_eq!([logsumexp(&[least, least]), logsumexp(&[1.0, most, least])], [least, most]);
            assert!(logsumexp(&[1.0, f32::NAN, most]).is_nan());
        }
    }
}
