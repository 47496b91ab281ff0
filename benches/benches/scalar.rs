//! What a number costs: functions written once for any scalar, differentiated by wengert and by the crates `echidna` and `reverse`
//! in one run, and computed with `f64` alone.
//!
//! An *operation* is one addition, subtraction or multiplication of the function; a gradient records and sweeps each once, and
//! includes making the inputs and reading their derivatives. Times are given per operation: as criterion's throughput, and in a
//! table measured in turns (A B A B ..), so that all see the same machine.

use std::hint::black_box;
use std::ops::{Add, Mul, Sub};
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput};
use wengert::{Tensor64, grad, scope};

/// The number of inputs.
const N: usize = 1_000;

/// What all of the crates' scalars can do, with each other and with constants.
trait Number:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
{
}
impl<T> Number for T where
    T: Copy
        + Add<Output = T>
        + Sub<Output = T>
        + Mul<Output = T>
        + Add<f64, Output = T>
        + Sub<f64, Output = T>
        + Mul<f64, Output = T>
{
}

/// The Rosenbrock function of `N` numbers.
fn rosenbrock<T: Number>(x: &[T]) -> T {
    let term = |pair: &[T]| {
        let (valley, slope) = (pair[1] - pair[0] * pair[0], pair[0] - 1.0);
        valley * valley * 100.0 + slope * slope
    };
    let rest = x[1..].windows(2).map(term);
    rest.fold(term(&x[..2]), |sum, term| sum + term)
}
/// 7 operations in each of `N - 1` terms, and their sum.
const ROSENBROCK_OPS: usize = 8 * (N - 1) - 1;

/// The rates of change of `N` places on a circle by Lorenz 1996, "Predictability: a problem partly solved", equation 1.
fn lorenz<T: Number>(x: &[T]) -> Vec<T> {
    let at = |i: usize| x[i % N];
    (0..N).map(|i| (at(i + 1) - at(i + N - 2)) * at(i + N - 1) - x[i] + 8.0).collect()
}

/// The energy after one step of the classical Runge-Kutta method.
fn lorenz_step<T: Number>(x: &[T]) -> T {
    let h = 0.05;
    let ahead = |k: &[T], h: f64| -> Vec<T> { x.iter().zip(k).map(|(&x, &k)| x + k * h).collect() };
    let k1 = lorenz(x);
    let k2 = lorenz(&ahead(&k1, h / 2.0));
    let k3 = lorenz(&ahead(&k2, h / 2.0));
    let k4 = lorenz(&ahead(&k3, h));
    let square = |i: usize| {
        let end = x[i] + ((k2[i] + k3[i]) * 2.0 + k1[i] + k4[i]) * (h / 6.0);
        end * end
    };
    (1..N).map(square).fold(square(0), |sum, square| sum + square)
}
/// Per place: four times 4 for the rates, three times 2 on the way, 6 at the end, a square and a sum.
const LORENZ_OPS: usize = N * (16 + 6 + 6 + 2) - 1;

/// Value and gradient by one way.
type Way = fn(&[f64], &mut [f64]) -> f64;

/// Stamps the ways to differentiate `$f`.
macro_rules! ways {
    ($f:ident) => {
        vec![
            (
                "wengert",
                (|x, gradient| {
                    scope(|| {
                        let leaves: Vec<_> = x.iter().map(|&x| Tensor64::scalar(x).requires_grad_(true)).collect();
                        let y = $f(&leaves);
                        let found = grad(y, &leaves);
                        gradient.iter_mut().zip(found).for_each(|(slot, g)| *slot = g.item());
                        y.item()
                    })
                }) as Way,
            ),
            #[cfg(feature = "peers")]
            ("echidna", |x, gradient| {
                let mut value = 0.0;
                let found = echidna::grad(
                    |x| {
                        let y = $f(x);
                        value = echidna::Scalar::value(&y);
                        y
                    },
                    x,
                );
                gradient.copy_from_slice(&found);
                value
            }),
            #[cfg(feature = "peers")]
            ("reverse", |x, gradient| {
                let tape = reverse::Tape::new();
                let leaves = tape.add_vars(x);
                let y = $f(&leaves);
                let found = y.grad();
                let found = reverse::Gradient::wrt(&found, &leaves);
                gradient.copy_from_slice(&found);
                y.val()
            }),
            ("f64, value only", |x, gradient| {
                gradient.fill(f64::NAN);
                $f(x)
            }),
        ]
    };
}

struct Task {
    name: &'static str,
    operations: usize,
    ways: Vec<(&'static str, Way)>,
}

/// All ways give one value and one gradient, which is that of central differences.
fn agree(task: &Task, x: &[f64]) {
    let (name, primal) = *task.ways.last().expect("the way without derivatives");
    let results = task.ways.iter().map(|(name, way)| {
        let mut gradient = vec![0.0; N];
        (*name, way(x, &mut gradient), gradient)
    });
    for (way, value, gradient) in results.filter(|(way, ..)| *way != name) {
        let mut moved = x.to_vec();
        let expected = primal(x, &mut vec![0.0; N]);
        assert!(
            (value - expected).abs() <= 1e-12 * expected.abs(),
            "{}: {way}: {value} should be {expected}",
            task.name
        );
        for i in (0..N).step_by(37) {
            let mut at = |step: f64| {
                moved[i] = x[i] + step;
                let value = primal(&moved, &mut vec![0.0; N]);
                moved[i] = x[i];
                value
            };
            let slope = (at(1e-4) - at(-1e-4)) / 2e-4;
            let close = (gradient[i] - slope).abs() <= 1e-6 * (100.0 + slope.abs());
            assert!(close, "{}: {way}: derivative {i} is {} and should be {slope}", task.name, gradient[i]);
        }
    }
}

/// The least and the median time of each way in nanoseconds per operation, measured in turns.
fn turns(task: &Task, x: &[f64]) {
    const ROUNDS: usize = 60;
    let mut gradient = vec![0.0; N];
    let mut times = vec![Vec::with_capacity(ROUNDS); task.ways.len()];
    for round in 0..ROUNDS + 5 {
        for ((_, way), times) in task.ways.iter().zip(&mut times) {
            let start = Instant::now();
            black_box(way(black_box(x), &mut gradient));
            let elapsed = start.elapsed().as_secs_f64();
            // The first rounds warm caches and allocators.
            if round >= 5 {
                times.push(1e9 * elapsed / task.operations as f64);
            }
        }
    }
    println!("\n{}, {} operations: ns per operation, recorded and swept", task.name, task.operations);
    for ((name, _), times) in task.ways.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!("  {name:<16} min {:7.2}   median {:7.2}", times[0], times[ROUNDS / 2]);
    }
}

fn main() {
    let x: Vec<f64> = (0..N).map(|i| 0.5 + (i as f64 * 0.7).sin()).collect();
    let tasks = [
        Task { name: "gradient of Rosenbrock, n = 1000", operations: ROSENBROCK_OPS, ways: ways!(rosenbrock) },
        Task {
            name: "gradient of a Runge-Kutta step of Lorenz 96, n = 1000",
            operations: LORENZ_OPS,
            ways: ways!(lorenz_step),
        },
    ];
    let mut criterion = Criterion::default().configure_from_args();
    let is_test = std::env::args().any(|argument| argument == "--test");
    for task in &tasks {
        agree(task, &x);
        if !is_test {
            turns(task, &x);
        }
        let mut group = criterion.benchmark_group(task.name);
        group.throughput(Throughput::Elements(task.operations as u64));
        for (name, way) in &task.ways {
            let mut gradient = vec![0.0; N];
            group.bench_function(BenchmarkId::from_parameter(name), |b| {
                b.iter(|| black_box(way(black_box(&x), &mut gradient)));
            });
        }
        group.finish();
    }
    criterion.final_summary();
}
