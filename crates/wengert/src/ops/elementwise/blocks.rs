//! Operands of an elementwise operation, handed to its kernel as slices.

use std::ops::Range;

use wengert_kernels::strided::pack;

use super::BLOCK;
use crate::element::FloatElement;
use crate::error::Result;
use crate::shape::Layout;
use crate::tape::arena::Arena;

/// Where the elements of one operand come from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a, E> {
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

impl<E> Source<'_, E> {
    fn is_direct(&self) -> bool {
        matches!(self, Self::Slice(_) | Self::Unused)
    }
}

/// Calls `run` with the operands' elements of consecutive ranges that cover `0 .. numel`: all at once if every operand is a
/// slice, else in blocks.
pub(super) fn for_blocks<'a, E: FloatElement, const N: usize>(
    arena: &Arena,
    sources: [Source<'a, E>; N],
    numel: usize,
    mut run: impl FnMut(Range<usize>, [&[E]; N]),
) -> Result<()> {
    if sources.iter().all(Source::is_direct) {
        let first =
            sources.iter().find_map(|source| if let Source::Slice(slice) = source { Some(*slice) } else { None });
        let filler = &first.expect("an operand that the formula reads")[..numel];
        run(0..numel, sources.map(|source| if let Source::Slice(slice) = source { &slice[..numel] } else { filler }));
        return Ok(());
    }
    for_short_blocks(arena, sources, numel, run)
}

/// As [`for_blocks`], in blocks of at most [`BLOCK`] elements always.
pub(super) fn for_short_blocks<'a, E: FloatElement, const N: usize>(
    arena: &Arena,
    sources: [Source<'a, E>; N],
    numel: usize,
    mut run: impl FnMut(Range<usize>, [&[E]; N]),
) -> Result<()> {
    let width = numel.min(BLOCK);
    let mut packed = sources.iter().filter(|source| !source.is_direct()).count();
    // An operand that is not read is stood in for by any block.
    packed += usize::from(sources.iter().all(|source| !matches!(source, Source::Slice(_))));
    arena.scratch::<E, _>(packed * width, |scratch| {
        let mut parts = scratch.chunks_exact_mut(width.max(1));
        let mut buffers: [Option<&mut [E]>; N] = std::array::from_fn(|_| None);
        for (buffer, source) in buffers.iter_mut().zip(&sources) {
            if !source.is_direct() {
                *buffer = parts.next();
            }
            if let (Some(buffer), Source::Splat(number)) = (buffer, source) {
                buffer.fill(*number);
            }
        }
        let mut start = 0;
        while start < numel {
            let range = start..numel.min(start + width);
            start = range.end;
            for (buffer, source) in buffers.iter_mut().zip(&sources) {
                if let Some(buffer) = buffer {
                    fill(source, range.clone(), &mut buffer[..range.len()]);
                }
            }
            let slices: [Option<&[E]>; N] = std::array::from_fn(|k| match (&sources[k], &buffers[k]) {
                (Source::Slice(slice), _) => Some(&slice[range.clone()]),
                (_, Some(buffer)) => Some(&buffer[..range.len()]),
                _ => None,
            });
            let filler = slices.iter().flatten().next().copied().expect("an operand that the formula reads");
            run(range, slices.map(|slice| slice.unwrap_or(filler)));
        }
    })
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
