//! The matrix product `c = alpha a b + beta c` over strided views.
//!
//! Views carry their strides, so that a transposed or sliced operand costs nothing: [`MatRef::t`] swaps two numbers.
//! A large product is cut into parts for several threads. Invariant: the bits of `c` do not depend on the number of threads,
//! because every way of computing an element rounds alike.
//!
//! A product allocates only when it needs more scratch memory than any before it on its thread.
//!
//! Nothing here broadcasts.

mod block;
mod lanes;
mod pack;
mod product;
#[cfg(test)]
mod tests;
mod tile;

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64 as x86;

use product::{Product, Strided};

use crate::parallel::{Chunks, Pieces, num_threads, parts_of, run_parts};
use crate::scratch::Scratch;
use crate::simd;

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

/// The distance from the first to the last of `count` elements at distance `stride`.
#[inline]
fn reach(count: usize, stride: usize) -> usize {
    count.saturating_sub(1).saturating_mul(stride)
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
pub trait Gemm: sealed::Kernel + Scratch {}
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
    assert_fit(&a, &b, &c);
    // SAFETY: the views asserted that every element lies in its slice and that no two elements of `c` share a place; the
    // slices are borrowed until this returns, `c` exclusively.
    unsafe { Product::new(alpha, a, b, beta, c).run() }
}

/// `c = a b + d`, without reading what `c` held. A stride of `d` may be 0: it is a row then, or a column, for all others.
///
/// # Panics
/// If the shapes do not fit.
///
/// ```
/// use wengert_kernels::gemm::{MatMut, MatRef, gemm_plus};
///
/// let (a, bias, mut c) = ([1.0, 2.0, 3.0, 4.0], [10.0, 20.0], [f32::NAN; 4]);
/// let (m, bias) = (MatRef::row_major(&a, [2, 2]), MatRef::new(&bias, [2, 2], [0, 1]));
/// gemm_plus(m, m.t(), bias, MatMut::row_major(&mut c, [2, 2]));
/// assert_eq!(c, [15.0, 31.0, 21.0, 45.0]);
/// ```
#[inline]
#[track_caller]
pub fn gemm_plus<E: Gemm>(a: MatRef<'_, E>, b: MatRef<'_, E>, d: MatRef<'_, E>, c: MatMut<'_, E>) {
    assert_fit(&a, &b, &c);
    assert!(
        (d.rows, d.cols) == (c.rows, c.cols),
        "gemm: [{}, {}] can't be added to [{}, {}]",
        d.rows,
        d.cols,
        c.rows,
        c.cols
    );
    let one = E::one();
    let product = Product::new(one, a, b, one, c);
    let d = Strided { start: d.data.as_ptr(), row: d.row_stride, col: d.col_stride };
    // SAFETY: as in `gemm`; `d` is a view of another slice with the same shape.
    unsafe { Product { d, ..product }.run() }
}

#[inline]
#[track_caller]
fn assert_fit<E>(a: &MatRef<'_, E>, b: &MatRef<'_, E>, c: &MatMut<'_, E>) {
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
}

/// `c[i] = alpha a_i b_i + beta c[i]` for each of the matrices that follow each other in `c`, each of `rows x cols` and
/// row-major, with `operands(i)` for `(a_i, b_i)`.
///
/// Many small products are shared by threads, one by one; otherwise this is [`gemm`] in a loop, with the same bits.
///
/// # Panics
/// If the shapes do not fit, or if `c` is not a whole number of matrices.
///
/// ```
/// use wengert_kernels::gemm::{MatRef, gemm_stack};
///
/// let (a, b) = ([1.0, 2.0, 3.0, 4.0], [10.0, 100.0]);
/// let mut c = [0.0; 2];
/// let row = |i: usize| MatRef::row_major(&a[2 * i..], [1, 2]);
/// gemm_stack(1.0, |i| (row(i), MatRef::row_major(&b, [2, 1])), 0.0, &mut c, [1, 1]);
/// assert_eq!(c, [210.0, 430.0]);
/// ```
#[track_caller]
pub fn gemm_stack<'a, E: Gemm>(
    alpha: E,
    operands: impl Fn(usize) -> (MatRef<'a, E>, MatRef<'a, E>) + Sync,
    beta: E,
    c: &mut [E],
    [rows, cols]: [usize; 2],
) {
    let size = rows * cols;
    assert!(
        c.len().checked_rem(size).is_none_or(|rest| rest == 0) && (size > 0 || c.is_empty()),
        "gemm: {} elements are no stack of [{rows}, {cols}] matrices",
        c.len()
    );
    if c.is_empty() {
        return;
    }
    let work = operands(0).0.cols.saturating_mul(c.len());
    let parts = parts_of(work, SHARED_WORK);
    let count = c.len() / size;
    let parts = if count < parts { 1 } else { parts };
    run_parts(0..count, 1, parts, Chunks { out: c, size }, &|matrices, Chunks { out, .. }| {
        for (i, c) in matrices.zip(out.chunks_exact_mut(size)) {
            let (a, b) = operands(i);
            gemm(alpha, a, b, beta, MatMut::row_major(c, [rows, cols]));
        }
    });
}

impl<E: Gemm> Product<E> {
    /// The product of views whose shapes fit.
    #[inline]
    fn new(alpha: E, a: MatRef<'_, E>, b: MatRef<'_, E>, beta: E, c: MatMut<'_, E>) -> Self {
        let c = Strided { start: c.data.as_mut_ptr(), row: c.row_stride, col: c.col_stride };
        Self {
            m: a.rows,
            k: a.cols,
            n: b.cols,
            alpha,
            a: Strided { start: a.data.as_ptr(), row: a.row_stride, col: a.col_stride },
            b: Strided { start: b.data.as_ptr(), row: b.row_stride, col: b.col_stride },
            beta,
            d: c.read(),
            c,
        }
    }

    /// Computes the product, on several threads if that pays.
    ///
    /// # Safety
    /// The type's invariant, with nothing else reading or writing `c`, or writing `a` and `b`.
    #[inline]
    unsafe fn run(self) {
        if self.m == 0 || self.n == 0 {
            return;
        }
        // The tiles write along rows: a row vector is faster than a column, and so is the transpose of a transpose.
        let columns = self.m > 1 && (self.n == 1 || (self.c.row == 1 && self.c.col != 1));
        let product = if columns { self.transposed() } else { self };
        // SAFETY: the invariant is the caller's promise.
        unsafe {
            match parts_of(product.work(), SHARED_WORK).min(PIECES * num_threads()) {
                1 => E::block(&product),
                parts => {
                    let mut pieces = Pieces::new();
                    product.cut(parts, &mut pieces);
                    // Parts have separate blocks of `c`; for each, the invariant is the caller's promise.
                    pieces.run(&|product| E::block(&product));
                }
            }
        }
    }

    /// Appends `parts` parts of similar size, or fewer.
    ///
    /// # Safety
    /// As for [`Product::run`].
    unsafe fn cut(self, parts: usize, pieces: &mut Pieces<Self>) {
        let by_rows = self.m > 2 * self.n;
        let (len, unit) = if by_rows { (self.m, ROW_UNIT) } else { (self.n, COL_UNIT) };
        let parts = parts.min(len / (2 * unit));
        if parts <= 1 {
            return pieces.push(self);
        }
        let at = len * (parts / 2) / parts / unit * unit;
        // SAFETY: the cut lies inside; the halves have separate blocks of `c`, and the rest is the caller's promise.
        unsafe {
            let (first, second) = if by_rows {
                (self.rows(0, at), self.rows(at, self.m - at))
            } else {
                (self.cols(0, at), self.cols(at, self.n - at))
            };
            first.cut(parts / 2, pieces);
            second.cut(parts - parts / 2, pieces);
        }
    }
}

/// Multiplications from which a product is shared by threads: below, waking one takes longer than it saves.
pub(crate) const SHARED_WORK: usize = 1 << 20;
/// The most parts for each thread: every part packs its operands by itself.
const PIECES: usize = 2;
/// Parts are cut at multiples of this many rows, whole register tiles on every machine, and have at least as many: few
/// rows can take a path with other roundings.
const ROW_UNIT: usize = 12;
/// Parts are cut at multiples of this many columns, whole register tiles on every machine.
const COL_UNIT: usize = 16;

mod sealed {
    use super::product::Product;

    /// Computes a product on one thread.
    pub trait Kernel: num_traits::One + Copy + Send + Sync + 'static {
        /// # Safety
        /// The invariant of [`Product`].
        unsafe fn block(product: &Product<Self>);
    }
}

/// Stamps `impl Kernel`: the registers of each instruction set, with the size of its register tiles.
macro_rules! kernel {
    ($elem:ty, $baseline:ty: $rows:literal x $cols:literal, $($isa:ident $register:ty: $r:literal x $c:literal),+) => {
        impl sealed::Kernel for $elem {
            // Compiled here, once, and not in every crate that multiplies.
            #[inline(never)]
            unsafe fn block(product: &Product<Self>) {
                // SAFETY: the invariant is the caller's promise; `isa` has seen the instruction set.
                unsafe {
                    match simd::isa() {
                        $(
                            #[cfg(target_arch = "x86_64")]
                            simd::Isa::$isa => block::product::<$register, $r, $c>(product),
                        )+
                        _ => block::product::<$baseline, $rows, $cols>(product),
                    }
                }
            }
        }
    };
}

kernel!(f32, [f32; 4]: 6 x 8, Avx2 x86::__m256: 6 x 16, Avx512 x86::__m512: 12 x 32);
kernel!(f64, [f64; 2]: 6 x 4, Avx2 x86::__m256d: 6 x 8, Avx512 x86::__m512d: 12 x 16);
