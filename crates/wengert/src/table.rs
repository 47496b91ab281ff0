//! The table of operations as data: what tests, benchmarks and the documentation go through.

use std::ops::Range;

use crate::ops::Structured;
use crate::ops::elementwise::{self, Elementwise, Operand};
use crate::tensor::Tensor64;

/// A call of one operation whose derivatives can be checked.
pub struct Sample {
    /// The operation's name.
    pub op: &'static str,
    /// What print shows as its `grad_fn`.
    pub grad_fn: &'static str,
    /// What is special about the call.
    pub case: &'static str,
    /// Shape and interval of each operand.
    pub inputs: Vec<(Vec<usize>, Range<f64>)>,
    /// Which operands have a derivative.
    pub differentiable: Vec<bool>,
    /// The call.
    pub run: Run,
}

/// A call on 64-bit operands.
pub type Run = Box<dyn Fn(&[Tensor64]) -> Tensor64>;

/// The shapes that elementwise operations are sampled at, by operand: equal, broadcast, and rank 0.
const SHAPES: [(&str, [&[usize]; 3]); 3] = [
    ("equal shapes", [&[2, 3], &[2, 3], &[2, 3]]),
    ("broadcast shapes", [&[2, 3], &[3], &[2, 1]]),
    ("numbers", [&[], &[], &[]]),
];

/// Samples of every operation.
pub fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for row in Elementwise::rows() {
        for (case, shapes) in SHAPES {
            let inputs = row.domain.iter().zip(shapes).map(|(on, shape)| (shape.to_vec(), on.clone())).collect();
            let differentiable = (0..row.arity).map(|k| row.differentiable(k)).collect();
            let op = row.op;
            let run = move |x: &[Tensor64]| {
                let operands: Vec<_> = x.iter().map(|&x| Operand::Tensor(x)).collect();
                crate::error::unwrap(elementwise::record(op, &operands))
            };
            samples.push(Sample {
                op: row.name,
                grad_fn: row.grad_fn,
                case,
                inputs,
                differentiable,
                run: Box::new(run),
            });
        }
    }
    for op in Structured::ALL {
        for case in op.cases() {
            let differentiable = vec![true; case.inputs.len()];
            let (op, grad_fn) = (op.name(), op.usual_grad_fn());
            samples.push(Sample {
                op,
                grad_fn,
                case: case.name,
                inputs: case.inputs,
                differentiable,
                run: Box::new(case.run),
            });
        }
    }
    samples
}
