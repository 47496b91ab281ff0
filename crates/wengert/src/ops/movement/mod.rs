//! Operations that move elements: views without a copy where strides allow it, and copies.

pub(crate) mod assign;
pub(crate) mod cast;
pub(crate) mod cat;
pub(crate) mod contiguous;
pub(crate) mod diagonal;
pub(crate) mod expand;
pub(crate) mod permute;
pub(crate) mod remap;
pub(crate) mod reshape;
pub(crate) mod slice;
pub(crate) mod strided;
pub(crate) mod triangle;
