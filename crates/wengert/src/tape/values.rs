//! Values of entries: new ones, of leaves and of operations, and where the elements of recorded ones lie.
//!
//! A number of rank 0 is kept in its entry, and moves to a block when something has to share or to write its memory.

use super::arena::{Payload, Ref, Storage};
use super::{Entry, Flags, Handle, Meta, Tape, Value};
use crate::element::{DType, Element, FloatElement};
use crate::error::Result;
use crate::ops::Op;
use crate::shape::Layout;
use crate::trace;

impl Tape {
    /// Appends a tensor without a history, or fails before anything changed.
    pub fn push_leaf<E: Element>(&mut self, shape: &[usize], fill: impl FnOnce(&mut [E])) -> Result<u32> {
        self.push_leaf_of(shape, |_, out| fill(out))
    }

    /// As [`Self::push_leaf`], of values that are made from those of other entries.
    pub fn push_leaf_of<E: Element>(&mut self, shape: &[usize], fill: impl FnOnce(&Self, &mut [E])) -> Result<u32> {
        let (value, meta) = self.evaluate(&Layout::contiguous(shape), None, |tape, out| {
            fill(tape, out);
            Ok(())
        })?;
        self.push(Entry::new(self.scope_id(), Op::Leaf, Flags::default(), value, meta))
    }

    /// A new value of `layout`, which `fill` writes, and its meta: `meta` if the caller has one, else one without attributes.
    pub fn evaluate<E: Element>(
        &mut self,
        layout: &Layout,
        meta: Option<Ref<Meta>>,
        fill: impl FnOnce(&Self, &mut [E]) -> Result<()>,
    ) -> Result<(Value<E>, Ref<Meta>)> {
        let meta = match meta {
            Some(meta) => meta,
            None if Payload::holds::<E>() && layout.rank() == 0 => self.rank0()?,
            None => self.arena.put(Meta::plain(*layout))?,
        };
        Ok((self.evaluate_as(meta, fill)?, meta))
    }

    /// A new value of the layout in `meta`, which `fill` writes.
    pub fn evaluate_as<E: Element>(
        &mut self,
        meta: Ref<Meta>,
        fill: impl FnOnce(&Self, &mut [E]) -> Result<()>,
    ) -> Result<Value<E>> {
        let layout = &self.arena.get(meta).layout;
        if Payload::holds::<E>() && layout.rank() == 0 {
            let mut number = E::default();
            fill(self, std::slice::from_mut(&mut number))?;
            return Ok(Value::Inline(number));
        }
        let mut fresh = self.arena.alloc::<E>(layout.numel(), self.len())?;
        fill(self, fresh.slice())?;
        Ok(Value::Block(fresh.publish()))
    }

    /// The meta of all values that are kept in their entries.
    pub fn rank0(&mut self) -> Result<Ref<Meta>> {
        match self.rank0 {
            Some(meta) => Ok(meta),
            None => {
                // The thread's outermost level is never reset.
                let meta = self.arena.put_at(0, Meta::plain(Layout::contiguous(&[])))?;
                self.rank0 = Some(meta);
                Ok(meta)
            }
        }
    }

    /// Whether the next entry takes no new memory.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.entries.len() < self.entries.capacity() && self.rank0.is_some()
    }

    /// Appends a number that is kept in its entry, if it [`Self::has_room`]; `None` if there may be something to say about it.
    #[inline]
    pub fn push_number<E: Element>(&mut self, op: Op, flags: Flags, a: u32, b: u32, value: E) -> Option<Handle> {
        if trace::is_on() {
            self.push_number_slow(op, flags, a, b, value)
        } else {
            self.push_number_quick(op, flags, a, b, value)
        }
    }

    /// As [`Self::push_number`], when nothing is to be said about it: the caller has looked at [`trace::is_on`].
    #[inline]
    pub fn push_number_quick<E: Element>(&mut self, op: Op, flags: Flags, a: u32, b: u32, value: E) -> Option<Handle> {
        debug_assert!(self.has_room(), "the caller has looked");
        let (index, scope, meta) = (self.len(), self.scope_id(), self.rank0?);
        // No reference to the entry may be taken here: it goes to the list from registers, and half as fast from the stack.
        self.entries.push(Entry::new(scope, op, flags, Value::Inline(value), meta).on(a, b));
        Some(Handle { scope, index })
    }

    #[cold]
    fn push_number_slow<E: Element>(&mut self, op: Op, flags: Flags, a: u32, b: u32, value: E) -> Option<Handle> {
        let (scope, meta) = (self.scope_id(), self.rank0?);
        let index = self.push(Entry::new(scope, op, flags, Value::Inline(value), meta).on(a, b)).ok()?;
        Some(Handle { scope, index })
    }

    /// Appends a leaf of rank 0.
    #[inline]
    pub fn push_scalar<E: Element>(&mut self, value: E) -> Result<Handle> {
        if let Some(handle) = self.push_scalar_quick(value) {
            return Ok(handle);
        }
        let index = self.push_leaf(&[], |out| out[0] = value)?;
        Ok(self.handle(index))
    }

    /// As [`Self::push_scalar`]; `None` if that takes new memory, or the line has to be noted.
    #[inline]
    pub fn push_scalar_quick<E: Element>(&mut self, value: E) -> Option<Handle> {
        if !Payload::holds::<E>() || !self.has_room() || trace::is_on() {
            return None;
        }
        self.push_number_quick(Op::Leaf, Flags::default(), 0, 0, value)
    }

    /// As [`Self::push_scalar`], of a float type that is known at run time.
    #[inline]
    pub fn push_float(&mut self, dtype: DType, value: f64) -> Result<Handle> {
        if dtype == DType::F32 { self.push_scalar(value as f32) } else { self.push_scalar(value) }
    }

    /// The numbers among the entries below `end`.
    #[inline]
    pub fn numbers(&self, end: u32) -> Numbers<'_> {
        Numbers { entries: &self.entries[..end as usize], constants: &self.constants }
    }

    /// The elements of entry `index`'s block, from its first element on.
    #[inline]
    pub fn data<E: Element>(&self, index: u32) -> &[E] {
        let entry = self.entry(index);
        match entry.inline() {
            Some(number) => number,
            None => &self.elements(entry)[self.layout(index).offset()..],
        }
    }

    /// All elements of the block that the entry's value lies in, or the value that is kept in it.
    pub fn elements<'a, E: Element>(&'a self, entry: &'a Entry) -> &'a [E] {
        match (entry.inline(), entry.block()) {
            (Some(number), _) => number,
            (None, Some(storage)) => self.arena.read(storage),
            (None, None) => unreachable!("a value is computed before it is read"),
        }
    }

    /// The block of entry `index`; a value that was kept in the entry moves to one.
    pub fn block(&mut self, index: u32) -> Result<Storage> {
        self.compute(index)?;
        let entry = *self.entry(index);
        match (entry.block(), entry.dtype()) {
            (Some(storage), _) => Ok(storage),
            (None, DType::F32) => self.move_out::<f32>(index, &entry),
            (None, DType::F64) => self.move_out::<f64>(index, &entry),
            (None, DType::I64) => self.move_out::<i64>(index, &entry),
            (None, DType::Bool) => unreachable!("masks lie in blocks"),
        }
    }

    #[cold]
    fn move_out<E: Element>(&mut self, index: u32, entry: &Entry) -> Result<Storage> {
        let mut fresh = self.arena.alloc_at::<E>(self.level_of(index), 1, index)?;
        fresh.slice().copy_from_slice(entry.inline().expect("an inline value"));
        let storage = fresh.publish();
        self.entry_mut(index).settle(storage);
        Ok(storage)
    }

    /// The entry that owns the memory of entry `index`.
    pub fn base(&self, index: u32) -> u32 {
        self.entry(index).block().map_or(index, |storage| self.arena.base(storage))
    }
}

/// The numbers among the first entries of the tape, as a sweep over them reads them.
pub(crate) struct Numbers<'a> {
    pub entries: &'a [Entry],
    constants: &'a [f64],
}

impl Numbers<'_> {
    /// The value of an operand, and whether it needs a gradient; `None` if it is no number of type `E` that is kept in its
    /// entry. The place is that of a constant, or of an entry.
    #[inline(always)]
    pub fn operand<E: FloatElement>(&self, place: u32, constant: bool) -> Option<(E, bool)> {
        if constant {
            return Some((E::of(self.constants[place as usize]), false));
        }
        let entry = &self.entries[place as usize];
        if entry.is_number::<E>() { Some((entry.number(), entry.flags.has(Flags::GRAD))) } else { None }
    }
}
