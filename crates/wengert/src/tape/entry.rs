//! One recorded operation.

use super::arena::{Erased, Payload, Ref, RefList, Storage};
use crate::element::{DType, Element};
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
    /// Shows the buffer of a gradient slot, which sweeps write to.
    pub const BUFFER: Self = Self(128);

    #[inline]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[inline]
    pub fn set(&mut self, other: Self, on: bool) {
        self.0 = if on { self.0 | other.0 } else { self.0 & !other.0 };
    }
}

impl std::ops::BitOr for Flags {
    type Output = Self;
    #[inline]
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
    form: Form,
    pub flags: Flags,
    pub a: u32,
    pub b: u32,
    /// Of the kind that the form says; set together with it.
    payload: Payload,
    pub meta: Ref<Meta>,
}
const _: () = assert!(size_of::<Entry>() == 32);

/// The type of an entry's elements, and whether its value is kept inline, or not there yet.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Form(u8);

impl Form {
    const INLINE: u8 = 128;
    const DEFERRED: u8 = 64;

    const fn block<E: Element>() -> Self {
        Self(E::DTYPE as u8)
    }

    const fn inline<E: Element>() -> Self {
        Self(E::DTYPE as u8 | Self::INLINE)
    }

    const fn deferred<E: Element>() -> Self {
        Self(E::DTYPE as u8 | Self::DEFERRED)
    }
}

/// Where a value that is about to be recorded lies.
#[derive(Clone, Copy)]
pub(crate) enum Value<E> {
    Block(Storage),
    /// A number of rank 0.
    Inline(E),
    /// Nowhere yet: `Tape::resolve` computes it when it is asked for.
    Deferred,
}

impl Entry {
    /// An entry without operands.
    #[inline]
    pub fn new<E: Element>(scope: u32, op: Op, flags: Flags, value: Value<E>, meta: Ref<Meta>) -> Self {
        let (payload, form) = match value {
            Value::Block(storage) => (Payload::block(storage), Form::block::<E>()),
            Value::Inline(number) => (Payload::inline(number), Form::inline::<E>()),
            Value::Deferred => (Payload::empty(), Form::deferred::<E>()),
        };
        Self { scope, op, form, flags, a: 0, b: 0, payload, meta }
    }

    /// The entry with these operands.
    #[inline]
    pub fn on(self, a: u32, b: u32) -> Self {
        Self { a, b, ..self }
    }

    /// The type of the elements.
    #[inline]
    pub fn dtype(&self) -> DType {
        const TYPES: [DType; 4] = [DType::F32, DType::F64, DType::I64, DType::Bool];
        const _: () = assert!(TYPES[DType::I64 as usize] as u8 == DType::I64 as u8 && DType::Bool as u8 == 3);
        TYPES[(self.form.0 & 3) as usize]
    }

    /// Whether the value is kept inline and of type `E`.
    #[inline]
    pub fn is_number<E: Element>(&self) -> bool {
        self.form == Form::inline::<E>()
    }

    #[inline]
    pub fn is_inline(&self) -> bool {
        self.form.0 & Form::INLINE != 0
    }

    /// Whether the value is not computed yet.
    #[inline]
    pub fn is_deferred(&self) -> bool {
        self.form.0 & Form::DEFERRED != 0
    }

    /// The block that holds the value, unless it is inline or deferred.
    #[inline]
    pub fn block(&self) -> Option<Storage> {
        if self.form.0 & (Form::INLINE | Form::DEFERRED) != 0 { None } else { Some(self.payload.storage()) }
    }

    /// The value that is kept inline, as a slice of one element; `None` if it lies in a block.
    ///
    /// # Panics
    /// If it is of another type.
    #[inline]
    pub fn inline<E: Element>(&self) -> Option<&[E]> {
        if self.form == Form::inline::<E>() {
            return Some(self.payload.slice());
        }
        assert!(self.dtype() == E::DTYPE, "a handle carries the type of its entry");
        None
    }

    /// The value of an entry that [`Self::is_number`].
    #[inline]
    pub fn number<E: Element>(&self) -> E {
        debug_assert!(self.is_number::<E>(), "a number in its entry");
        self.payload.slice()[0]
    }

    /// Makes the value a number that is kept here.
    pub fn settle_number<E: Element>(&mut self, number: E) {
        self.form = Form::inline::<E>();
        self.payload = Payload::inline(number);
    }

    /// Makes the value lie in the block.
    pub fn settle(&mut self, storage: Storage) {
        self.form.0 &= !(Form::INLINE | Form::DEFERRED);
        self.payload = Payload::block(storage);
    }
}

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
