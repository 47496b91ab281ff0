//! An encoder layer as in Vaswani et al. 2017, "Attention is all you need", section 3.1 (normalised after each part, without dropout),
//! trained by AdamW.

use wengert::Tensor;
use wengert::options::LayerNorm;
use wengert_optim::AdamW;

use super::network::{RATE, train};
use super::{Cost, Program, Unit, Workload};
use crate::arrays::Array;

const BATCH: usize = 8;
const TOKENS: usize = 64;
const CHANNELS: usize = 128;
const HEADS: usize = 4;
const WIDE: usize = 512;

pub fn workload() -> Workload {
    let matrix = |rows: usize, columns: usize| Array::normal(&[rows, columns], (1.0 / columns as f32).sqrt());
    let ones = |n: usize| Array { data: crate::arrays::Data::F32(vec![1.0; n]), ..Array::zeros(&[n]) };
    let make = move || {
        vec![
            Array::normal(&[BATCH, TOKENS, CHANNELS], 1.0),
            Array::normal(&[BATCH, TOKENS, CHANNELS], 1.0),
            matrix(3 * CHANNELS, CHANNELS),
            Array::zeros(&[3 * CHANNELS]),
            matrix(CHANNELS, CHANNELS),
            Array::zeros(&[CHANNELS]),
            ones(CHANNELS),
            Array::zeros(&[CHANNELS]),
            matrix(WIDE, CHANNELS),
            Array::zeros(&[WIDE]),
            matrix(CHANNELS, WIDE),
            Array::zeros(&[CHANNELS]),
            ones(CHANNELS),
            Array::zeros(&[CHANNELS]),
        ]
    };
    let linear = |inputs: usize, outputs: usize| (2 * BATCH * TOKENS * inputs * outputs) as f64;
    let attention = 2.0 * (2 * BATCH * TOKENS * TOKENS * CHANNELS) as f64;
    let later = linear(CHANNELS, CHANNELS) + 2.0 * linear(CHANNELS, WIDE) + attention;
    let cost = Cost { flops: 2.0 * linear(CHANNELS, 3 * CHANNELS) + 3.0 * later, bytes: 0.0 };
    Workload { name: "transformer", kind: "transformer", unit: Unit::Step, data: 2, cost, make: Box::new(make), start }
}

fn start(inputs: &[Array]) -> Program {
    let (x, target) = (inputs[0].tensor(), inputs[1].tensor());
    let parameters: [Tensor; 12] = std::array::from_fn(|i| inputs[i + 2].parameter());
    // Where a gradient is 0 but for rounding (the keys' biases), PyTorch's usual 1e-8 would make steps of the rounding.
    let adam = AdamW::new(parameters, RATE).eps(1e-6).weight_decay(0.01);
    train(adam, move || layer(x, parameters).mse_loss(target))
}

fn layer(x: Tensor, parameters: [Tensor; 12]) -> Tensor {
    let [qkv, qkv_bias, out, out_bias, g1, b1, up, up_bias, down, down_bias, g2, b2] = parameters;
    let heads = x.linear(qkv, qkv_bias).reshape([BATCH, TOKENS, 3, HEADS, CHANNELS / HEADS]).permute([2, 0, 3, 1, 4]);
    let [q, k, v] = [0, 1, 2].map(|part| heads.select(0, part));
    let scores = (q * ((CHANNELS / HEADS) as f32).sqrt().recip()).matmul(k.transpose(-2, -1));
    let mixed = scores.softmax(-1).matmul(v).transpose(1, 2).reshape([BATCH, TOKENS, CHANNELS]);
    let x = normalize(x + mixed.linear(out, out_bias), g1, b1);
    normalize(x + x.linear(up, up_bias).relu().linear(down, down_bias), g2, b2)
}

fn normalize(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor {
    x.layer_norm(CHANNELS, LayerNorm { weight: Some(weight), bias: Some(bias), ..LayerNorm::default() })
}
