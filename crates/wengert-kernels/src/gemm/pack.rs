//! Copies of operands in the order in which the tiles read them.

use num_traits::Zero;

use super::lanes::Lanes;
use super::product::Strided;
use crate::simd::Kernel;

/// Panels that are packed from contiguous rows at once.
const GROUP: usize = 16;

/// Copies the `depth x len` matrix `from` into panels of `WIDTH` columns, one after the other, each with contiguous rows; the
/// last one is filled up with zeros.
///
/// # Safety
/// The instruction set of `V`; the matrix can be read, and whole panels can be written.
#[inline(always)]
pub(super) unsafe fn pack<V: Lanes, const WIDTH: usize>(
    depth: usize,
    len: usize,
    from: Strided<*const V::Elem>,
    to: *mut V::Elem,
) {
    // SAFETY: the caller's promise.
    unsafe { V::run(Pack::<V::Elem, WIDTH> { depth, len, from, to }) }
}

/// The loop of [`pack`].
///
/// Invariant: [`pack`] alone makes it, so its safety section holds.
struct Pack<E, const WIDTH: usize> {
    depth: usize,
    len: usize,
    from: Strided<*const E>,
    to: *mut E,
}

impl<E: Zero + Copy, const WIDTH: usize> Kernel for Pack<E, WIDTH> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { depth, len, from, to } = self;
        let whole = len / WIDTH * WIDTH;
        // SAFETY: the promise of the caller of `pack`.
        unsafe {
            if from.col == 1 {
                pack_rows::<E, WIDTH>(depth, whole, from, to);
            } else if from.row == 1 {
                for left in (0..whole).step_by(WIDTH) {
                    pack_columns::<E, WIDTH>(depth, from.start.add(left * from.col), from.col, to.add(left * depth));
                }
            } else {
                for left in (0..whole).step_by(WIDTH) {
                    let from = Strided { start: from.start.add(left * from.col), ..from };
                    pack_elements(depth, WIDTH, WIDTH, from, to.add(left * depth));
                }
            }
            if whole < len {
                let from = Strided { start: from.start.add(whole * from.col), ..from };
                pack_elements(depth, len - whole, WIDTH, from, to.add(whole * depth));
            }
        }
    }
}

/// Packs whole panels from contiguous rows, some panels at once: reading goes straight ahead.
#[inline(always)]
unsafe fn pack_rows<E: Copy, const WIDTH: usize>(depth: usize, len: usize, from: Strided<*const E>, to: *mut E) {
    for group in (0..len).step_by(GROUP * WIDTH) {
        for p in 0..depth {
            for left in (group..len.min(group + GROUP * WIDTH)).step_by(WIDTH) {
                // SAFETY: the promise of the caller of `pack`.
                unsafe {
                    let (from, to) = (from.start.add(p * from.row + left), to.add(left * depth + p * WIDTH));
                    std::ptr::copy_nonoverlapping(from, to, WIDTH);
                }
            }
        }
    }
}

/// Packs one panel from `WIDTH` contiguous columns.
#[inline(always)]
unsafe fn pack_columns<E: Copy, const WIDTH: usize>(depth: usize, from: *const E, step: usize, to: *mut E) {
    const { assert!(WIDTH.is_multiple_of(2)) };
    let fours = WIDTH / 4 * 4;
    // SAFETY: the promise of the caller of `pack`.
    unsafe {
        for j in (0..fours).step_by(4) {
            transpose::<E, 4>(depth, from.add(j * step), step, to.add(j), WIDTH);
        }
        if fours < WIDTH {
            transpose::<E, 2>(depth, from.add(fours * step), step, to.add(fours), WIDTH);
        }
    }
}

/// Copies `COLS` contiguous columns at distance `from_step` into rows at distance `to_step`, in blocks of four rows, which
/// the compiler turns into shuffles.
#[inline(always)]
unsafe fn transpose<E: Copy, const COLS: usize>(
    depth: usize,
    from: *const E,
    from_step: usize,
    to: *mut E,
    to_step: usize,
) {
    let mut p = 0;
    // SAFETY: the promise of the caller of `pack`.
    unsafe {
        while p + 4 <= depth {
            let block: [[E; 4]; COLS] =
                std::array::from_fn(|j| from.add(j * from_step + p).cast::<[E; 4]>().read_unaligned());
            let rows: [[E; COLS]; 4] = std::array::from_fn(|i| block.map(|column| column[i]));
            for (i, row) in rows.into_iter().enumerate() {
                to.add((p + i) * to_step).cast::<[E; COLS]>().write_unaligned(row);
            }
            p += 4;
        }
        for p in p..depth {
            for j in 0..COLS {
                *to.add(p * to_step + j) = *from.add(j * from_step + p);
            }
        }
    }
}

/// Packs one panel of `cols` columns, and zeros up to its width.
#[inline(always)]
unsafe fn pack_elements<E: Zero + Copy>(depth: usize, cols: usize, width: usize, from: Strided<*const E>, to: *mut E) {
    for p in 0..depth {
        for j in 0..width {
            // SAFETY: the promise of the caller of `pack`.
            unsafe {
                let x = if j < cols { *from.start.add(p * from.row + j * from.col) } else { E::zero() };
                *to.add(p * width + j) = x;
            }
        }
    }
}
