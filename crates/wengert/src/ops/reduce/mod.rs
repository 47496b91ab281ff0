//! Reductions.

pub(crate) mod sum;

use smallvec::SmallVec;
use wengert_kernels::{map, reduce};

use crate::element::FloatElement;
use crate::error::Result;
use crate::shape::DimSet;
use crate::tape::Tape;
use crate::tape::arena::{Storage, lend};

/// The dimensions in which `to`, right-aligned, is shorter than `from`.
pub(crate) fn broadcast_dims(from: &[usize], to: &[usize]) -> SmallVec<[usize; 8]> {
    let lead = from.len() - to.len();
    (0..from.len()).filter(|&d| d < lead || (to[d - lead] == 1 && from[d] != 1)).collect()
}

/// Runs of adjacent dimensions among `dims`, ascending: `(first, last)`.
pub(crate) fn runs(dims: impl IntoIterator<Item = usize>) -> SmallVec<[(usize, usize); 4]> {
    let mut runs = SmallVec::<[(usize, usize); 4]>::new();
    for d in dims {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == d => *last = d,
            _ => runs.push((d, d)),
        }
    }
    runs
}

/// A contiguous shape around the run of dimensions `first ..= last`: lengths before, in and after it.
pub(crate) fn around(shape: &[usize], first: usize, last: usize) -> [usize; 3] {
    let product = |part: &[usize]| part.iter().product();
    [product(&shape[..first]), product(&shape[first..=last]), product(&shape[last + 1..])]
}

/// The dimensions of a set, ascending.
pub(crate) fn dims_of(set: DimSet, rank: usize) -> impl Iterator<Item = usize> {
    (0..rank).filter(move |&d| set.contains(d))
}

/// Adds (stores, if `first`) to `target`, of shape `to`, the sums of the block `from` over the dimensions that were broadcast.
pub(crate) fn sum_to<E: FloatElement>(
    tape: &mut Tape,
    from: Storage,
    from_shape: &[usize],
    to: &[usize],
    target: Storage,
    first: bool,
) -> Result<()> {
    let mut shape: SmallVec<[usize; 8]> = SmallVec::from_slice(from_shape);
    let mut current = from;
    for &(start, end) in runs(broadcast_dims(from_shape, to)).iter().rev() {
        let [outer, n, inner] = around(&shape, start, end);
        let mut fresh = tape.arena.alloc::<E>(outer * inner, u32::MAX)?;
        reduce::sum_axis(tape.arena.read(current), [outer, n, inner], fresh.slice());
        current = fresh.publish();
        shape[start..=end].fill(1);
    }
    lend(
        tape,
        |tape| &tape.arena,
        target,
        |out: &mut [E], tape| {
            let sums = tape.arena.read(current);
            if first { out.copy_from_slice(sums) } else { map::add_assign(sums, out) }
        },
    );
    Ok(())
}
