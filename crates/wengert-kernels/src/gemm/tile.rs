//! Register tiles: the innermost loops of a product.
//!
//! A tile holds a few rows of a few registers of `c` and runs once along the inner dimension:
//!
//! ```text
//!                 b(p, ..)  -> [ register | register ]
//!     a(0, p) -> splat  *      [   acc    |   acc    ]
//!     a(1, p) -> splat  *      [   acc    |   acc    ]   for p in 0..k
//!     ...
//! ```
//!
//! Invariant: an element of `c` goes through the same roundings in every tile that can compute it, whatever the tile's
//! size and masks: a chain of multiply-adds along `p` from 0, then `beta d + alpha sum`.

use std::marker::PhantomData;

use num_traits::{One, Zero};

use super::lanes::Lanes;
use super::product::Product;
use crate::simd::Kernel;

/// The first `rows <= ROWS` rows of a product whose columns fill `REGISTERS` registers but for the last one, which is full
/// if `WHOLE` and holds at least one element otherwise.
///
/// Invariant: `a` can be read for `ROWS` rows, and the rows of `b` are contiguous (`b.col == 1`).
struct Tile<'a, V: Lanes, const ROWS: usize, const REGISTERS: usize, const WHOLE: bool> {
    p: &'a Product<V::Elem>,
    rows: usize,
}

/// Computes the first `rows` rows of `p` in a tile of `ROWS` rows and `REGISTERS` registers.
///
/// # Safety
/// The instruction set of `V`, and the invariants of [`Tile`] and [`Product`].
#[inline(always)]
pub(super) unsafe fn tile<V: Lanes, const ROWS: usize, const REGISTERS: usize, const WHOLE: bool>(
    p: &Product<V::Elem>,
    rows: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { V::run(Tile::<V, ROWS, REGISTERS, WHOLE> { p, rows }) }
}

impl<V: Lanes, const ROWS: usize, const REGISTERS: usize, const WHOLE: bool> Kernel
    for Tile<'_, V, ROWS, REGISTERS, WHOLE>
{
    type Output = ();
    #[inline(always)]
    fn run(self) {
        // SAFETY: the promise of `tile`'s caller.
        unsafe {
            let sums = self.sums();
            if self.p.c.col == 1 && (self.p.d.col <= 1 || self.p.beta.is_zero()) {
                self.update(sums);
            } else {
                V::run(Scatter { p: self.p, rows: self.rows, sums: sums.as_flattened() });
            }
        }
    }
}

impl<V: Lanes, const ROWS: usize, const REGISTERS: usize, const WHOLE: bool> Tile<'_, V, ROWS, REGISTERS, WHOLE> {
    /// The lanes of register `v` that are part of the product.
    #[inline(always)]
    fn count(&self, v: usize) -> usize {
        if WHOLE || v + 1 < REGISTERS { V::COUNT } else { self.p.n - v * V::COUNT }
    }

    #[inline(always)]
    unsafe fn load(&self, from: *const V::Elem, v: usize) -> V {
        // SAFETY: the caller has the elements of register `v` at `from`.
        unsafe { if WHOLE || v + 1 < REGISTERS { V::load(from) } else { V::load_first(from, self.count(v)) } }
    }

    /// `a b`.
    #[inline(always)]
    unsafe fn sums(&self) -> [[V; REGISTERS]; ROWS] {
        let p = self.p;
        // SAFETY: the invariants; the last register reads elements of the product only.
        unsafe {
            let mut sums = [[V::splat(V::Elem::zero()); REGISTERS]; ROWS];
            let (mut a, mut b) = (p.a.start, p.b.start);
            for _ in 0..p.k {
                let mut from_b = [V::splat(V::Elem::zero()); REGISTERS];
                for (v, register) in from_b.iter_mut().enumerate() {
                    *register = self.load(b.add(v * V::COUNT), v);
                }
                for (i, row) in sums.iter_mut().enumerate() {
                    let factor = V::splat(*a.add(i * p.a.row));
                    for (sum, &b) in row.iter_mut().zip(&from_b) {
                        *sum = sum.plus(factor, b);
                    }
                }
                a = a.wrapping_add(p.a.col);
                b = b.wrapping_add(p.b.row);
            }
            sums
        }
    }

    /// `c = beta d + alpha sums`, for contiguous rows of `c`, and rows of `d` that are contiguous or of one element each.
    #[inline(always)]
    unsafe fn update(&self, sums: [[V; REGISTERS]; ROWS]) {
        // SAFETY: the invariants; rows from `rows` on are not touched.
        unsafe {
            let (alpha, beta) = (V::splat(self.p.alpha), V::splat(self.p.beta));
            for (i, row) in sums.into_iter().enumerate() {
                if i >= self.rows {
                    break;
                }
                for (v, sum) in row.into_iter().enumerate() {
                    let c = self.p.c.start.add(i * self.p.c.row + v * V::COUNT);
                    let mut new = sum.times(alpha);
                    if !self.p.beta.is_zero() {
                        let d = self.p.d.start.add(i * self.p.d.row + v * V::COUNT * self.p.d.col);
                        let old = if self.p.d.col == 0 { V::splat(*d) } else { self.load(d, v) };
                        new = old.times(beta).plus(sum, alpha);
                    }
                    if WHOLE || v + 1 < REGISTERS { new.store(c) } else { new.store_first(c, self.count(v)) }
                }
            }
        }
    }
}

/// `c = beta d + alpha sums`, for rows of `c` or `d` that are not contiguous; rows of `sums` fill whole registers.
struct Scatter<'a, V: Lanes> {
    p: &'a Product<V::Elem>,
    rows: usize,
    sums: &'a [V],
}

impl<V: Lanes> Kernel for Scatter<'_, V> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let p = self.p;
        // SAFETY: the invariants of the tile; a register is as large as its lanes.
        unsafe {
            let (alpha, beta) = (V::splat(p.alpha), V::splat(p.beta));
            for (i, row) in self.sums.chunks_exact(p.n.div_ceil(V::COUNT)).enumerate().take(self.rows) {
                for (v, sum) in row.iter().enumerate() {
                    let c = p.c.start.add(i * p.c.row + v * V::COUNT * p.c.col);
                    let count = V::COUNT.min(p.n - v * V::COUNT);
                    let mut new = sum.times(alpha);
                    if !p.beta.is_zero() {
                        let mut old = V::splat(V::Elem::zero());
                        let d = p.d.start.add(i * p.d.row + v * V::COUNT * p.d.col);
                        for j in 0..count {
                            *(&raw mut old).cast::<V::Elem>().add(j) = *d.add(j * p.d.col);
                        }
                        new = old.times(beta).plus(*sum, alpha);
                    }
                    for j in 0..count {
                        *c.add(j * p.c.col) = *(&raw const new).cast::<V::Elem>().add(j);
                    }
                }
            }
        }
    }
}

/// `COLS` elements of one row of `c`, from a contiguous row of `a` and contiguous columns of `b`.
///
/// Invariant: `a.col == 1`, `b.row == 1`, `m >= 1`, `n >= COLS`.
struct Dots<'a, V: Lanes, const COLS: usize>(&'a Product<V::Elem>, PhantomData<V>);

/// Computes the first `COLS` elements of the first row of `p`.
///
/// # Safety
/// The instruction set of `V`, and the invariants of [`Dots`] and [`Product`].
#[inline(always)]
pub(super) unsafe fn dots<V: Lanes, const COLS: usize>(p: &Product<V::Elem>) {
    // SAFETY: the caller's promise.
    unsafe { V::run(Dots::<V, COLS>(p, PhantomData)) }
}

impl<V: Lanes, const COLS: usize> Kernel for Dots<'_, V, COLS> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let p = self.0;
        // SAFETY: the promise of the caller of `dots`; every load ends at `k` at most.
        unsafe {
            let mut acc = [[V::splat(V::Elem::zero()); 2]; COLS];
            let column = |j: usize, at: usize| p.b.start.add(j * p.b.col + at);
            let mut at = 0;
            while at + 2 * V::COUNT <= p.k {
                let a = [V::load(p.a.start.add(at)), V::load(p.a.start.add(at + V::COUNT))];
                for (j, acc) in acc.iter_mut().enumerate() {
                    acc[0] = acc[0].plus(a[0], V::load(column(j, at)));
                    acc[1] = acc[1].plus(a[1], V::load(column(j, at + V::COUNT)));
                }
                at += 2 * V::COUNT;
            }
            while at < p.k {
                let count = (p.k - at).min(V::COUNT);
                let a = V::load_first(p.a.start.add(at), count);
                for (j, acc) in acc.iter_mut().enumerate() {
                    acc[0] = acc[0].plus(a, V::load_first(column(j, at), count));
                }
                at += count;
            }
            for (j, [even, odd]) in acc.into_iter().enumerate() {
                let sum = p.alpha * total(even.plus(odd, V::splat(V::Elem::one())));
                let d = p.d.start.wrapping_add(j * p.d.col);
                *p.c.start.add(j * p.c.col) = if p.beta.is_zero() { sum } else { p.beta * *d + sum };
            }
        }
    }
}

/// The sum of all lanes, halves first.
#[inline(always)]
unsafe fn total<V: Lanes>(lanes: V) -> V::Elem {
    let mut lanes = lanes;
    let lane = (&raw mut lanes).cast::<V::Elem>();
    let mut half = V::COUNT / 2;
    // SAFETY: a register is as large as its lanes, and `COUNT` is a power of two.
    unsafe {
        while half > 0 {
            for i in 0..half {
                *lane.add(i) = *lane.add(i) + *lane.add(i + half);
            }
            half /= 2;
        }
        *lane
    }
}
