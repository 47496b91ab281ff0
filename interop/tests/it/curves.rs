//! enterpolation and interp: splines through control points, and tables that are read between their lines.

use enterpolation::Signal;
use enterpolation::bspline::BSpline;
use interp::{InterpMode, interp};
use num_traits::{Float, FromPrimitive};

use crate::differentiate;

/// A cubic B-spline with 6 control points, at the parameter `x[6]`.
fn spline<T: Float + FromPrimitive + Default + std::fmt::Debug>(x: &[T]) -> T {
    let points: [T; 6] = x[..6].try_into().unwrap();
    let curve = BSpline::builder().clamped().elements(points).equidistant::<T>().degree(3).normalized().constant::<4>();
    curve.build().unwrap().eval(x[6])
}

/// A quadratic B-spline over knots that move.
fn knots<T: Float + FromPrimitive + Default + std::fmt::Debug>(x: &[T]) -> T {
    let points: [T; 5] = x[..5].try_into().unwrap();
    let knots: [T; 6] = std::array::from_fn(|i| T::from_usize(i).unwrap() + x[5] * T::from_usize(i * i).unwrap());
    BSpline::builder().elements(points).knots(knots).constant::<3>().build().unwrap().eval(x[6])
}

/// A table of squares read at `x[4]`.
fn table<T: Float + std::fmt::Debug>(x: &[T]) -> T {
    let squares: Vec<T> = x[..4].iter().map(|&x| x * x).collect();
    interp(&x[..4], &squares, x[4], &InterpMode::Extrapolate)
}

#[test]
fn splines() {
    differentiate!(spline at [0.0, 5.0, 3.0, 10.0, 7.0, 6.0, 0.43]);
    differentiate!(knots at [1.0, -2.0, 0.5, 3.0, 2.0, 0.1, 2.6]);
}

/// Between `a` and `b`, the chord of the square is `(a + b) x - a b`.
#[test]
fn tables() {
    differentiate!(table at [0.0, 1.0, 2.5, 4.0, 1.9], gradient = [0.0, 1.9 - 2.5, 1.9 - 1.0, 0.0, 1.0 + 2.5]);
}
