//! How much the tape holds.

use super::{Tape, with};
use crate::error::unwrap;

/// What this thread's tape holds, by [`stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Recorded entries, of all open scopes.
    pub entries: usize,
    /// Bytes of values, shapes and gradients in the open scopes.
    pub used: usize,
    /// Bytes that the tape has taken from the system; kept for reuse.
    pub reserved: usize,
    /// The most bytes that were in use at the end of a scope, since the thread began or [`trim`].
    pub high_water: usize,
    /// Open scopes, the thread's outermost one not counted.
    pub depth: usize,
}

impl Tape {
    fn stats(&self) -> Stats {
        let (entries, used, reserved) = (self.len() as usize, self.arena.used(), self.arena.reserved());
        let high_water = self.high_water.high_water.max(used);
        Stats { entries, used, reserved, high_water, depth: self.frames.len() - 1 }
    }

    /// Begins to note the most bytes in use anew; gives those so far, for [`Self::end_peak`].
    pub fn begin_peak(&mut self) -> usize {
        std::mem::take(&mut self.high_water.high_water)
    }

    /// The most bytes in use since [`Self::begin_peak`].
    pub fn end_peak(&mut self, before: usize) -> usize {
        let peak = self.stats().high_water;
        self.high_water.high_water = peak.max(before);
        peak
    }

    pub(super) fn note_high_water(&mut self) {
        self.high_water.high_water = self.high_water.high_water.max(self.arena.used());
    }
}

/// How much this thread's tape holds.
pub fn stats() -> Stats {
    with(|tape| Ok(tape.stats())).unwrap_or_default()
}

/// Limits the bytes that this thread's tape may take from the system; `None` lifts the limit. An operation that would go beyond
/// fails with an error that says so, and records nothing.
pub fn set_budget(bytes: Option<usize>) {
    unwrap(with(|tape| {
        tape.arena.budget = bytes.unwrap_or(usize::MAX);
        Ok(())
    }));
}

/// Gives the memory that closed scopes left for reuse back to the system.
pub fn trim() {
    unwrap(with(|tape| {
        tape.trim();
        tape.high_water = Stats::default();
        Ok(())
    }));
    crate::autograd::trim();
}
