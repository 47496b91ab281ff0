//! The lower end of a sweep over a part of the tape.
//!
//! ```text
//! entries    w  h0 | h1  h2  loss         a sweep of the part behind `|` ..
//! adjoints   w' h0'                       .. passes loss, h2, h1, and meets w and h0
//! ```
//!
//! A wanted entry below the boundary, or a wanted leaf, ends there: the caller has its adjoint, and nothing else happens to it. A
//! leaf that is not wanted gets its gradient. What flows to other entries below is dropped, and not computed.

use smallvec::SmallVec;

use super::{Adjoint, Purpose, Sweep, copy_block, own_gradient};
use crate::element::FloatElement;
use crate::error::Result;
use crate::ops::Op;
use crate::tape::{self, Handle, Tape};

/// The lower end of a sweep.
pub(super) struct Boundary {
    /// The first entry that is passed.
    from: u32,
    /// In ascending order, and what was found of them.
    wanted: SmallVec<[u32; 4]>,
    found: SmallVec<[Adjoint; 4]>,
}

/// Of wanted entries; `None` where no path led.
type Adjoints = SmallVec<[Option<Handle>; 4]>;

impl Boundary {
    /// Whether an adjoint of entry `operand`, which requires a gradient, has a use.
    pub fn needs(&self, tape: &Tape, operand: u32) -> bool {
        operand >= self.from || tape.entry(operand).op == Op::Leaf || self.wants(operand)
    }

    pub fn wants(&self, index: u32) -> bool {
        self.wanted.binary_search(&index).is_ok()
    }
}

impl Sweep {
    /// Accumulates the gradients of leaves below `roots`, as far as they come from the entries from `from` on. Gives the adjoints of
    /// the entries `wanted` (in ascending order), which are kept from accumulating, and the leaves whose hooks wait.
    pub fn accumulate_from(
        from: u32,
        roots: &[(Handle, Handle)],
        wanted: SmallVec<[u32; 4]>,
        recorded: bool,
    ) -> Result<(Adjoints, Vec<Handle>)> {
        let caller = tape::with(|tape| Ok(tape.scope_id()))?;
        let mut sweep = Self::new(caller, recorded, Purpose::Accumulate, super::LISTS.take());
        let found = SmallVec::from_elem(Adjoint::None, wanted.len());
        sweep.boundary = Some(Boundary { from, wanted, found });
        sweep.run_in_scope(roots)?;
        let Some(Boundary { wanted, found, .. }) = sweep.boundary.take() else { unreachable!("set above") };
        let found = tape::with(|tape| {
            wanted.iter().zip(&found).map(|(&index, adjoint)| own_gradient(tape, index, adjoint)).collect::<Result<_>>()
        })?;
        Ok((found, std::mem::take(&mut sweep.accumulated)))
    }

    /// Whether the adjoint of entry `index` ends at the boundary, and is kept if it is wanted.
    pub(super) fn ends_at_boundary<E: FloatElement>(&mut self, index: u32, op: Op, adjoint: Adjoint) -> Result<bool> {
        let Some(boundary) = &self.boundary else { return Ok(false) };
        if boundary.wants(index) && (index < boundary.from || op == Op::Leaf) {
            self.keep_if_wanted::<E>(index, adjoint)?;
            return Ok(true);
        }
        Ok(index < boundary.from && op != Op::Leaf)
    }

    /// Keeps the adjoint of a wanted entry for the caller.
    pub(super) fn keep_if_wanted<E: FloatElement>(&mut self, index: u32, adjoint: Adjoint) -> Result<()> {
        let Some(boundary) = &mut self.boundary else { return Ok(()) };
        let Ok(place) = boundary.wanted.binary_search(&index) else { return Ok(()) };
        let kept = match adjoint {
            Adjoint::Block(_) => tape::with(|tape| {
                let level = tape.level_of_scope(self.caller);
                copy_block::<E>(tape, index, adjoint, level)
            })?,
            other => other,
        };
        boundary.found[place] = kept;
        Ok(())
    }
}
