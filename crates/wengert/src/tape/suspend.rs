//! User code in the course of a sweep: it runs in the scope that the sweep was called from.
//!
//! ```text
//! levels   0 .. caller | adjoints scratch | free ..        while the sweep works
//! levels   0 .. caller | free ..          | adjoints scratch      while user code runs; the last two are out of reach
//! ```
//!
//! So what user code records and keeps belongs to the caller's scope, as if it had been called from there.

use smallvec::SmallVec;

use super::{Frame, Tape, with_forgetting};
use crate::error::{Result, error};

/// The scopes of a sweep, taken off the tape. They hold memory, but no entries.
pub(crate) struct Suspended {
    /// The id of the scope that user code runs in.
    caller: u32,
    frames: SmallVec<[Frame; 4]>,
    grad_enabled: bool,
}

impl Suspended {
    /// Takes the scopes inside of scope `caller` off the tape, and forgets their entries.
    pub fn start(caller: u32) -> Result<Self> {
        with_forgetting(|tape| Ok(tape.suspend(caller)))
    }

    /// Puts the scopes back, and ends those that user code left open.
    ///
    /// # Errors
    /// User code ended the scope that it ran in.
    pub fn end(mut self) -> Result<()> {
        let frames = std::mem::take(&mut self.frames);
        with_forgetting(|tape| tape.resume(self.caller, &frames, self.grad_enabled))
    }
}

impl Drop for Suspended {
    /// When user code unwinds.
    fn drop(&mut self) {
        if !self.frames.is_empty() {
            let frames = std::mem::take(&mut self.frames);
            // The panic under way says more than a scope that is missing.
            let _ = with_forgetting(|tape| tape.resume(self.caller, &frames, self.grad_enabled));
        }
    }
}

impl Tape {
    fn suspend(&mut self, caller: u32) -> Suspended {
        let place = self
            .frames
            .iter()
            .rposition(|frame| frame.id == caller)
            .expect("a sweep runs inside of its caller's scope");
        let frames = self.frames.split_off(place + 1);
        if let Some(first) = frames.first() {
            self.forget_from(first.entries, first.constants, first.nodes);
        }
        self.arena.suspend(frames.len());
        Suspended { caller, frames, grad_enabled: self.grad_enabled }
    }

    fn resume(&mut self, caller: u32, frames: &[Frame], grad_enabled: bool) -> Result<()> {
        self.rewind_to(caller);
        if self.scope_id() != caller {
            self.arena.abandon(frames.len());
            return Err(error!(
                Stale,
                "backward: a hook ended the scope that backward was called in; drop guards where they were made"
            ));
        }
        self.arena.resume(frames.len());
        let (entries, constants, nodes) = (self.len(), self.constants.len() as u32, self.nodes.len());
        for frame in frames {
            self.frames.push(Frame { entries, constants, nodes, ..*frame });
        }
        self.grad_enabled = grad_enabled;
        Ok(())
    }
}
