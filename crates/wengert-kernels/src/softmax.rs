//! Softmax and its logarithm along one axis, with their vector-Jacobian products.
//!
//! An operand is seen as `[outer, n, inner]`, and every *line* of `n` elements is reduced to one or two numbers and mapped with
//! them:
//!
//! ```text
//!             softmax           log_softmax             softmax_backward   log_softmax_backward
//! shift       max x             max x
//! term        e^(x - shift)     e^(x - shift)           g y                g
//! total       Σ term            ln Σ term               Σ term             Σ term
//! value       term / total      (x - shift) - total     y (g - total)      g - e^y total
//! ```
//!
//! Whatever the dimensions, terms and values are computed for whole blocks, next to the shift and the total of each element's line
//! *spread* over the block: one loop for the exponentials of all layouts, and full vectors where a row has ten classes.

use std::marker::PhantomData;

use crate::Real;
use crate::map::{Map1, Map3, Map5, map1, map3, map5};
use crate::parallel::{self, Chunks, Part};
use crate::reduce::axis::{Column, Compensated, STRIP, write_results};
use crate::reduce::{BLOCK, Combine, First, Max, Sum, Tree, fold, fold_block};
use crate::scratch::Scratch;
use crate::simd::{self, Kernel};

/// `out = softmax(x)` along the middle of the dimensions `[outer, n, inner]`.
///
/// # Panics
/// If `x` and `out` do not have `outer * n * inner` elements each.
pub fn softmax<E: Real<Mask = bool> + Scratch>(x: &[E], dims: [usize; 3], out: &mut [E]) {
    run::<E, Softmax>(x, x, dims, out);
}

/// `out = ln softmax(x)`, as [`softmax`].
///
/// # Panics
/// As [`softmax`].
pub fn log_softmax<E: Real<Mask = bool> + Scratch>(x: &[E], dims: [usize; 3], out: &mut [E]) {
    run::<E, LogSoftmax>(x, x, dims, out);
}

/// The gradient of [`softmax`]'s operand, from that of its value `y`.
///
/// # Panics
/// As [`softmax`].
pub fn softmax_backward<E: Real<Mask = bool> + Scratch>(g: &[E], y: &[E], dims: [usize; 3], out: &mut [E]) {
    run::<E, SoftmaxBackward>(g, y, dims, out);
}

/// The gradient of [`log_softmax`]'s operand, from that of its value `y`.
///
/// # Panics
/// As [`softmax`].
pub fn log_softmax_backward<E: Real<Mask = bool> + Scratch>(g: &[E], y: &[E], dims: [usize; 3], out: &mut [E]) {
    run::<E, LogSoftmaxBackward>(g, y, dims, out);
}

/// Of every line, its maximum `m` and `ln Σ e^(x - m)`: together the logarithm of the sum of its exponentials.
///
/// # Panics
/// If `x` does not have `outer * n * inner` elements, `max` and `log` not `outer * inner`.
pub fn log_sum_exp<E: Real<Mask = bool> + Scratch>(x: &[E], dims: [usize; 3], max: &mut [E], log: &mut [E]) {
    let [outer, n, inner] = dims;
    assert_eq!(x.len(), outer * n * inner, "an operand of outer * n * inner elements");
    assert!(max.len() == outer * inner && log.len() == max.len(), "results of outer * inner elements");
    along::<E, LogSoftmax>(x, x, dims, Output::Lines { max, log, inner });
}

/// `out[o, j] = ln Σ_k e^x[o, k, j]`, without overflow; `-∞` where `n` is 0.
///
/// # Panics
/// If `x` does not have `outer * n * inner` elements or `out` not `outer * inner`.
pub fn logsumexp_axis<E: Real<Mask = bool> + Scratch>(x: &[E], dims: [usize; 3], out: &mut [E]) {
    E::scratch(out.len(), |log| {
        log_sum_exp(x, dims, out, log);
        // Terms beside an infinite maximum are shares of nothing: the maximum is the result.
        let infinite = |max: E| max.abs().eq(E::of(f64::INFINITY));
        out.iter_mut().zip(log).for_each(|(out, &mut log)| *out = E::select(infinite(*out), *out, *out + log));
    });
}

/// What a line is reduced to, and how its elements are mapped.
trait Rule<E>: Copy + Sync {
    /// Whether the terms are shifted by the line's maximum.
    const SHIFTED: bool;
    /// Whether the total is the logarithm of the sum.
    const LOG: bool;
    /// Whether the value is a function of the term, which is not computed again.
    const OF_TERM: bool;
    fn term(u: E, v: E, shift: E) -> E;
    /// Of the term instead of `u`, if [`Rule::OF_TERM`].
    fn value(u: E, v: E, shift: E, total: E) -> E;
}

macro_rules! rules {
    ($($name:ident: $shifted:literal $log:literal $of_term:literal, |$u:ident, $v:ident, $shift:ident, $total:ident|
        $term:expr, $value:expr;)+) => {$(
        #[derive(Clone, Copy)]
        struct $name;
        #[allow(unused_variables)]
        impl<E: Real<Mask = bool>> Rule<E> for $name {
            const SHIFTED: bool = $shifted;
            const LOG: bool = $log;
            const OF_TERM: bool = $of_term;
            #[inline(always)]
            fn term($u: E, $v: E, $shift: E) -> E {
                $term
            }
            #[inline(always)]
            fn value($u: E, $v: E, $shift: E, $total: E) -> E {
                $value
            }
        }
    )+};
}
rules! {
    Softmax: true false true, |u, v, shift, total| (u - shift).exp(), u / total;
    LogSoftmax: true true false, |u, v, shift, total| (u - shift).exp(), (u - shift) - total;
    SoftmaxBackward: false false false, |u, v, shift, total| u * v, v * (u - total);
    LogSoftmaxBackward: false false false, |u, v, shift, total| u, u - v.exp() * total;
}

/// The formulas of a rule, for a loop over a block.
#[derive(Clone, Copy)]
struct Formulas<R>(PhantomData<R>);

impl<E: Copy, R: Rule<E>> Map3<E> for Formulas<R> {
    #[inline(always)]
    fn at(self, u: E, v: E, shift: E) -> E {
        R::term(u, v, shift)
    }
}

impl<E: Copy, R: Rule<E>> Map5<E> for Formulas<R> {
    #[inline(always)]
    fn at(self, u: E, v: E, shift: E, total: E, _: E) -> E {
        R::value(u, v, shift, total)
    }
}

#[derive(Clone, Copy)]
struct Ln;

impl<E: Real> Map1<E> for Ln {
    #[inline(always)]
    fn at(self, a: E) -> E {
        a.ln()
    }
}

fn run<E: Real<Mask = bool> + Scratch, R: Rule<E>>(u: &[E], v: &[E], dims: [usize; 3], out: &mut [E]) {
    let [outer, n, inner] = dims;
    let numel = outer * n * inner;
    assert!(u.len() == numel && v.len() == numel && out.len() == numel, "slices of outer * n * inner elements");
    along::<E, R>(u, v, dims, Output::Elements(Chunks { out, size: n * inner }));
}

/// What is wanted of the lines.
enum Output<'a, E> {
    /// The value.
    Elements(Chunks<'a, E>),
    /// The two numbers of each line, `inner` of them for each of `outer`.
    Lines { max: &'a mut [E], log: &'a mut [E], inner: usize },
}

impl<E: Send> Part for Output<'_, E> {
    fn split_at(self, at: usize) -> (Self, Self) {
        match self {
            Self::Elements(chunks) => {
                let (head, tail) = chunks.split_at(at);
                (Self::Elements(head), Self::Elements(tail))
            }
            Self::Lines { max, log, inner } => {
                let ((max, max_tail), (log, log_tail)) = (max.split_at_mut(at * inner), log.split_at_mut(at * inner));
                (Self::Lines { max, log, inner }, Self::Lines { max: max_tail, log: log_tail, inner })
            }
        }
    }
}

impl<E: Copy> Output<'_, E> {
    /// Notes the numbers of the lines from number `first` on.
    fn lines(&mut self, first: usize, shift: &[E], total: &[E]) {
        if let Self::Lines { max, log, .. } = self {
            max[first..first + shift.len()].copy_from_slice(shift);
            log[first..first + total.len()].copy_from_slice(total);
        }
    }

    /// The elements of the value, if they are wanted.
    fn elements(&mut self) -> Option<&mut [E]> {
        match self {
            Self::Elements(Chunks { out, .. }) => Some(out),
            Self::Lines { .. } => None,
        }
    }
}

/// The longest row of which several are taken at a time.
const SHORT: usize = 64;
/// What an element costs in additions: most of it is the exponential.
const COST: usize = 16;

fn along<E: Real<Mask = bool> + Scratch, R: Rule<E>>(
    u: &[E],
    v: &[E],
    [outer, n, inner]: [usize; 3],
    output: Output<'_, E>,
) {
    let size = n * inner;
    parallel::in_parts(outer, size * COST, 1, output, |range, mut output| {
        if size == 0 {
            let total = E::of(if R::LOG { f64::NEG_INFINITY } else { 0.0 });
            return (0..range.len() * inner).for_each(|line| output.lines(line, &[E::of(f64::NEG_INFINITY)], &[total]));
        }
        let (u, v) = (&u[range.start * size..range.end * size], &v[range.start * size..range.end * size]);
        E::scratch(5 * BLOCK, |memory| {
            let mut lines = Lines::<E, R>::new(n, memory);
            if inner > 1 {
                for (o, start) in (0..range.len()).flat_map(|o| (0..inner).step_by(STRIP).map(move |start| (o, start)))
                {
                    lines.columns(u, v, [o, inner], start..inner.min(start + STRIP), &mut output);
                }
            } else if n <= SHORT {
                let rows = BLOCK / n;
                for (i, (u, v)) in u.chunks(rows * n).zip(v.chunks(rows * n)).enumerate() {
                    lines.short_rows(u, v, i * rows, &mut output);
                }
            } else {
                for (row, (u, v)) in u.chunks_exact(n).zip(v.chunks_exact(n)).enumerate() {
                    lines.long_row(u, v, row, &mut output);
                }
            }
        });
    });
}

/// Blocks in L1 for lines of `n` elements.
struct Lines<'a, E, R> {
    n: usize,
    shift: &'a mut [E],
    total: &'a mut [E],
    terms: &'a mut [E],
    /// By element of a block, the shift and the total of its line.
    shifts: &'a mut [E],
    totals: &'a mut [E],
    rule: PhantomData<R>,
}

impl<'a, E: Real<Mask = bool>, R: Rule<E>> Lines<'a, E, R> {
    fn new(n: usize, memory: &'a mut [E]) -> Self {
        let mut blocks = memory.chunks_exact_mut(BLOCK);
        let [shift, total, terms, shifts, totals] =
            std::array::from_fn(|_| blocks.next().expect("memory of five blocks"));
        Self { n, shift, total, terms, shifts, totals, rule: PhantomData }
    }

    /// The terms of a block next to their shifts.
    fn take_terms(&mut self, u: &[E], v: &[E]) {
        map3(Formulas(PhantomData::<R>), u, v, &self.shifts[..u.len()], &mut self.terms[..u.len()]);
    }

    /// The values of a block whose terms are at hand if the rule asks for them, next to its shifts and totals.
    fn write_values(&self, u: &[E], v: &[E], out: &mut [E]) {
        let u = if R::OF_TERM { &self.terms[..u.len()] } else { u };
        let (shifts, totals) = (&self.shifts[..u.len()], &self.totals[..u.len()]);
        map5(Formulas(PhantomData::<R>), u, v, shifts, totals, totals, out);
    }

    /// Makes totals of the sums of the first lines.
    fn settle(&mut self, lines: usize) {
        if R::LOG {
            // The terms are not needed any more.
            self.terms[..lines].copy_from_slice(&self.total[..lines]);
            map1(Ln, &self.terms[..lines], &mut self.total[..lines]);
        }
    }

    /// One row of more elements than [`SHORT`].
    fn long_row(&mut self, u: &[E], v: &[E], row: usize, output: &mut Output<'_, E>) {
        let shift = if R::SHIFTED { fold::<E, First, Max>(First, u, u) } else { E::of(0.0) };
        self.shifts[..u.len().min(BLOCK)].fill(shift);
        let mut tree = Tree::<E, Sum>::new();
        let blocks = || u.chunks(BLOCK).zip(v.chunks(BLOCK));
        for (i, (u, v)) in blocks().enumerate() {
            self.take_terms(u, v);
            let terms = &self.terms[..u.len()];
            tree.push(fold::<E, First, Sum>(First, terms, terms));
            if let (true, Some(out)) = (R::OF_TERM, output.elements()) {
                out[row * self.n + i * BLOCK..][..u.len()].copy_from_slice(terms);
            }
        }
        (self.shift[0], self.total[0]) = (shift, tree.finish());
        self.settle(1);
        output.lines(row, &self.shift[..1], &self.total[..1]);
        let Some(out) = output.elements() else { return };
        self.totals[..u.len().min(BLOCK)].fill(self.total[0]);
        for ((u, v), out) in blocks().zip(out[row * self.n..(row + 1) * self.n].chunks_mut(BLOCK)) {
            if R::OF_TERM {
                self.terms[..u.len()].copy_from_slice(out);
            }
            self.write_values(u, v, out);
        }
    }

    /// As many short rows as fit into a block, from row `first` on.
    fn short_rows(&mut self, u: &[E], v: &[E], first: usize, output: &mut Output<'_, E>) {
        let (n, rows) = (self.n, u.len() / self.n);
        if R::SHIFTED {
            simd::run(Rows::<E, Max> { x: u, n, out: &mut self.shift[..rows], op: PhantomData });
            spread(&self.shift[..rows], n, self.shifts);
        }
        self.take_terms(u, v);
        simd::run(Rows::<E, Sum> { x: &self.terms[..u.len()], n, out: &mut self.total[..rows], op: PhantomData });
        self.settle(rows);
        output.lines(first, &self.shift[..rows], &self.total[..rows]);
        if let Some(out) = output.elements() {
            spread(&self.total[..rows], n, self.totals);
            self.write_values(u, v, &mut out[first * n..first * n + u.len()]);
        }
    }

    /// The lines through the columns `strip` of slab `o`, at most [`STRIP`] of them; several of the slab's rows at a time if they are
    /// shorter than a block.
    fn columns(
        &mut self,
        u: &[E],
        v: &[E],
        [o, inner]: [usize; 2],
        strip: std::ops::Range<usize>,
        output: &mut Output<'_, E>,
    ) {
        let (n, width) = (self.n, strip.len());
        let together = if width == inner { (BLOCK / inner).min(n) } else { 1 };
        let place = |k: usize| (o * n + k) * inner + strip.start;
        let blocks = || (0..n).step_by(together).map(|k| place(k)..place((k + together).min(n) - 1) + width);
        self.shift[..width].fill(E::of(f64::NEG_INFINITY));
        if R::SHIFTED {
            let rows = blocks().flat_map(|block| u[block].chunks_exact(width));
            rows.for_each(|x| simd::run(MaxOfRow { x, out: &mut self.shift[..width] }));
            self.shifts[..together * width]
                .chunks_exact_mut(width)
                .for_each(|out| out.copy_from_slice(&self.shift[..width]));
        }
        let mut sums = [Compensated::new(); STRIP];
        for block in blocks() {
            self.take_terms(&u[block.clone()], &v[block.clone()]);
            for x in self.terms[..block.len()].chunks_exact(width) {
                simd::run(AddRow { x, sums: &mut sums[..width] });
            }
            if let (true, Some(out)) = (R::OF_TERM, output.elements()) {
                out[block.clone()].copy_from_slice(&self.terms[..block.len()]);
            }
        }
        write_results(&sums, &mut self.total[..width]);
        self.settle(width);
        output.lines(o * inner + strip.start, &self.shift[..width], &self.total[..width]);
        let Some(out) = output.elements() else { return };
        self.totals[..together * width]
            .chunks_exact_mut(width)
            .for_each(|out| out.copy_from_slice(&self.total[..width]));
        for block in blocks() {
            if R::OF_TERM {
                self.terms[..block.len()].copy_from_slice(&out[block.clone()]);
            }
            self.write_values(&u[block.clone()], &v[block.clone()], &mut out[block]);
        }
    }
}

/// Each value `n` times.
fn spread<E: Copy>(values: &[E], n: usize, out: &mut [E]) {
    out.chunks_exact_mut(n).zip(values).for_each(|(out, &value)| out.fill(value));
}

/// Combines the elements of each short row of `n`.
struct Rows<'a, E, C> {
    x: &'a [E],
    n: usize,
    out: &'a mut [E],
    op: PhantomData<C>,
}

impl<E: Copy, C: Combine<E>> Kernel for Rows<'_, E, C> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (row, out) in self.x.chunks_exact(self.n).zip(self.out) {
            *out = fold_block::<E, First, C>(First, row, row);
        }
    }
}

/// `out[j] = max(out[j], x[j])`.
struct MaxOfRow<'a, E> {
    x: &'a [E],
    out: &'a mut [E],
}

impl<E: Real> Kernel for MaxOfRow<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.out.iter_mut().zip(self.x).for_each(|(out, &x)| *out = out.maximum(x));
    }
}

/// `sums[j] += x[j]`.
struct AddRow<'a, E> {
    x: &'a [E],
    sums: &'a mut [Compensated<E>],
}

impl<E: Real<Mask = bool>> Kernel for AddRow<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.sums.iter_mut().zip(self.x).for_each(|(sum, &x)| sum.add(x));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [[usize; 3]; 12] = [
        [1, 1, 1],
        [0, 3, 1],
        [3, 0, 1],
        [2, 3, 0],
        [70, 10, 1],
        [3, 64, 1],
        [3, 65, 1],
        [2, 3000, 1],
        [2, 5, 3],
        [2, 3, 64],
        [1, 4, 150],
        [600, 1, 1],
    ];

    fn noise(n: usize, scale: f64) -> Vec<f64> {
        (0..n).map(|i| ((i as f64 * 0.618_033_988_749_895).fract() * 2.0 - 1.0) * scale).collect()
    }

    #[test]
    fn every_shape_is_the_naive_loop() {
        for [outer, n, inner] in SHAPES {
            let numel = outer * n * inner;
            let (x, g) = (noise(numel, 30.0), noise(numel + 5, 1.0)[5..].to_vec());
            let run = |f: &dyn Fn(&mut [f64])| {
                let mut out = vec![0.0; numel];
                f(&mut out);
                out
            };
            let dims = [outer, n, inner];
            let soft = run(&|out| softmax(&x, dims, out));
            let log = run(&|out| log_softmax(&x, dims, out));
            let soft_back = run(&|out| softmax_backward(&g, &soft, dims, out));
            let log_back = run(&|out| log_softmax_backward(&g, &log, dims, out));
            let (mut max, mut sum) = (vec![0.0; outer * inner], vec![0.0; outer * inner]);
            log_sum_exp(&x, dims, &mut max, &mut sum);
            let mut whole = vec![0.0; outer * inner];
            logsumexp_axis(&x, dims, &mut whole);
            for i in 0..numel {
                let (o, j) = (i / (n * inner), i % inner);
                let line = || (0..n).map(|k| (o * n + k) * inner + j);
                let top = line().map(|i| x[i]).fold(f64::NEG_INFINITY, f64::max);
                let lse = top + line().map(|i| (x[i] - top).exp()).sum::<f64>().ln();
                let p = (x[i] - lse).exp();
                let along: f64 = line().map(|i| g[i] * soft[i]).sum();
                let all: f64 = line().map(|i| g[i]).sum();
                let close = |got: f64, want: f64| (got - want).abs() <= 1e-12 * (1.0 + want.abs());
                assert!(close(soft[i], p) && close(log[i], x[i] - lse), "{dims:?} at {i}");
                assert!(close(soft_back[i], p * (g[i] - along)), "{dims:?} at {i}");
                assert!(close(log_back[i], g[i] - p * all), "{dims:?} at {i}");
                assert!(close(max[o * inner + j] + sum[o * inner + j], lse), "{dims:?} at {i}");
                assert!(close(whole[o * inner + j], lse), "{dims:?} at {i}");
            }
        }
    }

    #[test]
    fn infinities_and_nan_are_those_of_the_formula() {
        let inf = f32::INFINITY;
        for n in [2, 100] {
            let mut x = vec![-inf; n];
            let mut y = vec![0.0; n];
            softmax(&x, [1, n, 1], &mut y);
            assert!(y.iter().all(|y| y.is_nan()));
            x[1] = 1.0;
            log_softmax(&x, [1, n, 1], &mut y);
            assert_eq!((y[0], y[1]), (-inf, 0.0));
            x[0] = f32::NAN;
            softmax(&x, [1, n, 1], &mut y);
            assert!(y.iter().all(|y| y.is_nan()));
        }
    }

    #[test]
    fn hard_log_sum_exps_are_right() {
        let (most, least) = (f32::INFINITY, f32::NEG_INFINITY);
        for inner in [1, 2] {
            let logsumexp = |line: &[f32]| {
                let x: Vec<f32> = line.iter().flat_map(|&x| vec![x; inner]).collect();
                let mut out = vec![0.0f32; inner];
                logsumexp_axis(&x, [1, line.len(), inner], &mut out);
                out[inner - 1]
            };
            assert_eq!(logsumexp(&[1000.0, 1000.0]), 1000.0 + std::f32::consts::LN_2);
            assert_eq!(logsumexp(&[least, -1000.0]), -1000.0);
            assert_eq!(
                [logsumexp(&[least, least]), logsumexp(&[1.0, most, least]), logsumexp(&[])],
                [least, most, least]
            );
            assert!(logsumexp(&[1.0, f32::NAN, most]).is_nan());
        }
    }

    #[test]
    fn the_number_of_threads_leaves_the_bits_alone() {
        for dims in [[4000, 10, 1], [50, 1000, 1], [30, 40, 33]] {
            let x = noise(dims.iter().product(), 10.0);
            let bits = |threads: usize| {
                crate::parallel::set_num_threads(threads);
                let (mut soft, mut sum) = (vec![0.0; x.len()], vec![0.0; dims[0] * dims[2]]);
                softmax(&x, dims, &mut soft);
                logsumexp_axis(&x, dims, &mut sum);
                soft.iter().chain(&sum).map(|x| x.to_bits()).collect::<Vec<_>>()
            };
            let one = bits(1);
            assert!([2, 3].iter().all(|&threads| bits(threads) == one), "{dims:?}");
        }
    }
}
