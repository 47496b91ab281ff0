//! A physics-informed network: the viscous Burgers equation, `u_t + u u_x = ν u_xx`, where two shocks merge.
//!
//! ```text
//! cargo run --release --example pinn
//! ```
//!
//! A small network u(t, x) is trained until its residual in the equation vanishes, and until it agrees with the initial and boundary
//! values (Raissi, Perdikaris and Karniadakis 2019, "Physics-informed neural networks"). It sees no other value of the solution. The
//! derivatives by t and x come in forward mode, the one by the weights in reverse mode through all of them.
//!
//! The picture, `out/pinn.png`, shows the solution, the logarithm of the error, and cross-sections.

mod common;

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use wengert::func::{jvp, linearize};
use wengert::{Tensor, cat, manual_seed, no_grad, scope};
use wengert_optim::{Adam, OneCycleLr, Schedule};

use crate::common::chart::{Area, Axis, Chart};
use crate::common::picture::{BLUE, GREEN, ORANGE, Picture, RED, shade};

const VISCOSITY: f32 = 0.01;
/// Neurons of a hidden layer.
const WIDTH: usize = 32;
const STEPS: u64 = 6000;
/// Points of the equation in a step, and points of the initial line and of both ends.
const INSIDE: usize = 384;
const EDGE: usize = 64;

/// The solution at points `[n, 2]` of (t, x), `[n, 1]`: by the Cole-Hopf transform, `u = -2ν φ_x / φ` where `φ_t = ν φ_xx`.
///
/// With φ a sum of three exponentials `exp(-k x / 2ν + k² t / 4ν + c)`, u is the mean of the three k with the exponentials as
/// weights: three plateaus, and between them two shocks of different speed (Whitham 1974, "Linear and Nonlinear Waves", section
/// 4.7). They begin at x = 0.15 and x = 0.5, and meet at t = 0.7.
fn exact(points: Tensor) -> Tensor {
    let speeds = [1.0, 0.5, 0.0];
    let offsets = [0.325, 0.25, 0.0];
    let scale = 1.0 / (2.0 * VISCOSITY);
    let by_time = speeds.map(|k| k * k / 2.0 * scale);
    let by_place = speeds.map(|k| -k * scale);
    let exponents = points.matmul(Tensor::new([by_time, by_place])) + Tensor::new(offsets.map(|c| c * scale));
    exponents.softmax(1).matmul(Tensor::new(speeds).reshape([3, 1]))
}

/// Weights and biases of a perceptron.
struct Network {
    layers: Vec<[Tensor; 2]>,
}

impl Network {
    /// Random weights of variance 1 / inputs.
    fn new(widths: &[usize]) -> Self {
        let layer = |pair: &[usize]| {
            let weight = Tensor::randn([pair[1], pair[0]]) / (pair[0] as f32).sqrt();
            [weight.requires_grad_(true), Tensor::zeros([pair[1]]).requires_grad_(true)]
        };
        Self { layers: widths.windows(2).map(layer).collect() }
    }

    /// u at points `[n, 2]`, `[n, 1]`.
    fn forward(&self, points: Tensor) -> Tensor {
        let (last, hidden) = self.layers.split_last().expect("a layer");
        // The unit square becomes [-2, 2]², where tanh bends.
        let first = points * 4.0 - 2.0;
        hidden.iter().fold(first, |x, [weight, bias]| x.linear(*weight, *bias).tanh()).linear(last[0], last[1])
    }
}

/// `u_t + u u_x - ν u_xx` of any function at `points`.
fn residual(u: impl Fn(Tensor) -> Tensor, points: Tensor) -> Tensor {
    let direction = |t: f32, x: f32| Tensor::new([t, x]).expand(points.shape()).contiguous();
    let (along_t, along_x) = (direction(1.0, 0.0), direction(0.0, 1.0));
    // Forward mode over forward mode: the derivative of (u, u_x) in any direction.
    let ((u, u_x), derivative) = linearize(|points| jvp(u, points, along_x), points);
    let (u_t, _) = derivative.call(along_t);
    let (_, u_xx) = derivative.call(along_x);
    u_t + u * u_x - u_xx * VISCOSITY
}

/// The mean square of the residual and that of the error on the edges, at random points.
fn losses(network: &Network) -> (Tensor, Tensor) {
    let equation = residual(|points| network.forward(points), Tensor::rand([INSIDE, 2])).square().mean();
    let place = Tensor::rand([EDGE, 1]);
    let (zeros, ones) = (place.zeros_like(), place.ones_like());
    let sides = [[zeros, place], [place, zeros], [place, ones]].map(|side| cat(&side, 1));
    let edge = cat(&sides, 0);
    (equation, (network.forward(edge) - exact(edge)).square().mean())
}

fn train(network: &Network) {
    let mut adam = Adam::new(network.layers.iter().flatten().copied(), 0.0);
    let mut schedule = OneCycleLr::new(1e-2, STEPS).attach(&mut adam);
    for step in 1..=STEPS {
        let (equation, edge) = scope(|| {
            let (equation, edge) = losses(network);
            (equation + edge * 10.0).backward();
            (equation.item(), edge.item())
        });
        adam.step();
        adam.zero_grad();
        if step < STEPS {
            schedule.step(&mut adam);
        }
        if step % (STEPS / 8) == 0 || step == 1 {
            println!("step {step:5}  equation {equation:.2e}  edges {edge:.2e}  error {:.2e}", error(network));
        }
    }
}

/// A grid of `n` x `n` points of (t, x), t by t.
fn grid(n: usize) -> Tensor {
    let line = Tensor::linspace(0.0, 1.0, n);
    let (t, x) = (line.reshape([n, 1, 1]).expand([n, n, 1]), line.reshape([1, n, 1]).expand([n, n, 1]));
    cat(&[t, x], 2).reshape([n * n, 2])
}

/// The relative error in the mean square over a grid.
fn error(network: &Network) -> f32 {
    no_grad(|| {
        let points = grid(101);
        let exact = exact(points);
        ((network.forward(points) - exact).norm() / exact.norm()).item()
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    manual_seed(0);
    let start = Instant::now();
    let check = scope(|| residual(exact, Tensor::rand([INSIDE, 2])).abs().max().item());
    println!("largest residual of the exact solution, which the derivatives should make 0: {check:.1e}");
    let network = Network::new(&[2, WIDTH, WIDTH, 1]);
    train(&network);

    let path = Path::new("out/pinn.png");
    draw(&network).write(path)?;
    println!("{} in {:.1} s", path.display(), start.elapsed().as_secs_f64());
    let error = error(&network);
    println!("error {error:.1e}: that of the network, relative to the exact solution in the mean square");
    if check > 1e-2 || error > 1e-2 {
        return Err("the derivatives are wrong, or training has failed".into());
    }
    Ok(())
}

fn draw(network: &Network) -> Picture {
    const SIZE: usize = 240;
    let mut picture = Picture::new(1000, 320);
    let points = grid(SIZE);
    let (found, exact_values) = no_grad(|| (network.forward(points).to_vec(), exact(points).to_vec()));
    let shares = found.iter().zip(&exact_values).map(|(u, exact)| {
        // From an error of 1e-5 to one of 1e-1.
        let error = f64::from((u - exact).abs().max(1e-9)).log10();
        [f64::from(*u), (error + 5.0) / 4.0]
    });
    let left = [50, 370];
    for (k, name) in ["x  solution 0 to 1", "x  error 1e-5 to 1e-1"].into_iter().enumerate() {
        let area = Area { x: left[k] as f64, y: 30.0, width: SIZE as f64, height: SIZE as f64 };
        Chart::new(&mut picture, area, Axis::linear("t", 0.0, 1.0), Axis::linear(name, 0.0, 1.0));
    }
    for (at, shares) in shares.enumerate() {
        let (t, x) = (at / SIZE, at % SIZE);
        for (left, share) in left.into_iter().zip(shares) {
            picture.fill(left + t, 30 + SIZE - 1 - x, 1, 1, shade(share));
        }
    }
    let area = Area { x: 690.0, y: 30.0, width: 280.0, height: SIZE as f64 };
    let axes = (Axis::linear("x", 0.0, 1.0), Axis::linear("u  line: network, dots: exact", -0.1, 1.5));
    let mut chart = Chart::new(&mut picture, area, axes.0, axes.1);
    for (share, colour) in [(0.0, BLUE), (0.35, GREEN), (0.7, ORANGE), (1.0, RED)] {
        let row = (share * (SIZE - 1) as f64) as usize * SIZE;
        let point = |values: &[f32], x: usize| (x as f64 / (SIZE - 1) as f64, f64::from(values[row + x]));
        chart.curve(&format!("t = {share}"), colour, (0..SIZE).map(|x| point(&found, x)));
        chart.dots("", colour, (0..SIZE).step_by(12).map(|x| point(&exact_values, x)));
    }
    picture
}
