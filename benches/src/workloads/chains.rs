//! Value and gradient of long and of wide chains of elementwise operations.

use std::hint::black_box;

use wengert::{Tensor, scope};

use super::{Cost, Program, Results, Unit, Workload};
use crate::arrays::Array;

/// Half the number of operations of the scalar chain.
pub const SCALAR_ROUNDS: usize = 1_000;
/// Elements that a cache does not hold.
const LARGE: usize = 4_000_000;

pub fn workloads() -> Vec<Workload> {
    vec![
        Workload {
            name: "scalar-chain-2000",
            kind: "scalar_chain",
            unit: Unit::Operations(2 * SCALAR_ROUNDS),
            data: 0,
            // The chain is bound by latencies.
            cost: Cost { flops: 0.0, bytes: 0.0 },
            make: Box::new(|| vec![Array::normal(&[], 1.0), Array::normal(&[], 0.5), Array::normal(&[], 0.1)]),
            start: |inputs| {
                differentiate(inputs, |[x, w, b]: [Tensor; 3]| {
                    let mut y = x;
                    for _ in 0..SCALAR_ROUNDS {
                        y = y * w + b;
                    }
                    y
                })
            },
        },
        tanh_exp("tanh-exp-1k", 1_000),
        tanh_exp("tanh-exp-100k", 100_000),
        tanh_exp("tanh-exp-4m", LARGE),
        Workload {
            name: "mean-square-4m",
            kind: "mean_square",
            unit: Unit::Elements(LARGE),
            data: 0,
            cost: elementwise(LARGE, 7.0),
            make: Box::new(|| vec![Array::normal(&[LARGE], 1.0)]),
            start: |inputs| {
                differentiate(inputs, |[x]: [Tensor; 1]| {
                    let y = x + 2.0;
                    (y * y * 2.0).mean()
                })
            },
        },
    ]
}

fn tanh_exp(name: &'static str, n: usize) -> Workload {
    Workload {
        name,
        kind: "tanh_exp",
        unit: Unit::Elements(n),
        data: 0,
        // Forward 2 + 25 + 15 + 2, backward 8.
        cost: elementwise(n, 52.0),
        make: Box::new(move || vec![Array::normal(&[n], 1.0)]),
        start: |inputs| differentiate(inputs, |[x]: [Tensor; 1]| ((x * x + 2.0).tanh() * x.exp()).sum()),
    }
}

/// Reads an element and writes its derivative, if both together exceed what is a cache of this size class.
fn elementwise(n: usize, flops: f64) -> Cost {
    let bytes = if n == LARGE { 8.0 } else { 0.0 };
    Cost { flops: flops * n as f64, bytes: bytes * n as f64 }
}

/// The program of value and gradient of `f`.
fn differentiate<const N: usize>(inputs: &[Array], f: fn([Tensor; N]) -> Tensor) -> Program {
    let x: [Tensor; N] = std::array::from_fn(|i| inputs[i].parameter());
    let step = move || {
        black_box(scope(|| {
            let y = f(x);
            y.backward();
            y.item()
        }));
        x.iter().for_each(|x| x.zero_grad());
    };
    let check = move || {
        let value = scope(|| {
            let y = f(x);
            y.backward();
            y.item()
        });
        let gradients = x.iter().map(|x| Array::of(x.grad().expect("every input is used")));
        let gradients = [Array::scalar(value)].into_iter().chain(gradients).collect();
        x.iter().for_each(|x| x.zero_grad());
        Results { gradients, parameters: Vec::new() }
    };
    Program { step: Box::new(step), check: Box::new(check) }
}
