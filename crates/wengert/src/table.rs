//! The table of operations as data: what tests, benchmarks and the documentation go through.

use std::ops::Range;

use crate::element::FloatElement;
use crate::ops::Structured;
use crate::ops::elementwise::{self, Elementwise, Operand};
use crate::tensor::{Tensor64, TensorBase};

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

/// An elementwise operation.
#[derive(Clone, Copy)]
pub struct Pointwise {
    op: Elementwise,
}

impl Pointwise {
    /// Every elementwise operation.
    pub fn all() -> impl Iterator<Item = Self> {
        Elementwise::rows().iter().map(|row| Self { op: row.op })
    }

    /// The operation's name.
    pub fn name(self) -> &'static str {
        self.op.row().name
    }

    /// What print shows as its `grad_fn`, which tells operations of one name apart.
    pub fn grad_fn(self) -> &'static str {
        self.op.row().grad_fn
    }

    /// An interval per operand in which the operation is differentiable.
    pub fn domain(self) -> &'static [Range<f64>] {
        self.op.row().domain
    }

    /// Which operands have a derivative.
    pub fn differentiable(self) -> Vec<bool> {
        let row = self.op.row();
        (0..row.arity).map(|k| row.differentiable(k)).collect()
    }

    /// Calls the operation on operands whose shapes broadcast.
    ///
    /// # Panics
    /// With the operation's errors.
    #[track_caller]
    pub fn run<E: FloatElement>(self, x: &[TensorBase<E>]) -> TensorBase<E> {
        let operands: Vec<_> = x.iter().map(|&x| Operand::Tensor(x)).collect();
        crate::error::unwrap(elementwise::record(self.op, &operands))
    }
}

/// The shapes that elementwise operations are sampled at, by operand: equal, broadcast, and rank 0.
const SHAPES: [(&str, [&[usize]; 3]); 3] = [
    ("equal shapes", [&[2, 3], &[2, 3], &[2, 3]]),
    ("broadcast shapes", [&[2, 3], &[3], &[2, 1]]),
    ("numbers", [&[], &[], &[]]),
];

/// Samples of every operation.
pub fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for op in Pointwise::all() {
        for (case, shapes) in SHAPES {
            let inputs = op.domain().iter().zip(shapes).map(|(on, shape)| (shape.to_vec(), on.clone())).collect();
            samples.push(Sample {
                op: op.name(),
                grad_fn: op.grad_fn(),
                case,
                inputs,
                differentiable: op.differentiable(),
                run: Box::new(move |x: &[Tensor64]| op.run(x)),
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
