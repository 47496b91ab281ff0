//! Softmax and its logarithm along one axis, with their vector-Jacobian products.
//!
//! An operand is seen as `[outer, n, inner]`, and every *line* of `n` elements is reduced to one or two numbers and mapped with
//! them:
//!
//! ```text
//!             softmax           log_softmax             softmax_backward   log_softmax_backward
//! shift       max x             max x
//! total       Σ e^(x - shift)   ln Σ e^(x - shift)      Σ g y              Σ g
//! value       e^(x - shift)     (x - shift) - total     y (g - total)      g - e^y total
//!             / total
//! ```
//!
//! Short lines are taken many at a time, so that the exponentials run over whole blocks: a row of ten classes would leave
//! most of a vector register empty.

use std::marker::PhantomData;

use crate::Real;
use crate::map::Map2;
use crate::reduce::{First, Max, Sum, fold_block, fold_inline};
use crate::simd::{self, Kernel};

/// `out = softmax(x)` along the middle of the dimensions `[outer, n, inner]`.
///
/// # Panics
/// If `x` and `out` do not have `outer * n * inner` elements each.
pub fn softmax<E: Real<Mask = bool>>(x: &[E], dims: [usize; 3], out: &mut [E]) {
    run::<E, Softmax>(x, x, dims, out);
}

/// `out = ln softmax(x)`, as [`softmax`].
///
/// # Panics
/// As [`softmax`].
pub fn log_softmax<E: Real<Mask = bool>>(x: &[E], dims: [usize; 3], out: &mut [E]) {
    run::<E, LogSoftmax>(x, x, dims, out);
}

/// The gradient of [`softmax`]'s operand, from that of its value `y`.
///
/// # Panics
/// As [`softmax`].
pub fn softmax_backward<E: Real<Mask = bool>>(g: &[E], y: &[E], dims: [usize; 3], out: &mut [E]) {
    run::<E, SoftmaxBackward>(g, y, dims, out);
}

/// The gradient of [`log_softmax`]'s operand, from that of its value `y`.
///
/// # Panics
/// As [`softmax`].
pub fn log_softmax_backward<E: Real<Mask = bool>>(g: &[E], y: &[E], dims: [usize; 3], out: &mut [E]) {
    run::<E, LogSoftmaxBackward>(g, y, dims, out);
}

/// Of every line, its maximum `m` and `ln Σ e^(x - m)`: together the logarithm of the sum of its exponentials.
///
/// # Panics
/// If `x` does not have `outer * n * inner` elements, `max` and `log` not `outer * inner`.
pub fn log_sum_exp<E: Real<Mask = bool>>(x: &[E], dims: [usize; 3], max: &mut [E], log: &mut [E]) {
    let [outer, n, inner] = dims;
    assert_eq!(x.len(), outer * n * inner, "an operand of outer * n * inner elements");
    assert!(max.len() == outer * inner && log.len() == max.len(), "results of outer * inner elements");
    let output = Lines { max, log };
    simd::run(Along { u: x, v: x, dims, output, rule: PhantomData::<LogSoftmax> });
}

/// What a line is reduced to, and how its elements are mapped.
trait Rule<E>: Copy {
    /// Whether the terms are shifted by the line's maximum.
    const SHIFTED: bool;
    /// Whether the value is the term over the total, so that terms are kept and not computed again.
    const SHARE: bool;
    fn term(u: E, v: E, shift: E) -> E;
    fn total(sum: E) -> E;
    fn value(u: E, v: E, shift: E, total: E) -> E;
}

macro_rules! rules {
    ($($name:ident: $shifted:literal $share:literal, |$u:ident, $v:ident, $shift:ident, $total:ident|
        $term:expr, $settled:expr, $value:expr;)+) => {$(
        #[derive(Clone, Copy)]
        struct $name;
        #[allow(unused_variables)]
        impl<E: Real<Mask = bool>> Rule<E> for $name {
            const SHIFTED: bool = $shifted;
            const SHARE: bool = $share;
            #[inline(always)]
            fn term($u: E, $v: E, $shift: E) -> E {
                $term
            }
            #[inline(always)]
            fn total($total: E) -> E {
                $settled
            }
            #[inline(always)]
            fn value($u: E, $v: E, $shift: E, $total: E) -> E {
                $value
            }
        }
    )+};
}
rules! {
    Softmax: true true, |u, v, shift, total| (u - shift).exp(), total, (u - shift).exp() / total;
    LogSoftmax: true false, |u, v, shift, total| (u - shift).exp(), total.ln(), (u - shift) - total;
    SoftmaxBackward: false false, |u, v, shift, total| u * v, total, v * (u - total);
    LogSoftmaxBackward: false false, |u, v, shift, total| u, total, u - v.exp() * total;
}

fn run<E: Real<Mask = bool>, R: Rule<E>>(u: &[E], v: &[E], dims: [usize; 3], out: &mut [E]) {
    let numel = dims[0] * dims[1] * dims[2];
    assert!(u.len() == numel && v.len() == numel && out.len() == numel, "slices of outer * n * inner elements");
    simd::run(Along { u, v, dims, output: Elements(out), rule: PhantomData::<R> });
}

/// What is wanted of the lines.
trait Output<E> {
    /// Notes the numbers of the lines from number `first` on.
    fn lines(&mut self, first: usize, shift: &[E], total: &[E]);
    /// The elements of the value, if they are wanted.
    fn elements(&mut self) -> Option<&mut [E]>;
}

struct Elements<'a, E>(&'a mut [E]);
impl<E> Output<E> for Elements<'_, E> {
    #[inline(always)]
    fn lines(&mut self, _: usize, _: &[E], _: &[E]) {}
    #[inline(always)]
    fn elements(&mut self) -> Option<&mut [E]> {
        Some(self.0)
    }
}

struct Lines<'a, E> {
    max: &'a mut [E],
    log: &'a mut [E],
}
impl<E: Copy> Output<E> for Lines<'_, E> {
    #[inline(always)]
    fn lines(&mut self, first: usize, shift: &[E], total: &[E]) {
        self.max[first..first + shift.len()].copy_from_slice(shift);
        self.log[first..first + total.len()].copy_from_slice(total);
    }
    #[inline(always)]
    fn elements(&mut self) -> Option<&mut [E]> {
        None
    }
}

/// Elements of a block of short rows, and the longest row that counts as short.
const BLOCK: usize = 512;
const SHORT: usize = 64;
/// Columns that are reduced together.
const STRIP: usize = 64;

struct Along<'a, E, O, R> {
    u: &'a [E],
    v: &'a [E],
    dims: [usize; 3],
    output: O,
    rule: PhantomData<R>,
}

impl<E: Real<Mask = bool>, O: Output<E>, R: Rule<E>> Kernel for Along<'_, E, O, R> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { u, v, dims: [outer, n, inner], mut output, .. } = self;
        if outer * n * inner == 0 {
            let lines = outer * inner;
            for line in 0..lines {
                output.lines(line, &[E::of(f64::NEG_INFINITY)], &[R::total(E::of(0.0))]);
            }
        } else if inner > 1 {
            for o in 0..outer {
                for start in (0..inner).step_by(STRIP) {
                    columns::<E, O, R>(u, v, [o, n, inner], start..inner.min(start + STRIP), &mut output);
                }
            }
        } else if n <= SHORT {
            let rows = BLOCK / n;
            for first in (0..outer).step_by(rows) {
                short_rows::<E, O, R>(u, v, n, first..outer.min(first + rows), &mut output);
            }
        } else {
            for row in 0..outer {
                long_row::<E, O, R>(u, v, n, row, &mut output);
            }
        }
    }
}

/// The terms of a line whose shift is known.
#[derive(Clone, Copy)]
struct Term<E, R> {
    shift: E,
    rule: PhantomData<R>,
}

impl<E: Copy, R: Rule<E>> Map2<E> for Term<E, R> {
    #[inline(always)]
    fn at(self, u: E, v: E) -> E {
        R::term(u, v, self.shift)
    }
}

#[inline(always)]
fn long_row<E: Real<Mask = bool>, O: Output<E>, R: Rule<E>>(u: &[E], v: &[E], n: usize, row: usize, output: &mut O) {
    let range = row * n..(row + 1) * n;
    let (u, v) = (&u[range.clone()], &v[range.clone()]);
    let shift = if R::SHIFTED { fold_inline::<E, First, Max>(First, u, u) } else { E::of(0.0) };
    if R::SHARE
        && let Some(out) = output.elements()
    {
        let out = &mut out[range];
        out.iter_mut().zip(u.iter().zip(v)).for_each(|(out, (&u, &v))| *out = R::term(u, v, shift));
        let total = fold_inline::<E, First, Sum>(First, out, out);
        out.iter_mut().for_each(|out| *out = *out / total);
        return output.lines(row, &[shift], &[total]);
    }
    let total = R::total(fold_inline::<E, _, Sum>(Term { shift, rule: PhantomData::<R> }, u, v));
    output.lines(row, &[shift], &[total]);
    if let Some(out) = output.elements() {
        for ((out, &u), &v) in out[range].iter_mut().zip(u).zip(v) {
            *out = R::value(u, v, shift, total);
        }
    }
}

#[inline(always)]
fn short_rows<E: Real<Mask = bool>, O: Output<E>, R: Rule<E>>(
    u: &[E],
    v: &[E],
    n: usize,
    rows: std::ops::Range<usize>,
    output: &mut O,
) {
    let range = rows.start * n..rows.end * n;
    let (u, v) = (&u[range.clone()], &v[range.clone()]);
    let zero = [E::of(0.0); BLOCK];
    let (mut shift, mut total) = (zero, zero);
    let (mut spread, mut terms) = (zero, zero);
    let (shift, total) = (&mut shift[..rows.len()], &mut total[..rows.len()]);
    let (spread, terms) = (&mut spread[..u.len()], &mut terms[..u.len()]);
    if R::SHIFTED {
        for ((row, shift), spread) in u.chunks_exact(n).zip(&mut *shift).zip(spread.chunks_exact_mut(n)) {
            *shift = fold_block::<E, First, Max>(First, row, row);
            spread.fill(*shift);
        }
    }
    for i in 0..u.len() {
        terms[i] = R::term(u[i], v[i], spread[i]);
    }
    for (row, total) in terms.chunks_exact(n).zip(&mut *total) {
        *total = fold_block::<E, First, Sum>(First, row, row);
    }
    total.iter_mut().for_each(|total| *total = R::total(*total));
    output.lines(rows.start, shift, total);
    if let Some(out) = output.elements() {
        let totals = terms;
        for (totals, &total) in totals.chunks_exact_mut(n).zip(&*total) {
            totals.fill(total);
        }
        let out = &mut out[range];
        for i in 0..u.len() {
            out[i] = R::value(u[i], v[i], spread[i], totals[i]);
        }
    }
}

#[inline(always)]
fn columns<E: Real<Mask = bool>, O: Output<E>, R: Rule<E>>(
    u: &[E],
    v: &[E],
    [o, n, inner]: [usize; 3],
    strip: std::ops::Range<usize>,
    output: &mut O,
) {
    let (mut shift, mut total) = ([E::of(f64::NEG_INFINITY); STRIP], [E::of(0.0); STRIP]);
    let (shift, total) = (&mut shift[..strip.len()], &mut total[..strip.len()]);
    let row = |k: usize| (o * n + k) * inner + strip.start..(o * n + k) * inner + strip.end;
    if R::SHIFTED {
        for k in 0..n {
            for (shift, &u) in shift.iter_mut().zip(&u[row(k)]) {
                *shift = shift.maximum(u);
            }
        }
    }
    for k in 0..n {
        let (u, v) = (&u[row(k)], &v[row(k)]);
        for j in 0..shift.len() {
            total[j] = total[j] + R::term(u[j], v[j], shift[j]);
        }
    }
    total.iter_mut().for_each(|total| *total = R::total(*total));
    output.lines(o * inner + strip.start, shift, total);
    if let Some(out) = output.elements() {
        for k in 0..n {
            let (u, v, out) = (&u[row(k)], &v[row(k)], &mut out[row(k)]);
            for j in 0..shift.len() {
                out[j] = R::value(u[j], v[j], shift[j], total[j]);
            }
        }
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
}
