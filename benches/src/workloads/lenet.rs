//! A small convolutional classifier of pictures of 28 x 28, after LeCun et al. 1998, "Gradient-based learning applied to document
//! recognition": convolutions by 5 x 5 of 8 and 16 channels, each with relu and max-pooling by 2, and a linear layer.

use wengert::options::Conv2d;
use wengert_optim::Sgd;

use super::network::{RATE, train};
use super::{Cost, Program, Unit, Workload};
use crate::arrays::Array;

const BATCH: usize = 32;

pub fn workload() -> Workload {
    let make = || {
        vec![
            Array::normal(&[BATCH, 1, 28, 28], 1.0),
            Array::labels(BATCH, 10),
            Array::normal(&[8, 1, 5, 5], (2.0f32 / 25.0).sqrt()),
            Array::zeros(&[8]),
            Array::normal(&[16, 8, 5, 5], (2.0f32 / 200.0).sqrt()),
            Array::zeros(&[16]),
            Array::normal(&[10, 256], (1.0f32 / 256.0).sqrt()),
            Array::zeros(&[10]),
        ]
    };
    let [first, second, linear] = [8 * 24 * 24 * 25, 16 * 8 * 8 * 200, 256 * 10].map(|taps| (2 * BATCH * taps) as f64);
    let cost = Cost { flops: 2.0 * first + 3.0 * second + 3.0 * linear, bytes: 0.0 };
    Workload { name: "lenet", kind: "lenet", unit: Unit::Step, data: 2, cost, make: Box::new(make), start }
}

fn start(inputs: &[Array]) -> Program {
    let (x, labels) = (inputs[0].tensor(), inputs[1].indices());
    let [w1, b1, w2, b2, w3, b3] = std::array::from_fn(|i| inputs[i + 2].parameter());
    train(Sgd::new([w1, b1, w2, b2, w3, b3], RATE), move || {
        let edges = x.conv2d(w1, Conv2d { bias: Some(b1), ..Conv2d::default() }).relu().max_pool2d(2);
        let parts = edges.conv2d(w2, Conv2d { bias: Some(b2), ..Conv2d::default() }).relu().max_pool2d(2);
        parts.flatten(1, -1).linear(w3, b3).cross_entropy(labels)
    })
}
