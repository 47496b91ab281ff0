//! The matrix product `c = alpha a b + beta c` over strided views.
//!
//! Views carry their strides, so that a transposed or sliced operand costs nothing: [`MatRef::t`] swaps two numbers.
//! A large product is cut into blocks of `c`, and with the feature `rayon` the blocks are computed on the current pool.
//! Invariant: where the cuts lie depends on the shape alone, so the bits of `c` do not depend on the number of threads.
//!
//! Nothing here broadcasts or batches.

#[cfg(test)]
mod tests;

/// A matrix that is read: rows and columns at fixed distances in a slice.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a, E> {
    data: &'a [E],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, E> MatRef<'a, E> {
    /// The `rows x cols` matrix whose element `(i, j)` is `data[i * row_stride + j * col_stride]`. A stride may be 0.
    ///
    /// # Panics
    /// If an element lies outside of `data`.
    #[inline]
    #[track_caller]
    pub fn new(data: &'a [E], [rows, cols]: [usize; 2], [row_stride, col_stride]: [usize; 2]) -> Self {
        assert_fits(data.len(), [rows, cols], [row_stride, col_stride]);
        Self { data, rows, cols, row_stride, col_stride }
    }

    /// The contiguous matrix whose rows follow each other.
    ///
    /// # Panics
    /// If `data` is shorter than `rows * cols`.
    #[inline]
    #[track_caller]
    pub fn row_major(data: &'a [E], [rows, cols]: [usize; 2]) -> Self {
        Self::new(data, [rows, cols], [cols, 1])
    }

    /// The transpose, of the same data.
    #[inline]
    #[must_use]
    pub fn t(self) -> Self {
        let Self { data, rows, cols, row_stride, col_stride } = self;
        Self { data, rows: cols, cols: rows, row_stride: col_stride, col_stride: row_stride }
    }
}

/// A matrix that is written: like [`MatRef`], and no two of its elements share a place.
#[derive(Debug)]
pub struct MatMut<'a, E> {
    data: &'a mut [E],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, E> MatMut<'a, E> {
    /// The `rows x cols` matrix whose element `(i, j)` is `data[i * row_stride + j * col_stride]`.
    ///
    /// # Panics
    /// If an element lies outside of `data`, or if neither rows nor columns are laid out one after the other (a row must
    /// end before the next one begins, or a column must), which could let two elements share a place.
    #[inline]
    #[track_caller]
    pub fn new(data: &'a mut [E], [rows, cols]: [usize; 2], [row_stride, col_stride]: [usize; 2]) -> Self {
        assert_fits(data.len(), [rows, cols], [row_stride, col_stride]);
        let rows_apart = (rows <= 1 || reach(cols, col_stride) < row_stride) && (cols <= 1 || col_stride > 0);
        let cols_apart = (cols <= 1 || reach(rows, row_stride) < col_stride) && (rows <= 1 || row_stride > 0);
        assert!(
            rows_apart || cols_apart || rows == 0 || cols == 0,
            "gemm: strides [{row_stride}, {col_stride}] of a written [{rows}, {cols}] matrix make elements share a place"
        );
        Self { data, rows, cols, row_stride, col_stride }
    }

    /// The contiguous matrix whose rows follow each other.
    ///
    /// # Panics
    /// If `data` is shorter than `rows * cols`.
    #[inline]
    #[track_caller]
    pub fn row_major(data: &'a mut [E], [rows, cols]: [usize; 2]) -> Self {
        Self::new(data, [rows, cols], [cols, 1])
    }
}

/// The distance from the first to the last of `count` elements at distance `stride`. Call it after [`assert_fits`].
#[inline]
fn reach(count: usize, stride: usize) -> usize {
    count.saturating_sub(1) * stride
}

#[inline]
#[track_caller]
fn assert_fits(len: usize, [rows, cols]: [usize; 2], [row_stride, col_stride]: [usize; 2]) {
    let last = |count: usize, stride: usize| count.saturating_sub(1).checked_mul(stride);
    let end = last(rows, row_stride).zip(last(cols, col_stride)).and_then(|(row, col)| row.checked_add(col));
    assert!(
        rows == 0 || cols == 0 || end.is_some_and(|end| end < len),
        "gemm: a [{rows}, {cols}] matrix with strides [{row_stride}, {col_stride}] does not fit in {len} elements"
    );
}

/// The element types that have a matrix product: `f32` and `f64`.
pub trait Gemm: sealed::Kernel {}
impl Gemm for f32 {}
impl Gemm for f64 {}

/// `c = alpha a b + beta c`.
///
/// With `beta == 0`, `c` is written without being read: what it held, NaN included, leaves no trace. An empty inner
/// dimension gives `beta c`. The bits of the result depend on the operands alone, not on the number of threads.
///
/// # Panics
/// If the shapes do not fit.
///
/// ```
/// use wengert_kernels::gemm::{MatMut, MatRef, gemm};
///
/// let a = [1.0, 2.0, 3.0, 4.0];
/// let mut c = [f32::NAN; 4];
/// let at = MatRef::row_major(&a, [2, 2]).t();
/// gemm(1.0, MatRef::row_major(&a, [2, 2]), at, 0.0, MatMut::row_major(&mut c, [2, 2]));
/// assert_eq!(c, [5.0, 11.0, 11.0, 25.0]);
/// ```
#[inline]
#[track_caller]
pub fn gemm<E: Gemm>(alpha: E, a: MatRef<'_, E>, b: MatRef<'_, E>, beta: E, c: MatMut<'_, E>) {
    assert!(
        a.cols == b.rows && a.rows == c.rows && b.cols == c.cols,
        "gemm: shapes [{}, {}] and [{}, {}] do not make [{}, {}]",
        a.rows,
        a.cols,
        b.rows,
        b.cols,
        c.rows,
        c.cols
    );
    let product = Product {
        m: a.rows,
        k: a.cols,
        n: b.cols,
        alpha,
        a: Strided { start: a.data.as_ptr(), row: a.row_stride, col: a.col_stride },
        b: Strided { start: b.data.as_ptr(), row: b.row_stride, col: b.col_stride },
        beta,
        c: Strided { start: c.data.as_mut_ptr(), row: c.row_stride, col: c.col_stride },
    };
    // SAFETY: the views asserted that every element lies in its slice and that no two elements of `c` share a place; the
    // slices are borrowed until this returns, `c` exclusively.
    unsafe { product.run() }
}

use sealed::{Product, Strided};

// SAFETY: a product is sent to another thread only as one of two halves with separate blocks of `c`, while the caller's
// borrows of all three slices last.
unsafe impl<E: Send> Send for Product<E> {}

/// Multiplications from which a product is cut in two, if it is large enough to be shared by threads at all.
const GRAIN: usize = 1 << 20;
/// Cuts lie at multiples of this many rows or columns, so that all blocks but the last are whole register tiles.
const CUT: usize = 48;

impl<E: Gemm> Product<E> {
    /// Computes the product, block by block.
    ///
    /// # Safety
    /// The type's invariant, with nothing else reading or writing `c`, or writing `a` and `b`.
    unsafe fn run(self) {
        if self.m.saturating_mul(self.n).saturating_mul(self.k) < 2 * GRAIN || self.m.max(self.n) < 2 * CUT {
            // SAFETY: the invariant is the caller's promise.
            return unsafe { E::block(self) };
        }
        let (first, second) = self.halves();
        // SAFETY: the halves have separate blocks of `c`.
        join(move || unsafe { first.run() }, move || unsafe { second.run() });
    }

    /// Cuts the longer side of `c` in two, at a multiple of [`CUT`].
    fn halves(self) -> (Self, Self) {
        let cut = |len: usize| (len / 2).next_multiple_of(CUT).min(len);
        let (mut first, mut second) = (self, self);
        if self.m >= self.n {
            first.m = cut(self.m);
            second.m -= first.m;
            second.a.start = self.a.start.wrapping_add(first.m * self.a.row);
            second.c.start = self.c.start.wrapping_add(first.m * self.c.row);
        } else {
            first.n = cut(self.n);
            second.n -= first.n;
            second.b.start = self.b.start.wrapping_add(first.n * self.b.col);
            second.c.start = self.c.start.wrapping_add(first.n * self.c.col);
        }
        (first, second)
    }
}

#[cfg(feature = "rayon")]
fn join(first: impl FnOnce() + Send, second: impl FnOnce() + Send) {
    if rayon::current_num_threads() == 1 {
        first();
        second();
    } else {
        rayon::join(first, second);
    }
}

#[cfg(not(feature = "rayon"))]
fn join(first: impl FnOnce(), second: impl FnOnce()) {
    first();
    second();
}

mod sealed {
    /// A matrix as the kernels see it.
    #[derive(Clone, Copy)]
    pub struct Strided<P> {
        pub(super) start: P,
        pub(super) row: usize,
        pub(super) col: usize,
    }

    /// One product, or the block of one that a thread computes.
    ///
    /// Invariant: for all `i < m`, `p < k`, `j < n`, the elements `a(i, p)` and `b(p, j)` can be read and `c(i, j)` can be
    /// written, and no two elements of `c` share a place.
    #[derive(Clone, Copy)]
    pub struct Product<E> {
        pub(super) m: usize,
        pub(super) k: usize,
        pub(super) n: usize,
        pub(super) alpha: E,
        pub(super) a: Strided<*const E>,
        pub(super) b: Strided<*const E>,
        pub(super) beta: E,
        pub(super) c: Strided<*mut E>,
    }

    /// Computes one block on one thread.
    pub trait Kernel: Copy + Send + Sync + 'static {
        /// # Safety
        /// As for `Product::run`.
        unsafe fn block(product: Product<Self>);
    }

    macro_rules! kernel {
        ($t:ty, $gemm:path) => {
            impl Kernel for $t {
                #[inline]
                unsafe fn block(product: Product<Self>) {
                    let Product { m, k, n, alpha, a, b, beta, c } = product;
                    // SAFETY: the invariant of `Product`. Strides fit in `isize`: they were multiplied and compared to
                    // the length of a slice, or they belong to a dimension of at most one element and are never used.
                    unsafe {
                        $gemm(
                            m,
                            k,
                            n,
                            alpha,
                            a.start,
                            a.row as isize,
                            a.col as isize,
                            b.start,
                            b.row as isize,
                            b.col as isize,
                            beta,
                            c.start,
                            c.row as isize,
                            c.col as isize,
                        );
                    }
                }
            }
        };
    }

    kernel!(f32, matrixmultiply::sgemm);
    kernel!(f64, matrixmultiply::dgemm);
}
