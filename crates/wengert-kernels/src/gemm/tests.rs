//! Products against a triple loop in `f64`.

use num_traits::Float;

use super::lanes::Lanes;
use super::{Gemm, MatMut, MatRef, Product, block, gemm, gemm_plus, gemm_stack};

/// How an operand lies in memory.
#[derive(Clone, Copy, Debug)]
enum Layout {
    RowMajor,
    Transposed,
    /// Every other column of rows with three elements between them.
    Sparse,
}
use Layout::{RowMajor, Sparse, Transposed};

impl Layout {
    fn strides(self, [rows, cols]: [usize; 2]) -> [usize; 2] {
        match self {
            RowMajor => [cols, 1],
            Transposed => [1, rows],
            Sparse => [2 * cols + 3, 2],
        }
    }
}

/// Numbers in -1..1 without a pattern.
fn noise<E: Float>(len: usize, seed: u32) -> Vec<E> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        E::from(f64::from(state >> 8) / f64::from(1 << 23) - 1.0).unwrap()
    };
    (0..len).map(|_| next()).collect()
}

#[derive(Debug)]
struct Case {
    shape: [usize; 3],
    layouts: [Layout; 3],
    alpha: f64,
    beta: f64,
}

/// The operands of a case, in buffers with their gaps.
struct Operands<'a, E> {
    case: &'a Case,
    shapes: [[usize; 2]; 3],
    strides: [[usize; 2]; 3],
    buffers: [Vec<E>; 3],
}

impl<'a, E: Gemm + Float> Operands<'a, E> {
    fn new(case: &'a Case) -> Self {
        let [m, k, n] = case.shape;
        let shapes = [[m, k], [k, n], [m, n]];
        let strides: [[usize; 2]; 3] = std::array::from_fn(|i| case.layouts[i].strides(shapes[i]));
        let len = |i: usize| shapes[i][0] * strides[i][0].max(1) + shapes[i][1] * strides[i][1] + 1;
        let mut buffers = std::array::from_fn(|i| noise(len(i), i as u32 + 1));
        if case.beta == 0.0 {
            buffers[2].fill(E::nan());
        }
        Self { case, shapes, strides, buffers }
    }

    /// The buffer of `c` after the product.
    fn found(&self) -> Vec<E> {
        let [alpha, beta] = [self.case.alpha, self.case.beta].map(|x| E::from(x).unwrap());
        let view = |i: usize| MatRef::new(&self.buffers[i], self.shapes[i], self.strides[i]);
        let mut c = self.buffers[2].clone();
        gemm(alpha, view(0), view(1), beta, MatMut::new(&mut c, self.shapes[2], self.strides[2]));
        c
    }

    /// The same, computed with arrays for registers, as a machine without the wide instruction sets does.
    fn found_with<V: Lanes<Elem = E>, const COLS: usize>(&self) -> Vec<E> {
        let [alpha, beta] = [self.case.alpha, self.case.beta].map(|x| E::from(x).unwrap());
        let view = |i: usize| MatRef::new(&self.buffers[i], self.shapes[i], self.strides[i]);
        let mut c = self.buffers[2].clone();
        let out = MatMut::new(&mut c, self.shapes[2], self.strides[2]);
        // SAFETY: the views have checked their elements; the callers pass arrays, which need no instruction set.
        unsafe { block::product::<V, 6, COLS>(&Product::new(alpha, view(0), view(1), beta, out)) };
        c
    }

    /// The buffer of `c` after a triple loop.
    fn expected(&self) -> Vec<f64> {
        let Case { shape: [m, k, n], alpha, beta, .. } = *self.case;
        let [a, b, mut c] = [0, 1, 2].map(|i| self.buffers[i].iter().map(|x| x.to_f64().unwrap()).collect::<Vec<_>>());
        let at = |i: usize, row: usize, col: usize| row * self.strides[i][0] + col * self.strides[i][1];
        for i in 0..m {
            for j in 0..n {
                let sum: f64 = (0..k).map(|p| a[at(0, i, p)] * b[at(1, p, j)]).sum();
                let c = &mut c[at(2, i, j)];
                *c = alpha * sum + if beta == 0.0 { 0.0 } else { beta * *c };
            }
        }
        c
    }
}

/// The first element that is neither as near as rounding allows nor NaN where NaN is due.
fn first_wrong<E: Float>(found: &[E], expected: &[f64], tolerance: f64) -> Option<usize> {
    let right = |(found, expected): (&E, &f64)| {
        let found = found.to_f64().unwrap();
        (found.is_nan() && expected.is_nan()) || (found - expected).abs() <= tolerance
    };
    found.iter().zip(expected).position(|pair| !right(pair))
}

fn check<E: Gemm + Float>(case: &Case) {
    let operands = Operands::<E>::new(case);
    compare(case, &operands.found(), &operands.expected());
}

fn compare<E: Float>(case: &Case, found: &[E], expected: &[f64]) {
    let tolerance = E::epsilon().to_f64().unwrap() * (4.0 + case.shape[1] as f64);
    if let Some(at) = first_wrong(found, expected, tolerance) {
        panic!("{case:?}, element {at}: {}, not {}", found[at].to_f64().unwrap(), expected[at]);
    }
}

const SIZES: [usize; 13] = [0, 1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 33, 50];
const LAYOUTS: [[Layout; 3]; 6] = [
    [RowMajor, RowMajor, RowMajor],
    [Transposed, RowMajor, RowMajor],
    [RowMajor, Transposed, RowMajor],
    [Transposed, Transposed, RowMajor],
    [RowMajor, RowMajor, Transposed],
    [Sparse, Sparse, Sparse],
];
const SCALES: [[f64; 2]; 4] = [[1.0, 0.0], [1.0, 1.0], [-0.5, 2.0], [0.0, 0.5]];

#[test]
fn small_products_equal_the_triple_loop() {
    for (i, m) in SIZES.into_iter().enumerate() {
        for (j, k) in SIZES.into_iter().enumerate() {
            for (l, n) in SIZES.into_iter().enumerate() {
                let layouts = LAYOUTS[(i + 2 * j + 3 * l) % LAYOUTS.len()];
                for [alpha, beta] in SCALES {
                    let case = Case { shape: [m, k, n], layouts, alpha, beta };
                    check::<f32>(&case);
                    check::<f64>(&case);
                }
            }
        }
    }
}

#[test]
fn products_without_wide_registers_equal_the_triple_loop() {
    for shape in [[1, 9, 40], [3, 5, 7], [8, 8, 8], [13, 400, 17], [64, 130, 129], [5, 40, 1], [2, 33, 6]] {
        for layouts in LAYOUTS {
            for [alpha, beta] in SCALES {
                let case = Case { shape, layouts, alpha, beta };
                let (narrow, wide) = (Operands::<f32>::new(&case), Operands::<f64>::new(&case));
                compare(&case, &narrow.found_with::<[f32; 4], 8>(), &narrow.expected());
                compare(&case, &wide.found_with::<[f64; 2], 4>(), &wide.expected());
            }
        }
    }
}

#[test]
fn large_products_equal_the_triple_loop() {
    let shapes =
        [[130, 131, 129], [1, 700, 300], [300, 700, 1], [200, 1, 200], [9, 1100, 10], [49, 600, 97], [520, 65, 70]];
    for shape in shapes {
        for layouts in LAYOUTS {
            for [alpha, beta] in [[1.0, 0.0], [-0.5, 2.0]] {
                let case = Case { shape, layouts, alpha, beta };
                check::<f32>(&case);
                check::<f64>(&case);
            }
        }
    }
}

#[test]
fn the_number_of_threads_leaves_the_bits_alone() {
    let bits = |threads: usize, case: &Case| {
        crate::parallel::set_num_threads(threads);
        let (wide, narrow) = (Operands::<f64>::new(case), Operands::<f32>::new(case));
        let (wide, narrow) = (wide.found(), narrow.found());
        let wide: Vec<u64> = wide.into_iter().map(f64::to_bits).collect();
        let narrow: Vec<u32> = narrow.into_iter().map(f32::to_bits).collect();
        (wide, narrow)
    };
    for shape in [[257, 300, 261], [64, 784, 512], [700, 90, 65], [40, 2000, 40]] {
        for layouts in [LAYOUTS[0], LAYOUTS[1], LAYOUTS[4]] {
            let case = Case { shape, layouts, alpha: 1.5, beta: 0.5 };
            let one = bits(1, &case);
            for threads in [2, 3, 8, 64] {
                assert!(one == bits(threads, &case), "{shape:?} {layouts:?} on {threads} threads");
            }
        }
    }
}

#[test]
fn a_product_plus_a_matrix_is_the_product_onto_it() {
    for [m, k, n] in [[1, 3, 5], [1, 3, 200], [3, 40, 3], [30, 20, 17], [5, 0, 4], [7, 900, 33], [200, 150, 90]] {
        let (a, b, d) = (noise::<f32>(m * k, 1), noise::<f32>(k * n, 2), noise::<f32>(2 * m * n, 3));
        for b in [MatRef::row_major(&b, [k, n]), MatRef::row_major(&b, [n, k]).t()] {
            let a = MatRef::row_major(&a, [m, k]);
            for strides in [[n, 1], [1, m], [0, 1], [1, 0], [0, 0], [2 * n, 2]] {
                for [row, col] in [[n, 1], [1, m]] {
                    let mut expected = vec![0.0; m * n];
                    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                        expected[i * row + j * col] = d[i * strides[0] + j * strides[1]];
                    }
                    let mut found = vec![f32::NAN; m * n];
                    gemm(1.0, a, b, 1.0, MatMut::new(&mut expected, [m, n], [row, col]));
                    gemm_plus(a, b, MatRef::new(&d, [m, n], strides), MatMut::new(&mut found, [m, n], [row, col]));
                    assert_eq!(found, expected, "[{m}, {k}] x [{k}, {n}] + {strides:?} -> {:?}", [row, col]);
                }
            }
        }
    }
}

#[test]
fn a_stack_is_a_loop_of_products() {
    for [count, m, k, n] in [[0, 2, 2, 2], [3, 0, 2, 2], [1, 40, 50, 60], [3, 5, 0, 2], [70, 33, 40, 35]] {
        let (a, b, old) = (noise::<f32>(count * m * k, 1), noise::<f32>(k * n, 2), noise::<f32>(count * m * n, 3));
        let operands = |i: usize| (MatRef::row_major(&a[i * m * k..], [m, k]), MatRef::new(&b, [k, n], [1, k]));
        let (mut found, mut expected) = (old.clone(), old);
        gemm_stack(0.5, operands, 2.0, &mut found, [m, n]);
        for (i, c) in expected.chunks_exact_mut((m * n).max(1)).enumerate() {
            let (a, b) = operands(i);
            gemm(0.5, a, b, 2.0, MatMut::row_major(c, [m, n]));
        }
        assert_eq!(found, expected, "{count} x [{m}, {k}] x [{k}, {n}]");
    }
}

#[test]
fn the_check_rejects_a_wrong_element() {
    let expected = [1.0, f64::NAN, 3.0];
    assert_eq!(first_wrong(&expected, &expected, 0.0), None);
    assert_eq!(first_wrong(&[1.0, f64::NAN, 3.1], &expected, 1e-3), Some(2));
    assert_eq!(first_wrong(&[1.0, 2.0, 3.0], &expected, 1e-3), Some(1));
    assert_eq!(first_wrong(&[f64::NAN, f64::NAN, 3.0], &expected, 1e-3), Some(0));
}

#[test]
fn views_that_do_not_fit_are_refused() {
    let panics = |f: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err();
    let read = |len: usize, shape, strides| panics(&|| _ = MatRef::new(&vec![0.0; len], shape, strides));
    let write = |len: usize, shape, strides| panics(&|| _ = MatMut::new(&mut vec![0.0; len], shape, strides));
    assert!(read(5, [2, 3], [3, 1]));
    assert!(read(9, [2, 2], [usize::MAX, 2]));
    assert!(!read(3, [7, 3], [0, 1]), "a row may be read many times");
    assert!(!read(0, [0, 3], [3, 1]));
    assert!(write(9, [7, 3], [0, 1]), "but not written");
    assert!(write(9, [3, 3], [1, 1]));
    assert!(write(9, [2, 2], [2, 2]));
    assert!(!write(9, [3, 3], [1, 3]));
    assert!(!write(9, [1, 3], [0, 2]));
    let wrong_shapes = panics(&|| {
        let (a, mut c) = ([0.0; 6], [0.0; 4]);
        gemm(1.0, MatRef::row_major(&a, [2, 3]), MatRef::row_major(&a, [2, 3]), 0.0, MatMut::row_major(&mut c, [2, 2]));
    });
    assert!(wrong_shapes);
}
