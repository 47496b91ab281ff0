//! A product by its pointers.

/// A matrix as the kernels see it: element `(i, j)` is at `start + i * row + j * col`.
#[derive(Clone, Copy)]
pub struct Strided<P> {
    pub(super) start: P,
    pub(super) row: usize,
    pub(super) col: usize,
}

impl<P> Strided<P> {
    /// The same matrix with rows for columns.
    #[inline(always)]
    pub(super) fn transposed(self) -> Self {
        Self { start: self.start, row: self.col, col: self.row }
    }
}

/// One product, or the part of one that a thread or a tile computes.
///
/// Invariant: for all `i < m`, `p < k`, `j < n`, the elements `a(i, p)` and `b(p, j)` can be read and `c(i, j)` can be
/// written, and no two elements of `c` share a place. If `beta` is not 0, `d(i, j)` can be read, and is `c(i, j)` itself or no element
/// of `c`.
#[derive(Clone, Copy)]
pub struct Product<E> {
    pub(super) m: usize,
    pub(super) k: usize,
    pub(super) n: usize,
    pub(super) alpha: E,
    pub(super) a: Strided<*const E>,
    pub(super) b: Strided<*const E>,
    pub(super) beta: E,
    pub(super) d: Strided<*const E>,
    pub(super) c: Strided<*mut E>,
}

// SAFETY: a product goes to another thread only as one of several parts with separate blocks of `c`, which read the same
// operands, while the caller's borrows of all slices last.
unsafe impl<E: Send + Sync> Send for Product<E> {}

impl<P> Strided<*mut P> {
    /// The same matrix, to be read.
    #[inline(always)]
    pub(super) fn read(self) -> Strided<*const P> {
        Strided { start: self.start.cast_const(), row: self.row, col: self.col }
    }
}

impl<E: Copy> Product<E> {
    /// The number of multiplications.
    #[inline(always)]
    pub(super) fn work(&self) -> usize {
        self.m.saturating_mul(self.n).saturating_mul(self.k)
    }

    /// `c^T = b^T a^T`.
    pub(super) fn transposed(self) -> Self {
        let Self { m, n, a, b, c, d, .. } = self;
        Self { m: n, n: m, a: b.transposed(), b: a.transposed(), c: c.transposed(), d: d.transposed(), ..self }
    }

    /// Rows `from..from + len` of `c`.
    ///
    /// # Safety
    /// `from + len <= m`, and `from < m`.
    #[inline(always)]
    pub(super) unsafe fn rows(&self, from: usize, len: usize) -> Self {
        let mut part = *self;
        part.m = len;
        // SAFETY: row `from` exists.
        unsafe {
            part.a.start = self.a.start.add(from * self.a.row);
            part.c.start = self.c.start.add(from * self.c.row);
            part.d.start = self.d.start.wrapping_add(from * self.d.row);
        }
        part
    }

    /// Columns `from..from + len` of `c`.
    ///
    /// # Safety
    /// `from + len <= n`, and `from < n`.
    #[inline(always)]
    pub(super) unsafe fn cols(&self, from: usize, len: usize) -> Self {
        let mut part = *self;
        part.n = len;
        // SAFETY: column `from` exists.
        unsafe {
            part.b.start = self.b.start.add(from * self.b.col);
            part.c.start = self.c.start.add(from * self.c.col);
            part.d.start = self.d.start.wrapping_add(from * self.d.col);
        }
        part
    }

    /// The terms `from..from + len` of the inner dimension.
    ///
    /// # Safety
    /// `from + len <= k`, and `from < k`.
    #[inline(always)]
    pub(super) unsafe fn depths(&self, from: usize, len: usize) -> Self {
        let mut part = *self;
        part.k = len;
        // SAFETY: term `from` exists.
        unsafe {
            part.a.start = self.a.start.add(from * self.a.col);
            part.b.start = self.b.start.add(from * self.b.row);
        }
        part
    }
}
