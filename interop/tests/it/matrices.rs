//! nalgebra: factorisations and what is solved by them, generic over `RealField`.

use nalgebra::{DMatrix, DVector, Matrix3, RealField, Rotation3, SMatrix, SVector, Unit, UnitQuaternion, Vector3};

use approx::{abs_diff_eq, assert_relative_eq, relative_eq, ulps_eq, ulps_ne};
use wengert::{Tensor, Tensor64, scope};

use crate::differentiate;

/// Four by four numbers of no pattern, with a heavy diagonal.
const ENTRIES: [f64; 16] = [3.1, -0.4, 0.8, 0.3, 0.5, 2.7, -0.6, 0.2, -0.7, 0.9, 3.6, -0.1, 0.6, -0.2, 0.4, 2.2];
/// Six that fill a symmetric matrix of 3 rows whose eigenvalues are apart.
const SYMMETRIC: [f64; 6] = [2.0, 0.5, -0.3, 3.5, 0.7, 5.5];

fn matrix<T: RealField + Copy>(x: &[T]) -> SMatrix<T, 4, 4> {
    SMatrix::from_row_slice(&x[..16])
}

fn symmetric<T: RealField + Copy>(x: &[T]) -> Matrix3<T> {
    Matrix3::new(x[0], x[1], x[2], x[1], x[3], x[4], x[2], x[4], x[5])
}

/// Something of every component of `v`.
fn mix<T: RealField + Copy>(v: &[T]) -> T {
    let weights = (0..v.len()).map(|i| nalgebra::convert::<f64, T>(0.7 + 0.45 * i as f64));
    v.iter().zip(weights).fold(T::zero(), |sum, (&v, w)| sum + v * v * w - v)
}

/// The 16 entries and the right-hand side 1 .. 4.
fn system() -> [f64; 20] {
    std::array::from_fn(|i| if i < 16 { ENTRIES[i] } else { i as f64 - 15.0 })
}

fn solve_by_lu<T: RealField + Copy>(x: &[T]) -> T {
    mix(matrix(x).lu().solve(&SVector::<T, 4>::from_column_slice(&x[16..])).unwrap().as_slice())
}

fn solve_by_full_pivots<T: RealField + Copy>(x: &[T]) -> T {
    mix(matrix(x).full_piv_lu().solve(&SVector::<T, 4>::from_column_slice(&x[16..])).unwrap().as_slice())
}

fn solve_by_qr<T: RealField + Copy>(x: &[T]) -> T {
    let a = DMatrix::from_row_slice(4, 4, &x[..16]);
    mix(a.qr().solve(&DVector::from_column_slice(&x[16..])).unwrap().as_slice())
}

fn solve_by_cholesky<T: RealField + Copy>(x: &[T]) -> T {
    let a = matrix(x);
    let gram = a.transpose() * a;
    mix(gram.cholesky().unwrap().solve(&SVector::<T, 4>::from_column_slice(&x[16..])).as_slice())
}

#[test]
fn linear_systems() {
    differentiate!(solve_by_lu at system());
    differentiate!(solve_by_full_pivots at system());
    differentiate!(solve_by_qr at system());
    differentiate!(solve_by_cholesky at system());
}

fn determinant<T: RealField + Copy>(x: &[T]) -> T {
    matrix(x).determinant()
}

fn log_determinant_by_lu<T: RealField + Copy>(x: &[T]) -> T {
    DMatrix::from_row_slice(4, 4, x).lu().determinant().abs().ln()
}

fn inverse<T: RealField + Copy>(x: &[T]) -> T {
    mix(matrix(x).try_inverse().unwrap().as_slice())
}

fn exponential<T: RealField + Copy>(x: &[T]) -> T {
    mix((symmetric(x) * nalgebra::convert::<f64, T>(0.2)).exp().as_slice())
}

/// Jacobi's formula: the derivative of the determinant is the adjugate, that of its logarithm the inverse, transposed.
#[test]
fn determinants_and_inverses() {
    let a = matrix(&ENTRIES);
    // The columns of the inverse, one after another, are the rows of its transpose.
    let inverted = a.try_inverse().unwrap();
    differentiate!(determinant at ENTRIES, gradient = (inverted * a.determinant()).as_slice());
    differentiate!(log_determinant_by_lu at ENTRIES, gradient = inverted.as_slice());
    differentiate!(inverse at ENTRIES);
    differentiate!(exponential at SYMMETRIC);
}

fn nuclear_norm<T: RealField + Copy>(x: &[T]) -> T {
    matrix(x).svd(true, true).singular_values.sum()
}

fn singular_vectors<T: RealField + Copy>(x: &[T]) -> T {
    let svd = matrix(x).svd(true, true);
    let (u, v) = (svd.u.unwrap(), svd.v_t.unwrap());
    // Squares, as signs are a matter of convention.
    u[(0, 0)] * u[(0, 0)] + v[(0, 2)] * v[(0, 2)] * svd.singular_values[1]
}

fn pseudo_inverse<T: RealField + Copy>(x: &[T]) -> T {
    mix(DMatrix::from_row_slice(3, 2, x).pseudo_inverse(T::default_epsilon()).unwrap().as_slice())
}

fn trace_of_exponential<T: RealField + Copy>(x: &[T]) -> T {
    symmetric(x).symmetric_eigen().eigenvalues.map(|l| (l * nalgebra::convert::<f64, T>(0.3)).exp()).sum()
}

fn dominant_direction<T: RealField + Copy>(x: &[T]) -> T {
    let eigen = symmetric(x).symmetric_eigen();
    let v = eigen.eigenvectors.column(eigen.eigenvalues.imax()).into_owned();
    v[0] * v[0] + v[1] * v[1] * eigen.eigenvalues.max()
}

/// The gradient of the sum of singular values is `U Vᵀ` (Watson 1992, "Characterization of the subdifferential of some matrix
/// norms"), that of `tr f(A)` is `f'(A)`.
#[test]
fn spectra() {
    let svd = matrix(&ENTRIES).svd(true, true);
    let polar = (svd.u.unwrap() * svd.v_t.unwrap()).transpose();
    differentiate!(nuclear_norm at ENTRIES, gradient = polar.as_slice());
    differentiate!(singular_vectors at ENTRIES);
    differentiate!(pseudo_inverse at [1.0, 0.3, -0.5, 2.0, 0.7, 1.1]);

    let slope = (symmetric(&SYMMETRIC) * 0.3).exp() * 0.3;
    let entries = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)];
    let expected = entries.map(|(i, j)| slope[(i, j)] * if i == j { 1.0 } else { 2.0 });
    differentiate!(trace_of_exponential at SYMMETRIC, gradient = expected);
    differentiate!(dominant_direction at SYMMETRIC);
}

fn rotate<T: RealField + Copy>(x: &[T]) -> T {
    let axis = Unit::new_normalize(Vector3::new(x[0], x[1], x[2]));
    let rotation = Rotation3::from_axis_angle(&axis, x[3]);
    let half = UnitQuaternion::identity().slerp(&UnitQuaternion::from_rotation_matrix(&rotation), x[4]);
    let (roll, pitch, yaw) = half.euler_angles();
    mix((rotation * Vector3::new(x[2], x[0], x[1])).as_slice()) + roll + pitch * yaw
}

#[test]
fn rotations() {
    differentiate!(rotate at [0.3, -0.5, 0.8, 1.2, 0.4]);
}

/// The same text in 32-bit numbers, and conversions that keep the gradient.
#[test]
fn single_precision_and_casts() {
    let x = system();
    let expected = crate::gradient(solve_by_lu::<Tensor64>, &x);
    scope(|| {
        let narrow = x.map(|x| Tensor::scalar(x as f32).requires_grad_(true));
        solve_by_lu(&narrow).backward();
        let found = narrow.map(|x| f64::from(x.grad().unwrap().item()));
        crate::assert_near("32 bits", &found, &expected, 1e-4);

        let wide = x.map(|x| Tensor64::scalar(x).requires_grad_(true));
        let cast = SMatrix::<Tensor64, 4, 5>::from_row_slice(&wide).cast::<Tensor>();
        solve_by_lu(cast.transpose().as_slice()).backward();
        let found = wide.map(|x| x.grad().unwrap().item());
        crate::assert_near("cast to 32 bits", &found, &expected, 1e-4);
    });
}

/// Comparisons with tolerances, by value, of numbers and of matrices.
#[test]
fn tolerances() {
    let [a, b] = [1.0, 1.0 + 1e-9].map(Tensor64::scalar);
    assert!(a != b && relative_eq!(a, b, max_relative = Tensor64::scalar(1e-8)) && !relative_eq!(a, b));
    assert!(abs_diff_eq!(a, b, epsilon = Tensor64::scalar(1e-8)) && !abs_diff_eq!(a, b) && !ulps_eq!(a, b));
    assert!(ulps_eq!(a, a * (1.0 + f64::EPSILON)) && ulps_ne!(a, b));
    let matrix = matrix(&ENTRIES.map(Tensor64::scalar));
    assert_relative_eq!(matrix * matrix.try_inverse().unwrap(), SMatrix::identity(), epsilon = Tensor64::scalar(1e-12));
    // Tensors of several elements, of one shape.
    let [v, w] = [[1.0, 2.0], [1.0, 2.0 + 1e-9]].map(Tensor64::new);
    assert!(abs_diff_eq!(v, w, epsilon = Tensor64::scalar(1e-8)) && !abs_diff_eq!(v, w) && !abs_diff_eq!(v, a));
}
