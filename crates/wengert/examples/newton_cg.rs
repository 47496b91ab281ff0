//! Newton-CG: logistic regression of the digits by second derivatives that no one wrote down.
//!
//! ```text
//! cargo run --release --example newton_cg
//! ```
//!
//! Each outer iteration linearizes the gradient at the weights. That gives products with the Hessian, one forward sweep each, and
//! conjugate gradients need no more to solve for Newton's step, the more exactly the closer the optimum is (Nocedal and Wright
//! 2006, "Numerical Optimization", section 7.1). The loss is strongly convex, so a gradient of norm g proves that the weights are
//! within g / λ of the one optimum; besides, accelerated gradient descent has to arrive at the same weights.
//!
//! The picture, `out/newton_cg.png`, shows the norm of the gradient by both methods against what they spent.

mod common;

use std::error::Error;
use std::path::Path;

use wengert::func::{grad, hvp, linearize, value_and_grad};
use wengert::{IndexTensor, Tensor64, cat, manual_seed, no_grad, scope};

use crate::common::chart::{Area, Axis, Chart};
use crate::common::digits::Digits;
use crate::common::picture::{BLUE, ORANGE, Picture};

const CLASSES: usize = 10;
/// λ, the factor of half the squared weights in the loss.
const DECAY: f64 = 1e-3;
/// The norm of the gradient at which a method has arrived.
const GOAL: f64 = 1e-10;

/// Digits and the loss of weights `[10, 65]` on them.
#[derive(Clone, Copy)]
struct Regression {
    /// `[n, 65]`: 64 pixels and a one, whose weight is the bias.
    pixels: Tensor64,
    labels: IndexTensor,
}

impl Regression {
    fn new(digits: &Digits) -> Self {
        let all: Vec<i64> = (0..digits.len() as i64).collect();
        let (pixels, labels) = digits.batch(&all);
        let ones = Tensor64::ones([digits.len(), 1]);
        Self { pixels: cat(&[pixels.cast(), ones], 1), labels }
    }

    fn scores(&self, weights: Tensor64) -> Tensor64 {
        self.pixels.matmul(weights.t())
    }

    /// The mean negative log-likelihood (multinomial), regularised.
    fn loss(&self, weights: Tensor64) -> Tensor64 {
        self.scores(weights).cross_entropy(self.labels) + weights.square().sum() * (DECAY / 2.0)
    }

    fn gradient(&self, weights: Tensor64) -> Tensor64 {
        grad(|w| self.loss(w), weights)
    }

    /// The share of the digits whose label has the highest score.
    fn accuracy(&self, weights: Tensor64) -> f64 {
        let predictions = no_grad(|| self.scores(weights).argmax_dim(1, false).to_vec());
        let right = predictions.iter().zip(self.labels.to_vec()).filter(|(p, l)| **p == *l).count();
        right as f64 / predictions.len() as f64
    }
}

/// The norm of the gradient after so many gradients and products with the Hessian, which cost about the same.
type History = Vec<(f64, f64)>;

fn main() -> Result<(), Box<dyn Error>> {
    manual_seed(0);
    let (train, test) = Digits::load()?.split(0.8);
    let (train, test) = (Regression::new(&train), Regression::new(&test));

    let (weights, newton) = newton_cg(&train);
    let order = order(&newton);
    let (slow_weights, descent) = accelerated_descent(&train);
    let arrived = newton.last().map_or(f64::NAN, |last| last.1);
    println!("accelerated gradient descent: {} gradients", descent.len());
    println!("order of convergence by the last gradients: {order:.2} (Newton's is 2)");
    println!("proven distance to the optimum: below {:.1e}", arrived / DECAY);
    println!("test accuracy {:.4}", test.accuracy(weights));
    let product_error = check_product(&train, weights);
    println!("a product with the Hessian, against differences of gradients: relative error {product_error:.1e}");

    let path = Path::new("out/newton_cg.png");
    draw(&newton, &descent).write(path)?;
    println!("picture: {}", path.display());
    let error = (weights - slow_weights).abs().max().item();
    println!("error {error:.1e}: the largest difference of a weight between the two methods");
    if arrived > GOAL || product_error > 1e-7 || error > 2.0 * GOAL / DECAY {
        return Err("the optimum or the derivatives are wrong".into());
    }
    Ok(())
}

/// The weights at the minimum, from zeros.
fn newton_cg(problem: &Regression) -> (Tensor64, History) {
    let mut weights = Tensor64::zeros([CLASSES, problem.pixels.size(1)]);
    let mut history = History::new();
    let mut spent = 0;
    println!("iteration  loss              gradient  products  step");
    for iteration in 0.. {
        let (next, norm, products) = scope(|| {
            let ((loss, g), derivative) = linearize(|w| value_and_grad(|w| problem.loss(w), w), weights);
            let norm = g.norm().item();
            if norm <= GOAL {
                println!("{iteration:9}  {:.14}  {norm:.2e}", loss.item());
                return (None, norm, 0);
            }
            // A residual of the order of the gradient's square keeps the quadratic convergence.
            let (direction, products) = conjugate_gradients(|v| derivative.call(v).1, g, norm * norm.min(0.1));
            let step = backtrack(|t| problem.loss(weights + direction * t), loss, dot(g, direction));
            println!("{iteration:9}  {:.14}  {norm:.2e}  {products:8}  {step}", loss.item());
            (Some(weights + direction * step), norm, products)
        });
        history.push(((spent + 1) as f64, norm));
        spent += 1 + products;
        match next {
            Some(next) => weights = next,
            None => break,
        }
    }
    (weights, history)
}

/// Solves `H d = -g` until `H d + g` has the norm `tolerance`; gives `d` and the number of products (Hestenes and Stiefel 1952).
fn conjugate_gradients(hessian: impl Fn(Tensor64) -> Tensor64, g: Tensor64, tolerance: f64) -> (Tensor64, usize) {
    let mut solution = g.zeros_like();
    let mut residual = -g;
    let mut direction = residual;
    let mut square = dot(residual, residual);
    let mut products = 0;
    while square.sqrt() > tolerance {
        let product = hessian(direction);
        products += 1;
        let step = square / dot(direction, product);
        solution += direction * step;
        residual -= product * step;
        let before = std::mem::replace(&mut square, dot(residual, residual));
        direction = residual + direction * (square / before);
    }
    (solution, products)
}

/// The first of the steps 1, 1/2, 1/4, .. that lowers the loss by a fair share of what the slope promises (Armijo's condition).
fn backtrack(along: impl Fn(f64) -> Tensor64, loss: Tensor64, slope: f64) -> f64 {
    let (loss, mut step) = (loss.item(), 1.0);
    // Close to the optimum a decrease is below the loss's rounding.
    let rounding = 4.0 * f64::EPSILON * loss;
    while no_grad(|| along(step)).item() > loss + 1e-4 * step * slope + rounding {
        step /= 2.0;
    }
    step
}

fn dot(a: Tensor64, b: Tensor64) -> f64 {
    (a * b).sum().item()
}

/// The same minimum by first derivatives: Nesterov's method for strongly convex functions (Nesterov 2004, "Introductory Lectures
/// on Convex Optimization", section 2.2).
fn accelerated_descent(problem: &Regression) -> (Tensor64, History) {
    let steepest = curvature_bound(problem);
    let root = (DECAY / steepest).sqrt();
    let momentum = (1.0 - root) / (1.0 + root);
    let weights = Tensor64::zeros([CLASSES, problem.pixels.size(1)]);
    let ahead = weights.copy();
    let mut history = History::new();
    loop {
        let norm = scope(|| {
            let g = problem.gradient(ahead);
            let next = ahead - g * (1.0 / steepest);
            ahead.copy_(next + (next - weights) * momentum);
            weights.copy_(next);
            g.norm().item()
        });
        history.push(((history.len() + 1) as f64, norm));
        if norm <= GOAL {
            return (ahead, history);
        }
    }
}

/// No Hessian of the loss has an eigenvalue above this.
///
/// With equal scores the Hessian is, but for λ, `1/C (I - 1/C) ⊗ XᵀX`, and nowhere more than C/2 times that (Böhning 1992,
/// "Multinomial logistic regression algorithm"). Its largest eigenvalue comes from powers of products.
fn curvature_bound(problem: &Regression) -> f64 {
    let zeros = Tensor64::zeros([CLASSES, problem.pixels.size(1)]);
    let product = |v: Tensor64| hvp(|w| problem.loss(w), zeros, v);
    let mut v = Tensor64::randn([CLASSES, problem.pixels.size(1)]);
    for _ in 0..30 {
        v = scope(|| product(v / v.norm()));
    }
    // Powers approach the eigenvalue from below.
    1.01 * ((v.norm().item() - DECAY) * CLASSES as f64 / 2.0 + DECAY)
}

/// The relative error of a product with the Hessian in a random direction against central differences of the gradient.
fn check_product(problem: &Regression, weights: Tensor64) -> f64 {
    scope(|| {
        let v = Tensor64::randn(weights.shape());
        let step = v * 1e-5;
        let difference = (problem.gradient(weights + step) - problem.gradient(weights - step)) / 2e-5;
        let product = hvp(|w| problem.loss(w), weights, v);
        ((product - difference).norm() / product.norm()).item()
    })
}

/// p of `g(k + 1) = c g(k)^p`, by the last three gradients that rounding leaves alone.
fn order(history: &History) -> f64 {
    let logs: Vec<f64> =
        history.iter().rev().map(|step| step.1.ln()).filter(|log| *log > 1e-14f64.ln()).take(3).collect();
    (logs[0] - logs[1]) / (logs[1] - logs[2])
}

fn draw(newton: &History, descent: &History) -> Picture {
    let mut picture = Picture::new(760, 440);
    let area = Area { x: 70.0, y: 30.0, width: 660.0, height: 360.0 };
    let spent = Axis::linear("gradients and products", 0.0, descent.len() as f64);
    let mut chart = Chart::new(&mut picture, area, spent, Axis::logarithmic("norm of gradient", GOAL / 10.0, 1.0));
    chart.curve("accelerated gradient descent", ORANGE, descent.iter().copied());
    chart.curve("newton-cg", BLUE, newton.iter().copied());
    chart.dots("", BLUE, newton.iter().copied());
    picture
}
