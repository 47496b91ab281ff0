//! A square product and both of its gradients, against the product alone.

use std::hint::black_box;

use wengert::{no_grad, scope};

use super::{Cost, Program, Results, Unit, Workload};
use crate::arrays::Array;

/// What peers do not run.
pub const KIND: &str = "matmul_gradient";

/// Side lengths, in the order of [`NAMES`].
const SIZES: [usize; 7] = [16, 32, 64, 128, 256, 512, 1024];
const NAMES: [&str; 7] =
    ["matmul-16", "matmul-32", "matmul-64", "matmul-128", "matmul-256", "matmul-512", "matmul-1024"];

pub fn workloads() -> Vec<Workload> {
    let workload = |(n, name): (usize, &'static str)| Workload {
        name,
        kind: KIND,
        unit: Unit::Step,
        data: 0,
        cost: Cost { flops: 6.0 * (n * n * n) as f64, bytes: 0.0 },
        make: Box::new(move || (0..3).map(|_| Array::normal(&[n, n], 1.0)).collect()),
        start,
    };
    SIZES.into_iter().zip(NAMES).map(workload).collect()
}

fn start(inputs: &[Array]) -> Program {
    let [a, b] = [&inputs[0], &inputs[1]].map(Array::parameter);
    let seed = inputs[2].tensor();
    let step = move || {
        scope(|| a.matmul(b).backward_with(seed));
        a.zero_grad();
        b.zero_grad();
    };
    unchecked(Box::new(step))
}

/// The product alone, for the ratio.
pub fn primal(inputs: &[Array]) -> Program {
    let [a, b] = [&inputs[0], &inputs[1]].map(Array::tensor);
    unchecked(Box::new(move || {
        no_grad(|| {
            scope(|| {
                black_box(a.matmul(b));
            })
        })
    }))
}

/// There is nobody to agree with; the library's tests check products and their gradients.
fn unchecked(step: Box<dyn FnMut()>) -> Program {
    Program { step, check: Box::new(|| Results { gradients: Vec::new(), parameters: Vec::new() }) }
}
