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

use super::{Purpose, Sweep};
use crate::error::Result;
use crate::tape::{self, Handle};

impl Sweep {
    /// Passes the entries from `start` on, which were recorded anew while an entry is passed, as if they had been here always:
    /// from `roots` among them, each with its seed, to what they refer to before `start`.
    pub fn splice(&mut self, start: u32, roots: &[(Handle, Handle)]) -> Result<()> {
        let end = tape::with(|tape| Ok(tape.len()))?;
        // Rules record behind.
        let _scratch = (!self.recorded).then(tape::NoGrad::enter);
        let roots = tape::with(|tape| {
            if let Purpose::Capture(wanted) = &mut self.purpose {
                wanted.reach_on(tape, start, end);
            }
            let mut needed = SmallVec::<[_; 4]>::new();
            for &(root, seed) in roots {
                let index = tape.locate(root)?;
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
}
