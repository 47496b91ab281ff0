//! Derivatives through crates that know nothing of wengert: each function is written once, for any scalar, and called with `f64`
//! and with tensors. [`differentiate!`] compares values, gradients and second derivatives with those of central differences, and forward mode with reverse.

use wengert::{GradOptions, Tensor64, func, grad_with, scope};

mod arrays;
mod complex;
mod curves;
mod equations;
mod fourier;
mod geometry;
mod matrices;

/// `differentiate!(f at x)` checks the function `f<T>(&[T]) -> T` at `x`; `, gradient = g` also against a gradient known otherwise.
macro_rules! differentiate {
    ($f:ident at $x:expr $(, gradient = $gradient:expr)?) => {{
        let x: Vec<f64> = $x.to_vec();
        let gradient = crate::check(stringify!($f), $f::<wengert::Tensor64>, $f::<f64>, &x);
        $(crate::assert_near(concat!(stringify!($f), ": gradient in closed form"), &gradient, &$gradient, 1e-10);)?
        let _ = gradient;
    }};
}
use differentiate;

/// Five-point central differences (fourth order) of `f` along each coordinate.
fn differences(f: impl Fn(&[f64]) -> f64, x: &[f64]) -> Vec<f64> {
    let step = 1e-3;
    let mut moved = x.to_vec();
    let mut along = |i: usize| {
        let mut at = |steps: f64| {
            moved[i] = x[i] + steps * step;
            let value = f(&moved);
            moved[i] = x[i];
            value
        };
        (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * step)
    };
    (0..x.len()).map(&mut along).collect()
}

fn assert_near(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (&g, &e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance * (1.0 + e.abs()), "{what}, component {i}: {g} should be {e}");
    }
}

fn leaves(x: &[f64]) -> Vec<Tensor64> {
    x.iter().map(|&x| Tensor64::scalar(x).requires_grad_(true)).collect()
}

/// A number that every component has a share of.
fn weigh(components: &[f64]) -> f64 {
    components.iter().enumerate().map(|(i, g)| g * (1.0 + 0.3 * i as f64)).sum()
}

fn gradient(f: impl Fn(&[Tensor64]) -> Tensor64, x: &[f64]) -> Vec<f64> {
    scope(|| {
        let x = leaves(x);
        f(&x).backward();
        x.iter().map(|x| x.grad().map_or(0.0, |g| g.item())).collect()
    })
}

/// The gradient of the weighed gradient.
fn second(f: impl Fn(&[Tensor64]) -> Tensor64, x: &[f64]) -> Vec<f64> {
    let options = GradOptions { create_graph: true, allow_unused: true };
    scope(|| {
        let x = leaves(x);
        let gradient = grad_with(f(&x), &x, None, options).unwrap();
        let weighed = gradient.iter().enumerate().filter_map(|(i, g)| g.map(|g| g * (1.0 + 0.3 * i as f64)));
        let total: Tensor64 = weighed.sum();
        if !total.requires_grad() {
            return vec![0.0; x.len()];
        }
        total.backward();
        x.iter().map(|x| x.grad().map_or(0.0, |g| g.item())).collect()
    })
}

/// The directional derivative of `f` along the weights of [`weigh`], in forward mode, and that of its gradient, forward over reverse.
fn forward(f: impl Fn(&[Tensor64]) -> Tensor64, x: &[f64]) -> (f64, Vec<f64>) {
    scope(|| {
        let tensors = |x: &[f64]| -> Vec<_> { x.iter().map(|&x| Tensor64::scalar(x)).collect() };
        let along: Vec<f64> = (0..x.len()).map(|i| 1.0 + 0.3 * i as f64).collect();
        let (_, slope) = func::jvp(|x: Vec<Tensor64>| f(&x), tensors(x), tensors(&along));
        let curvature = func::hvp(|x: Vec<Tensor64>| f(&x), tensors(x), tensors(&along));
        (slope.item(), curvature.iter().map(|c| c.item()).collect())
    })
}

/// Checks value, gradient and second derivatives of a function at `x` in all modes, and returns the gradient.
fn check(name: &str, f: impl Fn(&[Tensor64]) -> Tensor64, primal: impl Fn(&[f64]) -> f64, x: &[f64]) -> Vec<f64> {
    let value = scope(|| f(&leaves(x)).item());
    assert_near(&format!("{name}: value"), &[value], &[primal(x)], 1e-12);
    let found = gradient(&f, x);
    assert_near(&format!("{name}: gradient"), &found, &differences(&primal, x), 1e-8);
    let expected = differences(|x| weigh(&gradient(&f, x)), x);
    assert_near(&format!("{name}: second derivative"), &second(&f, x), &expected, 1e-7);
    let (slope, curvature) = forward(&f, x);
    assert_near(&format!("{name}: forward mode"), &[slope], &[weigh(&found)], 1e-11);
    assert_near(&format!("{name}: forward over reverse"), &curvature, &expected, 1e-7);
    found
}

/// `check` finds what is wrong: a function whose gradient lacks a factor, and one whose value differs.
#[test]
fn the_check_rejects_wrong_answers() {
    let rejects =
        |f: fn(&[Tensor64]) -> Tensor64| std::panic::catch_unwind(|| check("", f, |x| x[0] * x[0], &[2.0])).is_err();
    assert!(!rejects(|x| x[0] * x[0]));
    assert!(rejects(|x| x[0] * x[0].detach()));
    assert!(rejects(|x| x[0] * x[0] * 1.001));
}
