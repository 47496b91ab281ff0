//! Normalisation of rows and of channels, and its gradients.
//!
//! *Rows* of `n` elements follow each other; their statistics are all means, then all `r = 1 / √(var + eps)`, and the weight has
//! an element per column. *Channels* lie in the middle of `[outer, channels, inner]`; their statistics are all means, then all
//! `r`, and the weight has an element per channel. With `z = (x - mean) r`, the value is `z w + b`.
//!
//! Variances are means of squared distances from the mean, never differences of large sums.

use std::ops::Range;

use crate::Real;
use crate::map::Map2;
use crate::parallel::{self, Chunks};
use crate::reduce::{First, Sum, fold_inline};
use crate::simd::{self, Kernel};

/// What is multiplied and added after the normalisation, an element per column or channel.
#[derive(Clone, Copy)]
pub struct Affine<'a, E> {
    /// The factors, 1 if there are none.
    pub weight: Option<&'a [E]>,
    /// The summands, 0 if there are none.
    pub bias: Option<&'a [E]>,
}

impl<E: Real> Affine<'_, E> {
    fn is_of(&self, count: usize) -> bool {
        [self.weight, self.bias].into_iter().flatten().all(|part| part.len() == count)
    }
}

/// What is wrong if a slice has another length.
const LENGTHS: &str = "slices of the lengths that the sizes say";
/// What an element of a row costs in vectorised additions, in each of its loops.
const COST: usize = 4;

/// Terms of sums over `x`, or over `g` and `x`.
macro_rules! terms {
    ($($(#[$doc:meta])* $name:ident { $($field:ident),+ }($a:ident, $b:ident) = $value:expr;)+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        struct $name<E> { $($field: E),+ }
        impl<E: Real> Map2<E> for $name<E> {
            #[inline(always)]
            fn at(self, $a: E, $b: E) -> E {
                let Self { $($field),+ } = self;
                $value
            }
        }
    )+ };
}
terms! {
    /// The squared distance from a mean.
    Distance { mean }(x, _same) = (x - mean) * (x - mean);
    /// `g z`.
    Along { mean, r }(g, x) = g * ((x - mean) * r);
}

/// Stamps a loop as a [`Kernel`].
macro_rules! kernel {
    ($kernel:ident { $($arg:ident: $ty:ty),+ } => $body:block) => {
        struct $kernel<'a, E> { $($arg: $ty),+ }

        impl<'a, E: Real<Mask = bool>> Kernel for $kernel<'a, E> {
            type Output = ();
            #[inline(always)]
            fn run(self) {
                let Self { $($arg),+ } = self;
                $body
            }
        }
    };
}

/// Stamps a loop as a [`Kernel`] and as a function, whose lengths are checked once on top.
macro_rules! kernels {
    ($(
        $(#[$doc:meta])*
        $name:ident $kernel:ident($($arg:ident: $ty:ty),+) if $check:expr => $body:block
    )+) => { $(
        $(#[$doc])*
        ///
        /// # Panics
        /// If the slices do not have the lengths that the sizes say.
        pub fn $name<'a, E: Real<Mask = bool>>($($arg: $ty),+) {
            assert!($check, "{LENGTHS}");
            simd::run($kernel { $($arg),+ });
        }

        kernel!($kernel { $($arg: $ty),+ } => $body);
    )+ };
}

/// The statistics of the rows of `x`, in `out`.
///
/// # Panics
/// If the slices do not have the lengths that the sizes say.
pub fn row_statistics<E: Real<Mask = bool>>(x: &[E], [rows, n]: [usize; 2], eps: E, out: &mut [E]) {
    assert!(x.len() == rows * n && out.len() == 2 * rows, "{LENGTHS}");
    parallel::in_parts(rows, n * COST, 1, out.split_at_mut(rows), |range, (mean, r)| {
        simd::run(RowStatistics { range, x, n, eps, mean, r });
    });
}

kernel! {
    RowStatistics { range: Range<usize>, x: &'a [E], n: usize, eps: E, mean: &'a mut [E], r: &'a mut [E] } => {
        let count = E::of(n as f64);
        for (row, (mean, r)) in range.zip(mean.iter_mut().zip(r)) {
            let x = &x[row * n..(row + 1) * n];
            *mean = fold_inline::<E, _, Sum>(First, x, x) / count;
            let var = fold_inline::<E, _, Sum>(Distance { mean: *mean }, x, x) / count;
            *r = E::of(1.0) / (var + eps).sqrt();
        }
    }
}

/// The rows of `x`, normalised.
///
/// # Panics
/// If the slices do not have the lengths that the sizes say.
pub fn rows<E: Real<Mask = bool>>(
    x: &[E],
    [rows, n]: [usize; 2],
    statistics: &[E],
    affine: Affine<'_, E>,
    out: &mut [E],
) {
    assert!(
        x.len() == rows * n && out.len() == x.len() && statistics.len() == 2 * rows && affine.is_of(n),
        "{LENGTHS}"
    );
    parallel::in_parts(rows, n * COST, 1, Chunks { out, size: n }, |range, Chunks { out, .. }| {
        simd::run(Rows { range, x, n, statistics, affine, out });
    });
}

kernel! {
    Rows { range: Range<usize>, x: &'a [E], n: usize, statistics: &'a [E], affine: Affine<'a, E>, out: &'a mut [E] } => {
        let (mean, r) = statistics.split_at(statistics.len() / 2);
        for (place, row) in range.enumerate() {
            let (mean, r) = (mean[row], r[row]);
            let (x, out) = (&x[row * n..][..n], &mut out[place * n..][..n]);
            match (affine.weight, affine.bias) {
                (Some(w), Some(b)) => {
                    let (w, b) = (&w[..n], &b[..n]);
                    for i in 0..n {
                        out[i] = (x[i] - mean) * r * w[i] + b[i];
                    }
                }
                (w, b) => {
                    out.iter_mut().zip(x).for_each(|(out, &x)| *out = (x - mean) * r);
                    w.into_iter().for_each(|w| out.iter_mut().zip(w).for_each(|(out, &w)| *out = *out * w));
                    b.into_iter().for_each(|b| out.iter_mut().zip(b).for_each(|(out, &b)| *out = *out + b));
                }
            }
        }
    }
}

/// The gradient of `x` in [`rows`], of the value's gradient `g`.
///
/// # Panics
/// If the slices do not have the lengths that the sizes say.
pub fn rows_input<E: Real<Mask = bool>>(
    g: &[E],
    x: &[E],
    [rows, n]: [usize; 2],
    statistics: &[E],
    weight: Option<&[E]>,
    out: &mut [E],
) {
    assert!(x.len() == rows * n && g.len() == x.len() && out.len() == x.len(), "{LENGTHS}");
    assert!(statistics.len() == 2 * rows && weight.is_none_or(|weight| weight.len() == n), "{LENGTHS}");
    parallel::in_parts(rows, n * COST, 1, Chunks { out, size: n }, |range, Chunks { out, .. }| {
        simd::run(RowsInput { range, g, x, n, statistics, weight, out });
    });
}

kernel! {
    RowsInput {
        range: Range<usize>, g: &'a [E], x: &'a [E], n: usize, statistics: &'a [E], weight: Option<&'a [E]>, out: &'a mut [E]
    } => {
        let count = E::of(n as f64);
        let (mean, r) = statistics.split_at(statistics.len() / 2);
        for (place, row) in range.enumerate() {
            let (mean, r) = (mean[row], r[row]);
            let (g, x, out) = (&g[row * n..][..n], &x[row * n..][..n], &mut out[place * n..][..n]);
            match weight {
                Some(w) => out.iter_mut().zip(g).zip(w).for_each(|((out, &g), &w)| *out = g * w),
                None => out.copy_from_slice(g),
            }
            let all = fold_inline::<E, _, Sum>(First, out, out) / count;
            let along = fold_inline::<E, _, Sum>(Along { mean, r }, out, x) / count;
            for i in 0..n {
                out[i] = r * ((out[i] - all) - (x[i] - mean) * r * along);
            }
        }
    }
}

/// The gradient of the weight in [`rows`], of the value's gradient `g`.
///
/// # Panics
/// If the slices do not have the lengths that the sizes say.
pub fn rows_weight<E: Real<Mask = bool>>(g: &[E], x: &[E], [rows, n]: [usize; 2], statistics: &[E], out: &mut [E]) {
    assert!(x.len() == rows * n && g.len() == x.len() && out.len() == n && statistics.len() == 2 * rows, "{LENGTHS}");
    parallel::in_parts(n, rows * COST, parallel::COLUMNS, out, |columns, out| {
        simd::run(RowsWeight { columns, g, x, n, statistics, out });
    });
}

kernel! {
    RowsWeight { columns: Range<usize>, g: &'a [E], x: &'a [E], n: usize, statistics: &'a [E], out: &'a mut [E] } => {
        let rows = statistics.len() / 2;
        out.fill(E::of(0.0));
        for (strip, out) in out.chunks_mut(STRIP).enumerate() {
            let (start, width) = (columns.start + strip * STRIP, out.len());
            for first in (0..rows).step_by(GROUP) {
                let mut sums = [E::of(0.0); STRIP];
                for row in first..rows.min(first + GROUP) {
                    let (mean, r) = (statistics[row], statistics[rows + row]);
                    let (g, x) = (&g[row * n + start..][..width], &x[row * n + start..][..width]);
                    for i in 0..width {
                        sums[i] = sums[i] + g[i] * ((x[i] - mean) * r);
                    }
                }
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out = *out + sum);
            }
        }
    }
}

kernels! {
    /// Of the channels of `x`: all means, then all `r`, then all unbiased variances.
    channel_statistics ChannelStatistics(x: &'a [E], dims: [usize; 3], eps: E, out: &'a mut [E])
        if x.len() == dims.iter().product() && out.len() == 3 * dims[1] =>
    {
        let [outer, channels, inner] = dims;
        let count = (outer * inner) as f64;
        let (mean, rest) = out.split_at_mut(channels);
        let (r, var) = rest.split_at_mut(channels);
        let zeros = &x[..0];
        sum_channels(x, x, dims, [zeros, zeros], mean, |x, _, _, _| x);
        mean.iter_mut().for_each(|mean| *mean = *mean / E::of(count));
        sum_channels(x, x, dims, [mean, mean], var, |x, _, mean, _| (x - mean) * (x - mean));
        for (r, var) in r.iter_mut().zip(var) {
            *r = E::of(1.0) / (*var / E::of(count) + eps).sqrt();
            *var = *var / E::of(count - 1.0);
        }
    }

    /// The channels of `x`, normalised.
    channels Channels(x: &'a [E], dims: [usize; 3], statistics: &'a [E], affine: Affine<'a, E>, out: &'a mut [E])
        if x.len() == dims.iter().product() && out.len() == x.len() && statistics.len() >= 2 * dims[1] && affine.is_of(dims[1]) =>
    {
        let [outer, channels, inner] = dims;
        let (mean, r) = (&statistics[..channels], &statistics[channels..2 * channels]);
        for o in 0..outer {
            let stretch = o * channels * inner..(o + 1) * channels * inner;
            let (x, out) = (&x[stretch.clone()], &mut out[stretch]);
            for c in 0..channels {
                let factor = affine.weight.map_or(r[c], |weight| weight[c] * r[c]);
                let (mean, bias) = (mean[c], affine.bias.map_or(E::of(0.0), |bias| bias[c]));
                let range = c * inner..(c + 1) * inner;
                out[range.clone()].iter_mut().zip(&x[range]).for_each(|(out, &x)| *out = (x - mean) * factor + bias);
            }
        }
    }

    /// Of the value's gradient `g`: the sums over each channel of `g`, then those of `g z`.
    channel_sums ChannelSums(g: &'a [E], x: &'a [E], dims: [usize; 3], statistics: &'a [E], out: &'a mut [E])
        if x.len() == dims.iter().product() && g.len() == x.len() && out.len() == 2 * dims[1] && statistics.len() >= 2 * dims[1] =>
    {
        let channels = dims[1];
        let statistics = [&statistics[..channels], &statistics[channels..2 * channels]];
        let (all, along) = out.split_at_mut(channels);
        sum_channels(g, x, dims, statistics, all, |g, _, _, _| g);
        sum_channels(g, x, dims, statistics, along, |g, x, mean, r| g * ((x - mean) * r));
    }

    /// The gradient of `x` in [`channels`], of the value's gradient `g`: with [`channel_sums`] if the statistics are those of `x`.
    channels_input ChannelsInput(
        g: &'a [E], x: &'a [E], dims: [usize; 3], statistics: &'a [E], sums: Option<&'a [E]>, weight: Option<&'a [E]>,
        out: &'a mut [E]
    )
        if x.len() == dims.iter().product() && g.len() == x.len() && out.len() == x.len() && statistics.len() >= 2 * dims[1]
            && sums.is_none_or(|sums| sums.len() == 2 * dims[1]) && weight.is_none_or(|weight| weight.len() == dims[1]) =>
    {
        let [outer, channels, inner] = dims;
        let count = E::of((outer * inner) as f64);
        for (o, c) in (0..outer).flat_map(|o| (0..channels).map(move |c| (o, c))) {
            let (mean, r) = (statistics[c], statistics[channels + c]);
            let factor = weight.map_or(r, |weight| weight[c] * r);
            let range = (o * channels + c) * inner..(o * channels + c + 1) * inner;
            let (g, x, out) = (&g[range.clone()], &x[range.clone()], &mut out[range]);
            match sums {
                None => out.iter_mut().zip(g).for_each(|(out, &g)| *out = factor * g),
                Some(sums) => {
                    let (all, along) = (sums[c] / count, sums[channels + c] / count * r);
                    for i in 0..inner {
                        out[i] = factor * ((g[i] - all) - (x[i] - mean) * along);
                    }
                }
            }
        }
    }
}

/// Columns that are summed together.
const STRIP: usize = 64;
/// Rows whose sum is taken before it is added to the total, so that errors do not grow with their number.
const GROUP: usize = 64;

/// `out[c] = Σ term(a, b, statistics[0][c], statistics[1][c])` over the elements of every channel; statistics that are empty read
/// as 0.
#[inline(always)]
fn sum_channels<E: Real>(
    a: &[E],
    b: &[E],
    [outer, channels, inner]: [usize; 3],
    statistics: [&[E]; 2],
    out: &mut [E],
    term: impl Fn(E, E, E, E) -> E,
) {
    let at = |k: usize, c: usize| statistics[k].get(c).copied().unwrap_or(E::of(0.0));
    out.fill(E::of(0.0));
    for first in (0..outer).step_by(GROUP) {
        for start in (0..channels).step_by(STRIP) {
            let width = STRIP.min(channels - start);
            let mut sums = [E::of(0.0); STRIP];
            for o in first..outer.min(first + GROUP) {
                for (c, sum) in sums.iter_mut().enumerate().take(width) {
                    let (s, t) = (at(0, start + c), at(1, start + c));
                    let range = (o * channels + start + c) * inner..(o * channels + start + c + 1) * inner;
                    *sum = *sum + sum_lanes(&a[range.clone()], &b[range], |a, b| term(a, b, s, t));
                }
            }
            out[start..start + width].iter_mut().zip(sums).for_each(|(out, sum)| *out = *out + sum);
        }
    }
}

/// The sum of `term(a, b)` in 32 lanes.
#[inline(always)]
fn sum_lanes<E: Real>(a: &[E], b: &[E], term: impl Fn(E, E) -> E) -> E {
    const LANES: usize = 32;
    let (a_rows, a_rest) = a.as_chunks::<LANES>();
    let (b_rows, b_rest) = b.as_chunks::<LANES>();
    let mut total = E::of(0.0);
    if !a_rows.is_empty() {
        let mut lanes = [E::of(0.0); LANES];
        for (a, b) in a_rows.iter().zip(b_rows) {
            for i in 0..LANES {
                lanes[i] = lanes[i] + term(a[i], b[i]);
            }
        }
        let mut width = LANES;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                lanes[i] = lanes[i] + lanes[i + width];
            }
        }
        total = lanes[0];
    }
    for (&a, &b) in a_rest.iter().zip(b_rest) {
        total = total + term(a, b);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, seed: usize) -> Vec<f64> {
        (0..n).map(|i| ((i + seed) as f64 * 0.618_033_988_749_895).fract() * 2.0 - 1.0).collect()
    }

    /// Mean and `r` of some elements of `x`.
    fn naive(x: &[f64], own: &[usize]) -> (f64, f64) {
        let n = own.len() as f64;
        let mean = own.iter().map(|&i| x[i]).sum::<f64>() / n;
        let var = own.iter().map(|&i| (x[i] - mean).powi(2)).sum::<f64>() / n;
        (mean, 1.0 / (var + 0.1).sqrt())
    }

    /// The gradient of `x[own[k]]`, of `u = g w`.
    fn naive_input(x: &[f64], u: &[f64], own: &[usize], i: usize) -> f64 {
        let ((mean, r), n) = (naive(x, own), own.len() as f64);
        let z = |i: usize| (x[i] - mean) * r;
        let all = own.iter().map(|&i| u[i]).sum::<f64>() / n;
        let along = own.iter().map(|&i| u[i] * z(i)).sum::<f64>() / n;
        r * (u[i] - all - z(i) * along)
    }

    #[track_caller]
    fn close(got: &[f64], want: impl Fn(usize) -> f64) {
        for (i, &got) in got.iter().enumerate() {
            assert!((got - want(i)).abs() < 1e-11 * (1.0 + got.abs()), "{i}: {got}, not {}", want(i));
        }
    }

    #[test]
    fn rows_are_the_naive_loop() {
        for [count, n] in [[3, 4], [2, 100], [150, 70], [1, 3000], [4, 1], [0, 3]] {
            let (x, g, w, b) = (noise(count * n, 1), noise(count * n, 2), noise(n, 3), noise(n, 4));
            let (mut statistics, mut y, mut dx) = (vec![0.0; 2 * count], vec![0.0; x.len()], vec![0.0; x.len()]);
            let (mut plain, mut dw) = (vec![0.0; x.len()], vec![0.0; n]);
            let size = [count, n];
            row_statistics(&x, size, 0.1, &mut statistics);
            rows(&x, size, &statistics, Affine { weight: Some(&w), bias: Some(&b) }, &mut y);
            rows(&x, size, &statistics, Affine { weight: None, bias: Some(&b) }, &mut plain);
            rows_input(&g, &x, size, &statistics, Some(&w), &mut dx);
            rows_weight(&g, &x, size, &statistics, &mut dw);
            let own = |row: usize| (row * n..(row + 1) * n).collect::<Vec<_>>();
            let z = |i: usize| {
                let (mean, r) = naive(&x, &own(i / n));
                (x[i] - mean) * r
            };
            let u: Vec<f64> = (0..x.len()).map(|i| g[i] * w[i % n]).collect();
            let few = |i: usize| i.is_multiple_of(7) || i < 50;
            close(&y, |i| if few(i) { z(i) * w[i % n] + b[i % n] } else { y[i] });
            close(&plain, |i| if few(i) { z(i) + b[i % n] } else { plain[i] });
            close(&dx, |i| if few(i) { naive_input(&x, &u, &own(i / n), i) } else { dx[i] });
            close(&dw, |c| if c < 9 { (0..count).map(|row| g[row * n + c] * z(row * n + c)).sum() } else { dw[c] });
        }
    }

    #[test]
    fn the_number_of_threads_leaves_the_bits_alone() {
        let size @ [count, n] = [900, 300];
        let (x, g, w) = (noise(count * n, 1), noise(count * n, 2), noise(n, 3));
        let results = |threads: usize| {
            parallel::set_num_threads(threads);
            let [mut statistics, mut y, mut dx, mut dw] = [2 * count, x.len(), x.len(), n].map(|len| vec![0.0; len]);
            row_statistics(&x, size, 0.1, &mut statistics);
            rows(&x, size, &statistics, Affine { weight: Some(&w), bias: None }, &mut y);
            rows_input(&g, &x, size, &statistics, Some(&w), &mut dx);
            rows_weight(&g, &x, size, &statistics, &mut dw);
            [statistics, y, dx, dw]
        };
        let one = results(1);
        assert!(one == results(2) && one == results(3));
    }

    #[test]
    fn channels_are_the_naive_loop() {
        for dims in [[4, 3, 1], [2, 3, 5], [70, 2, 3], [1, 70, 4], [3, 2, 100]] {
            let [outer, count, inner] = dims;
            let numel = outer * count * inner;
            let (x, g, w, b) = (noise(numel, 1), noise(numel, 2), noise(count, 3), noise(count, 4));
            let (mut statistics, mut y, mut sums) = (vec![0.0; 3 * count], vec![0.0; numel], vec![0.0; 2 * count]);
            let (mut dx, mut fixed) = (vec![0.0; numel], vec![0.0; numel]);
            channel_statistics(&x, dims, 0.1, &mut statistics);
            channels(&x, dims, &statistics, Affine { weight: Some(&w), bias: Some(&b) }, &mut y);
            channel_sums(&g, &x, dims, &statistics, &mut sums);
            channels_input(&g, &x, dims, &statistics, Some(&sums), Some(&w), &mut dx);
            channels_input(&g, &x, dims, &statistics, None, None, &mut fixed);
            let channel = |i: usize| i / inner % count;
            let own = |c: usize| (0..numel).filter(|&i| channel(i) == c).collect::<Vec<_>>();
            let z = |i: usize| {
                let (mean, r) = naive(&x, &own(channel(i)));
                (x[i] - mean) * r
            };
            let u: Vec<f64> = (0..numel).map(|i| g[i] * w[channel(i)]).collect();
            close(&y, |i| z(i) * w[channel(i)] + b[channel(i)]);
            close(&dx, |i| naive_input(&x, &u, &own(channel(i)), i));
            close(&fixed, |i| g[i] * naive(&x, &own(channel(i))).1);
            close(&sums[..count], |c| own(c).iter().map(|&i| g[i]).sum());
            close(&sums[count..], |c| own(c).iter().map(|&i| g[i] * z(i)).sum());
            let unbiased = |c: usize| {
                let (own, n) = (own(c), (outer * inner) as f64);
                (naive(&x, &own).1.powi(-2) - 0.1) * n / (n - 1.0)
            };
            close(&statistics[2 * count..], unbiased);
        }
    }
}
