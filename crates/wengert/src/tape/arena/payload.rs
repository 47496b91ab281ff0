//! The place of an entry's value: a block, or the value itself if it is a single number.

use std::fmt;

use super::Storage;
use crate::element::{DType, Element};

/// The value of an entry, which knows whether it is kept inline.
///
/// Invariant: the entry's `INLINE` bit is set if and only if this was made by [`Payload::inline`], its `DEFERRED` bit if and only if by
/// [`Payload::empty`]; [`super::super::Entry`] sets them in one constructor and reads the payload by them.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) union Payload {
    storage: Storage,
    bits: u64,
}
const _: () = assert!(size_of::<Payload>() == 8 && align_of::<Payload>() == 8);

impl Payload {
    /// Whether a single element of type `E` is kept inline: every pattern of its bits must be a value.
    pub const fn holds<E: Element>() -> bool {
        !matches!(E::DTYPE, DType::Bool)
    }

    #[inline]
    pub fn block(storage: Storage) -> Self {
        Self { storage }
    }

    /// In the place of a value that is not computed yet.
    #[inline]
    pub fn empty() -> Self {
        Self { bits: 0 }
    }

    /// # Panics
    /// If `E` has patterns of bits that are no values.
    #[inline]
    pub fn inline<E: Element>(value: E) -> Self {
        const { assert!(size_of::<E>() <= 8 && align_of::<E>() <= 8) };
        assert!(Self::holds::<E>(), "numbers are kept inline");
        let mut payload = Self { bits: 0 };
        // SAFETY: the payload has 8 aligned bytes, enough for an `E`; the others stay 0.
        unsafe { (&raw mut payload).cast::<E>().write(value) };
        payload
    }

    /// The value that is kept inline, as a slice of one element.
    ///
    /// # Panics
    /// If `E` has patterns of bits that are no values.
    #[inline]
    pub fn slice<E: Element>(&self) -> &[E] {
        const { assert!(size_of::<E>() <= 8 && align_of::<E>() <= 8) };
        assert!(Self::holds::<E>(), "numbers are kept inline");
        // SAFETY: all 8 bytes are initialised, aligned, and any pattern of bits is a value of the number type `E`.
        std::slice::from_ref(unsafe { &*(&raw const *self).cast::<E>() })
    }

    /// The block that was given to [`Self::block`]; of an inline value it would be no block.
    #[inline]
    pub fn storage(&self) -> Storage {
        // SAFETY: by the invariant, the entry was made with a block.
        unsafe { self.storage }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payload")
    }
}
