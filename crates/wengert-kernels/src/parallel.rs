//! Loops over many elements, in parts for the threads of the current pool.
//!
//! Without the feature `rayon`, there is one thread. Invariant: no element depends on where a part begins, so that the number of
//! threads leaves the bits alone.

use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

#[cfg(feature = "rayon")]
use rayon::{current_num_threads as threads, join as join_threads};

#[cfg(not(feature = "rayon"))]
fn threads() -> usize {
    1
}

#[cfg(not(feature = "rayon"))]
fn join_threads<A, B>(first: impl FnOnce() -> A, second: impl FnOnce() -> B) -> (A, B) {
    (first(), second())
}

/// Whether debug builds share every loop; the environment variable `WENGERT_SHARE_ALL` has it so from the beginning.
static SHARE_ALL: LazyLock<AtomicBool> =
    LazyLock::new(|| AtomicBool::new(std::env::var_os("WENGERT_SHARE_ALL").is_some()));
/// How often debug builds cut a loop in two.
static CUTS: AtomicUsize = AtomicUsize::new(0);

/// For tests: has every loop that can be cut shared by the threads of the current pool, also where that does not pay; gives what held
/// before. Release builds take no notice.
pub fn share_all(on: bool) -> bool {
    SHARE_ALL.swap(on, Relaxed)
}

/// For tests: how often a loop of this process was cut in two, to be shared by threads; 0 in release builds.
pub fn cuts() -> usize {
    CUTS.load(Relaxed)
}

/// Runs both, the second by another thread if one is free.
#[inline]
pub(crate) fn join<A: Send, B: Send>(first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B + Send) -> (A, B) {
    if cfg!(debug_assertions) {
        CUTS.fetch_add(1, Relaxed);
    }
    join_threads(first, second)
}

/// Elements times their cost, of which a vectorised addition has 1, from which a loop is shared by threads: below, waking one takes
/// longer than it saves. Measured on two cores: an addition gains from 2^18 elements on, and takes five times as long at 2^16; `tanh`,
/// which costs 12, gains from 2^15 on.
pub(crate) const SHARED_WORK: usize = 1 << 18;

/// What is cut where a loop over elements is: the memory that it writes.
pub trait Part: Send {
    /// The first `at` elements, and the others.
    fn split_at(self, at: usize) -> (Self, Self)
    where
        Self: Sized;
}

impl<E: Send> Part for &mut [E] {
    fn split_at(self, at: usize) -> (Self, Self) {
        self.split_at_mut(at)
    }
}

/// Memory of which every element of a loop has `size` elements.
pub struct Chunks<'a, E> {
    /// As many elements as the loop, times `size`.
    pub out: &'a mut [E],
    /// The elements of one.
    pub size: usize,
}

impl<E: Send> Part for Chunks<'_, E> {
    fn split_at(self, at: usize) -> (Self, Self) {
        let (head, tail) = self.out.split_at_mut(at * self.size);
        (Self { out: head, size: self.size }, Self { out: tail, size: self.size })
    }
}

/// Calls `run` with consecutive ranges that cover `0 .. len` and with the same parts of `out`, several at a time if the work, `len`
/// times the cost of each element in additions, is worth it. Ranges begin at multiples of `unit`.
pub fn in_parts<P: Part>(len: usize, cost: usize, unit: usize, out: P, run: impl Fn(Range<usize>, P) + Sync) {
    let parts = parts_of(len.saturating_mul(cost), SHARED_WORK).min(len.div_ceil(unit));
    run_parts(0..len, unit, parts, out, &run);
}

/// How many threads so much work is worth, if it is shared from `shared` on.
pub(crate) fn parts_of(work: usize, shared: usize) -> usize {
    match work < shared {
        true if cfg!(debug_assertions) && SHARE_ALL.load(Relaxed) => threads(),
        true => 1,
        false => threads().min(work / (shared / 2)),
    }
}

/// As [`in_parts`], in so many parts of similar size.
pub(crate) fn run_parts<P: Part>(
    range: Range<usize>,
    unit: usize,
    parts: usize,
    out: P,
    run: &(impl Fn(Range<usize>, P) + Sync),
) {
    if parts <= 1 {
        return run(range, out);
    }
    let at = range.len() * (parts / 2) / parts / unit * unit;
    let middle = range.start + at;
    let (head, tail) = out.split_at(at);
    join(
        || run_parts(range.start..middle, unit, parts / 2, head, run),
        || run_parts(middle..range.end, unit, parts - parts / 2, tail, run),
    );
}
