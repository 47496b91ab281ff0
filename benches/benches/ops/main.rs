//! Every row of the table of operations, forward and backward.
//!
//! * `elementwise`: each on large operands in both types.
//! * `large`: structured operations at sizes of networks.
//! * `call`: each operation on the few elements of its first test case; what is left is the cost of a call.
//!
//! *Forward* records the operation and looks at its value. *Backward* is the sweep over that one entry, which leaves its gradients in
//! leaves; it is timed apart from what it needs.

mod large;

use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use wengert::table::{Pointwise, samples};
use wengert::{FloatElement, TensorBase, scope};

/// Elements of a large operand: more than a core's first-level cache, less than its second.
const LENGTH: usize = 16 * 1024;

/// Numbers in an interval, evenly spread and without ties (the golden-ratio sequence).
fn spread<E: FloatElement>(shape: &[usize], on: &std::ops::Range<f64>, offset: usize) -> TensorBase<E> {
    let at = |i: usize| on.start + ((i + offset) as f64 * 0.618_033_988_749_894_9 + 0.1).fract() * (on.end - on.start);
    let numbers: Vec<E> = (0..shape.iter().product()).map(|i| E::of(at(i))).collect();
    TensorBase::from_slice(&numbers, shape)
}

/// An operation on leaves.
struct Call<'a, E: FloatElement> {
    operands: Vec<TensorBase<E>>,
    run: &'a dyn Fn(&[TensorBase<E>]) -> TensorBase<E>,
}

impl<E: FloatElement> Call<'_, E> {
    /// Both directions, under `name`.
    fn bench(&self, group: &mut BenchmarkGroup<'_, WallTime>, name: &str) {
        let (length, is_tracked) = scope(|| {
            let y = (self.run)(&self.operands);
            (y.numel(), y.requires_grad())
        });
        let elements = self.operands.iter().map(|x| x.numel()).sum::<usize>() + length;
        let bytes = elements * size_of::<E>();
        group.throughput(Throughput::ElementsAndBytes { elements: length.max(1) as u64, bytes: bytes as u64 });
        group.bench_function(format!("{name}/forward"), |b| {
            b.iter(|| scope(|| read((self.run)(&self.operands))));
        });
        if is_tracked {
            group.bench_function(format!("{name}/backward"), |b| b.iter_custom(|count| self.backward(count)));
        }
    }

    /// The time of `count` sweeps.
    fn backward(&self, count: u64) -> Duration {
        let mut total = Duration::ZERO;
        for _ in 0..count {
            let elapsed = scope(|| {
                let y = (self.run)(&self.operands);
                let seed = y.detach();
                read(y);
                let start = Instant::now();
                y.backward_with(seed);
                start.elapsed().as_nanos() as u64
            });
            total += Duration::from_nanos(elapsed);
            self.operands.iter().for_each(|x| x.zero_grad());
        }
        total
    }
}

/// Looks at a value, so that it is there.
fn read<E: FloatElement>(y: TensorBase<E>) {
    y.with_data(|y| {
        std::hint::black_box(y.first());
    });
}

fn elementwise(c: &mut Criterion) {
    fn of<E: FloatElement>(group: &mut BenchmarkGroup<'_, WallTime>, op: Pointwise, dtype: &str) {
        scope(|| {
            let operand = |(k, on)| spread::<E>(&[LENGTH], on, 17 * k).requires_grad_(op.differentiable()[k]);
            let operands = op.domain().iter().enumerate().map(operand).collect();
            Call { operands, run: &|x| op.run(x) }.bench(group, &format!("{} {}/{dtype}", op.name(), op.grad_fn()));
        });
    }
    let mut group = c.benchmark_group("elementwise");
    for op in Pointwise::all() {
        of::<f32>(&mut group, op, "f32");
        of::<f64>(&mut group, op, "f64");
    }
    group.finish();
}

fn large(c: &mut Criterion) {
    let mut group = c.benchmark_group("large");
    for (name, shapes, run) in large::CALLS {
        scope(|| {
            let operand =
                |(k, shape): (usize, &&[usize])| spread::<f32>(shape, &(0.5..1.5), 17 * k).requires_grad_(true);
            let operands = shapes.iter().enumerate().map(operand).collect();
            Call { operands, run }.bench(&mut group, name);
        });
    }
    group.finish();
}

fn call(c: &mut Criterion) {
    let mut group = c.benchmark_group("call");
    let mut last = ("", "");
    for sample in samples() {
        let id = (sample.op, sample.grad_fn);
        if std::mem::replace(&mut last, id) == id {
            continue;
        }
        scope(|| {
            let operand = |(k, (shape, on)): (usize, &(Vec<usize>, _))| {
                spread::<f64>(shape, on, 17 * k).requires_grad_(sample.differentiable[k])
            };
            let operands = sample.inputs.iter().enumerate().map(operand).collect();
            Call { operands, run: &sample.run }.bench(&mut group, &format!("{} {}", id.0, id.1));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(200))
        .without_plots();
    targets = elementwise, large, call
}
criterion_main!(benches);
