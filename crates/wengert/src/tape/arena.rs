//! Memory of the tape: one stack of bump-allocated levels, one level per scope, each of two regions.
//!
//! ```text
//!          blocks of elements                           shapes, attributes, lists
//! level 0  [ slab ........................ ]            [ slab ... ]      the thread's outermost scope
//! level 1  [ slab ...... ][ slab .......... ]           [ slab ]          a scope inside; its slabs become one when it ends
//! level 2  [ slab ]                                     [ slab ]          ...
//!                  ^ next
//!
//! a block:  .. | size stamp base | data ........ | ..    the header lies in the 16 bytes before the data
//! ```
//!
//! This is one of the two homes of `unsafe` (the other is the kernels crate); `docs/safety.md` goes through its blocks one by
//! one. What it relies on:
//!
//! * *Initialised.* Every byte of a slab for blocks is written when the slab is made, and only headers and elements are written
//!   there, which have no padding. So a fresh block may be lent as `&mut [E]` without clearing: stale bytes are a valid `f32`,
//!   `f64` or `i64`. Blocks of `bool` are cleared. Values with padding live in slabs of their own.
//! * *Typed.* A header carries the type of its block's elements, and every access compares it.
//! * *Disjoint.* Blocks never overlap: a region hands out increasing addresses until it is reset, or until `scratch` takes
//!   back the block that it lent.
//! * *Private until published.* [`Fresh`] lends the only reference to a new block; a [`Storage`] exists after it is gone.
//! * *Alive.* A `Storage` or `Ref` is used only through an entry of the tape, and entries go before their level is reset
//!   ([`super::Tape`]'s `rewind` and `restart` are the only callers of [`Arena::leave`] and [`Arena::clear`]). When a scope's
//!   entries become its parent's ([`super::Tape`]'s `merge`, the only caller of [`Arena::join`]), its level moves into the
//!   parent's and is reset with that. Debug builds check that the address lies in a level in use.

use std::alloc::Layout as MemoryLayout;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ptr::NonNull;

use bumpalo::Bump;
use smallvec::SmallVec;

use super::Tape;
use crate::element::{DType, Element};
use crate::error::{Result, error, no_memory, reserve, reserve_small};

mod payload;
mod values;

pub(crate) use self::payload::Payload;
pub(crate) use self::values::{Erased, Ref, RefList};

/// Data of large blocks starts at a multiple of this many bytes: a cache line, and the widest SIMD register.
const ALIGN: usize = 64;
/// The size of the first slab for blocks, and for other values.
const FIRST_BLOCKS: usize = 16 << 10;
const FIRST_VALUES: usize = 4 << 10;
/// The same for levels that take the place of one that was adopted: there may be thousands.
const FIRST_SMALL: usize = 1 << 10;
/// Bytes that are written ahead of use.
const AHEAD: usize = 4 << 10;
/// Slabs double up to this size; larger ones are made to measure.
const MAX_DOUBLING: usize = 16 << 20;

/// What is known of a block, in the 16 bytes before its data.
#[repr(C)]
struct Header {
    /// Bytes of the data; the type of its elements in the topmost byte.
    size: Cell<u64>,
    /// The tape's length at the last in-place write; an entry recorded earlier saw other values.
    stamp: Cell<u32>,
    /// The entry that owns the block; views and versions share it.
    base: Cell<u32>,
}
const HEADER: usize = size_of::<Header>();
const _: () = assert!(HEADER == 16 && align_of::<Header>() <= HEADER);
/// Where the type begins in [`Header::size`].
const TYPE_SHIFT: u32 = 56;
/// In place of the size of a block that is lent: no type.
const LENT: u64 = u64::MAX;

/// A block of elements in the arena.
///
/// Invariant: points at the data of a block whose header lies before it, made by this module.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Storage(NonNull<u8>);

/// A block that nobody else can see yet.
pub(crate) struct Fresh<'a, E> {
    data: NonNull<u8>,
    len: usize,
    lent: PhantomData<&'a mut [E]>,
}

impl<E: Element> Fresh<'_, E> {
    /// The elements, with arbitrary values.
    pub fn slice(&mut self) -> &mut [E] {
        // SAFETY: `alloc` made `len` initialised elements of `E` at `data`, aligned, and `self` is the only way to them.
        unsafe { std::slice::from_raw_parts_mut(self.data.cast().as_ptr(), self.len) }
    }

    /// Ends the exclusive access.
    pub fn publish(self) -> Storage {
        Storage(self.data)
    }
}

/// Memory that is handed out at increasing addresses.
struct Region {
    bump: Bump,
    /// The current slab: next free byte and end.
    next: Cell<NonNull<u8>>,
    end: Cell<NonNull<u8>>,
    /// Up to where the current slab was written; its end where that does not matter.
    written: Cell<NonNull<u8>>,
    /// All slabs, the current one last: start and length.
    slabs: RefCell<Vec<(NonNull<u8>, usize)>>,
    /// Bytes of all slabs.
    reserved: Cell<usize>,
    first: usize,
    /// Whether all bytes are written before they are handed out.
    initialised: bool,
}

impl Region {
    fn new(first: usize, initialised: bool) -> Self {
        let nowhere = NonNull::<u64>::dangling().cast();
        Self {
            bump: Bump::new(),
            next: Cell::new(nowhere),
            end: Cell::new(nowhere),
            written: Cell::new(nowhere),
            slabs: RefCell::new(Vec::new()),
            reserved: Cell::new(0),
            first,
            initialised,
        }
    }

    /// Bytes that are free without another slab.
    fn free(&self) -> usize {
        self.end.get().addr().get() - self.next.get().addr().get()
    }

    /// Bytes handed out, headers, padding and the unused ends of slabs included.
    fn used(&self) -> usize {
        self.reserved.get() - self.free()
    }

    /// The first address at or after the free byte plus `header` that is a multiple of `align`, if `bytes` fit there.
    #[inline]
    fn take(&self, header: usize, bytes: usize, align: usize) -> Option<NonNull<u8>> {
        let next = self.next.get();
        let from = next.addr().get();
        // No slab ends within `header + align` of the last address, so this does not overflow.
        let skip = (from + header).next_multiple_of(align) - from;
        let needed = skip.checked_add(bytes)?;
        if needed > self.free() {
            return None;
        }
        // SAFETY: `next .. end` is the free rest of one slab, or empty, and `skip <= needed` is not larger than it.
        let data = unsafe { next.add(skip) };
        // SAFETY: as above for `needed`.
        let end = unsafe { next.add(needed) };
        if end > self.written.get() {
            self.write_slow(end);
        }
        self.next.set(end);
        Some(data)
    }

    /// Writes the current slab up to `to`, and some more, so that small blocks seldom come here. Not all of it: what is never handed out
    /// takes no memory of the system's.
    #[cold]
    fn write_slow(&self, to: NonNull<u8>) {
        let from = self.written.get();
        let size = (to.addr().get() + AHEAD).min(self.end.get().addr().get()) - from.addr().get();
        // SAFETY: `from` lies in the current slab or at its end, which is `size` bytes away or more.
        unsafe { from.write_bytes(0, size) };
        // SAFETY: as above.
        self.written.set(unsafe { from.add(size) });
    }

    /// Starts a slab with room for `bytes`, twice as large as what is there if `room` allows.
    ///
    /// # Errors
    /// The system has no more memory.
    #[cold]
    fn grow(&self, bytes: usize, room: usize) -> Result<()> {
        let wished = self.reserved.get().clamp(self.first, MAX_DOUBLING).min(room) / ALIGN * ALIGN;
        let layout = bytes
            .max(wished)
            .checked_next_multiple_of(ALIGN)
            .and_then(|size| MemoryLayout::from_size_align(size, ALIGN).ok());
        let layout =
            layout.ok_or_else(|| error!(Memory, "the tape: a block of {bytes} bytes is larger than memory"))?;
        let size = layout.size();
        reserve(&mut self.slabs.borrow_mut(), 1)?;
        let slab = self.bump.try_alloc_layout(layout).map_err(|_| no_memory(size))?;
        self.slabs.borrow_mut().push((slab, size));
        self.reserved.set(self.reserved.get() + size);
        self.next.set(slab);
        // SAFETY: one past the end of the allocation of `size` bytes that bumpalo just gave us.
        self.end.set(unsafe { slab.add(size) });
        self.written.set(if self.initialised { slab } else { self.end.get() });
        Ok(())
    }

    /// Forgets everything. Several slabs are merged into one of their common size, so that the next round fits into it.
    fn reset(&mut self) {
        let slabs = self.slabs.get_mut();
        match slabs[..] {
            [] => {}
            [(start, _)] => self.next.set(start),
            _ => {
                let size = self.reserved.get();
                *self = Self::new(self.first, self.initialised);
                // A region that can't be merged starts small again; the next block that does not fit reports it.
                let _ = self.grow(size, size);
            }
        }
    }

    /// Whether `place` lies in what was handed out.
    fn contains(&self, place: NonNull<u8>) -> bool {
        let (place, next) = (place.addr(), self.next.get().addr());
        self.slabs.borrow().iter().rev().enumerate().any(|(age, &(start, size))| {
            let end = if age == 0 { next.get() } else { start.addr().get() + size };
            // The data of an empty block may begin at the end.
            start.addr() <= place && place.get() <= end
        })
    }
}

/// The memory of one scope.
struct Level {
    blocks: Region,
    values: Region,
    /// Levels of scopes inside, which ended and left their blocks to this one. Nothing is taken from them any more.
    adopted: Vec<Level>,
}

impl Level {
    fn new() -> Self {
        Self::starting_with(FIRST_BLOCKS, FIRST_VALUES)
    }

    fn starting_with(blocks: usize, values: usize) -> Self {
        Self { blocks: Region::new(blocks, true), values: Region::new(values, false), adopted: Vec::new() }
    }

    fn reset(&mut self) {
        self.blocks.reset();
        self.values.reset();
    }

    fn used(&self) -> usize {
        self.blocks.used() + self.values.used()
    }

    fn reserved(&self) -> usize {
        self.blocks.reserved.get() + self.values.reserved.get()
    }

    /// Whether one of the regions that `of` gives, its own or an adopted level's, contains `place`.
    fn contains(&self, of: fn(&Self) -> &Region, place: NonNull<u8>) -> bool {
        of(self).contains(place) || self.adopted.iter().any(|level| level.contains(of, place))
    }
}

#[derive(Clone, Copy, Default)]
struct Aside {
    reserved: usize,
    used: usize,
}

/// The levels, of which `depth + 1` are in use.
pub(crate) struct Arena {
    levels: Vec<Level>,
    depth: usize,
    /// Levels that were adopted in an earlier round, kept for the next ones.
    spare: Vec<Level>,
    /// Bytes that spare and adopted levels reserve, and that adopted ones hold in blocks and values.
    aside: Aside,
    /// How many levels at the end are in use, but out of reach.
    suspended: usize,
    /// The most bytes to reserve.
    pub budget: usize,
    /// Bytes that the tape has reserved elsewhere, which count too.
    pub besides: usize,
}

impl Arena {
    pub fn new() -> Self {
        let (spare, aside) = (Vec::new(), Aside::default());
        Self { levels: vec![Level::new()], depth: 0, suspended: 0, spare, aside, budget: usize::MAX, besides: 0 }
    }

    /// The level that new blocks come from.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Starts a level.
    ///
    /// # Errors
    /// The system has no memory for another one.
    pub fn enter(&mut self) -> Result<()> {
        let reachable = self.levels.len() - self.suspended;
        if self.depth + 1 == reachable {
            reserve(&mut self.levels, 1)?;
            self.levels.insert(reachable, Level::new());
        }
        self.depth += 1;
        Ok(())
    }

    /// Ends the current level: its blocks are gone, its memory is kept for the next round.
    pub fn leave(&mut self) {
        assert!(self.depth > 0, "the outermost level stays");
        self.clear();
        self.depth -= 1;
    }

    /// Ends the current level and keeps its blocks: the level below adopts them.
    ///
    /// # Errors
    /// The system has no memory to note it; nothing has changed then.
    pub fn join(&mut self) -> Result<()> {
        assert!(self.depth > 0, "the outermost level stays");
        reserve(&mut self.levels[self.depth - 1].adopted, 1)?;
        let fresh = match self.spare.pop() {
            Some(level) => {
                self.aside.reserved -= level.reserved();
                level
            }
            None => Level::starting_with(FIRST_SMALL, FIRST_SMALL),
        };
        let level = std::mem::replace(&mut self.levels[self.depth], fresh);
        self.depth -= 1;
        self.aside.reserved += level.reserved();
        self.aside.used += level.used();
        self.levels[self.depth].adopted.push(level);
        Ok(())
    }

    /// Puts the `count` innermost levels out of reach, with their blocks: the level below them is the current one.
    pub fn suspend(&mut self, count: usize) {
        let reachable = self.levels.len() - self.suspended;
        self.depth -= count;
        self.levels[self.depth + 1..reachable].rotate_left(count);
        self.suspended += count;
    }

    /// Makes the `count` levels that were suspended last the innermost ones again.
    pub fn resume(&mut self, count: usize) {
        self.suspended -= count;
        let reachable = self.levels.len() - self.suspended;
        self.levels[self.depth + 1..reachable].rotate_right(count);
        self.depth += count;
    }

    /// Ends the `count` levels that were suspended last.
    pub fn abandon(&mut self, count: usize) {
        let reachable = self.levels.len() - self.suspended;
        self.suspended -= count;
        self.levels[reachable..][..count].iter_mut().for_each(Level::reset);
    }

    /// Forgets the blocks of the current level and stays in it.
    pub fn clear(&mut self) {
        let level = &mut self.levels[self.depth];
        level.reset();
        if !level.adopted.is_empty() {
            self.clear_adopted_slow();
        }
    }

    /// Makes the levels that the current one adopted spare, so that the first is the next to be used: rounds that do the same
    /// find levels of the size that they need.
    #[cold]
    fn clear_adopted_slow(&mut self) {
        let mut adopted = std::mem::take(&mut self.levels[self.depth].adopted);
        while let Some(mut level) = adopted.pop() {
            self.aside.reserved -= level.reserved();
            self.aside.used -= level.used();
            // Without memory for the lists, what would be on them is taken apart here, and goes back to the system.
            if adopted.try_reserve(level.adopted.len()).is_ok() {
                adopted.append(&mut level.adopted);
            } else {
                level.adopted.drain(..).for_each(|level| self.forget(&level));
            }
            level.reset();
            if self.spare.try_reserve(1).is_ok() {
                self.aside.reserved += level.reserved();
                self.spare.push(level);
            }
        }
        // Its room is for the next round.
        self.levels[self.depth].adopted = adopted;
    }

    /// Counts an adopted level and those that it adopted no more.
    fn forget(&mut self, level: &Level) {
        self.aside.reserved -= level.reserved();
        self.aside.used -= level.used();
        level.adopted.iter().for_each(|level| self.forget(level));
    }

    /// Bytes in blocks, of all levels in use.
    pub fn used(&self) -> usize {
        self.aside.used + self.levels[..=self.depth].iter().map(Level::used).sum::<usize>()
    }

    /// Bytes taken from the system.
    pub fn reserved(&self) -> usize {
        self.besides + self.aside.reserved + self.levels.iter().map(Level::reserved).sum::<usize>()
    }

    /// Gives the memory of levels that are not in use back to the system.
    pub fn trim(&mut self) {
        let reachable = self.levels.len() - self.suspended;
        self.levels.drain(self.depth + 1..reachable);
        for level in std::mem::take(&mut self.spare) {
            self.aside.reserved -= level.reserved();
        }
    }

    /// Room for `bytes` at a multiple of `align`, and `header` bytes before it.
    #[inline]
    fn take(&self, region: &Region, header: usize, bytes: usize, align: usize) -> Result<NonNull<u8>> {
        match region.take(header, bytes, align) {
            Some(data) => Ok(data),
            None => self.take_slow(region, header, bytes, align),
        }
    }

    #[cold]
    fn take_slow(&self, region: &Region, header: usize, bytes: usize, align: usize) -> Result<NonNull<u8>> {
        let needed = bytes
            .checked_add(header + align)
            .and_then(|needed| needed.checked_next_multiple_of(ALIGN))
            .ok_or_else(|| error!(Memory, "the tape: a block of {bytes} bytes is larger than memory"))?;
        region.grow(needed, self.room(needed)?)?;
        Ok(region.take(header, bytes, align).expect("a slab made for this block"))
    }

    /// How many bytes can be reserved, `needed` at least.
    ///
    /// # Errors
    /// The budget has fewer left.
    pub fn room(&self, needed: usize) -> Result<usize> {
        let reserved = self.reserved();
        let room = self.budget.saturating_sub(reserved);
        if needed <= room {
            return Ok(room);
        }
        Err(error!(
            Memory,
            "the tape: {needed} bytes more would exceed its budget of {} ({reserved} are reserved); wrap the step in `scope` so \
             that its memory is reused",
            self.budget
        ))
    }

    /// A block of `len` elements in the current level, owned by entry `base`.
    #[inline]
    pub fn alloc<E: Element>(&self, len: usize, base: u32) -> Result<Fresh<'_, E>> {
        self.alloc_at(self.depth, len, base)
    }

    /// A block of `len` elements in `level`.
    #[inline]
    pub fn alloc_at<E: Element>(&self, level: usize, len: usize, base: u32) -> Result<Fresh<'_, E>> {
        let bytes = len.checked_mul(size_of::<E>()).filter(|&bytes| bytes as u64 >> TYPE_SHIFT == 0);
        let bytes = bytes.ok_or_else(|| error!(Memory, "the tape: a block of {len} elements is larger than memory"))?;
        let align = if bytes >= 4 * ALIGN { ALIGN } else { HEADER };
        let data = self.take(&self.levels[level].blocks, HEADER, bytes, align)?;
        let size = Cell::new(tag::<E>(bytes));
        // SAFETY: `take` reserved `HEADER` bytes before `data`, which is aligned for a header.
        unsafe { data.sub(HEADER).cast().write(Header { size, stamp: Cell::new(0), base: Cell::new(base) }) };
        if E::DTYPE == DType::Bool {
            // SAFETY: the block's `bytes` bytes are ours.
            unsafe { data.write_bytes(0, bytes) };
        }
        Ok(Fresh { data, len, lent: PhantomData })
    }

    #[inline]
    fn header(&self, storage: Storage) -> &Header {
        debug_assert!(
            self.levels[..=self.depth].iter().rev().any(|level| level.contains(|level| &level.blocks, storage.0)),
            "a block of a scope that has ended"
        );
        // SAFETY: *Alive*; the header was written by `alloc_at` and changes through cells only.
        unsafe { storage.0.sub(HEADER).cast().as_ref() }
    }

    /// The elements of a block.
    ///
    /// # Panics
    /// If they are of another type, or lent to be written.
    #[inline]
    pub fn read<E: Element>(&self, storage: Storage) -> &[E] {
        let len = len_of::<E>(self.header(storage).size.get());
        // SAFETY: *Alive*, *Initialised* and *Typed*; writing needs the exclusive access of a `Fresh`, which is gone before its
        // `Storage` is made, or of `lend`, which makes `len_of` panic.
        unsafe { std::slice::from_raw_parts(storage.0.cast().as_ptr(), len) }
    }

    /// Lends `len` elements, with arbitrary values, that are free again afterwards.
    ///
    /// # Panics
    /// If `f` takes blocks from the same level and keeps them.
    pub fn scratch<E: Element, R>(&self, len: usize, f: impl FnOnce(&mut [E]) -> R) -> Result<R> {
        let region = &self.levels[self.depth].blocks;
        let (before, slabs) = (region.next.get(), region.slabs.borrow().len());
        let mut fresh = self.alloc::<E>(len, u32::MAX)?;
        let after = region.next.get();
        let result = f(fresh.slice());
        assert!(region.next.get() == after, "nothing is taken from the arena while scratch is lent");
        if region.slabs.borrow().len() == slabs {
            region.next.set(before);
        }
        Ok(result)
    }

    /// The tape's length when the block was last written in place.
    pub fn stamp(&self, storage: Storage) -> u32 {
        self.header(storage).stamp.get()
    }

    pub fn set_stamp(&self, storage: Storage, stamp: u32) {
        self.header(storage).stamp.set(stamp);
    }

    /// The entry that owns the block.
    pub fn base(&self, storage: Storage) -> u32 {
        self.header(storage).base.get()
    }

    pub fn set_base(&self, storage: Storage, base: u32) {
        self.header(storage).base.set(base);
    }
}

/// A header's size for `bytes` bytes of elements of type `E`.
fn tag<E: Element>(bytes: usize) -> u64 {
    bytes as u64 | (E::DTYPE as u64) << TYPE_SHIFT
}

/// The number of elements of a header's size.
///
/// # Panics
/// If the elements are not of type `E`, or the block is lent.
#[inline]
fn len_of<E: Element>(size: u64) -> usize {
    if size >> TYPE_SHIFT != E::DTYPE as u64 {
        refuse_slow::<E>(size);
    }
    (size & ((1 << TYPE_SHIFT) - 1)) as usize / size_of::<E>()
}

#[cold]
fn refuse_slow<E: Element>(size: u64) -> ! {
    match size {
        LENT => panic!("a block is not used while it is lent to be written"),
        _ => panic!("a block of type {} is used as {}", size >> TYPE_SHIFT, E::DTYPE),
    }
}

/// Lends the block `storage` of the tape to `f` to be written, while the rest of the tape can be read.
///
/// # Panics
/// If the elements are not of type `E`, or `f` reads the block that it writes.
pub(crate) fn lend<E: Element, R>(tape: &mut Tape, storage: Storage, f: impl FnOnce(&mut [E], &Tape) -> R) -> R {
    let tape = &*tape;
    let lent = Lent::new::<E>(&tape.arena, storage);
    // SAFETY: the tape was borrowed exclusively, and `lent` lives until `f` returns.
    f(unsafe { lent.elements(storage) }, tape)
}

/// As [`lend`], of several blocks at a time.
///
/// # Errors
/// Those of `f`, or there is no memory for the lists.
///
/// # Panics
/// As [`lend`], and if a block is named twice.
pub(crate) fn lend_many<E: Element, R>(
    tape: &mut Tape,
    storages: &[Storage],
    f: impl FnOnce(SmallVec<[&mut [E]; 4]>, &Tape) -> Result<R>,
) -> Result<R> {
    let tape = &*tape;
    let (mut lent, mut blocks) = (SmallVec::<[Lent<'_>; 4]>::new(), SmallVec::new());
    reserve_small(&mut lent, storages.len())?;
    reserve_small(&mut blocks, storages.len())?;
    lent.extend(storages.iter().map(|&storage| Lent::new::<E>(&tape.arena, storage)));
    // SAFETY: the tape was borrowed exclusively, and the blocks are lent once each, until `f` returns.
    blocks.extend(lent.iter().zip(storages).map(|(lent, &storage)| unsafe { lent.elements(storage) }));
    f(blocks, tape)
}

/// A block that can't be read, or lent again, for as long as this lives.
struct Lent<'a> {
    header: &'a Header,
    /// To be put back.
    size: u64,
    len: usize,
}

impl<'a> Lent<'a> {
    /// # Panics
    /// If the block's elements are not of type `E`, or it is lent.
    fn new<E: Element>(arena: &'a Arena, storage: Storage) -> Self {
        let header = arena.header(storage);
        let size = header.size.get();
        let len = len_of::<E>(size);
        header.size.set(LENT);
        Self { header, size, len }
    }

    /// The elements of the block `storage` that is lent.
    ///
    /// # Safety
    /// `storage` and `E` are those that this was made with; no reference to the block was alive then, and this lives longer than
    /// the result.
    #[allow(clippy::mut_from_ref, reason = "the block is lent: this is the only way to it")]
    unsafe fn elements<E: Element>(&self, storage: Storage) -> &mut [E] {
        // SAFETY: as in `Arena::read`; while its size says that the block is lent, no other reference is made.
        unsafe { std::slice::from_raw_parts_mut(storage.0.cast().as_ptr(), self.len) }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.header.size.set(self.size);
    }
}

#[cfg(test)]
mod tests;
