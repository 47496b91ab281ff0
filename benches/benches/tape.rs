//! What the tape costs: recording, sweeping and rewinding, per entry and for small networks.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use wengert::{Tensor, Tensor64, manual_seed, scope};

/// A chain of operations on one number: recorded, swept and rewound.
fn scalar_chain(c: &mut Criterion) {
    let mut group = c.benchmark_group("scalar chain");
    for length in [10, 1_000, 100_000] {
        group.throughput(Throughput::Elements(length));
        let x = Tensor::scalar(1.0).requires_grad_(true);
        group.bench_function(BenchmarkId::from_parameter(length), |b| {
            b.iter(|| {
                scope(|| {
                    let mut y = x;
                    for _ in 0..length / 2 {
                        y = y * 1.000_1 + 0.000_1;
                    }
                    y.backward();
                });
                x.zero_grad();
            });
        });
    }
    group.finish();
}

/// `sum(tanh(x x + 2) exp(x))`: value and gradient.
fn elementwise_chain(c: &mut Criterion) {
    let mut group = c.benchmark_group("sum(tanh(x x + 2) exp(x))");
    for n in [1_000, 100_000] {
        group.throughput(Throughput::Elements(n as u64));
        let x = Tensor::linspace(-1.0, 1.0, n).requires_grad_(true);
        group.bench_function(BenchmarkId::from_parameter(n), |b| {
            b.iter(|| {
                scope(|| ((x * x + 2.0).tanh() * x.exp()).sum().backward());
                x.zero_grad();
            });
        });
    }
    group.finish();
}

/// One gradient of a perceptron with two hidden layers.
fn small_network(c: &mut Criterion) {
    manual_seed(0);
    let weight = |rows: usize, columns: usize| Tensor::randn([rows, columns]).requires_grad_(true);
    let layers = [weight(2, 16), weight(16, 16), weight(16, 2)];
    let input = Tensor::randn([32, 2]);
    c.bench_function("gradient of a 2-16-16-2 perceptron, batch 32", |b| {
        b.iter(|| {
            scope(|| {
                let hidden = input.matmul(layers[0]).tanh().matmul(layers[1]).tanh();
                hidden.matmul(layers[2]).square().sum().backward();
            });
            layers.iter().for_each(|w| w.zero_grad());
        });
    });
}

/// The gradient of the Rosenbrock function of `n` numbers, in one tensor operation per term.
fn rosenbrock(c: &mut Criterion) {
    let x = Tensor64::linspace(-1.0, 1.0, 1_000).requires_grad_(true);
    c.bench_function("gradient of Rosenbrock, n = 1000", |b| {
        b.iter_batched(
            || x.zero_grad(),
            |()| {
                scope(|| {
                    let (head, tail) = (x.narrow(0, 0, 999), x.narrow(0, 1, 999));
                    let valley = (tail - head.square()).square() * 100.0;
                    let slope = (1.0 - head).square();
                    black_box((valley + slope).sum()).backward();
                });
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, scalar_chain, elementwise_chain, small_network, rosenbrock);
criterion_main!(benches);
