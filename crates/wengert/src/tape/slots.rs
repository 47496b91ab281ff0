//! Gradient slots: the persistent gradients of leaves, and of tensors that retain theirs.

use wengert_kernels::strided::pack;

use super::arena::{Storage, lend};
use super::{Entry, Flags, Handle, Meta, Tape, Value};
use crate::element::FloatElement;
use crate::error::{Result, reserve};
use crate::ops::Op;
use crate::shape::Layout;

/// Where the gradient of entry `owner` accumulates.
pub(crate) struct Slot {
    pub owner: u32,
    pub state: Filling,
    /// The level of the sweep that stores into it, while that is under way.
    pub filler: usize,
    storage: Option<Storage>,
    /// The entry that shows the buffer as a tensor, made when asked for.
    shown: Option<Handle>,
    /// A gradient that has a history of its own, from `create_graph`.
    pub recorded: Option<Handle>,
}

impl Slot {
    /// The buffer, if there was need for one.
    pub fn storage(&self) -> Option<Storage> {
        self.storage
    }

    /// Forgets the entries from `start` on that stand for the gradient; others may come to lie there.
    fn forget_from(&mut self, start: u32) {
        for handle in [&mut self.shown, &mut self.recorded] {
            if handle.is_some_and(|handle| handle.index >= start) {
                *handle = None;
            }
        }
    }
}

/// What a slot's buffer holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Filling {
    /// No gradient: the next accumulation stores.
    Empty,
    /// A sweep under way stores into it; empty again if the sweep fails.
    Partial,
    /// A gradient.
    Full,
}

impl Tape {
    /// The slot of entry `index`, if it has one.
    pub fn slot_of(&self, index: u32) -> Option<usize> {
        let entry = self.entry(index);
        if !entry.flags.has(Flags::SLOT) {
            None
        } else if entry.op == Op::Leaf {
            Some(entry.b as usize)
        } else {
            self.slots.iter().position(|slot| slot.owner == index)
        }
    }

    /// The slot of entry `index`, made if it has none.
    ///
    /// # Errors
    /// The system has no more memory.
    pub fn slot_or_new(&mut self, index: u32) -> Result<usize> {
        if let Some(slot) = self.slot_of(index) {
            return Ok(slot);
        }
        reserve(&mut self.slots, 1)?;
        let slot = self.slots.len();
        self.slots.push(Slot {
            owner: index,
            state: Filling::Empty,
            filler: 0,
            storage: None,
            shown: None,
            recorded: None,
        });
        let entry = self.entry_mut(index);
        entry.flags.set(Flags::SLOT, true);
        if entry.op == Op::Leaf {
            entry.b = slot as u32;
        }
        Ok(slot)
    }

    /// The slot of entry `index`, which has one.
    pub fn own_slot(&self, index: u32) -> usize {
        self.slot_of(index).expect("a slot that was made before")
    }

    pub fn slot(&self, slot: usize) -> &Slot {
        &self.slots[slot]
    }

    pub fn slot_mut(&mut self, slot: usize) -> &mut Slot {
        &mut self.slots[slot]
    }

    /// Leaves the slots that a failed sweep of `level` was filling as they were: empty. Found by search, because user code
    /// may have ended scopes, and their slots with them.
    pub fn abandon_slots(&mut self, level: usize) {
        for slot in &mut self.slots {
            if slot.state == Filling::Partial && slot.filler >= level {
                slot.state = Filling::Empty;
            }
        }
    }

    /// The slot's buffer, in the level of its owner.
    pub fn slot_storage<E: FloatElement>(&mut self, slot: usize) -> Result<Storage> {
        if let Some(storage) = self.slots[slot].storage {
            return Ok(storage);
        }
        let owner = self.slots[slot].owner;
        let (level, numel) = (self.level_of(owner), self.layout(owner).numel());
        // The buffer has no entry yet; `show` names its owner, and until then only the sweep sees it.
        let storage = self.arena.alloc_at::<E>(level, numel, u32::MAX)?.publish();
        self.slots[slot].storage = Some(storage);
        Ok(storage)
    }

    /// The slot of entry `index` and the block with its gradient; `None` before the first backward.
    pub fn gradient_block<E: FloatElement>(&mut self, index: u32) -> Result<Option<(usize, Storage)>> {
        let Some(slot) = self.slot_of(index) else { return Ok(None) };
        if self.slots[slot].state != Filling::Full {
            return Ok(None);
        }
        let storage = self.slot_storage::<E>(slot)?;
        if let Some(recorded) = self.slots[slot].recorded
            && self.check(recorded).is_ok()
        {
            // The tensor that has the history is what the user sees and may have changed in place.
            let value = self.resolve(recorded)?;
            let layout = *self.layout(value);
            lend(self, storage, |out: &mut [E], tape| pack(tape.data(value), layout.shape(), layout.strides(), 0, out));
        }
        Ok(Some((slot, storage)))
    }

    /// Makes the slot's buffer count as written now, for entries that saved the gradient.
    pub fn stamp_slot(&mut self, slot: usize) {
        if let (Some(storage), Some(_)) = (self.slots[slot].storage, self.slots[slot].shown) {
            self.stamp(storage);
        }
    }

    /// The gradient of entry `index` as a tensor that shares the slot's buffer; `None` before the first backward.
    pub fn show_gradient<E: FloatElement>(&mut self, index: u32) -> Result<Option<Handle>> {
        let Some(slot) = self.slot_of(index) else { return Ok(None) };
        if let Some(recorded) = self.slots[slot].recorded
            && self.check(recorded).is_ok()
        {
            return Ok(Some(recorded));
        }
        if self.slots[slot].state != Filling::Full {
            return Ok(None);
        }
        if let Some(shown) = self.slots[slot].shown
            && self.check(shown).is_ok()
        {
            return Ok(Some(shown));
        }
        let storage = self.slot_storage::<E>(slot)?;
        let meta = match self.layout(index).rank() {
            0 => self.rank0()?,
            _ => self.arena.put(Meta::plain(Layout::contiguous(self.layout(index).shape())))?,
        };
        let (scope, value) = (self.scope_id(), Value::<E>::Block(storage));
        let shown = self.push(Entry::new(scope, Op::Leaf, Flags::BUFFER, value, meta))?;
        // Whoever shows the buffer owns it until its scope ends; the stamp starts anew with its index.
        self.arena.set_base(storage, shown);
        self.forget_stamp(storage);
        let handle = self.handle(shown);
        self.slots[slot].shown = Some(handle);
        Ok(Some(handle))
    }

    /// Forgets the slots of entries from `start` on; others may have been made late and stay.
    pub(super) fn forget_slots(&mut self, start: u32) {
        let mut kept = 0;
        for slot in 0..self.slots.len() {
            let owner = self.slots[slot].owner;
            if owner >= start {
                continue;
            }
            self.slots[slot].forget_from(start);
            if kept != slot {
                self.slots.swap(kept, slot);
                if self.entry(owner).op == Op::Leaf {
                    self.entry_mut(owner).b = kept as u32;
                }
            }
            kept += 1;
        }
        self.slots.truncate(kept);
    }
}
