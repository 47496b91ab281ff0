//! One element of every line, chosen by a label, times a factor; and its adjoint.

use crate::Real;
use crate::reduce::{self, Sum, Tree};

/// Which element of each line of `[outer, n, inner]` is chosen: line `o * inner + j` has the elements `x[o, .., j]`.
#[derive(Clone, Copy)]
pub struct Picks<'a, E> {
    /// The dimensions.
    pub dims: [usize; 3],
    /// A label below `n` per line.
    pub labels: &'a [i64],
    /// The label of lines of which none is chosen.
    pub ignored: i64,
    /// A factor per line.
    pub factors: &'a [E],
    /// What totals are divided by.
    pub divisor: E,
}

impl<E: Real<Mask = bool>> Picks<'_, E> {
    /// Where the chosen element of a line lies.
    #[inline(always)]
    fn place(&self, line: usize) -> Option<usize> {
        let [_, n, inner] = self.dims;
        let label = self.labels[line];
        (label != self.ignored).then(|| (line / inner * n + label as usize) * inner + line % inner)
    }

    /// The chosen elements of the lines from number `first` on, times their factors; 0 where none is chosen.
    ///
    /// # Panics
    /// If a slice is shorter than the dimensions say, or a label is not below `n`.
    pub fn pick(&self, x: &[E], first: usize, out: &mut [E]) {
        for (line, out) in out.iter_mut().enumerate().map(|(i, out)| (first + i, out)) {
            *out = self.place(line).map_or(E::of(0.0), |place| x[place] * self.factors[line]);
        }
    }

    /// The sum of [`Picks::pick`], divided.
    ///
    /// # Panics
    /// As [`Picks::pick`].
    pub fn total(&self, x: &[E]) -> E {
        let mut block = [E::of(0.0); reduce::BLOCK];
        let mut tree = Tree::<E, Sum>::new();
        for first in (0..self.labels.len()).step_by(reduce::BLOCK) {
            let block = &mut block[..(self.labels.len() - first).min(reduce::BLOCK)];
            self.pick(x, first, block);
            tree.push(reduce::sum(block));
        }
        tree.finish() / self.divisor
    }

    /// Zeros with every line's `g` (one per line, or one for all) times its factor, divided, at the chosen elements.
    ///
    /// # Panics
    /// As [`Picks::pick`].
    pub fn put_back(&self, g: &[E], out: &mut [E]) {
        out.fill(E::of(0.0));
        for line in 0..self.labels.len() {
            if let Some(place) = self.place(line) {
                let g = if g.len() == 1 { g[0] } else { g[line] };
                out[place] = g * self.factors[line] / self.divisor;
            }
        }
    }
}
