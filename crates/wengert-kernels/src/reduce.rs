//! Reductions: many numbers to one, or to one per column.
//!
//! The order of combination is a function of the length alone, never of the thread count or the instruction set:
//!
//! ```text
//! slice   = blocks of BLOCK elements, the last one shorter
//! block   = rows of LANES elements, the last one shorter; 4 rows are combined pairwise, then lane by lane into LANES
//!           accumulators, which a binary tree folds into the block's partial result
//! result  = Tree over the partial results, in order
//! ```
//!
//! So `sum(x)` has the bits of a [`Tree`] over `sum` of each of `x.chunks(BLOCK)`: threads, or an evaluator that has a
//! block in L1, compute the partial results, and one of them combines. The rounding error of a sum grows with the
//! logarithm of the length (pairwise summation: Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed.,
//! section 4.2).
//!
//! Reductions of one axis ([`sum_axis`] and its siblings, [`var_axis`], [`cumsum_axis`], ..) see their operand as
//! `[outer, n, inner]` and reduce `n`.

mod arg;
pub(crate) mod axis;
mod count;
mod scan;
mod twice;

use std::marker::PhantomData;

use crate::Real;
use crate::map::{Map1, Map2};
use crate::parallel;
use crate::simd::{self, Kernel};

pub use arg::{argmax, argmax_axis, argmin, argmin_axis};
pub use axis::{max_axis, min_axis, prod_axis, sum_axis, sum_axis_of};
pub use count::count_nonzero_axis;
pub use scan::{cumprod_axis, cumsum_axis, recur_axis};
pub use twice::var_axis;

/// Elements whose partial result is one leaf of the [`Tree`].
pub const BLOCK: usize = 1024;

/// Independent accumulators of a block, enough to hide the latency of an addition.
const LANES: usize = 64;

/// Slices shorter than this are combined in order: filling the lanes would cost more.
const SHORT: usize = 16;

/// Rows that a block combines pairwise before it touches its accumulators.
const GROUP: usize = 4;

/// An associative operation with a neutral element.
pub trait Combine<E>: Copy + Send {
    /// The result of combining nothing.
    fn identity() -> E;
    /// Combines two partial results; mark the implementation `#[inline(always)]`.
    fn combine(a: E, b: E) -> E;
}

macro_rules! combine {
    ($($(#[$doc:meta])* $name:ident: $identity:expr, |$a:ident, $b:ident| $result:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl<E: Real<Mask = bool>> Combine<E> for $name {
            #[inline(always)]
            fn identity() -> E {
                E::of($identity)
            }
            #[inline(always)]
            fn combine($a: E, $b: E) -> E {
                $result
            }
        }
    )+};
}

combine!(
    /// Addition.
    Sum: 0.0, |a, b| a + b;
    /// Multiplication.
    Prod: 1.0, |a, b| a * b;
    /// The larger one; NaN if either is NaN.
    Max: f64::NEG_INFINITY, |a, b| a.maximum(b);
    /// The smaller one; NaN if either is NaN.
    Min: f64::INFINITY, |a, b| a.minimum(b);
);

/// Combines the partial results of blocks, pushed in order, in a binary tree.
///
/// ```
/// use wengert_kernels::reduce::{self, Sum, Tree};
/// let x: Vec<f32> = (0..5000).map(|i| 0.1 * i as f32).collect();
/// let mut tree = Tree::<f32, Sum>::new();
/// x.chunks(reduce::BLOCK).for_each(|block| tree.push(reduce::sum(block)));
/// assert_eq!(tree.finish(), reduce::sum(&x));
/// ```
#[derive(Clone, Debug)]
pub struct Tree<E, C> {
    /// Where bit `i` of `pushed` is set, `levels[i]` combines `2^i` leaves; elsewhere it is stale.
    levels: [E; usize::BITS as usize],
    pushed: usize,
    op: PhantomData<C>,
}

impl<E: Copy, C: Combine<E>> Tree<E, C> {
    /// A tree without leaves.
    #[inline(always)]
    pub fn new() -> Self {
        Self { levels: [C::identity(); usize::BITS as usize], pushed: 0, op: PhantomData }
    }

    /// Appends the partial result of the next block.
    #[inline(always)]
    pub fn push(&mut self, partial: E) {
        let full = self.pushed.trailing_ones() as usize;
        let node = self.levels[..full].iter().fold(partial, |node, &left| C::combine(left, node));
        self.levels[full] = node;
        self.pushed += 1;
    }

    /// The result over all leaves, the identity if there are none.
    #[inline(always)]
    pub fn finish(&self) -> E {
        let mut rest = self.pushed;
        let mut result = None;
        while rest != 0 {
            let left = self.levels[rest.trailing_zeros() as usize];
            result = Some(result.map_or(left, |right| C::combine(left, right)));
            rest &= rest - 1;
        }
        result.unwrap_or_else(C::identity)
    }
}

impl<E: Copy, C: Combine<E>> Default for Tree<E, C> {
    fn default() -> Self {
        Self::new()
    }
}

/// `Σ x`, 0 for an empty slice.
#[inline]
pub fn sum<E: Real<Mask = bool>>(x: &[E]) -> E {
    fold::<_, _, Sum>(First, x, x)
}

/// `Σ x²`.
#[inline]
pub fn sum_squares<E: Real<Mask = bool>>(x: &[E]) -> E {
    dot(x, x)
}

/// `Σ x·y`.
///
/// # Panics
/// If the slices differ in length.
#[inline]
pub fn dot<E: Real<Mask = bool>>(x: &[E], y: &[E]) -> E {
    assert_eq!(x.len(), y.len(), "slices of one length");
    fold::<_, _, Sum>(Product, x, y)
}

/// `Π x`, 1 for an empty slice.
#[inline]
pub fn prod<E: Real<Mask = bool>>(x: &[E]) -> E {
    fold::<_, _, Prod>(First, x, x)
}

/// The largest element: NaN if there is one, `-∞` for an empty slice.
#[inline]
pub fn max<E: Real<Mask = bool>>(x: &[E]) -> E {
    fold::<_, _, Max>(First, x, x)
}

/// The smallest element: NaN if there is one, `∞` for an empty slice.
#[inline]
pub fn min<E: Real<Mask = bool>>(x: &[E]) -> E {
    fold::<_, _, Min>(First, x, x)
}

/// The term `a`.
#[derive(Clone, Copy)]
pub(crate) struct First;

impl<E> Map1<E> for First {
    #[inline(always)]
    fn at(self, a: E) -> E {
        a
    }
}

impl<E> Map2<E> for First {
    #[inline(always)]
    fn at(self, a: E, _: E) -> E {
        a
    }
}

/// A term of the first of two operands.
#[derive(Clone, Copy)]
struct Single<F>(F);

impl<E, F: Map1<E>> Map2<E> for Single<F> {
    #[inline(always)]
    fn at(self, a: E, _: E) -> E {
        self.0.at(a)
    }
}

/// The term `a·b`.
#[derive(Clone, Copy)]
struct Product;

impl<E: Real> Map2<E> for Product {
    #[inline(always)]
    fn at(self, a: E, b: E) -> E {
        a * b
    }
}

/// Combines `term(x[i], y[i])` over all `i`; a term of one operand gets it twice.
#[inline]
pub(crate) fn fold<E: Copy, F: Map2<E>, C: Combine<E>>(term: F, x: &[E], y: &[E]) -> E {
    simd::run(Fold { term, x, y, op: PhantomData::<C> })
}

/// [`fold`] by several threads, if that pays. A part has as many blocks as a subtree, so the bits are the same.
fn fold_in_parts<E: Copy + Send + Sync, F: Map2<E> + Sync, C: Combine<E>>(term: F, x: &[E], parts: usize) -> E {
    if parts <= 1 || x.len() <= BLOCK {
        return fold::<E, F, C>(term, x, x);
    }
    let mut sums = [const { None }; parallel::MOST];
    let (mut pieces, mut places) = (parallel::Pieces::new(), sums.iter_mut());
    for_subtrees(x, parts, &mut |part| pieces.push((part, places.next().expect("a place for every part"))));
    pieces.run(&|(part, sum)| *sum = Some(fold::<E, F, C>(term, part, part)));
    let mut sums = sums.into_iter().flatten();
    combine_subtrees::<E, C>(x.len(), parts, &mut sums)
}

/// Where `len` elements, more than a block, are divided into two subtrees.
fn middle(len: usize) -> usize {
    len.div_ceil(BLOCK).next_power_of_two() / 2 * BLOCK
}

/// Runs `f` with subtrees of `x` from left to right, `parts` of them or, if there are not so many blocks, fewer.
fn for_subtrees<'a, E>(x: &'a [E], parts: usize, f: &mut impl FnMut(&'a [E])) {
    if parts <= 1 || x.len() <= BLOCK {
        return f(x);
    }
    let (left, right) = x.split_at(middle(x.len()));
    for_subtrees(left, parts / 2, f);
    for_subtrees(right, parts - parts / 2, f);
}

/// The result of `len` elements, of the results of the subtrees that [`for_subtrees`] makes.
fn combine_subtrees<E: Copy, C: Combine<E>>(len: usize, parts: usize, results: &mut impl Iterator<Item = E>) -> E {
    if parts <= 1 || len <= BLOCK {
        return results.next().expect("a result for every part");
    }
    let middle = middle(len);
    let left = combine_subtrees::<E, C>(middle, parts / 2, results);
    C::combine(left, combine_subtrees::<E, C>(len - middle, parts - parts / 2, results))
}

struct Fold<'a, E, F, C> {
    term: F,
    x: &'a [E],
    y: &'a [E],
    op: PhantomData<C>,
}

impl<E: Copy, F: Map2<E>, C: Combine<E>> Kernel for Fold<'_, E, F, C> {
    type Output = E;
    #[inline(always)]
    fn run(self) -> E {
        fold_inline::<E, F, C>(self.term, self.x, self.y)
    }
}

/// [`fold`] inside of another kernel.
#[inline(always)]
pub(crate) fn fold_inline<E: Copy, F: Map2<E>, C: Combine<E>>(term: F, x: &[E], y: &[E]) -> E {
    if x.len() <= BLOCK {
        return fold_block::<E, F, C>(term, x, y);
    }
    let mut tree = Tree::<E, C>::new();
    for (x, y) in x.chunks(BLOCK).zip(y.chunks(BLOCK)) {
        tree.push(fold_block::<E, F, C>(term, x, y));
    }
    tree.finish()
}

/// [`fold_inline`] of at most [`BLOCK`] elements.
#[inline(always)]
pub(crate) fn fold_block<E: Copy, F: Map2<E>, C: Combine<E>>(term: F, x: &[E], y: &[E]) -> E {
    if x.len() < SHORT {
        return fold_short::<E, F, C>(term, x, y);
    }
    let (x_rows, x_rest) = x.as_chunks::<LANES>();
    let (y_rows, y_rest) = y.as_chunks::<LANES>();
    let mut lanes = [C::identity(); LANES];
    let (x_groups, x_rows) = x_rows.as_chunks::<GROUP>();
    let (y_groups, y_rows) = y_rows.as_chunks::<GROUP>();
    for (x, y) in x_groups.iter().zip(y_groups) {
        for i in 0..LANES {
            let above = C::combine(term.at(x[0][i], y[0][i]), term.at(x[1][i], y[1][i]));
            let below = C::combine(term.at(x[2][i], y[2][i]), term.at(x[3][i], y[3][i]));
            let group = C::combine(above, below);
            lanes[i] = C::combine(lanes[i], group);
        }
    }
    for (x, y) in x_rows.iter().zip(y_rows) {
        for i in 0..LANES {
            lanes[i] = C::combine(lanes[i], term.at(x[i], y[i]));
        }
    }
    for (lane, (&x, &y)) in lanes.iter_mut().zip(x_rest.iter().zip(y_rest)) {
        *lane = C::combine(*lane, term.at(x, y));
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] = C::combine(lanes[i], lanes[i + width]);
        }
    }
    lanes[0]
}

#[inline(always)]
fn fold_short<E: Copy, F: Map2<E>, C: Combine<E>>(term: F, x: &[E], y: &[E]) -> E {
    let mut result = C::identity();
    for (&x, &y) in x.iter().zip(y) {
        result = C::combine(result, term.at(x, y));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [usize; 14] = [0, 1, 2, 7, 63, 64, 65, 255, 320, 1023, 1024, 1025, 2048, 7000];

    /// Numbers in -1..1 that look random.
    pub(super) fn noise(n: usize) -> Vec<f64> {
        (0..n).map(|i| (i as f64 * 0.618_033_988_749_895).fract() * 2.0 - 1.0).collect()
    }

    #[track_caller]
    pub(super) fn check(name: &str, n: usize, got: f64, want: f64, tolerance: f64) {
        assert!((got - want).abs() <= tolerance || got == want, "{name} of {n}: {got}, not {want}");
    }

    #[test]
    fn a_reduction_is_the_naive_loop_up_to_rounding() {
        for n in LENGTHS {
            let (x, y) = (noise(n + 3)[3..].to_vec(), noise(n));
            let single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
            let naive = |term: &dyn Fn(usize) -> f64| (0..n).map(term).sum::<f64>();
            check("sum", n, sum(&x), naive(&|i| x[i]), 1e-12);
            check("f32 sum", n, sum(&single).into(), naive(&|i| x[i]), 1e-4);
            check("sum_squares", n, sum_squares(&x), naive(&|i| x[i] * x[i]), 1e-11);
            check("dot", n, dot(&x, &y), naive(&|i| x[i] * y[i]), 1e-11);
            check("max", n, max(&x), x.iter().copied().fold(f64::NEG_INFINITY, f64::max), 0.0);
            check("min", n, min(&x), x.iter().copied().fold(f64::INFINITY, f64::min), 0.0);
            let factors: Vec<f64> = x.iter().map(|x| 1.0 + x / 8.0).collect();
            let want: f64 = factors.iter().product();
            check("prod", n, prod(&factors), want, 1e-12 * want);
        }
    }

    #[test]
    fn a_long_f32_sum_is_accurate() {
        let n = 10_000_000;
        let x: Vec<f32> = (0..n).map(|i| 0.1 + (i % 7) as f32 * 0.013).collect();
        let want: f64 = x.iter().map(|&x| f64::from(x)).sum();
        check("f32 sum", n, f64::from(sum(&x)) / want, 1.0, 2e-7);
    }

    #[test]
    fn blocks_and_a_tree_give_the_bits_of_the_whole() {
        let x: Vec<f32> = noise(100 * BLOCK + 17).iter().map(|&x| x as f32).collect();
        for n in [1, BLOCK, BLOCK + 1, 3 * BLOCK, 64 * BLOCK, x.len()] {
            let mut tree = Tree::<f32, Sum>::new();
            x[..n].chunks(BLOCK).for_each(|block| tree.push(sum(block)));
            assert_eq!(tree.finish().to_bits(), sum(&x[..n]).to_bits(), "{n} elements");
        }
    }

    #[test]
    fn nan_and_the_first_of_equals_win() {
        for n in LENGTHS.into_iter().filter(|&n| n > 2) {
            for at in [0, 1, n / 2, n - 2] {
                let mut x = vec![0.5f32; n];
                x[at] = 2.0;
                x[n - 1] = 2.0;
                assert_eq!((argmax(&x), max(&x)), (Some(at), 2.0), "{n} elements");
                x.iter_mut().for_each(|x| *x = -*x);
                assert_eq!((argmin(&x), min(&x)), (Some(at), -2.0), "{n} elements");
                x[n - 1] = f32::NAN;
                assert_eq!((argmin(&x), argmax(&x)), (Some(n - 1), Some(n - 1)), "{n} elements");
                x[at] = f32::NAN;
                assert_eq!((argmin(&x), argmax(&x)), (Some(at), Some(at)), "{n} elements");
                assert!(max(&x).is_nan() && min(&x).is_nan() && sum(&x).is_nan(), "{n} elements");
            }
        }
        assert_eq!((argmax::<f32>(&[]), argmin::<f64>(&[])), (None, None));
        assert_eq!(argmax(&[f32::NEG_INFINITY; 70]), Some(0));
    }
}
