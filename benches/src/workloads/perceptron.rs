//! Perceptrons: linear layers with relu between them, trained by gradient descent.

use std::rc::Rc;

use wengert::Tensor;
use wengert_optim::Sgd;

use super::network::{RATE, train};
use super::{Cost, Program, Unit, Workload};
use crate::arrays::Array;

pub fn workloads() -> Vec<Workload> {
    vec![
        perceptron("mlp-2-16-16-2", 32, &[2, 16, 16, 2], true),
        perceptron("mlp-784-128-10", 64, &[784, 128, 10], true),
        perceptron("mlp-784-512-512-10", 128, &[784, 512, 512, 10], true),
        perceptron("mlp-1024-4096-1024", 256, &[1024, 4096, 1024], false),
    ]
}

/// A classifier with the cross-entropy, or a regression with the mean squared error.
fn perceptron(name: &'static str, batch: usize, sizes: &'static [usize], classifies: bool) -> Workload {
    let (first, last) = (sizes[0], sizes[sizes.len() - 1]);
    let make = move || {
        let target = if classifies { Array::labels(batch, last) } else { Array::normal(&[batch, last], 1.0) };
        let mut inputs = vec![Array::normal(&[batch, first], 1.0), target];
        for pair in sizes.windows(2) {
            inputs.push(Array::normal(&[pair[1], pair[0]], (2.0 / pair[0] as f32).sqrt()));
            inputs.push(Array::zeros(&[pair[1]]));
        }
        inputs
    };
    let product = |pair: &[usize]| 2.0 * (batch * pair[0] * pair[1]) as f64;
    // Each product and two for the gradients of its operands; the data's is not needed.
    let flops = 3.0 * sizes.windows(2).map(product).sum::<f64>() - product(&sizes[..2]);
    let weights: usize = sizes.windows(2).map(|pair| pair[0] * pair[1]).sum();
    // A step reads and writes every weight.
    let cost = Cost { flops, bytes: 8.0 * weights as f64 };
    Workload { name, kind: "mlp", unit: Unit::Step, data: 2, cost, make: Box::new(make), start }
}

fn start(inputs: &[Array]) -> Program {
    let [x, target, parameters @ ..] = inputs else { panic!("data, target and layers") };
    let parameters: Rc<[Tensor]> = parameters.iter().map(Array::parameter).collect();
    let x = x.tensor();
    let sgd = Sgd::new(parameters.iter().copied(), RATE);
    if target.as_labels().is_some() {
        let labels = target.indices();
        train(sgd, move || forward(x, &parameters).cross_entropy(labels))
    } else {
        let target = target.tensor();
        train(sgd, move || forward(x, &parameters).mse_loss(target))
    }
}

fn forward(x: Tensor, parameters: &[Tensor]) -> Tensor {
    let mut layers = parameters.as_chunks::<2>().0.iter();
    let &[weight, bias] = layers.next().expect("a layer");
    layers.fold(x.linear(weight, bias), |x, &[weight, bias]| x.relu().linear(weight, bias))
}
