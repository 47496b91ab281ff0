//! Our side of what `compare` compares: chains with their gradients, and whole training steps.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wengert::scope;
use wengert_benches::workloads::{self, Unit};

fn train(c: &mut Criterion) {
    let mut group = c.benchmark_group("train");
    for workload in workloads::all() {
        group.throughput(match workload.unit {
            Unit::Step => Throughput::Elements(1),
            Unit::Operations(count) | Unit::Elements(count) => Throughput::Elements(count as u64),
        });
        group.bench_function(workload.name, |b| {
            // What the workload holds is freed before the next one.
            scope(|| {
                let mut program = workload.start(&workload.inputs());
                b.iter(|| (program.step)());
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = train
}
criterion_main!(benches);
