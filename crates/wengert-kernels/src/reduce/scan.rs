//! Running results along the middle axis of `[outer, n, inner]`, with one result per element.

use std::marker::PhantomData;

use super::Prod;
use super::axis::{Column, Compensated, Plain, STRIP};
use crate::Real;
use crate::simd::{self, Kernel};

/// `out[o, k, j] = Σ_(i ≤ k) x[o, i, j]`, of `i ≥ k` if `reverse`, with the error of a compensated sum.
///
/// # Panics
/// If `x` or `out` does not have `outer * n * inner` elements.
pub fn cumsum_axis<E: Real<Mask = bool>>(x: &[E], [outer, n, inner]: [usize; 3], reverse: bool, out: &mut [E]) {
    scan::<E, Compensated<E>>(x, [outer, n, inner], reverse, out);
}

/// `out[o, k, j] = Π_(i ≤ k) x[o, i, j]`, of `i ≥ k` if `reverse`.
///
/// # Panics
/// As [`cumsum_axis`].
pub fn cumprod_axis<E: Real<Mask = bool>>(x: &[E], [outer, n, inner]: [usize; 3], reverse: bool, out: &mut [E]) {
    scan::<E, Plain<E, Prod>>(x, [outer, n, inner], reverse, out);
}

/// The linear recurrence `s[k] = b[k] + a[k] s[k - 1]` along the axis, from `s[0] = b[0]`; if `reverse`, from the last one down:
/// `s[k] = b[k] + a[k] s[k + 1]`. If `lagged`, the factor is the one before, `a[k - 1]` or `a[k + 1]`, so that the recurrence
/// with both flags turned is the transposed one.
///
/// # Panics
/// If `a`, `b` or `out` does not have `outer * n * inner` elements.
pub fn recur_axis<E: Real<Mask = bool>>(
    a: &[E],
    b: &[E],
    [outer, n, inner]: [usize; 3],
    [reverse, lagged]: [bool; 2],
    out: &mut [E],
) {
    let numel = outer * n * inner;
    assert_eq!([a.len(), b.len(), out.len()], [numel; 3], "operands and a result of outer * n * inner elements");
    if numel > 0 {
        simd::run(Recur { a, b, n, inner, reverse, lagged, out });
    }
}

fn scan<E: Real<Mask = bool>, A: Column<E>>(x: &[E], [outer, n, inner]: [usize; 3], reverse: bool, out: &mut [E]) {
    let numel = outer * n * inner;
    assert_eq!([x.len(), out.len()], [numel; 2], "an operand and a result of outer * n * inner elements");
    if numel > 0 {
        simd::run(Scan { x, n, inner, reverse, out, columns: PhantomData::<A> });
    }
}

/// Rows between two times that running results are settled.
const SETTLE: usize = 64;

/// The rows `0 .. n` in the order of the running result.
#[inline(always)]
fn order(n: usize, reverse: bool) -> impl Iterator<Item = usize> {
    (0..n).map(move |k| if reverse { n - 1 - k } else { k })
}

struct Scan<'a, E, A> {
    x: &'a [E],
    n: usize,
    inner: usize,
    reverse: bool,
    out: &'a mut [E],
    columns: PhantomData<A>,
}

impl<E: Real<Mask = bool>, A: Column<E>> Kernel for Scan<'_, E, A> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (n, inner) = (self.n, self.inner);
        for (x, out) in self.x.chunks_exact(n * inner).zip(self.out.chunks_exact_mut(n * inner)) {
            if inner == 1 {
                let mut running = A::new();
                for k in order(n, self.reverse) {
                    running.add(x[k]);
                    out[k] = running.result();
                    if k % SETTLE == 0 {
                        running.settle();
                    }
                }
                continue;
            }
            for start in (0..inner).step_by(STRIP) {
                let mut running = [A::new(); STRIP];
                let running = &mut running[..STRIP.min(inner - start)];
                for k in order(n, self.reverse) {
                    let row = k * inner + start..k * inner + start + running.len();
                    for ((column, &x), out) in running.iter_mut().zip(&x[row.clone()]).zip(&mut out[row]) {
                        column.add(x);
                        *out = column.result();
                    }
                    if k % SETTLE == 0 {
                        running.iter_mut().for_each(A::settle);
                    }
                }
            }
        }
    }
}

/// Which factor step `k` of a recurrence takes.
#[inline(always)]
fn factor(k: usize, [reverse, lagged]: [bool; 2]) -> usize {
    match (lagged, reverse) {
        (false, _) => k,
        (true, false) => k - 1,
        (true, true) => k + 1,
    }
}

struct Recur<'a, E> {
    a: &'a [E],
    b: &'a [E],
    n: usize,
    inner: usize,
    reverse: bool,
    lagged: bool,
    out: &'a mut [E],
}

impl<E: Real<Mask = bool>> Kernel for Recur<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (n, inner) = (self.n, self.inner);
        let size = n * inner;
        for ((a, b), out) in
            self.a.chunks_exact(size).zip(self.b.chunks_exact(size)).zip(self.out.chunks_exact_mut(size))
        {
            for start in (0..inner).step_by(STRIP) {
                let mut before = [E::of(0.0); STRIP];
                let before = &mut before[..STRIP.min(inner - start)];
                let row = |k: usize| k * inner + start..k * inner + start + STRIP.min(inner - start);
                for (step, k) in order(n, self.reverse).enumerate() {
                    let (b, out) = (&b[row(k)], &mut out[row(k)]);
                    if step == 0 {
                        before.copy_from_slice(b);
                    } else {
                        let a = &a[row(factor(k, [self.reverse, self.lagged]))];
                        for ((s, &a), &b) in before.iter_mut().zip(a).zip(b) {
                            *s = b + a * *s;
                        }
                    }
                    out.copy_from_slice(before);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, noise};
    use super::*;

    #[test]
    fn running_results_are_the_naive_loop() {
        for [outer, n, inner] in [[1, 1, 1], [0, 3, 2], [2, 0, 3], [2, 3, 0], [3, 50, 1], [2, 7, 3], [2, 9, 300]] {
            let numel = outer * n * inner;
            let (a, b) = (noise(numel + 3)[3..].to_vec(), noise(numel));
            for flags @ [reverse, _] in [[false, false], [false, true], [true, false], [true, true]] {
                let mut got = [(); 3].map(|()| vec![0.0; numel]);
                cumsum_axis(&b, [outer, n, inner], reverse, &mut got[0]);
                cumprod_axis(&b, [outer, n, inner], reverse, &mut got[1]);
                recur_axis(&a, &b, [outer, n, inner], flags, &mut got[2]);
                for line in 0..outer * inner {
                    let at = |k: usize| (line / inner * n + k) * inner + line % inner;
                    let (mut sum, mut product, mut s) = (0.0, 1.0, 0.0);
                    for (step, k) in order(n, reverse).enumerate() {
                        sum += b[at(k)];
                        product *= b[at(k)];
                        s = b[at(k)] + if step > 0 { a[at(factor(k, flags))] * s } else { 0.0 };
                        for (got, want) in got.iter().zip([sum, product, s]) {
                            check("running result", n, got[at(k)], want, 1e-13);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_long_f32_running_sum_is_accurate() {
        let x: Vec<f32> = (0..1_000_000).map(|i| 0.1 + (i % 7) as f32 * 0.013).collect();
        let mut sums = vec![0.0; x.len()];
        cumsum_axis(&x, [1, x.len(), 1], false, &mut sums);
        let mut want = 0.0;
        for (k, &x) in x.iter().enumerate() {
            want += f64::from(x);
            check("running sum", k, f64::from(sums[k]) / want, 1.0, 1e-7);
        }
    }
}
