//! The cross-entropy between lines of logits and what they should have said, and its gradient.
//!
//! Logits are seen as `[outer, n, inner]` with `n` classes; line `o * inner + j` has the logits `x[o, .., j]`. With the
//! probabilities `p = softmax(x)` and the wanted share `q` of each class, a line's loss is `-Σ q ln p`, and its gradient
//! `p Σ q - q`. For a label `y`, class weights `w` and smoothing `s`,
//!
//! ```text
//! q[c] = (1 - s) w[y] (c == y) + s / n w[c]
//! ```
//!
//! (Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7), and for wanted probabilities `t`,
//! `q[c] = w[c] ((1 - s) t[c] + s / n)`.

use crate::Real;
use crate::simd::{self, Kernel};

/// What the logits should have said.
#[derive(Clone, Copy)]
pub enum Target<'a, E> {
    /// A class per line; lines with the class `ignored` have no loss. Other labels lie below `n`.
    Classes {
        /// The classes, in the order of the lines.
        labels: &'a [i64],
        /// The label of lines without a loss.
        ignored: i64,
    },
    /// The probability of each class, laid out as the logits.
    Probabilities(&'a [E]),
}

/// Lines of logits and their targets.
#[derive(Clone, Copy)]
pub struct CrossEntropy<'a, E> {
    /// The logits.
    pub x: &'a [E],
    /// Their dimensions, `[outer, n, inner]`.
    pub dims: [usize; 3],
    /// The maximum of each line.
    pub max: &'a [E],
    /// The logarithm of each line's sum of exponentials, after its maximum was subtracted.
    pub log: &'a [E],
    /// The targets.
    pub target: Target<'a, E>,
    /// The weight of each class.
    pub weight: Option<&'a [E]>,
    /// The share, 0 to 1, that is spread over all classes.
    pub smoothing: E,
}

impl<E: Real<Mask = bool>> CrossEntropy<'_, E> {
    /// The losses of the lines from number `first` on.
    ///
    /// # Panics
    /// If a slice is shorter than the dimensions say, or a label is no class.
    pub fn losses(&self, first: usize, out: &mut [E]) {
        simd::run(Losses { of: self, first, out });
    }

    /// The gradients of the logits, where the loss of line `i` has the gradient `g[i] scale`, or `g[0] scale` if `g` has
    /// one element.
    ///
    /// # Panics
    /// As [`CrossEntropy::losses`].
    pub fn gradient(&self, g: &[E], scale: E, out: &mut [E]) {
        assert_eq!(out.len(), self.x.len(), "a gradient for every logit");
        simd::run(Gradient { of: self, g, scale, out });
    }

    /// The wanted shares `q`, laid out as the logits.
    ///
    /// # Panics
    /// As [`CrossEntropy::losses`].
    pub fn shares(&self, out: &mut [E]) {
        assert_eq!(out.len(), self.x.len(), "a share for every logit");
        let [outer, n, inner] = self.dims;
        for line in 0..outer * inner {
            for c in 0..n {
                let at = self.start(line) + c * inner;
                out[at] = self.share(line, c, at);
            }
        }
    }

    /// Where line number `line` begins.
    #[inline(always)]
    fn start(&self, line: usize) -> usize {
        let [_, n, inner] = self.dims;
        if inner == 1 { line * n } else { line / inner * n * inner + line % inner }
    }

    #[inline(always)]
    fn weight(&self, c: usize) -> E {
        self.weight.map_or(E::of(1.0), |weight| weight[c])
    }

    /// The label of a line, if it has a loss.
    #[inline(always)]
    fn label(labels: &[i64], ignored: i64, line: usize) -> Option<usize> {
        (labels[line] != ignored).then_some(labels[line] as usize)
    }

    /// What each class gets of the smoothing, before its weight.
    #[inline(always)]
    fn spread(&self) -> E {
        self.smoothing / E::of(self.dims[1] as f64)
    }

    #[inline(always)]
    fn share(&self, line: usize, c: usize, at: usize) -> E {
        let (kept, spread) = (E::of(1.0) - self.smoothing, self.spread());
        match self.target {
            Target::Probabilities(t) => self.weight(c) * (kept * t[at] + spread),
            Target::Classes { labels, ignored } => match Self::label(labels, ignored, line) {
                None => E::of(0.0),
                Some(label) if label == c => self.weight(c) * (kept + spread),
                Some(_) => self.weight(c) * spread,
            },
        }
    }

    /// `-Σ w ln p` over all classes of a line.
    #[inline(always)]
    fn against_all(&self, line: usize) -> E {
        let [_, n, inner] = self.dims;
        let start = self.start(line);
        let mut total = E::of(0.0);
        for c in 0..n {
            total = total - self.weight(c) * ((self.x[start + c * inner] - self.max[line]) - self.log[line]);
        }
        total
    }

    #[inline(always)]
    fn loss(&self, line: usize) -> E {
        let [_, n, inner] = self.dims;
        let (start, zero) = (self.start(line), E::of(0.0));
        let log_p = |c: usize| (self.x[start + c * inner] - self.max[line]) - self.log[line];
        match self.target {
            Target::Probabilities(_) => {
                let mut total = zero;
                for c in 0..n {
                    total = total - self.share(line, c, start + c * inner) * log_p(c);
                }
                total
            }
            Target::Classes { labels, ignored } => {
                let Some(label) = Self::label(labels, ignored, line) else { return zero };
                let own = -(self.weight(label) * log_p(label));
                if self.smoothing.eq(zero) {
                    // A class without a share leaves no trace, even where its logit is infinite.
                    return own;
                }
                (E::of(1.0) - self.smoothing) * own + self.spread() * self.against_all(line)
            }
        }
    }
}

struct Losses<'a, E> {
    of: &'a CrossEntropy<'a, E>,
    first: usize,
    out: &'a mut [E],
}

impl<E: Real<Mask = bool>> Kernel for Losses<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (i, out) in self.out.iter_mut().enumerate() {
            *out = self.of.loss(self.first + i);
        }
    }
}

/// About as many logits are taken at a time as fit into L1, in whole stretches of `n * inner`.
const BLOCK: usize = 2048;

struct Gradient<'a, E> {
    of: &'a CrossEntropy<'a, E>,
    g: &'a [E],
    scale: E,
    out: &'a mut [E],
}

impl<E: Real<Mask = bool>> Kernel for Gradient<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { of, g, scale, out } = self;
        let [_, n, inner] = of.dims;
        let stretch = n * inner;
        if stretch == 0 {
            return;
        }
        let many = (BLOCK / stretch).max(1);
        for (i, (x, out)) in of.x.chunks(many * stretch).zip(out.chunks_mut(many * stretch)).enumerate() {
            let first = i * many;
            // The exponentials run over the whole block, however short its lines are.
            for (o, (x, out)) in x.chunks_exact(stretch).zip(out.chunks_exact_mut(stretch)).enumerate() {
                let lines = (first + o) * inner..(first + o + 1) * inner;
                log_probabilities(x, &of.max[lines.clone()], &of.log[lines], out);
            }
            for out in out.iter_mut() {
                *out = out.exp();
            }
            for (o, out) in out.chunks_exact_mut(stretch).enumerate() {
                for j in 0..inner {
                    let line = (first + o) * inner + j;
                    let g = if g.len() == 1 { g[0] } else { g[line] } * scale;
                    of.finish(line, g, &mut out[j..]);
                }
            }
        }
    }
}

/// `ln p` of the lines of one stretch.
#[inline(always)]
fn log_probabilities<E: Real>(x: &[E], max: &[E], log: &[E], out: &mut [E]) {
    if let (&[max], &[log]) = (max, log) {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = (x - max) - log;
        }
        return;
    }
    for (x, out) in x.chunks_exact(max.len()).zip(out.chunks_exact_mut(max.len())) {
        for j in 0..max.len() {
            out[j] = (x[j] - max[j]) - log[j];
        }
    }
}

impl<E: Real<Mask = bool>> CrossEntropy<'_, E> {
    /// Makes the gradient of a line of its probabilities, which begin at `p[0]`.
    #[inline(always)]
    fn finish(&self, line: usize, g: E, p: &mut [E]) {
        let [_, n, inner] = self.dims;
        let start = self.start(line);
        match self.target {
            Target::Classes { labels, ignored } if self.smoothing.eq(E::of(0.0)) => {
                let label = Self::label(labels, ignored, line);
                let factor = label.map_or(E::of(0.0), |label| g * self.weight(label));
                let p = &mut p[..(n - 1) * inner + 1];
                if inner == 1 {
                    p.iter_mut().for_each(|p| *p = *p * factor);
                } else {
                    p.iter_mut().step_by(inner).for_each(|p| *p = *p * factor);
                }
                if let Some(label) = label {
                    p[label * inner] = p[label * inner] - factor;
                } else {
                    // Not even a NaN passes from a line that has no loss.
                    p.iter_mut().step_by(inner).for_each(|p| *p = E::of(0.0));
                }
            }
            _ => {
                let mut total = E::of(0.0);
                for c in 0..n {
                    total = total + self.share(line, c, start + c * inner);
                }
                for c in 0..n {
                    let at = c * inner;
                    p[at] = g * (p[at] * total - self.share(line, c, start + at));
                }
            }
        }
    }
}
