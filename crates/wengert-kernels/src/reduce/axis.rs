//! Reductions of the middle axis of `[outer, n, inner]`.
//!
//! Rows are streamed in memory order; a strip of columns keeps its running results in L1. Columns are combined in groups
//! of rows pairwise, then row by row: the order is a function of the shape alone.

use std::marker::PhantomData;

use super::{Combine, First, Fold, GROUP, Max, Min, Prod, Single, Sum, fold_in_parts};
use crate::Real;
use crate::map::Map1;
use crate::parallel::{self, Chunks};
use crate::simd::{self, Kernel};

/// `out[o, j] = Σ_k x[o, k, j]`, with the error of a compensated sum where `inner > 1`.
///
/// # Panics
/// If `x` does not have `outer * n * inner` elements or `out` not `outer * inner`.
#[inline]
pub fn sum_axis<E: Real<Mask = bool>>(x: &[E], [outer, n, inner]: [usize; 3], out: &mut [E]) {
    sum_axis_of(First, x, [outer, n, inner], out);
}

/// `out[o, j] = Σ_k term(x[o, k, j])`, as accurate as [`sum_axis`].
///
/// # Panics
/// As [`sum_axis`].
#[inline]
pub fn sum_axis_of<E: Real<Mask = bool>, F: Map1<E> + Send + Sync>(
    term: F,
    x: &[E],
    [outer, n, inner]: [usize; 3],
    out: &mut [E],
) {
    axis::<E, F, Sum, Compensated<E>>(term, x, [outer, n, inner], out);
}

/// `out[o, j] = Π_k x[o, k, j]`.
///
/// # Panics
/// As [`sum_axis`].
#[inline]
pub fn prod_axis<E: Real<Mask = bool>>(x: &[E], [outer, n, inner]: [usize; 3], out: &mut [E]) {
    axis::<E, First, Prod, Plain<E, Prod>>(First, x, [outer, n, inner], out);
}

/// `out[o, j] = max_k x[o, k, j]`, NaN if one of them is.
///
/// # Panics
/// As [`sum_axis`].
#[inline]
pub fn max_axis<E: Real<Mask = bool>>(x: &[E], [outer, n, inner]: [usize; 3], out: &mut [E]) {
    axis::<E, First, Max, Plain<E, Max>>(First, x, [outer, n, inner], out);
}

/// `out[o, j] = min_k x[o, k, j]`, NaN if one of them is.
///
/// # Panics
/// As [`sum_axis`].
#[inline]
pub fn min_axis<E: Real<Mask = bool>>(x: &[E], [outer, n, inner]: [usize; 3], out: &mut [E]) {
    axis::<E, First, Min, Plain<E, Min>>(First, x, [outer, n, inner], out);
}

/// The running result of one column.
pub(crate) trait Column<E>: Copy {
    /// What adding a term costs in vectorised additions.
    const COST: usize;
    fn new() -> Self;
    fn add(&mut self, term: E);
    fn result(self) -> E;
    /// Does from time to time what [`Column::add`] leaves out because it is slow.
    #[inline(always)]
    fn settle(&mut self) {}
}

/// A column whose operation is exact, or whose relative error grows slowly enough.
#[derive(Clone, Copy)]
pub(super) struct Plain<E, C>(E, PhantomData<C>);

impl<E: Copy, C: Combine<E>> Column<E> for Plain<E, C> {
    const COST: usize = 1;
    #[inline(always)]
    fn new() -> Self {
        Self(C::identity(), PhantomData)
    }
    #[inline(always)]
    fn add(&mut self, term: E) {
        self.0 = C::combine(self.0, term);
    }
    #[inline(always)]
    fn result(self) -> E {
        self.0
    }
}

/// A sum and the rounding errors it made (Ogita, Rump and Oishi, "Accurate Sum and Dot Product", 2005, algorithm 4.4).
#[derive(Clone, Copy)]
pub(crate) struct Compensated<E> {
    sum: E,
    error: E,
}

impl<E: Real<Mask = bool>> Column<E> for Compensated<E> {
    const COST: usize = 2;
    #[inline(always)]
    fn new() -> Self {
        Self { sum: E::of(0.0), error: E::of(0.0) }
    }
    #[inline(always)]
    fn add(&mut self, term: E) {
        let sum = self.sum + term;
        let kept = sum - self.sum;
        self.error = self.error + ((self.sum - (sum - kept)) + (term - kept));
        self.sum = sum;
    }
    #[inline(always)]
    fn result(self) -> E {
        // The error of an infinite sum is NaN.
        E::select(self.error.is_nan(), self.sum, self.sum + self.error)
    }
    /// Moves the error into the sum as far as it fits, so that it stays small and its own rounding does not matter.
    #[inline(always)]
    fn settle(&mut self) {
        let sum = self.result();
        self.error = self.error - (sum - self.sum);
        self.sum = sum;
    }
}

#[inline]
fn axis<E: Real<Mask = bool>, F: Map1<E> + Send + Sync, C: Combine<E>, A: Column<E>>(
    term: F,
    x: &[E],
    [outer, n, inner]: [usize; 3],
    out: &mut [E],
) {
    assert_eq!(x.len(), outer * n * inner, "an operand of outer * n * inner elements");
    assert_eq!(out.len(), outer * inner, "a result of outer * inner elements");
    if outer == 1 && inner == 1 {
        out[0] = fold_in_parts::<E, _, C>(Single(term), x, parallel::parts_of(n, parallel::SHARED_WORK));
        return;
    }
    if outer == 1 && inner > WIDE && n > 0 {
        let cost = n * A::COST;
        return parallel::in_parts(inner, cost, parallel::COLUMNS, out, |columns, out| {
            simd::run(Columns { term, x, width: inner, start: columns.start, out, op: PhantomData::<(C, A)> });
        });
    }
    let size = n * inner;
    parallel::in_parts(outer, size, 1, Chunks { out, size: inner }, |range, Chunks { out, .. }| {
        let x = &x[range.start * size..range.end * size];
        simd::run(Axis { term, x, n, inner, out, op: PhantomData::<(C, A)> });
    });
}

struct Axis<'a, E, F, C, A> {
    term: F,
    x: &'a [E],
    n: usize,
    inner: usize,
    out: &'a mut [E],
    op: PhantomData<(C, A)>,
}

impl<E: Copy, F: Map1<E>, C: Combine<E>, A: Column<E>> Kernel for Axis<'_, E, F, C, A> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let size = self.n * self.inner;
        if size == 0 {
            self.out.fill(C::identity());
        } else if self.inner == 1 {
            for (x, out) in self.x.chunks_exact(size).zip(self.out) {
                let fold = Fold { term: Single(self.term), x, y: x, op: PhantomData::<C> };
                *out = fold.run();
            }
        } else {
            for (x, out) in self.x.chunks_exact(size).zip(self.out.chunks_exact_mut(self.inner)) {
                fold_columns::<E, F, C, A>(self.term, x, self.inner, out);
            }
        }
    }
}

/// Folds the rows of `x`, each as long as `out`.
///
/// Many short rows are laid side by side, as many as fit into [`WIDE`] columns, whose results are folded in the end.
#[inline(always)]
fn fold_columns<E: Copy, F: Map1<E>, C: Combine<E>, A: Column<E>>(term: F, x: &[E], inner: usize, out: &mut [E]) {
    if inner <= WIDE / 2 && x.len() >= 8 * WIDE {
        let width = WIDE / inner * inner;
        let (whole, rest) = x.split_at(x.len() / width * width);
        let mut wide = [A::new(); WIDE];
        fold_strip::<E, F, C, A>(term, whole, width, 0, &mut wide[..width]);
        let mut results = [C::identity(); WIDE];
        write_results(&wide, &mut results);
        let mut running = [A::new(); WIDE];
        fold_strip::<E, First, C, A>(First, &results[..width], inner, 0, &mut running[..inner]);
        fold_strip::<E, F, C, A>(term, rest, inner, 0, &mut running[..inner]);
        return write_results(&running, out);
    }
    if inner <= WIDE {
        let mut running = [A::new(); WIDE];
        fold_strip::<E, F, C, A>(term, x, inner, 0, &mut running[..inner]);
        return write_results(&running, out);
    }
    Columns { term, x, width: inner, start: 0, out, op: PhantomData::<(C, A)> }.run();
}

/// Folds the columns `start..` of a matrix of `width` columns, as many as `out` has room for.
struct Columns<'a, E, F, C, A> {
    term: F,
    x: &'a [E],
    width: usize,
    start: usize,
    out: &'a mut [E],
    op: PhantomData<(C, A)>,
}

impl<E: Copy, F: Map1<E>, C: Combine<E>, A: Column<E>> Kernel for Columns<'_, E, F, C, A> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (i, strip) in self.out.chunks_mut(STRIP).enumerate() {
            let mut running = [A::new(); STRIP];
            let start = self.start + i * STRIP;
            fold_strip::<E, F, C, A>(self.term, self.x, self.width, start, &mut running[..strip.len()]);
            write_results(&running, strip);
        }
    }
}

/// The results of the first columns.
#[inline(always)]
pub(crate) fn write_results<E: Copy, A: Column<E>>(running: &[A], out: &mut [E]) {
    for (out, column) in out.iter_mut().zip(running) {
        *out = column.result();
    }
}

/// Columns that are folded together: their running results fit into L1.
pub(crate) const STRIP: usize = 256;

/// Columns that short rows are laid out to.
const WIDE: usize = 64;

/// `running[j]` takes in column `start + j` of the whole rows of the matrix `x`, which has `width` columns.
#[inline(always)]
fn fold_strip<E: Copy, F: Map1<E>, C: Combine<E>, A: Column<E>>(
    term: F,
    x: &[E],
    width: usize,
    start: usize,
    running: &mut [A],
) {
    let columns = start..start + running.len();
    let mut groups = x.chunks_exact(width * GROUP);
    for group in &mut groups {
        let (ab, cd) = group.split_at(2 * width);
        let (a, b) = (&ab[columns.clone()], &ab[width..][columns.clone()]);
        let (c, d) = (&cd[columns.clone()], &cd[width..][columns.clone()]);
        for j in 0..columns.len() {
            let above = C::combine(term.at(a[j]), term.at(b[j]));
            running[j].add(C::combine(above, C::combine(term.at(c[j]), term.at(d[j]))));
        }
    }
    for row in groups.remainder().chunks_exact(width) {
        for (column, &x) in running.iter_mut().zip(&row[columns.clone()]) {
            column.add(term.at(x));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, noise};
    use super::*;

    #[test]
    fn an_axis_is_the_naive_loop() {
        let shapes = [
            [1, 1, 1],
            [0, 3, 2],
            [2, 0, 3],
            [2, 3, 0],
            [3, 5, 1],
            [2, 1500, 1],
            [3, 1, 5],
            [2, 7, 3],
            [2, 103, 9],
            [1, 900, 9],
            [2, 400, 32],
            [1, 50, 63],
            [2, 9, 64],
            [1, 6, 257],
            [2, 33, 300],
            [1, 2, 1000],
        ];
        for shape in shapes {
            let [outer, n, inner] = shape;
            let x: Vec<f64> = noise(outer * n * inner).iter().map(|x| 1.0 + x / 8.0).collect();
            let mut got = [0; 4].map(|_| vec![0.0; outer * inner]);
            sum_axis(&x, shape, &mut got[0]);
            prod_axis(&x, shape, &mut got[1]);
            max_axis(&x, shape, &mut got[2]);
            min_axis(&x, shape, &mut got[3]);
            for (i, o, j) in (0..outer * inner).map(|i| (i, i / inner, i % inner)) {
                let column = || (0..n).map(|k| x[(o * n + k) * inner + j]);
                let want = [
                    column().sum(),
                    column().product(),
                    column().fold(f64::NEG_INFINITY, f64::max),
                    column().fold(f64::INFINITY, f64::min),
                ];
                for (got, want) in got.iter().zip(want) {
                    check(&format!("axis {shape:?} at {i}"), n, got[i], want, want.abs() * 1e-12);
                }
            }
        }
    }

    #[test]
    fn the_number_of_threads_leaves_the_bits_alone() {
        let x: Vec<f32> = noise(300_000).iter().map(|&x| x as f32).collect();
        for shape in [[1, 300_000, 1], [1, 299_993, 1], [3, 100_000, 1], [300, 500, 2], [10_000, 30, 1], [1, 900, 330]]
        {
            let x = &x[..shape.iter().product()];
            let bits = |threads: usize| {
                let mut out = vec![0.0; shape[0] * shape[2]];
                crate::parallel::set_num_threads(threads);
                sum_axis(x, shape, &mut out);
                out.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
            };
            let one = bits(1);
            assert!(one == bits(2) && one == bits(3), "{shape:?}");
        }
    }

    #[test]
    fn a_long_f32_column_is_accurate() {
        let n = 1_000_000;
        let x: Vec<f32> = (0..10 * n).map(|i| 0.1 + (i % 7) as f32 * 0.013).collect();
        let mut columns = [0f32; 10];
        sum_axis(&x, [1, n, 10], &mut columns);
        for (j, &got) in columns.iter().enumerate() {
            let want: f64 = x.iter().skip(j).step_by(10).map(|&x| f64::from(x)).sum();
            check("f32 column", n, f64::from(got) / want, 1.0, 2e-7);
        }
    }

    #[test]
    fn infinities_survive_compensation() {
        let mut columns = [0f32; 2];
        let rows = [1.0, 1.0, f32::INFINITY, 2.0, 1.0, f32::NAN, 3.0, 1.0];
        sum_axis(&[rows, [1.0; 8], [1.0; 8]].concat(), [1, 12, 2], &mut columns);
        assert_eq!(columns[0], f32::INFINITY);
        assert!(columns[1].is_nan());
    }
}
