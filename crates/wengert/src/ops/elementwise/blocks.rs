//! Operands of an elementwise operation, handed to its kernel as slices.

use std::ops::Range;

use wengert_kernels::strided::pack;

use super::BLOCK;
use crate::element::FloatElement;
use crate::shape::Layout;

/// Where the elements of one operand come from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a, E> {
    /// The formula does not read it.
    Unused,
    /// All elements, in order.
    Slice(&'a [E]),
    /// One number for all.
    Splat(E),
    /// A view that is broadcast or not contiguous.
    Strided(&'a [E], Layout),
    /// A mask, read as 0 and 1.
    Mask(&'a [bool], Layout),
}

impl<'a, E> Source<'a, E> {
    /// The elements, if they are read where they are.
    pub fn slice(&self) -> Option<&'a [E]> {
        if let Self::Slice(slice) = self { Some(slice) } else { None }
    }
}

/// Packs the elements `range` of a source that is not a slice.
pub(super) fn fill<E: FloatElement>(source: &Source<'_, E>, range: Range<usize>, buffer: &mut [E]) {
    match source {
        Source::Unused | Source::Slice(_) | Source::Splat(_) => {}
        Source::Strided(data, layout) => pack(data, layout.shape(), layout.strides(), range.start, buffer),
        Source::Mask(data, layout) => {
            let mut mask = [false; BLOCK];
            let mask = &mut mask[..range.len()];
            pack(data, layout.shape(), layout.strides(), range.start, mask);
            for (value, &holds) in buffer.iter_mut().zip(&*mask) {
                *value = if holds { E::of(1.0) } else { E::of(0.0) };
            }
        }
    }
}
