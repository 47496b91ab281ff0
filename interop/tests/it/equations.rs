//! eqsolver: roots of equations, systems of equations, integrals of differential equations.

use eqsolver::multivariable::MultiVarNewton;
use eqsolver::single_variable::{Newton, Secant};
use eqsolver::{ODESolver, ODESolverMethod};
use nalgebra::{Matrix2, RealField, Vector2};
use num_traits::Float;

use crate::differentiate;

fn of<T: Float>(x: f64) -> T {
    T::from(x).unwrap()
}

/// The real root of `x³ + p x = q`.
fn root_by_newton<T: Float>(x: &[T]) -> T {
    let [p, q] = [x[0], x[1]];
    Newton::new(|x: T| x * x * x + p * x - q, |x: T| of::<T>(3.0) * x * x + p)
        .with_tol(of(1e-14))
        .solve(of(1.0))
        .unwrap()
}

fn root_by_secants<T: Float>(x: &[T]) -> T {
    let [p, q] = [x[0], x[1]];
    Secant::new(|x: T| x * x * x + p * x - q).with_tol(of(1e-12)).solve(of(0.5), of(1.5)).unwrap()
}

/// By the implicit function theorem, `dx/dp = -x / (3 x² + p)` and `dx/dq = 1 / (3 x² + p)`.
#[test]
fn roots() {
    let at = [2.0, 5.0];
    let root = root_by_newton(&at);
    let slope = 3.0 * root * root + at[0];
    differentiate!(root_by_newton at at, gradient = [-root / slope, 1.0 / slope]);
    let found = crate::gradient(root_by_secants::<wengert::Tensor64>, &at);
    crate::assert_near("secants", &found, &[-root / slope, 1.0 / slope], 1e-6);
}

/// Where the circle of radius `x[0]` meets the hyperbola `a b = x[1]`.
fn intersection<T: Float + RealField>(x: &[T]) -> T {
    let [r, k] = [x[0], x[1]];
    let f = |v: Vector2<T>| Vector2::new(v[0] * v[0] + v[1] * v[1] - r * r, v[0] * v[1] - k);
    let jacobian = |v: Vector2<T>| Matrix2::new(v[0] + v[0], v[1] + v[1], v[1], v[0]);
    let v = MultiVarNewton::new(f, jacobian).with_tol(of(1e-13)).solve(Vector2::new(of(1.8), of(0.4))).unwrap();
    v[0] + v[1] * v[1]
}

#[test]
fn systems() {
    differentiate!(intersection at [2.0, 1.0]);
}

/// `y(1)` of `y' = -k y`, which is `y0 e^-k`.
fn decay<T: Float + RealField>(x: &[T]) -> T {
    let k = x[1];
    ODESolver::new(move |_: T, y: T| -(k * y), T::zero(), x[0], of(0.005)).solve(T::one()).unwrap()
}

/// The prey after a time unit by the equations of Lotka and Volterra, of initial state and rates.
fn predators<T: Float + RealField>(x: &[T]) -> T {
    let [a, b, c, d] = [x[2], x[3], x[4], x[5]];
    let f = move |_: T, y: Vector2<T>| Vector2::new(a * y[0] - b * y[0] * y[1], d * y[0] * y[1] - c * y[1]);
    let solver = |method| {
        let mut solver = ODESolver::new(f, T::zero(), Vector2::new(x[0], x[1]), of(0.05));
        solver.with_method(method);
        solver.solve(T::one()).unwrap()
    };
    let (fine, coarse) = (solver(ODESolverMethod::RungeKutta4), solver(ODESolverMethod::Heun));
    fine[0] + coarse[1] * coarse[1]
}

#[test]
fn differential_equations() {
    differentiate!(decay at [2.0, 0.7], gradient = [(-0.7_f64).exp(), -2.0 * (-0.7_f64).exp()]);
    differentiate!(predators at [1.5, 1.0, 1.1, 0.4, 0.9, 0.3]);
}
