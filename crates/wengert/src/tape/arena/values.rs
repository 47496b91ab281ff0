//! Small `Copy` values and lists in the arena: shapes, attributes, operands.

use std::any::TypeId;
use std::ptr::NonNull;

use super::Arena;
use crate::error::Result;

/// A small `Copy` value in the arena.
pub(crate) struct Ref<T>(NonNull<T>);
impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Ref<T> {}
impl<T> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

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

impl Arena {
    /// Stores a value in the current level.
    #[inline]
    pub fn put<T: Copy>(&self, value: T) -> Result<Ref<T>> {
        self.put_at(self.depth, value)
    }

    /// Stores a value in `level`.
    pub fn put_at<T: Copy>(&self, level: usize, value: T) -> Result<Ref<T>> {
        let place = self.take(&self.levels[level].values, 0, size_of::<T>(), align_of::<T>())?.cast::<T>();
        // SAFETY: `take` gave room and alignment for a `T`.
        unsafe { place.write(value) };
        Ok(Ref(place))
    }

    #[inline]
    pub fn get<T: Copy>(&self, place: Ref<T>) -> &T {
        debug_assert!(size_of::<T>() == 0 || self.has_value(place.0.cast()), "a value of a scope that has ended");
        // SAFETY: *Alive*; written by `put_at`, and no exclusive reference to it is ever made.
        unsafe { place.0.as_ref() }
    }

    /// Stores a list.
    pub fn put_list<T: Copy>(&self, values: &[T]) -> Result<RefList<T>> {
        let place = self.take(&self.levels[self.depth].values, 0, size_of_val(values), align_of::<T>())?.cast::<T>();
        // SAFETY: `take` gave room for `values.len()` elements, which is disjoint from `values`.
        unsafe { place.copy_from_nonoverlapping(NonNull::from(values).cast(), values.len()) };
        Ok(RefList(place, values.len() as u32))
    }

    pub fn get_list<T: Copy>(&self, list: RefList<T>) -> &[T] {
        debug_assert!(list.1 == 0 || self.has_value(list.0.cast()), "a list of a scope that has ended");
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
        debug_assert!(size_of::<T>() == 0 || self.has_value(value.ptr), "attributes of a scope that has ended");
        // SAFETY: *Alive*, and the type is the one that was written.
        unsafe { value.ptr.cast().as_ref() }
    }

    fn has_value(&self, place: NonNull<u8>) -> bool {
        self.levels[..=self.depth].iter().rev().any(|level| level.contains(|level| &level.values, place))
    }
}
