//! One thread's product: cut into blocks that fit the caches, and these into register tiles.
//!
//! Large products copy both operands into panels, in the order in which the tiles read them, so that a tile reads memory
//! straight ahead (Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008). Small ones read the
//! operands where they are, except for a `b` whose rows are not contiguous.

use std::cell::Cell;

use num_traits::One;

use super::lanes::Lanes;
use super::pack::pack;
use super::product::{Product, Strided};
use super::tile::{dots, tile};

/// The longest inner dimension of a block: a panel of `b` and one of `a` fit the first-level cache.
///
/// Invariant: an element of `c` is rounded once per block, so how the inner dimension is cut depends on its length alone.
const DEPTH: usize = 384;
/// Bytes of a packed block of `a`, for a second-level cache.
const A_BYTES: usize = 384 << 10;
/// Columns of a packed block of `b`.
const B_COLS: usize = 2048;
/// Columns of `c` from which an `a` with contiguous rows is packed too.
const A_REUSE: usize = 1024;

/// Multiplications of a block from which packing costs less than reading with strides.
const PACKED_WORK: usize = 1 << 20;
/// Up to this many contiguous rows, their products with contiguous columns are taken one by one, without packing.
const FEW_ROWS: usize = 4;

/// Computes a product.
///
/// `ROWS` and `COLS` are the size of a whole register tile; `COLS` fills two registers.
///
/// # Safety
/// The instruction set of `V`, and the invariant of [`Product`].
#[inline(always)]
pub(super) unsafe fn product<V: Lanes, const ROWS: usize, const COLS: usize>(p: &Product<V::Elem>) {
    const { assert!(COLS == 2 * V::COUNT) };
    // SAFETY: the caller's promise, passed on.
    unsafe {
        if p.work() >= PACKED_WORK || p.k > DEPTH {
            deep_product::<V, ROWS, COLS>(p);
        } else if p.k > 0 {
            in_place::<V, ROWS, COLS>(p);
        } else {
            scale(p);
        }
    }
}

/// A product of any depth, block by block.
///
/// # Safety
/// As for [`product`]; `k > 0`.
#[inline(never)]
unsafe fn deep_product<V: Lanes, const ROWS: usize, const COLS: usize>(p: &Product<V::Elem>) {
    let depth = p.k.div_ceil(p.k.div_ceil(DEPTH));
    for at in (0..p.k).step_by(depth) {
        // SAFETY: the caller's promise, passed on.
        unsafe {
            let mut block = p.depths(at, depth.min(p.k - at));
            if at > 0 {
                (block.beta, block.d) = (V::Elem::one(), p.c.read());
            }
            let reused = block.m >= 8 * ROWS && block.n >= 2 * COLS && block.k >= 16;
            if reused && block.work() >= PACKED_WORK {
                packed::<V, ROWS, COLS>(&block);
            } else {
                in_place::<V, ROWS, COLS>(&block);
            }
        }
    }
}

/// `c = beta d`.
#[inline(always)]
unsafe fn scale<E: num_traits::Float>(p: &Product<E>) {
    for i in 0..p.m {
        for j in 0..p.n {
            // SAFETY: the invariant of `Product`.
            unsafe {
                let d = p.d.start.wrapping_add(i * p.d.row + j * p.d.col);
                *p.c.start.add(i * p.c.row + j * p.c.col) = if p.beta.is_zero() { E::zero() } else { p.beta * *d };
            }
        }
    }
}

/// Packs blocks of `b`, and of `a` unless reading it in place is as good, and multiplies them.
#[inline(never)]
unsafe fn packed<V: Lanes, const ROWS: usize, const COLS: usize>(p: &Product<V::Elem>) {
    let pack_a = p.a.col != 1 || p.n >= A_REUSE;
    let block_rows = A_BYTES / (DEPTH * size_of::<V::Elem>()) / ROWS * ROWS;
    let a_len = if pack_a { p.m.min(block_rows).next_multiple_of(ROWS) } else { 0 };
    let b_len = p.n.min(B_COLS).next_multiple_of(COLS);
    let mut scratch = Scratch::take((a_len + b_len) * p.k * size_of::<V::Elem>());
    // SAFETY: the scratch has room for both blocks, rounded up to whole panels; the rest is the caller's promise.
    unsafe {
        let to_b = scratch.start::<V::Elem>();
        let to_a = to_b.add(b_len * p.k);
        for left in (0..p.n).step_by(B_COLS) {
            let p = p.cols(left, B_COLS.min(p.n - left));
            pack::<V, COLS>(p.k, p.n, p.b, to_b);
            for top in (0..p.m).step_by(block_rows) {
                let p = p.rows(top, block_rows.min(p.m - top));
                if pack_a {
                    pack::<V, ROWS>(p.k, p.m, p.a.transposed(), to_a);
                }
                for left in (0..p.n).step_by(COLS) {
                    let mut panel = p.cols(left, COLS.min(p.n - left));
                    panel.b = Strided { start: to_b.add(left * p.k), row: COLS, col: 1 };
                    if pack_a {
                        panel_times_packed::<V, ROWS, COLS>(&panel, to_a);
                    } else {
                        panels::<V, ROWS, COLS>(&panel);
                    }
                }
            }
        }
    }
}

/// One panel of columns, with the rows of `a` in panels of `ROWS` at `packed`.
#[inline(always)]
unsafe fn panel_times_packed<V: Lanes, const ROWS: usize, const COLS: usize>(
    p: &Product<V::Elem>,
    packed: *const V::Elem,
) {
    for top in (0..p.m).step_by(ROWS) {
        // SAFETY: the panels of both operands are whole; `c` is written only where the product has elements.
        unsafe {
            let rows = ROWS.min(p.m - top);
            let mut t = p.rows(top, rows);
            t.a = Strided { start: packed.add(top * p.k), row: 1, col: ROWS };
            if p.n == COLS {
                tile::<V, ROWS, 2, true>(&t, rows);
            } else if p.n > V::COUNT {
                tile::<V, ROWS, 2, false>(&t, rows);
            } else {
                tile::<V, ROWS, 1, false>(&t, rows);
            }
        }
    }
}

/// Reads `a` where it is, and `b` too if its rows are contiguous, else packs it panel by panel.
#[inline(always)]
unsafe fn in_place<V: Lanes, const ROWS: usize, const COLS: usize>(p: &Product<V::Elem>) {
    // SAFETY: the caller's promise.
    unsafe {
        if p.b.col == 1 {
            panels::<V, ROWS, COLS>(p);
        } else if p.m <= FEW_ROWS && p.a.col == 1 && p.b.row == 1 {
            rows_times_columns::<V>(p);
        } else {
            panels_of_copies::<V, ROWS, COLS>(p);
        }
    }
}

/// Packs `b` panel by panel.
#[inline(never)]
unsafe fn panels_of_copies<V: Lanes, const ROWS: usize, const COLS: usize>(p: &Product<V::Elem>) {
    let mut scratch = Scratch::take(COLS * p.k * size_of::<V::Elem>());
    let packed = scratch.start::<V::Elem>();
    for left in (0..p.n).step_by(COLS) {
        // SAFETY: the caller's promise; the scratch has room for a whole panel.
        unsafe {
            let mut panel = p.cols(left, COLS.min(p.n - left));
            pack::<V, COLS>(p.k, panel.n, panel.b, packed);
            panel.b = Strided { start: packed, row: COLS, col: 1 };
            panels::<V, ROWS, COLS>(&panel);
        }
    }
}

/// A product of few contiguous rows and contiguous columns.
#[inline(never)]
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
#[inline(never)]
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
            crate::scratch::reserve(&mut lines, count);
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
