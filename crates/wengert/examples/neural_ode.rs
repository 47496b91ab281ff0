//! A neural differential equation: the law of a damped pendulum, learned from trajectories.
//!
//! ```text
//! cargo run --release --example neural_ode
//! ```
//!
//! A small network gives the rate of change of (angle, speed), the classical Runge-Kutta method integrates it, and the gradient of
//! the misfit goes back through the solver. That gradient is compared with differences, and with that of the adjoint equation,
//! which is solved backward in time (Chen et al. 2018, "Neural Ordinary Differential Equations", section 2): the one is
//! the derivative of the discrete solution, the other of the continuous one, so they meet as the fourth power of the step.
//! Checkpoints bound the memory.
//!
//! The picture, `out/neural_ode.png`, shows the observed trajectories, and one that training never saw.

mod common;

use std::array::from_fn;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use wengert::func::{grad, value_and_grad, vjp};
use wengert::{Tensor64, cat, checkpoint, manual_seed, memory, no_grad, scope};
use wengert_optim::{Adam, CosineAnnealingLr, Schedule};

use crate::common::chart::{Area, Axis, Chart};
use crate::common::picture::{BLACK, BLUE, GREY, ORANGE, Picture, RED};

/// Trajectories that are observed, and how often; in units of time apart.
const STARTS: usize = 16;
const TIMES: usize = 20;
const APART: f64 = 0.2;
/// Runge-Kutta steps from one observation to the next.
const STEPS: usize = 2;
const EPOCHS: u64 = 2400;
const NEURONS: usize = 32;

/// Weight and bias of the hidden layer, then of the output.
type Weights = [Tensor64; 4];

/// The network's rate of change of states `[n, 2]`.
fn field(weights: Weights, states: Tensor64) -> Tensor64 {
    let [w1, b1, w2, b2] = weights;
    states.linear(w1, b1).tanh().linear(w2, b2)
}

/// The law to be learned: the angle's rate is the speed, the speed's `-sin(angle) - 0.15 speed`.
fn pendulum(states: Tensor64) -> Tensor64 {
    let (angle, speed) = (states.narrow(1, 0, 1), states.narrow(1, 1, 1));
    cat(&[speed, -angle.sin() - speed * 0.15], 1)
}

/// `steps` steps of length `h` of the classical Runge-Kutta method for `dy/dt = f(y)`.
fn integrate<const N: usize>(
    f: impl Fn([Tensor64; N]) -> [Tensor64; N],
    mut y: [Tensor64; N],
    h: f64,
    steps: usize,
) -> [Tensor64; N] {
    let shifted = |y: [Tensor64; N], k: [Tensor64; N], h: f64| from_fn(|i| y[i] + k[i] * h);
    for _ in 0..steps {
        let k1 = f(y);
        let k2 = f(shifted(y, k1, h / 2.0));
        let k3 = f(shifted(y, k2, h / 2.0));
        let k4 = f(shifted(y, k3, h));
        y = from_fn(|i| y[i] + (k1[i] + (k2[i] + k3[i]) * 2.0 + k4[i]) * (h / 6.0));
    }
    y
}

/// The states at `times` times, `APART` apart, after `start`, with `steps` steps in between.
fn trajectory(f: impl Fn(Tensor64) -> Tensor64, start: Tensor64, times: usize, steps: usize) -> Vec<Tensor64> {
    let mut y = start;
    let mut next = || {
        [y] = integrate(|[y]| [f(y)], [y], APART / steps as f64, steps);
        y
    };
    (0..times).map(|_| next()).collect()
}

/// What is known: states at the start and at each observation.
struct Observations {
    start: Tensor64,
    later: Vec<Tensor64>,
}

impl Observations {
    /// Of the true law from random starts, with too little energy to turn over.
    fn new() -> Self {
        let start = Tensor64::rand([STARTS, 2]) * 2.8 - 1.4;
        Self { start, later: trajectory(pendulum, start, TIMES, 50) }
    }

    /// The mean square of the misfit at one observation, as its share of that at all.
    fn misfit(&self, k: usize, states: Tensor64) -> Tensor64 {
        (states - self.later[k]).square().mean() / self.later.len() as f64
    }

    fn loss(&self, weights: Weights, steps: usize) -> Tensor64 {
        let states = trajectory(|y| field(weights, y), self.start, self.later.len(), steps);
        states.into_iter().enumerate().fold(Tensor64::scalar(0.0), |sum, (k, y)| sum + self.misfit(k, y))
    }

    /// [`Self::loss`] with a checkpoint from each observation to the next.
    fn checkpointed_loss(&self, weights: Weights, steps: usize) -> Tensor64 {
        let (mut y, mut sum) = (self.start, Tensor64::scalar(0.0));
        for k in 0..self.later.len() {
            let segment = move |y| integrate(|[y]| [field(weights, y)], [y], APART / steps as f64, steps)[0];
            y = checkpoint(segment, y);
            sum += self.misfit(k, y);
        }
        sum
    }

    /// The gradient of the misfit by the adjoint equation: with `a = dL/dy`, backward in time,
    /// `da/dt = -a df/dy` and `dg/dt = -a df/dw`; a jumps at each observation by its misfit's derivative.
    fn adjoint_gradient(&self, weights: Weights, steps: usize) -> Weights {
        let states = no_grad(|| trajectory(|y| field(weights, y), self.start, self.later.len(), steps));
        let mut a = self.start.zeros_like();
        let mut gradient = weights.map(|w| w.zeros_like());
        let rates = |[y, a, ..]: [Tensor64; 6]| {
            scope(|| {
                let (rate, pullback) = vjp(|(y, weights)| field(weights, y), (y, weights));
                let (by_state, [w1, b1, w2, b2]) = pullback.call(a);
                [rate, -by_state, -w1, -b1, -w2, -b2]
            })
        };
        for (k, &y) in states.iter().enumerate().rev() {
            let jump = grad(|y| self.misfit(k, y), y);
            let [w1, b1, w2, b2] = gradient;
            let state = [y, a + jump, w1, b1, w2, b2];
            let [_, before, w1, b1, w2, b2] = scope(|| integrate(rates, state, -APART / steps as f64, steps));
            (a, gradient) = (before, [w1, b1, w2, b2]);
        }
        gradient
    }
}

/// The relative distance of two groups of weights.
fn distance(a: Weights, b: Weights) -> f64 {
    let square = |group: Weights| group.into_iter().map(|x| x.square().sum().item()).sum::<f64>();
    (square(from_fn(|i| a[i] - b[i])) / square(b)).sqrt()
}

fn train(observations: &Observations, weights: Weights) {
    let mut adam = Adam::new(weights, 0.05);
    let mut schedule = CosineAnnealingLr::new(EPOCHS).attach(&mut adam);
    for epoch in 1..=EPOCHS {
        let loss = scope(|| {
            let loss = observations.loss(weights, STEPS);
            loss.backward();
            loss.item()
        });
        adam.step();
        adam.zero_grad();
        schedule.step(&mut adam);
        if epoch % (EPOCHS / 6) == 0 || epoch == 1 {
            println!("epoch {epoch:4}  mean square of the misfit {loss:.2e}");
        }
    }
}

/// The relative error of the gradient's product with a random direction against central differences of the loss.
fn check_differences(observations: &Observations, weights: Weights) -> f64 {
    scope(|| {
        let direction = weights.map(|w| Tensor64::randn(w.shape()));
        let loss = |h: f64| no_grad(|| observations.loss(from_fn(|i| weights[i] + direction[i] * h), STEPS)).item();
        let difference = (loss(1e-5) - loss(-1e-5)) / 2e-5;
        let g = grad(|weights| observations.loss(weights, STEPS), weights);
        let product: f64 = (0..4).map(|i| (g[i] * direction[i]).sum().item()).sum();
        ((product - difference) / difference).abs()
    })
}

/// Prints how the gradient through the solver and that of the adjoint equation meet; gives their distance at the smallest step.
fn check_adjoint(observations: &Observations, weights: Weights) -> f64 {
    let distances = [1, 2, 4].map(|steps| {
        let distance = scope(|| {
            let through = grad(|weights| observations.loss(weights, steps), weights);
            distance(through, observations.adjoint_gradient(weights, steps))
        });
        println!("step {:.3}: gradient and adjoint equation differ by {distance:.1e}", APART / steps as f64);
        distance
    });
    println!("order of that difference {:.1} (4 is the method's)", (distances[1] / distances[2]).log2());
    distances[2]
}

/// Prints the memory of a gradient with and without checkpoints; gives the relative distance of both gradients, whose sums over
/// the observations round differently.
fn check_memory(observations: &Observations, weights: Weights) -> f64 {
    const FINE: usize = 20;
    let measure = |name: &str, loss: &dyn Fn(Weights) -> Tensor64| {
        memory::trim();
        let (before, start) = (memory::stats().used, Instant::now());
        let gradient = scope(|| value_and_grad(loss, weights).1);
        let kilobytes = (memory::stats().high_water - before) / 1024;
        println!("{} steps, {name}: {kilobytes} KB, {:.0} ms", TIMES * FINE, 1e3 * start.elapsed().as_secs_f64());
        gradient
    };
    let plain = measure("recorded", &|weights| observations.loss(weights, FINE));
    let checked = measure("in checkpoints", &|weights| observations.checkpointed_loss(weights, FINE));
    let distance = distance(checked, plain);
    println!("both gradients differ by {distance:.1e}");
    distance
}

fn main() -> Result<(), Box<dyn Error>> {
    manual_seed(0);
    let observations = Observations::new();
    let weights = [
        Tensor64::randn([NEURONS, 2]),
        Tensor64::zeros([NEURONS]),
        Tensor64::randn([2, NEURONS]) * 0.1,
        Tensor64::zeros([2]),
    ];

    let differences = check_differences(&observations, weights);
    println!("gradient through the solver against differences: relative error {differences:.1e}");
    let adjoint = check_adjoint(&observations, weights);
    let checkpoints = check_memory(&observations, weights);
    train(&observations, weights.map(|w| w.requires_grad_(true)));

    // A start among those that were observed, for twice the time.
    let start = Tensor64::new([[-0.9, 0.7]]);
    let (found, exact) = no_grad(|| {
        let found = trajectory(|y| field(weights, y), start, 2 * TIMES, STEPS);
        (cat(&found, 0), cat(&trajectory(pendulum, start, 2 * TIMES, 50), 0))
    });
    let error = ((found - exact).norm() / exact.norm()).item();
    let path = Path::new("out/neural_ode.png");
    draw(&observations, [start, start], [found, exact]).write(path)?;
    println!("picture: {}", path.display());
    println!("error {error:.1e}: that of an unseen trajectory of twice the time, in the mean square");
    if differences > 1e-6 || adjoint > 1e-5 || checkpoints > 1e-12 || error > 5e-2 {
        return Err("the gradient is wrong, or training has failed".into());
    }
    Ok(())
}

/// States in the plane of angle and speed, and the unseen trajectory in time.
fn draw(observations: &Observations, starts: [Tensor64; 2], unseen: [Tensor64; 2]) -> Picture {
    let mut picture = Picture::new(1000, 420);
    let pairs = |states: Tensor64| -> Vec<(f64, f64)> { states.to_vec().chunks(2).map(|s| (s[0], s[1])).collect() };
    let [found, exact] = [0, 1].map(|i| pairs(cat(&[starts[i], unseen[i]], 0)));

    let area = Area { x: 60.0, y: 30.0, width: 400.0, height: 340.0 };
    let axes = (Axis::linear("angle", -2.0, 2.0), Axis::linear("speed", -2.0, 2.5));
    let mut chart = Chart::new(&mut picture, area, axes.0, axes.1);
    for start in 0..STARTS {
        let observed = [observations.start].into_iter().chain(observations.later.iter().copied());
        chart.curve("", GREY, observed.map(|states| pairs(states)[start]));
    }
    chart.dots("observed", GREY, pairs(observations.start));
    chart.curve("unseen, learned", ORANGE, found.iter().copied());
    chart.dots("unseen, true", BLACK, exact.iter().copied());

    let area = Area { x: 530.0, y: 30.0, width: 440.0, height: 340.0 };
    let last = exact.len() - 1;
    let axes = (Axis::linear("time", 0.0, APART * last as f64), Axis::linear("angle, speed", -1.5, 2.0));
    let mut chart = Chart::new(&mut picture, area, axes.0, axes.1);
    let time = |k: usize| k as f64 * APART;
    chart.curve("angle, learned", BLUE, found.iter().enumerate().map(|(k, s)| (time(k), s.0)));
    chart.curve("speed, learned", RED, found.iter().enumerate().map(|(k, s)| (time(k), s.1)));
    chart.dots("", BLACK, exact.iter().enumerate().map(|(k, s)| (time(k), s.0)));
    chart.dots("true", BLACK, exact.iter().enumerate().map(|(k, s)| (time(k), s.1)));
    picture
}
