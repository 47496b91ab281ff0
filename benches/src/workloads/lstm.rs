//! A recurrent network of long short-term memory (Hochreiter and Schmidhuber 1997), composed from operations; the gates are in
//! PyTorch's order: input, forget, cell, output.

use wengert::Tensor;
use wengert_optim::Sgd;

use super::network::{RATE, train};
use super::{Cost, Program, Unit, Workload};
use crate::arrays::Array;

const STEPS: usize = 50;
const BATCH: usize = 16;
const INPUTS: usize = 32;
const HIDDEN: usize = 64;

pub fn workload() -> Workload {
    let make = || {
        vec![
            Array::normal(&[STEPS, BATCH, INPUTS], 1.0),
            Array::normal(&[BATCH, HIDDEN], 0.5),
            Array::normal(&[4 * HIDDEN, INPUTS], 0.1),
            Array::normal(&[4 * HIDDEN, HIDDEN], 0.1),
            Array::zeros(&[4 * HIDDEN]),
        ]
    };
    let product = |inputs: usize| (2 * STEPS * BATCH * inputs * 4 * HIDDEN) as f64;
    let cost = Cost { flops: 2.0 * product(INPUTS) + 3.0 * product(HIDDEN), bytes: 0.0 };
    Workload { name: "lstm", kind: "lstm", unit: Unit::Step, data: 2, cost, make: Box::new(make), start }
}

fn start(inputs: &[Array]) -> Program {
    let (x, target) = (inputs[0].tensor(), inputs[1].tensor());
    let [w, u, b] = std::array::from_fn(|i| inputs[i + 2].parameter());
    train(Sgd::new([w, u, b], RATE), move || last_state(x, w, u, b).mse_loss(target))
}

/// The hidden state after the last step.
fn last_state(x: Tensor, w: Tensor, u: Tensor, b: Tensor) -> Tensor {
    // The inputs' part of all steps is one product.
    let driven = x.linear(w, b);
    let mut hidden = Tensor::zeros([BATCH, HIDDEN]);
    let mut cell = Tensor::zeros([BATCH, HIDDEN]);
    for step in 0..STEPS {
        let gates = driven.select(0, step as isize) + hidden.linear(u, None);
        let [input, forget, candidate, output] = [0, 1, 2, 3].map(|gate| gates.narrow(1, gate * HIDDEN, HIDDEN));
        cell = forget.sigmoid() * cell + input.sigmoid() * candidate.tanh();
        hidden = output.sigmoid() * cell.tanh();
    }
    hidden
}
