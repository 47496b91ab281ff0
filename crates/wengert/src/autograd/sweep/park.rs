//! Gradients before user code runs.

use super::{Adjoint, Sweep, copy_block};
use crate::element::DType;
use crate::error::{Result, reserve};
use crate::tape::{self, Filling};

impl Sweep {
    /// Leaves no gradient half stored, so that user code finds all as they were before the sweep, and may accumulate to them: what
    /// was stored moves to adjoints. Entries from `index` on are passed.
    pub fn park(&mut self, index: u32) -> Result<()> {
        while let Some(&owner) = self.lists.filling.last() {
            tape::with(|tape| {
                let slot = tape.own_slot(owner);
                let stored = Adjoint::Block(tape.slot(slot).storage().expect("a slot that is stored into"));
                let level = self.level;
                let parked = match tape.entry(owner).dtype() {
                    DType::F32 => copy_block::<f32>(tape, owner, stored, level)?,
                    _ => copy_block::<f64>(tape, owner, stored, level)?,
                };
                if owner < index {
                    self.lists.adjoints[owner as usize] = parked;
                    self.lowest = self.lowest.min(owner);
                } else {
                    reserve(&mut self.lists.shares, 1)?;
                    self.lists.shares.push((owner, parked));
                }
                tape.slot_mut(slot).state = Filling::Empty;
                Ok(())
            })?;
            self.lists.filling.pop();
        }
        Ok(())
    }
}
