//! Pooling: the largest or the mean element under a window that slides over planes.
//!
//! The largest elements are found as indices first; [`pick`] and [`put_back`] then move values and gradients, and are each
//! other's adjoints, as are [`means`] and [`spread_means`]. Some output places in one row are handled at a time, tap by tap, and
//! planes are shared by threads.

use std::ops::Range;

use crate::Real;
use crate::parallel::{self, Chunks};
use crate::simd::{self, Kernel};
use crate::window::Window;

/// Output places that are handled together.
const STRIP: usize = 64;

/// For every output place of every plane of `x`, the place of the largest element under the window, counted in its plane; the
/// first of equals, or the last NaN.
///
/// # Panics
/// If the slices are not whole planes, and as many, or planes have 2^31 elements.
pub fn max_indices<E: Real<Mask = bool>>(x: &[E], window: &Window, out: &mut [i64]) {
    check(window, x.len(), out.len());
    assert!(window.plane() < i32::MAX as usize, "max_pool: planes of fewer than 2^31 elements");
    for_planes(window, window.taps(), x, Chunks { out, size: window.places() }, |x, out| {
        simd::run(MaxIndices { x, window, out })
    });
}

/// The elements of `x` at the indices of each plane.
///
/// # Panics
/// As [`max_indices`], or if an index lies outside of its plane.
pub fn pick<E: Copy>(x: &[E], indices: &[i64], window: &Window, out: &mut [E]) {
    check(window, x.len(), out.len());
    assert_eq!(indices.len(), out.len(), "an index for every element");
    let (plane, places) = (window.plane().max(1), window.places().max(1));
    for ((x, indices), out) in x.chunks_exact(plane).zip(indices.chunks_exact(places)).zip(out.chunks_exact_mut(places))
    {
        out.iter_mut().zip(indices).for_each(|(out, &index)| *out = x[index as usize]);
    }
}

/// Zeros with the elements of `g` added at the indices of each plane: the adjoint of [`pick`].
///
/// # Panics
/// As [`pick`].
pub fn put_back<E: Real>(g: &[E], indices: &[i64], window: &Window, out: &mut [E]) {
    check(window, out.len(), g.len());
    assert_eq!(indices.len(), g.len(), "an index for every element");
    let (plane, places) = (window.plane().max(1), window.places().max(1));
    out.fill(E::of(0.0));
    for ((out, indices), g) in out.chunks_exact_mut(plane).zip(indices.chunks_exact(places)).zip(g.chunks_exact(places))
    {
        for (&g, &index) in g.iter().zip(indices) {
            out[index as usize] = out[index as usize] + g;
        }
    }
}

/// What a sum under the window is divided by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Divisor {
    /// This number.
    Number(f64),
    /// The number of taps that lie inside of the plane.
    Inside,
    /// The number of taps that lie inside of the plane or its padding.
    Padded,
}

impl Divisor {
    /// One divided by the divisor at an output place.
    #[inline(always)]
    fn inverse<E: Real>(self, window: &Window, row: usize, column: usize) -> E {
        let count = |axis: usize, place: usize| {
            let taps = 0..window.kernel[axis];
            taps.filter(|&tap| window.is_inside(axis, place, tap)).count()
        };
        let padded = |axis: usize, place: usize| {
            let end = window.input[axis] + 2 * window.padding[axis];
            let taps = 0..window.kernel[axis];
            taps.filter(|&tap| place * window.stride[axis] + tap * window.dilation[axis] < end).count()
        };
        match self {
            Self::Number(number) => E::of(1.0 / number),
            Self::Inside => E::of(1.0 / (count(0, row) * count(1, column)) as f64),
            Self::Padded => E::of(1.0 / (padded(0, row) * padded(1, column)) as f64),
        }
    }
}

/// The sum under the window at every output place of every plane of `x`, divided.
///
/// # Panics
/// As [`max_indices`].
pub fn means<E: Real>(x: &[E], window: &Window, divisor: Divisor, out: &mut [E]) {
    check(window, x.len(), out.len());
    for_planes(window, window.taps(), x, Chunks { out, size: window.places() }, |x, out| {
        simd::run(Means { x, window, divisor, out })
    });
}

/// The adjoint of [`means`]: every element of `g`, divided, is added under its window.
///
/// # Panics
/// As [`max_indices`].
pub fn spread_means<E: Real>(g: &[E], window: &Window, divisor: Divisor, out: &mut [E]) {
    check(window, out.len(), g.len());
    let run = |g: &[E], out: &mut [E]| simd::run(SpreadMeans { g, window, divisor, out });
    for_planes(window, window.taps(), g, Chunks { out, size: window.plane() }, run);
}

/// The cost of one formula in vectorised additions; places are visited one by one.
const COST: usize = 4;

/// Runs `f` for parts of the planes, each with its part of `from` and of `out`.
fn for_planes<E: Sync, T: Send>(
    window: &Window,
    formulas: usize,
    from: &[E],
    Chunks { out, size }: Chunks<'_, T>,
    f: impl Fn(&[E], &mut [T]) + Sync,
) {
    let planes = out.len().checked_div(size).unwrap_or(0);
    let step = from.len().checked_div(planes).unwrap_or(0);
    parallel::in_parts(
        planes,
        window.places() * formulas * COST,
        1,
        Chunks { out, size },
        |planes, Chunks { out, .. }| {
            f(&from[planes.start * step..planes.end * step], out);
        },
    );
}

fn check(window: &Window, x: usize, y: usize) {
    let (plane, places) = (window.plane(), window.places());
    assert!(x * places == y * plane && x.checked_rem(plane).is_none_or(|rest| rest == 0), "as many planes in as out");
}

struct MaxIndices<'a, E> {
    x: &'a [E],
    window: &'a Window,
    out: &'a mut [i64],
}

impl<E: Real<Mask = bool>> Kernel for MaxIndices<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        match self.window.stride[1] {
            1 => self.strided::<1>(),
            2 => self.strided::<2>(),
            _ => self.strided::<0>(),
        }
    }
}

impl<E: Real<Mask = bool>> MaxIndices<'_, E> {
    /// With `STRIDE` columns between two places, or with any number of them if it is 0.
    #[inline(always)]
    fn strided<const STRIDE: usize>(self) {
        let Self { x, window, out } = self;
        let [oh, ow] = window.output;
        if window.places() == 0 {
            return;
        }
        // At these rows and columns, all taps lie inside of the plane.
        let inner = [0, 1].map(|axis| {
            let (first, last) = (window.inside(axis, 0), window.inside(axis, window.kernel[axis] - 1));
            let start = first.start.max(last.start);
            start..first.end.min(last.end).max(start)
        });
        let [rows, columns] = &inner;
        for (x, out) in x.chunks_exact(window.plane().max(1)).zip(out.chunks_exact_mut(oh * ow)) {
            for row in 0..oh {
                let (left, right) = if rows.contains(&row) { (columns.start, columns.end) } else { (ow, ow) };
                for column in (0..left).chain(right..ow) {
                    out[row * ow + column] = largest_at_edge(x, window, row, column);
                }
            }
            for row in rows.clone() {
                let out = &mut out[row * ow..][columns.clone()];
                let mut done = 0;
                while done < out.len() {
                    let start = window.at(0, row, 0) * window.input[1] + window.at(1, columns.start, 0);
                    if out.len() >= 8 {
                        // The last eight may overlap those before.
                        done = done.min(out.len() - 8);
                        largest::<E, 8, STRIDE>(x, window, start + done * window.stride[1], &mut out[done..][..8]);
                        done += 8;
                    } else if out.len() - done >= 4 {
                        largest::<E, 4, STRIDE>(x, window, start + done * window.stride[1], &mut out[done..][..4]);
                        done += 4;
                    } else {
                        largest::<E, 1, STRIDE>(x, window, start + done * window.stride[1], &mut out[done..][..1]);
                        done += 1;
                    }
                }
            }
        }
    }
}

/// The index of the largest element at a place where taps may lie outside of the plane; 0 if all do.
fn largest_at_edge<E: Real<Mask = bool>>(x: &[E], window: &Window, row: usize, column: usize) -> i64 {
    let mut best: Option<(E, usize)> = None;
    for i in (0..window.kernel[0]).filter(|&i| window.is_inside(0, row, i)) {
        for j in (0..window.kernel[1]).filter(|&j| window.is_inside(1, column, j)) {
            let at = window.at(0, row, i) * window.input[1] + window.at(1, column, j);
            if best.is_none_or(|(best, _)| best.lt(x[at]) | x[at].is_nan()) {
                best = Some((x[at], at));
            }
        }
    }
    best.map_or(0, |(_, at)| at as i64)
}

/// Writes the indices of the largest elements at `N` places in a row, the first tap of the first of which lies at `start`; no tap lies
/// outside of the plane.
#[inline(always)]
fn largest<E: Real<Mask = bool>, const N: usize, const STRIDE: usize>(
    x: &[E],
    window: &Window,
    start: usize,
    out: &mut [i64],
) {
    let stride = if STRIDE == 0 { window.stride[1] } else { STRIDE };
    let mut best = [E::of(f64::NEG_INFINITY); N];
    // How far behind the first tap it lies.
    let mut lies = [0; N];
    for (i, j) in (0..window.kernel[0]).flat_map(|i| (0..window.kernel[1]).map(move |j| (i, j))) {
        let tap = i * window.dilation[0] * window.input[1] + j * window.dilation[1];
        let x = &x[start + tap..][..(N - 1) * stride + 1];
        let met: [E; N] = std::array::from_fn(|c| x[c * stride]);
        let is_better: [bool; N] = std::array::from_fn(|c| best[c].lt(met[c]) | met[c].is_nan());
        lies = std::array::from_fn(|c| if is_better[c] { tap as i32 } else { lies[c] });
        best = std::array::from_fn(|c| E::select(is_better[c], met[c], best[c]));
    }
    for (c, (out, lies)) in out.iter_mut().zip(lies).enumerate() {
        *out = (start + c * stride) as i64 + i64::from(lies);
    }
}

/// Taps along one axis whose places are found once for all planes.
const TABLE: usize = 16;

/// A window with what its loops ask for often.
struct Taps<'a> {
    window: &'a Window,
    /// Of the first taps of a row, the output places at which they lie inside of the plane.
    inside: [(usize, usize); TABLE],
}

impl<'a> Taps<'a> {
    #[inline(always)]
    fn new(window: &'a Window) -> Self {
        let mut inside = [(0, 0); TABLE];
        for (j, inside) in inside.iter_mut().enumerate().take(window.kernel[1]) {
            let places = window.inside(1, j);
            *inside = (places.start, places.end);
        }
        Self { window, inside }
    }

    /// Runs `f` with every tap that meets the strip `places` of an output row: its number, which places of the strip it
    /// meets inside of the plane, and where it meets the first of them.
    #[inline(always)]
    fn of_row(&self, row: usize, places: Range<usize>, mut f: impl FnMut(usize, Range<usize>, usize)) {
        let window = self.window;
        for i in 0..window.kernel[0] {
            if !window.is_inside(0, row, i) {
                continue;
            }
            let line = window.at(0, row, i) * window.input[1];
            for j in 0..window.kernel[1] {
                let (start, end) = match self.inside.get(j) {
                    Some(&inside) => inside,
                    None => {
                        let inside = window.inside(1, j);
                        (inside.start, inside.end)
                    }
                };
                let (start, end) = (start.max(places.start), end.min(places.end));
                if start < end {
                    let at = line + window.at(1, start, j);
                    f(i * window.kernel[1] + j, start - places.start..end - places.start, at);
                }
            }
        }
    }
}

struct Means<'a, E> {
    x: &'a [E],
    window: &'a Window,
    divisor: Divisor,
    out: &'a mut [E],
}

impl<E: Real> Kernel for Means<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { x, window, divisor, out } = self;
        let ([_, ow], stride) = (window.output, window.stride[1]);
        if window.places() == 0 {
            return;
        }
        let taps = Taps::new(window);
        for (x, out) in x.chunks_exact(window.plane().max(1)).zip(out.chunks_exact_mut(window.places())) {
            for (row, out) in out.chunks_exact_mut(ow).enumerate() {
                out.fill(E::of(0.0));
                taps.of_row(
                    row,
                    0..ow,
                    #[inline(always)]
                    |_, places, at| {
                        let out = &mut out[places];
                        match stride {
                            1 => out.iter_mut().zip(&x[at..]).for_each(|(out, &x)| *out = *out + x),
                            _ => {
                                out.iter_mut().zip(x[at..].iter().step_by(stride)).for_each(|(out, &x)| *out = *out + x)
                            }
                        }
                    },
                );
                for (column, out) in out.iter_mut().enumerate() {
                    *out = *out * divisor.inverse(window, row, column);
                }
            }
        }
    }
}

struct SpreadMeans<'a, E> {
    g: &'a [E],
    window: &'a Window,
    divisor: Divisor,
    out: &'a mut [E],
}

impl<E: Real> Kernel for SpreadMeans<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { g, window, divisor, out } = self;
        let ([_, ow], stride) = (window.output, window.stride[1]);
        out.fill(E::of(0.0));
        if window.places() == 0 {
            return;
        }
        let taps = Taps::new(window);
        for (out, g) in out.chunks_exact_mut(window.plane().max(1)).zip(g.chunks_exact(window.places())) {
            for (row, g) in g.chunks_exact(ow).enumerate() {
                for first in (0..ow).step_by(STRIP) {
                    let g = &g[first..ow.min(first + STRIP)];
                    let mut shares = [E::of(0.0); STRIP];
                    for (c, (share, &g)) in shares.iter_mut().zip(g).enumerate() {
                        *share = g * divisor.inverse(window, row, first + c);
                    }
                    taps.of_row(
                        row,
                        first..first + g.len(),
                        #[inline(always)]
                        |_, places, at| {
                            let places = out[at..].iter_mut().step_by(stride).zip(&shares[places]);
                            places.for_each(|(out, &share)| *out = *out + share);
                        },
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::tests::{meetings, windows};

    #[test]
    fn every_window_is_the_naive_loop() {
        for window in windows() {
            // Few values, so that there are ties.
            let x: Vec<f64> = (0..3 * window.plane()).map(|i| (i * 7 % 5) as f64 - 2.0).collect();
            let g: Vec<f64> = (0..3 * window.places()).map(|i| (i * 5 % 7) as f64 - 3.0).collect();
            let mut indices = vec![0; g.len()];
            max_indices(&x, &window, &mut indices);
            let (mut picked, mut put) = (vec![0.0; g.len()], vec![0.0; x.len()]);
            pick(&x, &indices, &window, &mut picked);
            put_back(&g, &indices, &window, &mut put);
            for divisor in [Divisor::Number(3.0), Divisor::Inside] {
                let (mut mean, mut spread) = (vec![0.0; g.len()], vec![0.0; x.len()]);
                means(&x, &window, divisor, &mut mean);
                spread_means(&g, &window, divisor, &mut spread);
                let mut want_spread = vec![0.0; x.len()];
                let mut want_put = vec![0.0; x.len()];
                for at in 0..g.len() {
                    let (plane, place) = (at / window.places(), at % window.places());
                    let met: Vec<usize> = meetings(&window)
                        .iter()
                        .filter(|m| m.0 == place)
                        .map(|m| plane * window.plane() + m.2)
                        .collect();
                    if met.is_empty() {
                        continue;
                    }
                    let count = if divisor == Divisor::Inside { met.len() as f64 } else { 3.0 };
                    let total: f64 = met.iter().map(|&i| x[i]).sum();
                    assert!((mean[at] - total / count).abs() < 1e-12, "{window:?} at {at}");
                    let most = met.iter().map(|&i| x[i]).fold(f64::NEG_INFINITY, f64::max);
                    let first = *met.iter().find(|&&i| x[i] == most).unwrap();
                    assert_eq!(
                        (indices[at] as usize, picked[at]),
                        (first - plane * window.plane(), most),
                        "{window:?}"
                    );
                    want_put[first] += g[at];
                    met.iter().for_each(|&i| want_spread[i] += g[at] / count);
                }
                let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
                assert!(close(&spread, &want_spread), "{window:?}");
                assert!(window.padding == [2, 2] || close(&put, &want_put), "{window:?}");
            }
        }
    }

    #[test]
    fn nan_and_infinities_are_found() {
        let window =
            Window { input: [1, 4], output: [1, 2], kernel: [1, 2], stride: [1, 2], padding: [0; 2], dilation: [1; 2] };
        let mut indices = [7; 2];
        max_indices(&[f32::NEG_INFINITY, f32::NEG_INFINITY, f32::NAN, f32::INFINITY], &window, &mut indices);
        assert_eq!(indices, [0, 2]);
    }
}
