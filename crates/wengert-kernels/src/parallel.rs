//! Loops over many elements, in pieces for several threads.
//!
//! The calling thread and its helpers (`team.rs`) take one piece after the other. Invariant: no element depends on where a piece
//! begins, so that neither the number of threads nor their pace changes a bit.

mod team;

use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{LazyLock, Mutex};

pub(crate) use team::MOST;
use team::locked;
#[doc(hidden)]
pub use team::lose;

thread_local! {
    /// How many threads loops of this thread may have; 0 as long as nobody said.
    static THREADS: Cell<usize> = const { Cell::new(0) };
}

/// How many threads, itself among them, work on a large loop of this thread at most: what [`set_num_threads`] said, or else the
/// environment variable `WENGERT_NUM_THREADS` if it is a number from 1 on, or else the number of processors that this process may use.
#[must_use]
pub fn num_threads() -> usize {
    static DEFAULT: LazyLock<usize> = LazyLock::new(|| {
        let said =
            std::env::var("WENGERT_NUM_THREADS").ok().and_then(|text| text.parse().ok()).filter(|&count| count > 0);
        said.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).min(MOST)
    });
    match THREADS.get() {
        0 => *DEFAULT,
        count => count,
    }
}

/// Sets how many threads, from 1 to 64, work on large loops of this thread at most; more than 64 are 64. Results do not depend on it.
///
/// One loop of the process has helpers at a time, so 1 is best for threads that compute side by side, each on a tape of its own.
/// Helpers look out for the next loop for 200 µs before they sleep.
///
/// # Panics
/// If `count` is 0.
///
/// ```
/// # use wengert_kernels::parallel::{num_threads, set_num_threads};
/// set_num_threads(1);
/// assert_eq!(num_threads(), 1);
/// ```
#[track_caller]
pub fn set_num_threads(count: usize) {
    assert!(count > 0, "set_num_threads: 0 threads compute nothing; 1 is the least");
    THREADS.set(count.min(MOST));
}

/// Whether debug builds share every loop; the environment variable `WENGERT_SHARE_ALL` has it so from the beginning.
static SHARE_ALL: LazyLock<AtomicBool> =
    LazyLock::new(|| AtomicBool::new(std::env::var_os("WENGERT_SHARE_ALL").is_some()));
/// How often debug builds cut a loop in two.
static CUTS: AtomicUsize = AtomicUsize::new(0);

/// For tests: has every loop that can be cut shared by threads, also where that does not pay; gives what held
/// before. Release builds take no notice.
pub fn share_all(on: bool) -> bool {
    SHARE_ALL.swap(on, Relaxed)
}

/// For tests: how often a loop of this process was cut in two, to be shared by threads; 0 in release builds.
pub fn cuts() -> usize {
    CUTS.load(Relaxed)
}

/// Elements times their cost, of which a vectorised addition has 1, from which a loop is shared by threads: below, waking one takes
/// longer than it saves.
pub(crate) const SHARED_WORK: usize = 1 << 18;

/// Columns of a matrix that one thread takes at least: lines of the cache that threads do not share.
pub(crate) const COLUMNS: usize = 32;

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

/// Two parts of the same elements.
impl<A: Part, B: Part> Part for (A, B) {
    fn split_at(self, at: usize) -> (Self, Self) {
        let ((a, more_a), (b, more_b)) = (self.0.split_at(at), self.1.split_at(at));
        ((a, b), (more_a, more_b))
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

/// Pieces for each thread: who comes late, or is interrupted, has fewer of them.
const PIECES: usize = 4;

/// How much less work is worth sharing with helpers that are awake.
const READY: usize = 4;

/// In how many parts so much work is best done, if it is shared from `shared` on with helpers that must be woken.
pub(crate) fn parts_of(work: usize, shared: usize) -> usize {
    let threads = num_threads();
    if cfg!(debug_assertions) && SHARE_ALL.load(Relaxed) {
        return if work < shared { threads } else { (threads * PIECES).min(MOST) };
    }
    if work < shared / READY || threads == 1 || team::is_taken() {
        return 1;
    }
    let most = if work < shared { 1 + team::awake(threads) } else { threads * PIECES };
    most.min(work / (shared / READY / 2)).min(MOST)
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
    let mut pieces = Pieces::new();
    cut(range, unit, parts, out, &mut pieces);
    pieces.run(&|(range, out)| run(range, out));
}

/// Appends `parts` parts.
fn cut<P: Part>(range: Range<usize>, unit: usize, parts: usize, out: P, pieces: &mut Pieces<(Range<usize>, P)>) {
    if parts == 1 {
        return pieces.push((range, out));
    }
    let at = range.len() * (parts / 2) / parts / unit * unit;
    let middle = range.start + at;
    let (head, tail) = out.split_at(at);
    cut(range.start..middle, unit, parts / 2, head, pieces);
    cut(middle..range.end, unit, parts - parts / 2, tail, pieces);
}

/// Up to [`MOST`] pieces of a loop, by what they need; each is taken by the thread that begins it.
pub(crate) struct Pieces<T> {
    pieces: [Mutex<Option<T>>; MOST],
    count: usize,
}

impl<T: Send> Pieces<T> {
    pub(crate) fn new() -> Self {
        Self { pieces: [const { Mutex::new(None) }; MOST], count: 0 }
    }

    pub(crate) fn push(&mut self, piece: T) {
        self.pieces[self.count] = Mutex::new(Some(piece));
        self.count += 1;
    }

    /// Runs `f` with every piece, by the threads that this thread may have.
    pub(crate) fn run(self, f: &(impl Fn(T) + Sync)) {
        if cfg!(debug_assertions) {
            CUTS.fetch_add(self.count.saturating_sub(1), Relaxed);
        }
        team::run(self.count, num_threads(), &|i| {
            let piece = locked(&self.pieces[i]).take();
            f(piece.expect("each piece is run once"));
        });
    }
}
