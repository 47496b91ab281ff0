//! Sweeping over what was recorded anew while an entry is passed: the graph of a checkpoint.
//!
//! ```text
//! entries    x  w | c = checkpoint(f)(x) |  loss           the sweep passes c ...
//! behind                                         f: h  y   ... whose function records h and y from x and w again
//! adjoints   x' w'                               h' y'     y' = c'; passed down to h; then shares go to x' and w'
//! ```
//!
//! The entries behind are passed with the lists of the sweep under way, so that their shares go straight to adjoints and slots.

use smallvec::SmallVec;

use super::{Capture, ON_PATH, Purpose, Sweep};
use crate::error::Result;
use crate::tape::{self, Flags, Handle, Tape};

impl Sweep {
    /// Passes the entries from `start` on, which were recorded anew while an entry is passed, as if they had been here always:
    /// from `roots` among them, each with its seed, to what they refer to before `start`.
    pub fn splice(&mut self, start: u32, roots: &[(Handle, Handle)]) -> Result<()> {
        let end = tape::with(|tape| Ok(tape.len()))?;
        // Rules record behind.
        let _scratch = (!self.recorded).then(tape::NoGrad::enter);
        let roots = tape::with(|tape| {
            self.reach_between(tape, start, end);
            let mut needed = SmallVec::<[_; 4]>::new();
            for &(root, seed) in roots {
                let index = tape.resolve(root)?;
                if self.needs(tape, index) {
                    needed.push((root, seed));
                }
            }
            Ok(needed)
        })?;
        let around = self.inner;
        self.inner = around.min(start);
        let end = self.seed(&roots)?;
        self.run_between(start, end)?;
        self.inner = around;
        Ok(())
    }

    /// Notes which of the entries from `start` up to `end` have a wanted one below them.
    fn reach_between(&mut self, tape: &Tape, start: u32, end: u32) {
        let Purpose::Capture(Capture { low, .. }) = self.purpose else { return };
        let reach = &mut self.lists.reach;
        reach.resize((start - low) as usize, 0);
        for index in start..end {
            let reached = |of: u32| of >= low && reach[(of - low) as usize] != 0;
            let on_path = tape.entry(index).flags.has(Flags::GRAD) && tape.any_operand(index, reached);
            reach.push(if on_path { ON_PATH } else { 0 });
        }
    }
}
