//! ndarray: arrays of tensors of one element, which need no more than the traits of `num_traits`.

use ndarray::{Array1, Array2, Axis, LinalgScalar, ScalarOperand, Zip, array};
use num_traits::{Float, FromPrimitive};

use crate::differentiate;

trait Element: LinalgScalar + ScalarOperand + Float + FromPrimitive {}
impl<T: LinalgScalar + ScalarOperand + Float + FromPrimitive> Element for T {}

/// A layer of a network, by `dot`, broadcast addition, `mapv` and a mean.
fn layer<T: Element>(x: &[T]) -> T {
    let weights = Array2::from_shape_vec((2, 3), x[..6].to_vec()).unwrap();
    let input = array![[T::one(), x[7], x[8]], [x[8], T::one(), x[7]]];
    let hidden = (input.dot(&weights.t()) + &array![x[6], x[7]]).mapv(T::tanh);
    (&hidden * x[6]).mean().unwrap() + hidden.t().dot(&hidden).diag().sum()
}

/// Reductions along an axis, `Zip`, folds and statistics.
fn statistics<T: Element>(x: &[T]) -> T {
    let table = Array2::from_shape_vec((3, 3), x.to_vec()).unwrap();
    let centred = &table - &table.mean_axis(Axis(0)).unwrap();
    let mut out = Array1::from_elem(3, T::zero());
    Zip::from(&mut out).and(centred.rows()).and(&table.sum_axis(Axis(1))).for_each(|out, row, &sum| {
        *out = row.dot(&row) / (sum * sum + T::one());
    });
    out.sum()
        + table.var(T::one())
        + table.std(T::zero())
        + centred.fold(T::one(), |p, &c| p * (c + T::from_f64(2.0).unwrap()))
}

/// Power iteration: the dominant eigenvalue of a symmetric matrix, by 60 products.
fn power_iteration<T: Element>(x: &[T]) -> T {
    let a = array![[x[0], x[1]], [x[1], x[2]]];
    let mut v = array![T::one(), T::one()];
    for _ in 0..60 {
        let w = a.dot(&v);
        v = &w / w.dot(&w).sqrt();
    }
    v.dot(&a.dot(&v))
}

#[test]
fn linear_algebra() {
    let x = [0.2, -0.7, 0.4, 0.9, 0.3, -0.5, 0.8, -0.6, 1.1];
    differentiate!(layer at x);
    differentiate!(statistics at x);

    // The eigenvalue of [[3, 1], [1, 1]] is 2 + √2, with the eigenvector (1 + √2, 1); the gradient is v vᵀ.
    let root = 2.0_f64.sqrt();
    let square = (1.0 + root) * (1.0 + root) + 1.0;
    let expected = [(1.0 + root).powi(2) / square, 2.0 * (1.0 + root) / square, 1.0 / square];
    differentiate!(power_iteration at [3.0, 1.0, 1.0], gradient = expected);
}
