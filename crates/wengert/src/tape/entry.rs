//! One recorded operation.

use super::arena::{Erased, Ref, RefList, Storage};
use crate::element::DType;
use crate::ops::Op;
use crate::shape::Layout;

/// What holds of an entry, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags(u8);

impl Flags {
    /// A derivative flows through this entry.
    pub const GRAD: Self = Self(1);
    /// Operand `a` is a number: `Entry::a` counts in the tape's constants.
    pub const CONST_A: Self = Self(2);
    /// Operand `b`, and `c` if there is one, are numbers: `Entry::b` counts in the tape's constants. With [`Flags::LIST`]: the
    /// last operand was given as a number, and is a leaf of rank 0.
    pub const CONST_B: Self = Self(4);
    /// The operands are in `Meta::operands`.
    pub const LIST: Self = Self(8);
    /// Shares the block of another entry: a view of it, or a version after an in-place write.
    pub const SHARES: Self = Self(16);
    /// An in-place write with a history has replaced this tensor; `Tape::resolve` finds the version that holds now.
    pub const REPLACED: Self = Self(32);
    /// Has a gradient slot: `Entry::b` of a leaf, else by search.
    pub const SLOT: Self = Self(64);

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn set(&mut self, other: Self, on: bool) {
        self.0 = if on { self.0 | other.0 } else { self.0 & !other.0 };
    }
}

impl std::ops::BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One recorded operation: what it was, on which operands, and where its value lies.
///
/// Invariant: refers to entries before itself only, and to memory of its own scope's level or of outer ones.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// The scope activation that recorded it; a handle must name the same one.
    pub scope: u32,
    pub op: Op,
    pub dtype: DType,
    pub flags: Flags,
    pub a: u32,
    pub b: u32,
    pub storage: Storage,
    pub meta: Ref<Meta>,
}
const _: () = assert!(size_of::<Entry>() == 32);

/// The longer part of an entry. Elementwise results share the one of an operand of the same shape.
#[derive(Clone, Copy)]
pub(crate) struct Meta {
    pub layout: Layout,
    pub operands: RefList<u32>,
    pub attrs: Option<Erased>,
}

impl Meta {
    pub fn plain(layout: Layout) -> Self {
        Self { layout, operands: RefList::empty(), attrs: None }
    }
}
