//! One thread's product: cut into blocks that fit the caches, and these into register tiles.
//!
//! Large products copy both operands into panels, in the order in which the tiles read them, so that a tile reads memory
//! straight ahead (Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008). Small ones read the
//! operands where they are, except for a `b` whose rows are not contiguous.

use std::cell::Cell;

use num_traits::{One, Zero};

use super::lanes::Lanes;
use super::product::{Product, Strided};
use super::tile::{dots, tile};
use crate::simd::Kernel;

/// Inner dimension of a block. Invariant: it is the same for all ways of computing a block, because every element of `c`
/// is rounded once per block.
const DEPTH: usize = 256;
/// Bytes of a packed block of `a`, for half of a small second-level cache.
const A_BYTES: usize = 240 << 10;
/// Columns of a packed block of `b`.
const B_COLS: usize = 2048;

/// Computes a product whose rows of `c` are contiguous or whose columns are not.
///
/// `ROWS` and `COLS` are the size of a whole register tile; `COLS` fills two registers.
///
/// # Safety
/// The instruction set of `V`, and the invariant of [`Product`].
#[inline(never)]
pub(super) unsafe fn product<V: Lanes, const ROWS: usize, const COLS: usize>(p: Product<V::Elem>) {
    const { assert!(COLS == 2 * V::COUNT) };
    // SAFETY: the caller's promise, passed on.
    unsafe {
        if p.k == 0 {
            return scale(&p);
        }
        for at in (0..p.k).step_by(DEPTH) {
            let mut block = p.depths(at, DEPTH.min(p.k - at));
            if at > 0 {
                block.beta = V::Elem::one();
            }
            if worth_packing::<ROWS, COLS, _>(&block) {
                packed::<V, ROWS, COLS>(&block);
            } else {
                in_place::<V, ROWS, COLS>(&block);
            }
        }
    }
}

/// Whether copying the operands costs less than reading them with strides.
#[inline(always)]
fn worth_packing<const ROWS: usize, const COLS: usize, E>(p: &Product<E>) -> bool {
    p.m >= 8 * ROWS && p.n >= 2 * COLS && p.k >= 16 && p.m * p.n * p.k >= 1 << 20
}

/// `c = beta c`.
#[inline(always)]
unsafe fn scale<E: num_traits::Float>(p: &Product<E>) {
    for i in 0..p.m {
        for j in 0..p.n {
            // SAFETY: the invariant of `Product`.
            unsafe {
                let c = p.c.start.add(i * p.c.row + j * p.c.col);
                *c = if p.beta.is_zero() { E::zero() } else { p.beta * *c };
            }
        }
    }
}

#[inline(always)]
unsafe fn packed<V: Lanes, const ROWS: usize, const COLS: usize>(p: &Product<V::Elem>) {
    let block_rows = A_BYTES / (DEPTH * size_of::<V::Elem>()) / ROWS * ROWS;
    let (a_len, b_len) = (p.m.min(block_rows).next_multiple_of(ROWS), p.n.min(B_COLS).next_multiple_of(COLS));
    let mut scratch = Scratch::take((a_len + b_len) * p.k * size_of::<V::Elem>());
    // SAFETY: the scratch has room for both blocks, rounded up to whole panels; the rest is the caller's promise.
    unsafe {
        let to_b = scratch.start::<V::Elem>();
        let to_a = to_b.add(b_len * p.k);
        for left in (0..p.n).step_by(B_COLS) {
            let p = p.cols(left, B_COLS.min(p.n - left));
            pack::<V, COLS>(p.k, p.n, p.b, to_b);
            for top in (0..p.m).step_by(block_rows) {
                let mut p = p.rows(top, block_rows.min(p.m - top));
                pack::<V, ROWS>(p.k, p.m, p.a.transposed(), to_a);
                (p.a.start, p.b.start) = (to_a, to_b);
                packed_block::<V, ROWS, COLS>(&p);
            }
        }
    }
}

/// Multiplies a packed block of `a` by a packed block of `b`.
#[inline(always)]
unsafe fn packed_block<V: Lanes, const ROWS: usize, const COLS: usize>(p: &Product<V::Elem>) {
    // SAFETY: the panels of both operands are whole; `c` is written only where the product has elements.
    unsafe {
        for left in (0..p.n).step_by(COLS) {
            for top in (0..p.m).step_by(ROWS) {
                let (rows, cols) = (ROWS.min(p.m - top), COLS.min(p.n - left));
                let mut t = *p;
                (t.m, t.n) = (rows, cols);
                t.a = Strided { start: p.a.start.add(top * p.k), row: 1, col: ROWS };
                t.b = Strided { start: p.b.start.add(left * p.k), row: COLS, col: 1 };
                t.c.start = p.c.start.add(top * p.c.row + left * p.c.col);
                if cols == COLS {
                    tile::<V, ROWS, 2, true>(&t, rows);
                } else if cols > V::COUNT {
                    tile::<V, ROWS, 2, false>(&t, rows);
                } else {
                    tile::<V, ROWS, 1, false>(&t, rows);
                }
            }
        }
    }
}

/// Reads `a` where it is, and `b` too if its rows are contiguous, else packs it panel by panel.
#[inline(always)]
unsafe fn in_place<V: Lanes, const ROWS: usize, const COLS: usize>(p: &Product<V::Elem>) {
    // SAFETY: the caller's promise; a panel has room for `COLS` columns.
    unsafe {
        if p.b.col == 1 {
            return panels::<V, ROWS, COLS>(p);
        }
        if p.m <= 4 && p.a.col == 1 && p.b.row == 1 {
            return rows_times_columns::<V>(p);
        }
        let mut scratch = Scratch::take(COLS * p.k * size_of::<V::Elem>());
        let panel = scratch.start::<V::Elem>();
        for left in (0..p.n).step_by(COLS) {
            let mut p = p.cols(left, COLS.min(p.n - left));
            pack::<V, COLS>(p.k, p.n, p.b, panel);
            (p.b.start, p.b.row, p.b.col) = (panel, COLS, 1);
            panels::<V, ROWS, COLS>(&p);
        }
    }
}

/// A product of few contiguous rows and contiguous columns.
#[inline(always)]
unsafe fn rows_times_columns<V: Lanes>(p: &Product<V::Elem>) {
    let mut left = 0;
    while left < p.n {
        let cols = if p.n - left >= 4 { 4 } else { 1 };
        for top in 0..p.m {
            // SAFETY: the caller's promise.
            unsafe {
                let row = p.rows(top, 1).cols(left, cols);
                if cols == 4 { dots::<V, 4>(&row) } else { dots::<V, 1>(&row) }
            }
        }
        left += cols;
    }
}

/// A product with contiguous rows of `b`, panel by panel of `COLS` columns.
#[inline(always)]
unsafe fn panels<V: Lanes, const ROWS: usize, const COLS: usize>(p: &Product<V::Elem>) {
    let mut left = 0;
    // SAFETY: the caller's promise.
    unsafe {
        if p.m == 1 {
            // One row in two registers would wait for its own additions.
            while left + 8 * V::COUNT <= p.n {
                tile::<V, 1, 8, true>(&p.cols(left, 8 * V::COUNT), 1);
                left += 8 * V::COUNT;
            }
        }
        while left < p.n {
            let panel = p.cols(left, COLS.min(p.n - left));
            if panel.n == COLS {
                panel_rows::<V, ROWS, 2, true>(&panel);
            } else if panel.n > V::COUNT {
                panel_rows::<V, ROWS, 2, false>(&panel);
            } else {
                panel_rows::<V, ROWS, 1, false>(&panel);
            }
            left += COLS;
        }
    }
}

/// One panel, in tiles of `ROWS` rows and of 8, 4, 2 and 1 where it ends.
#[inline(always)]
unsafe fn panel_rows<V: Lanes, const ROWS: usize, const REGISTERS: usize, const WHOLE: bool>(p: &Product<V::Elem>) {
    let mut top = 0;
    while top < p.m {
        let left = p.m - top;
        let rows = match left {
            _ if left == ROWS || left >= ROWS + 4 => ROWS,
            _ if ROWS > 8 && (8..ROWS).contains(&left) => 8,
            4.. => 4,
            2.. => 2,
            _ => 1,
        };
        // SAFETY: the caller's promise.
        unsafe {
            let t = p.rows(top, rows);
            match rows {
                1 => tile::<V, 1, REGISTERS, WHOLE>(&t, 1),
                2 => tile::<V, 2, REGISTERS, WHOLE>(&t, 2),
                4 => tile::<V, 4, REGISTERS, WHOLE>(&t, 4),
                8 if ROWS > 8 => tile::<V, 8, REGISTERS, WHOLE>(&t, 8),
                _ => tile::<V, ROWS, REGISTERS, WHOLE>(&t, ROWS),
            }
        }
        top += rows;
    }
}

/// Copies a `depth x len` matrix into panels of `WIDTH` columns, one after the other, each with contiguous rows; the last
/// one is filled up with zeros.
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
        for left in (0..self.len).step_by(WIDTH) {
            let cols = WIDTH.min(self.len - left);
            // SAFETY: the promise of the caller of `pack`.
            unsafe {
                let from = Strided { start: self.from.start.add(left * self.from.col), ..self.from };
                let to = self.to.add(left * self.depth);
                if cols < WIDTH {
                    pack_partial(self.depth, cols, WIDTH, from, to);
                } else if from.col == 1 {
                    for p in 0..self.depth {
                        std::ptr::copy_nonoverlapping(from.start.add(p * from.row), to.add(p * WIDTH), WIDTH);
                    }
                } else {
                    pack_columns::<E, WIDTH>(self.depth, from, to);
                }
            }
        }
    }
}

/// Packs one panel column by column, two at a time, so that there are few addresses to keep.
#[inline(always)]
unsafe fn pack_columns<E: Copy, const WIDTH: usize>(depth: usize, from: Strided<*const E>, to: *mut E) {
    const { assert!(WIDTH.is_multiple_of(2)) };
    for j in (0..WIDTH).step_by(2) {
        // SAFETY: the promise of the caller of `pack`.
        unsafe {
            let (first, second) = (from.start.add(j * from.col), from.start.add((j + 1) * from.col));
            for p in 0..depth {
                *to.add(p * WIDTH + j) = *first.add(p * from.row);
                *to.add(p * WIDTH + j + 1) = *second.add(p * from.row);
            }
        }
    }
}

/// Packs a panel of fewer columns than its width.
#[inline(always)]
unsafe fn pack_partial<E: Zero + Copy>(depth: usize, cols: usize, width: usize, from: Strided<*const E>, to: *mut E) {
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

/// Packs the `depth x len` matrix `from` into `to`, as [`Pack`] says.
///
/// # Safety
/// The instruction set of `V`; the matrix can be read, and whole panels can be written.
#[inline(always)]
unsafe fn pack<V: Lanes, const WIDTH: usize>(
    depth: usize,
    len: usize,
    from: Strided<*const V::Elem>,
    to: *mut V::Elem,
) {
    // SAFETY: the caller's promise.
    unsafe { V::run(Pack::<V::Elem, WIDTH> { depth, len, from, to }) }
}

/// A cache line of scratch memory.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

thread_local! {
    static SCRATCH: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Room for packed operands. The thread keeps it, so that a product allocates only when it is the thread's largest yet.
struct Scratch(Vec<Line>);

impl Scratch {
    /// At least `bytes` bytes, aligned to a cache line. What they hold is left over from earlier.
    fn take(bytes: usize) -> Self {
        let mut lines = SCRATCH.take();
        let count = bytes.div_ceil(size_of::<Line>());
        if lines.len() < count {
            lines.resize(count, Line([0; 64]));
        }
        Self(lines)
    }

    fn start<E>(&mut self) -> *mut E {
        self.0.as_mut_ptr().cast()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        SCRATCH.set(std::mem::take(&mut self.0));
    }
}
