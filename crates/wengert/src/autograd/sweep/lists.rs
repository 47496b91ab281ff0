//! What a sweep writes to, kept by the thread for the next one.

use std::cell::Cell;

use crate::element::DType;
use crate::tape::Handle;
use crate::tape::arena::Storage;

/// The adjoint of one entry.
#[derive(Clone, Copy)]
pub(in crate::autograd) enum Adjoint {
    None,
    /// Of an entry of rank 0, in the precision of the entry's type.
    Number(f64),
    /// The same number for every element, in a plain sweep.
    Uniform(f64),
    Block(Storage),
    Tensor(Handle),
}

/// The lists of a sweep. Each thread keeps them for its next one, so that in a steady state nothing is allocated.
#[derive(Default)]
pub(super) struct Lists {
    /// By entry; all `None` between sweeps.
    pub adjoints: Vec<Adjoint>,
    /// Owners of the slots that this sweep stores into. (Slots move when others are forgotten, as after code of the user's.)
    pub filling: Vec<u32>,
    /// What is added to other slots at the end, with their owners.
    pub shares: Vec<(u32, Adjoint)>,
    /// Blocks that are free again, with their type and number of elements.
    pub free: Vec<(DType, usize, Storage)>,
}

impl Lists {
    /// Notes that a block is free again; without memory for the note, it is free when the sweep ends.
    pub fn free(&mut self, dtype: DType, numel: usize, block: Storage) {
        if self.free.try_reserve(1).is_ok() {
            self.free.push((dtype, numel, block));
        }
    }
}

thread_local! {
    pub(super) static LISTS: Cell<Lists> = Cell::default();
}

/// Gives the memory that sweeps keep back to the system.
pub(crate) fn trim() {
    LISTS.take();
}
