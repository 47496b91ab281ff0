//! Values that are not computed yet.
//!
//! A large elementwise operation is recorded without its value. [`Tape::resolve`] computes it when somebody asks for it, block by block
//! together with the deferred values that it depends on. Those that cost little stay deferred, and are computed again where they
//! are needed: that is cheaper than to write them to memory and to read them. So is a *fold*, the sum or mean of all elements of a
//! deferred value, if it is tracked: the sweep that begins at a loss computes it on the way.
//!
//! Invariants: a deferred entry is elementwise and of the same shape as its deferred operands, or a fold of an elementwise entry; the elements of its other
//! operands are those that it was recorded with, as whoever is about to write to a block has its readers computed before.

use super::arena::Storage;
use super::{Flags, Handle, Tape};
use crate::element::DType;
use crate::error::Result;
use crate::ops::{Op, compute_fold, elementwise};

/// Elements from which operations are deferred unless [`defer_from`] says otherwise.
const DEFER_FROM: usize = 8192;

/// The deferred entries of a tape.
pub(super) struct Deferred {
    /// In the order of the tape; some may be computed by now.
    entries: Vec<u32>,
    /// The length at which those are taken off the list.
    sweep_at: usize,
    /// Elements from which operations are deferred.
    from: usize,
}

impl Deferred {
    pub fn new() -> Self {
        let from = if cfg!(debug_assertions) { from_environment() } else { None };
        Self { entries: Vec::new(), sweep_at: 64, from: from.unwrap_or(DEFER_FROM) }
    }
}

/// What `WENGERT_DEFER_FROM` says, by which a whole test suite can be run with everything deferred.
fn from_environment() -> Option<usize> {
    std::env::var("WENGERT_DEFER_FROM").ok()?.parse().ok()
}

/// Defers elementwise operations on this thread if their results have at least so many elements, and gives the number that held before;
/// `usize::MAX` computes each when it is recorded. Values and gradients are the same, bit for bit.
///
/// A deferred operation is computed when its elements are asked for: by the user, or by an operation that is not elementwise. Several
/// that depend on each other are computed together, so that what is between them needs no memory. A `sum` or `mean` of all their
/// elements that derivatives flow through is deferred with them, until it is asked for or a sweep begins at it; that there is no
/// memory is then said there. In debug builds, the environment
/// variable `WENGERT_DEFER_FROM` is the number that threads begin with.
///
/// ```
/// use wengert::{Tensor, tape};
/// let before = tape::defer_from(usize::MAX);
/// let y = Tensor::ones([100, 100]) + 1.0; // computed here
/// tape::defer_from(before);
/// assert_eq!(y.sum().item(), 20_000.0);
/// ```
///
/// # Panics
/// If the tape is in use, as inside of `with_data`.
#[track_caller]
pub fn defer_from(numel: usize) -> usize {
    crate::error::unwrap(super::with(|tape| Ok(std::mem::replace(&mut tape.deferred.from, numel))))
}

impl Tape {
    /// Elements from which operations are deferred.
    pub fn defer_from(&self) -> usize {
        self.deferred.from
    }

    /// Makes room to note one more deferred entry.
    ///
    /// # Errors
    /// The system has no more memory.
    pub fn reserve_deferred(&mut self) -> Result<()> {
        crate::error::reserve(&mut self.deferred.entries, 1)
    }

    /// Notes that entry `index`, the last one, is deferred.
    pub fn note_deferred(&mut self, index: u32) {
        if self.deferred.entries.len() >= self.deferred.sweep_at {
            let entries = &self.entries;
            self.deferred.entries.retain(|&index| entries[index as usize].is_deferred());
            self.deferred.sweep_at = (2 * self.deferred.entries.len()).max(64);
        }
        self.deferred.entries.push(index);
    }

    fn is_fold(&self, index: u32) -> bool {
        !matches!(self.entry(index).op, Op::Elementwise(_))
    }

    /// The last fold, and what it folds, of those that are deferred and whose operand is, and `is_wanted`.
    pub fn deferred_fold(&self, is_wanted: impl Fn(u32) -> bool) -> Option<(u32, u32)> {
        let folds = self.deferred.entries.iter().rev().filter(|&&index| self.is_fold(index));
        let mut pairs = folds.map(|&fold| (fold, self.entry(fold).a));
        pairs.find(|&(fold, operand)| {
            self.entry(fold).is_deferred() && self.entry(operand).is_deferred() && is_wanted(operand)
        })
    }

    /// The entry that a handle means now, with its value.
    ///
    /// # Errors
    /// The handle is stale; there is no memory for a value that was deferred.
    #[inline]
    pub fn resolve(&mut self, handle: Handle) -> Result<u32> {
        let index = self.locate(handle)?;
        self.compute(index)?;
        Ok(index)
    }

    /// Computes the value of entry `index` if it was deferred.
    #[inline]
    pub fn compute(&mut self, index: u32) -> Result<()> {
        if self.entry(index).is_deferred() { self.compute_slow(index) } else { Ok(()) }
    }

    #[cold]
    fn compute_slow(&mut self, index: u32) -> Result<()> {
        match (self.is_fold(index), self.entry(index).dtype()) {
            (true, DType::F32) => compute_fold::<f32>(self, index),
            (true, _) => compute_fold::<f64>(self, index),
            (false, DType::F32) => elementwise::compute_deferred::<f32>(self, index),
            (false, _) => elementwise::compute_deferred::<f64>(self, index),
        }
    }

    /// Computes the deferred values that depend on the block, which is about to be written.
    pub fn compute_readers(&mut self, storage: Storage) -> Result<()> {
        for place in 0..self.deferred.entries.len() {
            let index = self.deferred.entries[place];
            let is_reader = |operand: u32| self.entry(operand).block() == Some(storage);
            if self.entry(index).is_deferred() && self.any_operand(index, is_reader) {
                self.compute(index)?;
            }
        }
        Ok(())
    }

    /// Whether sweeps write to the memory of entry `index`: it shows a gradient, or is a view of what does.
    pub fn shows_gradient(&self, index: u32) -> bool {
        let base = self.base(index);
        base < self.len() && self.entry(base).flags.has(Flags::BUFFER)
    }

    pub(super) fn forget_deferred(&mut self, start: u32) {
        let kept = self.deferred.entries.partition_point(|&index| index < start);
        self.deferred.entries.truncate(kept);
    }
}
