//! Memory of the tape: one stack of bump-allocated levels, one level per scope.
//!
//! ```text
//! level 0  [ slab ........................ ]            the thread's outermost scope
//! level 1  [ slab ...... ][ slab .......... ]           a scope inside; merged into one slab when it ends
//! level 2  [ slab ]                                     ...
//!                  ^ used
//!
//! a block:  .. | bytes stamp base | data ........ | ..   the header lies in the 16 bytes before the data
//! ```
//!
//! This is one of the two homes of `unsafe` (the other is the kernels crate). What it relies on:
//!
//! * *Initialised.* Every byte of a slab is written when the slab is made, so a fresh block may be lent as `&mut [E]`
//!   without clearing: stale bytes are a valid `f32`, `f64` or `i64`. Blocks of `bool` are cleared.
//! * *Disjoint.* Blocks never overlap: a level hands out increasing addresses until it is reset.
//! * *Private until published.* [`Fresh`] lends the only reference to a new block; a [`Storage`] exists after it is gone.
//! * *Alive.* A `Storage` or `Ref` is used only through an entry of the tape, and entries go before their level is reset
//!   ([`super::Tape::rewind`] is the only caller of [`Arena::leave`]).

use std::alloc::Layout as MemoryLayout;
use std::any::TypeId;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;

use bumpalo::Bump;

use crate::element::{DType, Element};
use crate::error::{Result, error};

/// Data of large blocks starts at a multiple of this many bytes: a cache line, and the widest SIMD register.
const ALIGN: usize = 64;
/// The size of a level's first slab.
const FIRST_SLAB: usize = 64 << 10;
/// Slabs double up to this size; larger ones are made to measure.
const MAX_DOUBLING: usize = 16 << 20;

/// What is known of a block, in the 16 bytes before its data.
#[repr(C)]
struct Header {
    bytes: Cell<usize>,
    /// The tape's length at the last in-place write; an entry recorded earlier saw other values.
    stamp: Cell<u32>,
    /// The entry that owns the block; views and versions share it.
    base: Cell<u32>,
}
const HEADER: usize = size_of::<Header>();
/// In place of the length of a block that is lent.
const LENT: usize = usize::MAX;
const _: () = assert!(HEADER == 16);

/// A block of elements in the arena.
///
/// Invariant: points at the data of a block whose header lies before it, made by this module.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Storage(NonNull<u8>);

/// A small `Copy` value in the arena.
pub(crate) struct Ref<T>(NonNull<T>);
impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Ref<T> {}

/// A list of `Copy` values in the arena.
pub(crate) struct RefList<T>(NonNull<T>, u32);
impl<T> Clone for RefList<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for RefList<T> {}
impl<T> RefList<T> {
    pub fn empty() -> Self {
        Self(NonNull::dangling(), 0)
    }
}

/// A value of a type known to its writer and its reader.
#[derive(Clone, Copy)]
pub(crate) struct Erased {
    ptr: NonNull<u8>,
    ty: TypeId,
}

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

struct Level {
    bump: Bump,
    /// The current slab: next free byte and end.
    next: Cell<NonNull<u8>>,
    end: Cell<NonNull<u8>>,
    slabs: Cell<u32>,
    /// Bytes of all slabs.
    reserved: Cell<usize>,
    /// Bytes of the slabs before the current one.
    passed: Cell<usize>,
}

impl Level {
    fn new() -> Self {
        let nowhere = NonNull::<u64>::dangling().cast();
        Self {
            bump: Bump::new(),
            next: Cell::new(nowhere),
            end: Cell::new(nowhere),
            slabs: Cell::new(0),
            reserved: Cell::new(0),
            passed: Cell::new(0),
        }
    }

    /// Bytes handed out, headers and padding included.
    fn used(&self) -> usize {
        let free = self.end.get().as_ptr() as usize - self.next.get().as_ptr() as usize;
        self.reserved.get() - free
    }

    /// The first address at or after the free byte plus `header` that is a multiple of `align`, if `bytes` fit there.
    #[inline]
    fn bump(&self, header: usize, bytes: usize, align: usize) -> Option<NonNull<u8>> {
        let next = self.next.get();
        let from = next.as_ptr() as usize;
        let skip = (from + header).next_multiple_of(align) - from;
        let needed = skip.checked_add(bytes)?;
        if needed > self.end.get().as_ptr() as usize - from {
            return None;
        }
        // SAFETY: `next .. end` is the free rest of one slab, and `skip <= needed` is not larger than it.
        let data = unsafe { next.add(skip) };
        // SAFETY: as above for `needed`.
        self.next.set(unsafe { next.add(needed) });
        Some(data)
    }

    /// Starts a slab with room for `bytes`, all of them initialised.
    #[cold]
    fn grow(&self, bytes: usize) -> Result<()> {
        let doubled = self.reserved.get().clamp(FIRST_SLAB, MAX_DOUBLING);
        let size = bytes.max(doubled).next_multiple_of(ALIGN);
        let layout = MemoryLayout::from_size_align(size, ALIGN)
            .map_err(|_| error!(Memory, "the tape: a block of {bytes} bytes is larger than memory"))?;
        let slab = self.bump.try_alloc_layout(layout).map_err(|_| {
            error!(Memory, "the tape: {size} bytes more could not be allocated; wrap the step in `scope`")
        })?;
        // SAFETY: `slab` is `size` writable bytes that bumpalo just gave us.
        unsafe { slab.write_bytes(0, size) };
        self.passed.set(self.reserved.get());
        self.reserved.set(self.reserved.get() + size);
        self.slabs.set(self.slabs.get() + 1);
        self.next.set(slab);
        // SAFETY: one past the end of the same allocation.
        self.end.set(unsafe { slab.add(size) });
        Ok(())
    }

    /// Forgets every block. Several slabs are merged into one of their common size, so that the next round fits into it.
    fn reset(&mut self) {
        if self.slabs.get() > 1 {
            let size = self.reserved.get();
            *self = Self::new();
            // A level that can't be merged starts small again; the next block that does not fit reports it.
            let _ = self.grow(size);
        } else if self.slabs.get() == 1 {
            // SAFETY: the one slab starts `reserved` bytes before its end.
            self.next.set(unsafe { self.end.get().sub(self.reserved.get()) });
        }
    }
}

/// The levels, of which `depth + 1` are in use.
pub(crate) struct Arena {
    levels: Vec<Level>,
    depth: usize,
    /// The most bytes to reserve.
    pub budget: usize,
}

impl Arena {
    pub fn new() -> Self {
        Self { levels: vec![Level::new()], depth: 0, budget: usize::MAX }
    }

    /// The level that new blocks come from.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Starts a level.
    pub fn enter(&mut self) {
        self.depth += 1;
        if self.depth == self.levels.len() {
            self.levels.push(Level::new());
        }
    }

    /// Ends the current level: its blocks are gone, its memory is kept for the next round.
    pub fn leave(&mut self) {
        assert!(self.depth > 0, "the outermost level stays");
        self.levels[self.depth].reset();
        self.depth -= 1;
    }

    /// Forgets the blocks of the current level and stays in it.
    pub fn clear(&mut self) {
        self.levels[self.depth].reset();
    }

    /// Bytes in blocks, of all levels in use.
    pub fn used(&self) -> usize {
        self.levels[..=self.depth].iter().map(Level::used).sum()
    }

    /// Bytes taken from the system.
    pub fn reserved(&self) -> usize {
        self.levels.iter().map(|level| level.reserved.get()).sum()
    }

    /// Gives the memory of levels that are not in use back to the system.
    pub fn trim(&mut self) {
        self.levels.truncate(self.depth + 1);
    }

    #[inline]
    fn raw(&self, level: usize, header: usize, bytes: usize, align: usize) -> Result<NonNull<u8>> {
        match self.levels[level].bump(header, bytes, align) {
            Some(data) => Ok(data),
            None => self.raw_slow(level, header, bytes, align),
        }
    }

    #[cold]
    fn raw_slow(&self, level: usize, header: usize, bytes: usize, align: usize) -> Result<NonNull<u8>> {
        let needed = bytes
            .checked_add(header + align)
            .ok_or_else(|| error!(Memory, "the tape: a block of {bytes} bytes is larger than memory"))?;
        let reserved = self.reserved();
        if reserved.saturating_add(needed) > self.budget {
            return Err(error!(
                Memory,
                "the tape: {needed} bytes more would exceed its budget of {} ({reserved} are reserved); \
                 wrap the step in `scope` so that its memory is reused",
                self.budget
            ));
        }
        self.levels[level].grow(needed)?;
        Ok(self.levels[level].bump(header, bytes, align).expect("a slab made for this block"))
    }

    /// A block of `len` elements in the current level, owned by entry `base`.
    #[inline]
    pub fn alloc<E: Element>(&self, len: usize, base: u32) -> Result<Fresh<'_, E>> {
        self.alloc_at(self.depth, len, base)
    }

    /// A block of `len` elements in `level`.
    #[inline]
    pub fn alloc_at<E: Element>(&self, level: usize, len: usize, base: u32) -> Result<Fresh<'_, E>> {
        let bytes = len
            .checked_mul(size_of::<E>())
            .ok_or_else(|| error!(Memory, "the tape: a block of {len} elements is larger than memory"))?;
        let align = if bytes >= 4 * ALIGN { ALIGN } else { HEADER };
        let data = self.raw(level, HEADER, bytes, align)?;
        // SAFETY: `raw` reserved `HEADER` bytes before `data`, and `data` is aligned for a header.
        unsafe {
            data.sub(HEADER).cast::<Header>().write(Header {
                bytes: Cell::new(bytes),
                stamp: Cell::new(0),
                base: Cell::new(base),
            });
        }
        if E::DTYPE == DType::Bool {
            // SAFETY: the block's `bytes` bytes are ours.
            unsafe { data.write_bytes(0, bytes) };
        }
        Ok(Fresh { data, len, lent: PhantomData })
    }

    fn header(&self, storage: Storage) -> &Header {
        // SAFETY: *Alive*; the header was written by `alloc_at` and changes through cells only.
        unsafe { storage.0.sub(HEADER).cast().as_ref() }
    }

    fn len_of<E>(&self, storage: Storage) -> usize {
        let bytes = self.header(storage).bytes.get();
        assert!(bytes != LENT, "a block is not read while it is written");
        bytes / size_of::<E>()
    }

    /// The elements of a block.
    #[inline]
    pub fn read<E: Element>(&self, storage: Storage) -> &[E] {
        // SAFETY: *Alive* and *Initialised*; the type is the one that the entry's `dtype` records, and writing
        // needs `&mut self`.
        unsafe { std::slice::from_raw_parts(storage.0.cast().as_ptr(), self.len_of::<E>(storage)) }
    }

    /// Lends `len` elements, with arbitrary values, that are free again afterwards.
    ///
    /// # Panics
    /// If `f` takes blocks from the same level.
    pub fn scratch<E: Element, R>(&self, len: usize, f: impl FnOnce(&mut [E]) -> R) -> Result<R> {
        let level = &self.levels[self.depth];
        let before = (level.next.get(), level.slabs.get());
        let mut fresh = self.alloc::<E>(len, u32::MAX)?;
        let after = level.next.get();
        let result = f(fresh.slice());
        assert!(level.next.get() == after, "nothing is taken from the arena while scratch is lent");
        if level.slabs.get() == before.1 {
            level.next.set(before.0);
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

    /// Stores a value in the current level.
    #[inline]
    pub fn put<T: Copy>(&self, value: T) -> Result<Ref<T>> {
        self.put_at(self.depth, value)
    }

    /// Stores a value in `level`.
    pub fn put_at<T: Copy>(&self, level: usize, value: T) -> Result<Ref<T>> {
        let place = self.raw(level, 0, size_of::<T>(), align_of::<T>())?.cast::<T>();
        // SAFETY: `raw` gave room and alignment for a `T`.
        unsafe { place.write(value) };
        Ok(Ref(place))
    }

    #[inline]
    pub fn get<T: Copy>(&self, place: Ref<T>) -> &T {
        // SAFETY: *Alive*; written by `put_at`, and no exclusive reference to it is ever made.
        unsafe { place.0.as_ref() }
    }

    /// Stores a list.
    pub fn put_list<T: Copy>(&self, values: &[T]) -> Result<RefList<T>> {
        let place = self.raw(self.depth, 0, size_of_val(values), align_of::<T>())?.cast::<T>();
        // SAFETY: `raw` gave room for `values.len()` elements, which is disjoint from `values`.
        unsafe { place.copy_from_nonoverlapping(NonNull::from(values).cast(), values.len()) };
        Ok(RefList(place, values.len() as u32))
    }

    pub fn get_list<T: Copy>(&self, list: RefList<T>) -> &[T] {
        // SAFETY: *Alive*; written by `put_list`, or empty and dangling but aligned.
        unsafe { std::slice::from_raw_parts(list.0.as_ptr(), list.1 as usize) }
    }

    /// Stores a value whose type only its reader knows.
    pub fn put_erased<T: Copy + 'static>(&self, value: T) -> Result<Erased> {
        Ok(Erased { ptr: self.put(value)?.0.cast(), ty: TypeId::of::<T>() })
    }

    /// # Panics
    /// If the value is not a `T`.
    pub fn get_erased<T: Copy + 'static>(&self, value: Erased) -> &T {
        assert!(value.ty == TypeId::of::<T>(), "attributes are read as the type they were written as");
        // SAFETY: *Alive*, and the type is the one that was written.
        unsafe { value.ptr.cast().as_ref() }
    }
}

/// Lends the block `storage` of `owner`'s arena to `f` to be written, while the rest can be read.
///
/// # Panics
/// If `f` reads the block that it writes.
pub(crate) fn lend<O, E: Element, R>(
    owner: &mut O,
    arena: impl Fn(&O) -> &Arena,
    storage: Storage,
    f: impl FnOnce(&mut [E], &O) -> R,
) -> R {
    struct Return<'a>(&'a Header, usize);
    impl Drop for Return<'_> {
        fn drop(&mut self) {
            self.0.bytes.set(self.1);
        }
    }
    let owner = &*owner;
    let header = arena(owner).header(storage);
    let bytes = header.bytes.get();
    assert!(bytes != LENT, "a block is lent once at a time");
    let _return = Return(header, bytes);
    header.bytes.set(LENT);
    let len = bytes / size_of::<E>();
    // SAFETY: as in `Arena::read`: `owner` was borrowed exclusively, so no reference to the block is alive, and while its
    // length says that it is lent, `read` makes no other.
    f(unsafe { std::slice::from_raw_parts_mut(storage.0.cast().as_ptr(), len) }, owner)
}
