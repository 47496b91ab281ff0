//! Products against a triple loop in `f64`.

use num_traits::Float;

use super::{Gemm, MatMut, MatRef, gemm};

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

/// The buffer of `c` after the product, and what the triple loop says it is.
fn product<E: Gemm + Float>(case: &Case) -> (Vec<E>, Vec<f64>) {
    let [m, k, n] = case.shape;
    let of = |x: f64| E::from(x).unwrap();
    let f64s = |data: &[E]| data.iter().map(|x| x.to_f64().unwrap()).collect::<Vec<_>>();
    let shapes = [[m, k], [k, n], [m, n]];
    let strides: [[usize; 2]; 3] = std::array::from_fn(|i| case.layouts[i].strides(shapes[i]));
    let len = |i: usize| shapes[i][0] * strides[i][0].max(1) + shapes[i][1] * strides[i][1] + 1;
    let (a, b, mut c) = (noise::<E>(len(0), 1), noise::<E>(len(1), 2), noise::<E>(len(2), 3));
    if case.beta == 0.0 {
        c.fill(E::nan());
    }

    let (wide_a, wide_b, mut expected) = (f64s(&a), f64s(&b), f64s(&c));
    for i in 0..m {
        for j in 0..n {
            let terms = (0..k)
                .map(|p| wide_a[i * strides[0][0] + p * strides[0][1]] * wide_b[p * strides[1][0] + j * strides[1][1]]);
            let out = &mut expected[i * strides[2][0] + j * strides[2][1]];
            let old = if case.beta == 0.0 { 0.0 } else { case.beta * *out };
            *out = case.alpha * terms.sum::<f64>() + old;
        }
    }

    let view = |data, i: usize| MatRef::new(data, shapes[i], strides[i]);
    let out = MatMut::new(&mut c, shapes[2], strides[2]);
    gemm(of(case.alpha), view(&a, 0), view(&b, 1), of(case.beta), out);
    (c, expected)
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
    let (found, expected) = product::<E>(case);
    let tolerance = E::epsilon().to_f64().unwrap() * (4.0 + case.shape[1] as f64);
    if let Some(at) = first_wrong(&found, &expected, tolerance) {
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

#[cfg(feature = "rayon")]
#[test]
fn the_number_of_threads_leaves_the_bits_alone() {
    let bits = |threads: usize, case: &Case| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (wide, narrow) = pool.install(|| (product::<f64>(case).0, product::<f32>(case).0));
        let wide: Vec<u64> = wide.into_iter().map(f64::to_bits).collect();
        let narrow: Vec<u32> = narrow.into_iter().map(f32::to_bits).collect();
        (wide, narrow)
    };
    for shape in [[257, 300, 261], [64, 784, 512], [700, 90, 65], [40, 2000, 40]] {
        for layouts in [LAYOUTS[0], LAYOUTS[1], LAYOUTS[4]] {
            let case = Case { shape, layouts, alpha: 1.5, beta: 0.5 };
            let one = bits(1, &case);
            for threads in [2, 3] {
                assert!(one == bits(threads, &case), "{shape:?} {layouts:?} on {threads} threads");
            }
        }
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
