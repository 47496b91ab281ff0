//! Convolutions of stacks of planes, and their two adjoints.
//!
//! `y = conv(x, w)` is linear in `x` and in `w`. Its adjoints, [`input_gradient`] and [`weight_gradient`], are linear in
//! `(g, w)` and `(x, g)`, and every derivative of one of the three is another of them.
//!
//! All are matrix products with the *columns* of an image: the matrix of `c taps` rows, one per channel and tap, and a column per
//! output place (Chellapilla, Puri and Simard 2006, "High Performance Convolutional Neural Networks for Document Processing").
//!
//! ```text
//! y[n]   = w columns(x[n])          w has a row per output channel
//! dx[n]  = columnsᵀ(wᵀ g[n])        columnsᵀ adds every element where columns took it from
//! dw     = Σ g[n] columns(x[n])ᵀ
//! ```
//!
//! The columns of one image are made at a time, so that they stay in cache; images are shared by threads. Sums over images are
//! taken in a fixed number of parts, so that the bits do not depend on the number of threads.

use std::ops::Range;

use crate::Real;
use crate::gemm::{Gemm, MatMut, MatRef, SHARED_WORK, gemm, gemm_plus};
use crate::map::add_assign;
use crate::parallel::{Chunks, parts_of, run_parts};
use crate::simd::{self, Kernel};
use crate::strided::pack;
use crate::window::Window;

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Images in the batch.
    pub images: usize,
    /// Groups that channels are divided into; each is a convolution of its own.
    pub groups: usize,
    /// Input channels of one group.
    pub inputs: usize,
    /// Output channels of one group.
    pub outputs: usize,
    /// How the window moves over a channel.
    pub window: Window,
}

impl Conv {
    /// Rows of the matrix of columns: taps of all channels of a group.
    fn depth(&self) -> usize {
        self.inputs * self.window.taps()
    }

    /// Elements of one group of an input image, an output image, the weight.
    fn sizes(&self) -> [usize; 3] {
        [self.inputs * self.window.plane(), self.outputs * self.window.places(), self.outputs * self.depth()]
    }

    /// Floating-point operations of the convolution, and of each of its gradients: two per multiply-add.
    pub fn flops(&self) -> usize {
        2 * self.images * self.work()
    }

    /// Multiplications for one image.
    fn work(&self) -> usize {
        self.groups * self.sizes()[1] * self.depth()
    }

    fn check(&self, x: usize, y: usize, w: usize) {
        let [input, output, weight] = self.sizes();
        let [x_len, y_len] = [input, output].map(|size| self.images * self.groups * size);
        assert!(x == x_len && y == y_len && w == self.groups * weight, "slices of the sizes that {self:?} says");
    }

    /// Runs `f` for parts of the images, each with its part of `out`, which has `size` elements per image.
    fn for_images<E: Send>(&self, size: usize, out: &mut [E], f: &(impl Fn(Range<usize>, &mut [E]) + Sync)) {
        let parts = parts_of(self.images * self.work(), SHARED_WORK).min(self.images);
        run_parts(0..self.images, 1, parts, Chunks { out, size }, &|images, Chunks { out, .. }| f(images, out));
    }
}

/// `out = conv(x, w) + bias`.
///
/// # Panics
/// If the slices do not have the sizes that `conv` says.
pub fn forward<E: Real<Mask = bool> + Gemm>(conv: &Conv, x: &[E], w: &[E], bias: Option<&[E]>, out: &mut [E]) {
    conv.check(x.len(), out.len(), w.len());
    let ([input, output, weight], depth, places) = (conv.sizes(), conv.depth(), conv.window.places());
    if output == 0 {
        return;
    }
    conv.for_images(conv.groups * output, out, &|images, out| {
        with_columns(conv, 0, |columns, _| {
            for (k, out) in out.chunks_exact_mut(output).enumerate() {
                let (part, group) = (images.start * conv.groups + k, k % conv.groups);
                let columns = columns_of(conv, &x[part * input..][..input], columns);
                let w = MatRef::row_major(&w[group * weight..], [conv.outputs, depth]);
                let columns = MatRef::row_major(columns, [depth, places]);
                let out = MatMut::row_major(out, [conv.outputs, places]);
                match bias {
                    Some(bias) => {
                        // A number for each plane.
                        let bias = MatRef::new(&bias[group * conv.outputs..], [conv.outputs, places], [1, 0]);
                        gemm_plus(w, columns, bias, out);
                    }
                    None => gemm(E::of(1.0), w, columns, E::of(0.0), out),
                }
            }
        });
    });
}

/// The gradient of `x` in `conv(x, w)`, of the value's gradient `g`.
///
/// # Panics
/// As [`forward`].
pub fn input_gradient<E: Real<Mask = bool> + Gemm>(conv: &Conv, g: &[E], w: &[E], out: &mut [E]) {
    conv.check(out.len(), g.len(), w.len());
    let ([input, output, weight], depth, places) = (conv.sizes(), conv.depth(), conv.window.places());
    if input == 0 {
        return;
    }
    conv.for_images(conv.groups * input, out, &|images, out| {
        E::scratch(if conv.window.is_identity() { 0 } else { depth * places }, |columns| {
            for (k, out) in out.chunks_exact_mut(input).enumerate() {
                let (part, group) = (images.start * conv.groups + k, k % conv.groups);
                let w = MatRef::row_major(&w[group * weight..], [conv.outputs, depth]).t();
                let g = MatRef::row_major(&g[part * output..], [conv.outputs, places]);
                if conv.window.is_identity() {
                    gemm(E::of(1.0), w, g, E::of(0.0), MatMut::row_major(out, [depth, places]));
                } else {
                    gemm(E::of(1.0), w, g, E::of(0.0), MatMut::row_major(columns, [depth, places]));
                    simd::run(AddColumns { window: &conv.window, columns, out });
                }
            }
        });
    });
}

/// Parts that a sum over images is taken in.
const PARTS: usize = 8;
/// Weights of more elements are summed in one part: their products are large enough for threads to share.
const MANY_WEIGHTS: usize = 1 << 16;

/// The gradient of `w` in `conv(x, w)`, of the value's gradient `g`.
///
/// # Panics
/// As [`forward`].
pub fn weight_gradient<E: Real<Mask = bool> + Gemm>(conv: &Conv, x: &[E], g: &[E], out: &mut [E]) {
    conv.check(x.len(), g.len(), out.len());
    out.fill(E::of(0.0));
    if conv.images == 0 || out.is_empty() || conv.window.places() == 0 {
        return;
    }
    let parts = if out.len() > MANY_WEIGHTS { 1 } else { conv.images.min(PARTS) };
    if parts == 1 {
        return add_weights(conv, x, g, 0..conv.images, out);
    }
    let size = out.len();
    E::scratch(parts * size, |sums| {
        sums.fill(E::of(0.0));
        let shared = parts_of(conv.images * conv.work(), SHARED_WORK).min(parts);
        run_parts(0..parts, 1, shared, Chunks { out: sums, size }, &|own, Chunks { out, .. }| {
            for (part, sums) in own.zip(out.chunks_exact_mut(size)) {
                let images = conv.images * part / parts..conv.images * (part + 1) / parts;
                add_weights(conv, x, g, images, sums);
            }
        });
        sums.chunks_exact(size).for_each(|sums| add_assign(sums, out));
    });
}

/// Adds the share of some images to the gradient of the weight, which was 0.
fn add_weights<E: Real<Mask = bool> + Gemm>(conv: &Conv, x: &[E], g: &[E], images: Range<usize>, out: &mut [E]) {
    let ([input, output, weight], depth, places) = (conv.sizes(), conv.depth(), conv.window.places());
    let parts = images.start * conv.groups..images.end * conv.groups;
    // The right operand is copied to panels: the smaller one.
    let by_depth = conv.outputs < depth;
    with_columns(conv, if by_depth { out.len() } else { 0 }, |columns, sums| {
        sums.fill(E::of(0.0));
        for part in parts {
            let columns = MatRef::row_major(columns_of(conv, &x[part * input..][..input], columns), [depth, places]);
            let g = MatRef::row_major(&g[part * output..], [conv.outputs, places]);
            let group = part % conv.groups * weight..(part % conv.groups + 1) * weight;
            if by_depth {
                let sums = MatMut::row_major(&mut sums[group], [depth, conv.outputs]);
                gemm(E::of(1.0), columns, g.t(), E::of(1.0), sums);
            } else {
                let out = MatMut::row_major(&mut out[group], [conv.outputs, depth]);
                gemm(E::of(1.0), g, columns.t(), E::of(1.0), out);
            }
        }
        if by_depth {
            for (sums, out) in sums.chunks_exact(weight).zip(out.chunks_exact_mut(weight)) {
                pack(sums, &[conv.outputs, depth], &[1, conv.outputs], 0, out);
            }
        }
    });
}

/// Runs `f` with memory for the columns of one group of an image, and for `more` elements.
fn with_columns<E: Gemm>(conv: &Conv, more: usize, f: impl FnOnce(&mut [E], &mut [E])) {
    let len = if conv.window.is_identity() { 0 } else { conv.depth() * conv.window.places() };
    E::scratch(len + more, |memory| {
        let (columns, more) = memory.split_at_mut(len);
        f(columns, more);
    });
}

/// The columns of `x`, made in `memory`, or `x` itself if that is what they are.
fn columns_of<'a, E: Real>(conv: &Conv, x: &'a [E], memory: &'a mut [E]) -> &'a [E] {
    if conv.window.is_identity() {
        return x;
    }
    simd::run(MakeColumns { window: &conv.window, x, columns: memory });
    memory
}

struct MakeColumns<'a, E> {
    window: &'a Window,
    x: &'a [E],
    columns: &'a mut [E],
}

impl<E: Real> Kernel for MakeColumns<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { window, x, columns } = self;
        for (k, row) in columns.chunks_exact_mut(window.places()).enumerate() {
            let tap = Tap::new(window, k);
            let plane = &x[tap.channel * window.plane()..][..window.plane()];
            if let Some((to, from)) = tap.shift(window) {
                row[..to.start].fill(E::of(0.0));
                row[to.end..].fill(E::of(0.0));
                copy(&plane[from..], &mut row[to]);
                tap.clear_edges(window, row);
            } else {
                make_row(window, &tap, plane, row);
            }
        }
    }
}

/// Writes the row of `tap` line by line.
#[inline(always)]
fn make_row<E: Real>(window: &Window, tap: &Tap, plane: &[E], row: &mut [E]) {
    let ([_, width], [step, stride]) = (window.input, window.stride);
    let (start, end) = (tap.columns.start, tap.columns.end);
    if tap.rows.is_empty() || start == end {
        return row.fill(E::of(0.0));
    }
    let ow = window.output[1];
    row[..tap.rows.start * ow].fill(E::of(0.0));
    row[tap.rows.end * ow..].fill(E::of(0.0));
    let from = &plane[window.at(0, tap.rows.start, tap.i) * width + window.at(1, start, tap.j)..];
    let lines = row[tap.rows.start * ow..tap.rows.end * ow].chunks_exact_mut(ow);
    // A single line has any step.
    for (out, from) in lines.zip(from.chunks(step.saturating_mul(width))) {
        if end - start < ow {
            out[..start].fill(E::of(0.0));
            out[end..].fill(E::of(0.0));
        }
        let out = &mut out[start..end];
        match stride {
            1 => copy(from, out),
            _ => out.iter_mut().zip(from.iter().step_by(stride)).for_each(|(out, &x)| *out = x),
        }
    }
}

/// Writes to every element of `out` the sum of the columns' elements that were taken from it.
struct AddColumns<'a, E> {
    window: &'a Window,
    columns: &'a mut [E],
    out: &'a mut [E],
}

impl<E: Real> Kernel for AddColumns<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { window, columns, out } = self;
        out.fill(E::of(0.0));
        if window.places() == 0 {
            return;
        }
        for (k, row) in columns.chunks_exact_mut(window.places()).enumerate() {
            let tap = Tap::new(window, k);
            let plane = &mut out[tap.channel * window.plane()..][..window.plane()];
            if let Some((from, to)) = tap.shift(window) {
                tap.clear_edges(window, row);
                add(&row[from], &mut plane[to..]);
            } else {
                add_row(window, &tap, row, plane);
            }
        }
    }
}

/// Adds the row of `tap` line by line.
#[inline(always)]
fn add_row<E: Real>(window: &Window, tap: &Tap, row: &[E], plane: &mut [E]) {
    let ([_, width], stride) = (window.input, window.stride[1]);
    let (start, end) = (tap.columns.start, tap.columns.end);
    if start == end {
        return;
    }
    for r in tap.rows.clone() {
        let to = &mut plane[window.at(0, r, tap.i) * width + window.at(1, start, tap.j)..];
        let from = &row[r * window.output[1]..][start..end];
        match stride {
            1 => add(from, to),
            _ => to.iter_mut().step_by(stride).zip(from).for_each(|(to, &column)| *to = *to + column),
        }
    }
}

/// Which tap of which channel a row of the columns is of.
struct Tap {
    channel: usize,
    i: usize,
    j: usize,
    /// The output rows and columns at which it lies inside of the plane.
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Tap {
    #[inline(always)]
    fn new(window: &Window, k: usize) -> Self {
        let (channel, tap) = (k / window.taps(), k % window.taps());
        let (i, j) = (tap / window.kernel[1], tap % window.kernel[1]);
        Self { channel, i, j, rows: window.inside(0, i), columns: window.inside(1, j) }
    }

    /// If output lines are as long as input lines and no place is skipped, the whole row is a part of the plane, but for its
    /// edges: the places that it covers, and where the first of them lies in the plane.
    #[inline(always)]
    fn shift(&self, window: &Window) -> Option<(Range<usize>, usize)> {
        let width = window.input[1];
        if window.stride != [1, 1] || window.output[1] != width || self.rows.is_empty() || self.columns.is_empty() {
            return None;
        }
        let start = self.rows.start * width + self.columns.start;
        let end = (self.rows.end - 1) * width + self.columns.end;
        let from = window.at(0, self.rows.start, self.i) * width + window.at(1, self.columns.start, self.j);
        Some((start..end, from))
    }

    /// Writes 0 where a line of `row` reaches over the plane's edge.
    #[inline(always)]
    fn clear_edges<E: Real>(&self, window: &Window, row: &mut [E]) {
        let width = window.input[1];
        if self.columns.len() == width {
            return;
        }
        for line in row.chunks_exact_mut(width) {
            line[..self.columns.start].fill(E::of(0.0));
            line[self.columns.end..].fill(E::of(0.0));
        }
    }
}

/// Elements that are copied at once; lines are often shorter than what a call of `memcpy` is worth.
const CHUNK: usize = 8;

/// Copies the first elements of `from` to `to`.
#[inline(always)]
fn copy<E: Copy>(from: &[E], to: &mut [E]) {
    let from = &from[..to.len()];
    let (Some(last), Some(to_last)) = (from.last_chunk::<CHUNK>(), to.last_chunk_mut::<CHUNK>()) else {
        return to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
    };
    // The last chunk may overlap the one before.
    *to_last = *last;
    to.as_chunks_mut::<CHUNK>().0.iter_mut().zip(from.as_chunks::<CHUNK>().0).for_each(|(to, from)| *to = *from);
}

/// Adds `from` to the first elements of `to`.
#[inline(always)]
fn add<E: Real>(from: &[E], to: &mut [E]) {
    let (from, from_rest) = from.as_chunks::<CHUNK>();
    let (to, to_rest) = to.as_chunks_mut::<CHUNK>();
    let whole = from.len();
    for (to, from) in to.iter_mut().zip(from) {
        // All are read before one is written, which the compiler turns into one addition.
        *to = std::array::from_fn(|i| to[i] + from[i]);
    }
    let rest = to[whole..].as_flattened_mut().iter_mut().chain(to_rest);
    rest.zip(from_rest).for_each(|(to, &from)| *to = *to + from);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::tests::{meetings, windows};

    fn noise(n: usize, seed: usize) -> Vec<f64> {
        (0..n).map(|i| ((i + seed) as f64 * 0.618_033_988_749_895).fract() * 2.0 - 1.0).collect()
    }

    #[track_caller]
    fn check(what: &str, conv: &Conv, got: &[f64], want: &[f64]) {
        for (i, (got, want)) in got.iter().zip(want).enumerate() {
            assert!((got - want).abs() <= 1e-12 * (1.0 + want.abs()), "{what} of {conv:?} at {i}: {got}, not {want}");
        }
    }

    #[test]
    fn the_three_are_the_naive_loop() {
        let channels = [(1, 1, 1, 1), (3, 1, 2, 3), (2, 2, 2, 1), (9, 3, 1, 2), (0, 1, 1, 2)];
        for (window, (images, groups, inputs, outputs)) in
            windows().into_iter().flat_map(|window| channels.into_iter().map(move |c| (window, c)))
        {
            let conv = Conv { images, groups, inputs, outputs, window };
            let [input, output, weight] = conv.sizes();
            let (x, g) = (noise(images * groups * input, 1), noise(images * groups * output, 2));
            let (w, bias) = (noise(groups * weight, 3), noise(groups * outputs, 4));
            let (mut y, mut dx, mut dw) = (vec![0.0; g.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
            for place in 0..y.len() {
                y[place] = bias[place / window.places() % (groups * outputs)];
            }
            for part in 0..images * groups {
                for (o, c) in (0..outputs).flat_map(|o| (0..inputs).map(move |c| (o, c))) {
                    for (place, tap, at) in meetings(&window) {
                        let at = part * input + c * window.plane() + at;
                        let to = part * output + o * window.places() + place;
                        let k = part % groups * weight + (o * inputs + c) * window.taps() + tap;
                        y[to] += w[k] * x[at];
                        dx[at] += w[k] * g[to];
                        dw[k] += g[to] * x[at];
                    }
                }
            }
            let mut got = vec![f64::NAN; y.len()];
            forward(&conv, &x, &w, Some(&bias), &mut got);
            check("the value", &conv, &got, &y);
            let mut got = vec![f64::NAN; dx.len()];
            input_gradient(&conv, &g, &w, &mut got);
            check("the input's gradient", &conv, &got, &dx);
            let mut got = vec![f64::NAN; dw.len()];
            weight_gradient(&conv, &x, &g, &mut got);
            check("the weight's gradient", &conv, &got, &dw);
        }
    }
}
