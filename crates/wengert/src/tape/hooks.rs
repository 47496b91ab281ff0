//! Functions of users that wait for the gradient of an entry: a list beside the entries, empty in most programs.

use std::any::Any;
use std::rc::Rc;

use smallvec::SmallVec;

use super::{Flags, Handle, Tape};
use crate::error::{Result, reserve};
use crate::ops::Op;

/// When a hook runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum When {
    /// When the gradient is complete, before it is kept or goes on.
    Complete,
    /// When it has been added to that of a leaf.
    Accumulated,
}

struct Attached {
    owner: u32,
    id: u32,
    when: When,
    /// A boxed function of the type of the entry's elements.
    run: Rc<dyn Any>,
}

/// The hooks of all entries, in the order in which they were attached.
#[derive(Default)]
pub(super) struct Hooks {
    attached: Vec<Attached>,
    /// Past the last entry that has one.
    end: u32,
    next_id: u32,
}

impl Tape {
    /// Attaches a hook to entry `index`, which has no other way to be found than its flag; the hook's number.
    pub fn attach(&mut self, index: u32, when: When, run: Rc<dyn Any>) -> Result<u32> {
        if self.entry(index).op == Op::Leaf {
            // The flag says that a leaf has a slot.
            self.slot_or_new(index)?;
        }
        reserve(&mut self.hooks.attached, 1)?;
        self.entry_mut(index).flags.set(Flags::SLOT, true);
        let hooks = &mut self.hooks;
        hooks.next_id += 1;
        hooks.end = hooks.end.max(index + 1);
        hooks.attached.push(Attached { owner: index, id: hooks.next_id, when, run });
        Ok(hooks.next_id)
    }

    /// Takes the hook `id` away from the tensor that `owner` names; `None` if it is gone already.
    pub fn detach(&mut self, owner: Handle, id: u32) -> Option<Rc<dyn Any>> {
        let index = self.check(owner).ok()?;
        let place = self.hooks.attached.iter().position(|hook| (hook.owner, hook.id) == (index, id))?;
        Some(self.hooks.attached.remove(place).run)
    }

    /// Whether entry `index` has a hook.
    #[inline]
    pub fn has_hooks(&self, index: u32, when: When) -> bool {
        index < self.hooks.end && self.hooks.attached.iter().any(|hook| (hook.owner, hook.when) == (index, when))
    }

    /// Whether an entry from `start` on has a hook.
    pub fn has_hooks_from(&self, start: u32) -> bool {
        self.hooks.end > start
    }

    /// How many hooks entry `index` has.
    pub fn hook_count(&self, index: u32) -> usize {
        self.hooks.attached.iter().filter(|hook| hook.owner == index).count()
    }

    /// The hooks of entry `index`.
    pub fn hooks(&self, index: u32, when: When) -> SmallVec<[Rc<dyn Any>; 2]> {
        let mine = self.hooks.attached.iter().filter(|hook| (hook.owner, hook.when) == (index, when));
        mine.map(|hook| Rc::clone(&hook.run)).collect()
    }

    /// Forgets the hooks of entries from `start` on.
    #[inline]
    pub(super) fn forget_hooks(&mut self, start: u32) {
        if self.hooks.end > start {
            self.forget_hooks_slow(start);
        }
    }

    #[cold]
    fn forget_hooks_slow(&mut self, start: u32) {
        let forgotten = &mut self.forgotten;
        self.hooks.attached.retain(|hook| {
            if hook.owner >= start {
                forgotten.push(Rc::clone(&hook.run));
            }
            hook.owner < start
        });
        self.hooks.end = self.hooks.attached.iter().map(|hook| hook.owner + 1).max().unwrap_or(0);
    }
}
