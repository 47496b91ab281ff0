//! In-place writes: which values an entry saw, and which version of a tensor a handle means now.
//!
//! A block carries the tape's length at its last write. An entry recorded earlier saw other values, so a sweep that needs them is
//! refused. A write that has a history appends a *version* of the tensor, which shares its block; from then on, handles of
//! the tensor mean that version, and handles of its views are recorded anew from it.

use super::arena::Storage;
use super::{Flags, Handle, Tape};
use crate::error::{Result, error, no_memory, reserve};

/// The entry that holds for a replaced one, and the version of the base that it was derived from.
#[derive(Clone, Copy)]
pub(super) struct Version {
    entry: u32,
    of: u32,
}

impl Tape {
    /// The entry that a handle means now. Its value may be deferred; `resolve` computes it.
    ///
    /// # Errors
    /// The handle is stale.
    #[inline]
    pub fn locate(&mut self, handle: Handle) -> Result<u32> {
        let index = self.check(handle)?;
        if self.versions.is_empty() || !self.entry(index).flags.has(Flags::SHARES | Flags::REPLACED) {
            return Ok(index);
        }
        self.resolve_slow(index)
    }

    #[cold]
    fn resolve_slow(&mut self, index: u32) -> Result<u32> {
        let base = self.base(index);
        let Some(&Version { entry: latest, .. }) = self.versions.get(&base) else { return Ok(index) };
        if index == base || index >= latest {
            return Ok(index.max(latest));
        }
        match self.versions.get(&index) {
            Some(version) if version.of == latest => Ok(version.entry),
            _ => {
                let entry = self.derive_again(index, latest)?;
                self.versions.insert(index, Version { entry, of: latest });
                Ok(entry)
            }
        }
    }

    /// Records the view `index` anew from what its source means now.
    fn derive_again(&mut self, index: u32, latest: u32) -> Result<u32> {
        let entry = *self.entry(index);
        if entry.op.is_version() {
            return Ok(latest);
        }
        let source = self.resolve_slow(entry.a)?;
        let mut again = entry;
        again.a = source;
        again.scope = self.scope_id();
        again.flags.set(Flags::GRAD, self.entry(source).flags.has(Flags::GRAD));
        again.flags.set(Flags::SLOT, false);
        self.push(again)
    }

    /// Makes room to note one more write, so that [`Self::stamp`] and [`Self::replace`] can't fail.
    ///
    /// # Errors
    /// The system has no more memory.
    pub fn reserve_write(&mut self) -> Result<()> {
        reserve(&mut self.written, 1)?;
        self.versions.try_reserve(1).map_err(|_| no_memory(size_of::<Version>()))
    }

    /// Makes handles of `base` mean the version `latest`.
    pub fn replace(&mut self, base: u32, latest: u32) {
        self.entry_mut(base).flags.set(Flags::REPLACED, true);
        self.versions.insert(base, Version { entry: latest, of: latest });
    }

    /// Whether entry `index` lies in the innermost scope.
    pub fn is_innermost(&self, index: u32) -> bool {
        index >= self.frames.last().expect("the root scope never ends").entries
    }

    /// Notes that the block is written now.
    pub fn stamp(&mut self, storage: Storage) {
        if self.arena.stamp(storage) == 0 {
            self.written.push(storage);
        }
        self.arena.set_stamp(storage, self.len());
        self.last_write = self.last_write.max(self.len());
    }

    /// Whether the value of entry `index` is still what the entry `reader` saw when it was recorded.
    ///
    /// # Errors
    /// It was overwritten in between.
    pub fn check_unchanged(&self, index: u32, reader: u32) -> Result<()> {
        // What is kept in an entry is never written to.
        if self.last_write <= reader
            || self.entry(index).block().is_none_or(|storage| self.arena.stamp(storage) <= reader)
        {
            return Ok(());
        }
        Err(error!(
            InPlace,
            "backward: `{}` needs the value of a tensor of shape {:?} that was overwritten in place after it was used; \
             write to a copy, or use the out-of-place form",
            self.name(self.entry(reader)),
            self.layout(index).shape()
        ))
    }

    pub(super) fn forget_stamp(&mut self, storage: Storage) {
        if self.arena.stamp(storage) != 0 {
            self.arena.set_stamp(storage, 0);
            self.written.retain(|&other| other != storage);
        }
    }

    /// Forgets the writes to blocks of entries from `start` on, and lowers the stamps of the others to `start`: what is
    /// recorded from there on will have seen them.
    pub(super) fn forget_writes(&mut self, start: u32) {
        if self.last_write > start {
            let arena = &self.arena;
            self.written.retain(|&storage| {
                arena.set_stamp(storage, arena.stamp(storage).min(start));
                arena.base(storage) < start
            });
            self.last_write = start;
        }
        if !self.versions.is_empty() {
            self.versions.retain(|&index, version| index < start && version.entry < start);
        }
    }
}
