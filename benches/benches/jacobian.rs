//! What many seeds in one sweep gain over one sweep a row.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use wengert::func::{JacobianOptions, hessian_with, jacfwd_with, jacrev_with};
use wengert::{Tensor, manual_seed, scope};

const CHUNKS: [(&str, Option<usize>); 5] =
    [("one a sweep", Some(1)), ("8", Some(8)), ("32", Some(32)), ("all", Some(1 << 20)), ("default", None)];

type Function = Box<dyn Fn(Tensor) -> Tensor>;

fn functions() -> Vec<(&'static str, Tensor, Function)> {
    manual_seed(0);
    let (first, second) = (Tensor::randn([64, 32]) * 0.2, Tensor::randn([32, 64]) * 0.2);
    let network = move |x: Tensor| x.linear(first, None).tanh().linear(second, None);
    let chain = |x: Tensor| ((x * x + 2.0).tanh() * x.exp()).sin() + x;
    let softmax = move |x: Tensor| x.linear(first, None).softmax(-1).linear(second, None).log_softmax(-1);
    vec![
        ("perceptron 32-64-32", Tensor::randn([32]), Box::new(network)),
        ("attention-like 32-64-32", Tensor::randn([32]), Box::new(softmax)),
        ("elementwise chain of 256", Tensor::randn([256]), Box::new(chain)),
    ]
}

fn jacobians(c: &mut Criterion) {
    for (name, x, f) in functions() {
        for (mode, forward) in [("jacrev", false), ("jacfwd", true)] {
            let mut group = c.benchmark_group(format!("{mode}, {name}"));
            for (label, chunk) in CHUNKS {
                let options = JacobianOptions { chunk };
                group.bench_function(BenchmarkId::from_parameter(label), |b| {
                    b.iter(|| {
                        scope(|| {
                            let j = if forward { jacfwd_with(&f, x, options) } else { jacrev_with(&f, x, options) };
                            black_box(j.expect("a Jacobian"));
                        });
                    });
                });
            }
            group.finish();
        }
    }
}

fn hessians(c: &mut Criterion) {
    for (name, x, f) in functions() {
        let mut group = c.benchmark_group(format!("hessian of the sum, {name}"));
        for (label, chunk) in CHUNKS {
            group.bench_function(BenchmarkId::from_parameter(label), |b| {
                b.iter(|| {
                    scope(|| {
                        black_box(hessian_with(|x| f(x).square().sum(), x, JacobianOptions { chunk }).expect("one"))
                    });
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(std::time::Duration::from_millis(300)).measurement_time(std::time::Duration::from_millis(800));
    targets = jacobians, hessians
}
criterion_main!(benches);
