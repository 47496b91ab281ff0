//! Bytes as a program on the tape: every operation either works or is refused, and the tape is empty afterwards.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wengert::{Result, Tensor64, memory, no_grad, scope};

/// The most operations of a program.
const MOST: usize = 200;

fuzz_target!(|bytes: &[u8]| {
    let before = memory::stats().entries;
    scope(|| run(bytes));
    assert_eq!(memory::stats().entries, before, "a scope forgets what was recorded in it");
});

/// Takes numbers from the input until it ends.
struct Bytes<'a>(std::slice::Iter<'a, u8>);

impl Bytes<'_> {
    fn next(&mut self, below: usize) -> Option<usize> {
        self.0.next().map(|&byte| byte as usize % below)
    }

    fn dim(&mut self) -> Option<isize> {
        Some(self.next(10)? as isize - 5)
    }

    fn shape(&mut self) -> Option<Vec<usize>> {
        (0..self.next(4)?).map(|_| self.next(5)).collect()
    }
}

fn run(bytes: &[u8]) {
    let mut bytes = Bytes(bytes.iter());
    let mut tensors = vec![Tensor64::linspace(-1.0, 1.0, 6).reshape([2, 3]).requires_grad_(true)];
    for _ in 0..MOST {
        match step(&mut bytes, &tensors) {
            None => break,
            Some(Ok(tensor)) => tensors.push(tensor),
            Some(Err(_)) => {}
        }
    }
    let last = tensors[tensors.len() - 1];
    if let Ok(loss) = last.try_sum() {
        // Refused if nothing requires a gradient, or a value that is needed was overwritten.
        let _ = loss.try_backward();
    }
    if let Some(grad) = tensors[0].grad() {
        assert_eq!(grad.shape(), tensors[0].shape());
    }
}

fn step(bytes: &mut Bytes<'_>, tensors: &[Tensor64]) -> Option<Result<Tensor64>> {
    let operation = bytes.next(20)?;
    let a = tensors[bytes.next(tensors.len())?];
    let b = tensors[bytes.next(tensors.len())?];
    Some(match operation {
        0 => Tensor64::try_ones(bytes.shape()?.as_slice()).and_then(|x| x.try_requires_grad_(true)),
        1 => a.try_add(b),
        2 => a.try_mul(b),
        3 => a.try_div(b),
        4 => a.try_sin(),
        5 => a.try_exp(),
        6 => a.try_matmul(b),
        7 => a.try_transpose(bytes.dim()?, bytes.dim()?),
        8 => a.try_reshape(bytes.shape()?.as_slice()),
        9 => a.try_expand(bytes.shape()?.as_slice()),
        10 => a.try_slice(bytes.dim()?, bytes.dim()?, bytes.dim()?, bytes.next(4)?),
        11 => a.try_select(bytes.dim()?, bytes.dim()?),
        12 => a.try_sum_dims(bytes.dim()?, bytes.next(2)? == 1),
        13 => a.try_add_(b),
        14 => a.try_mul_(b),
        15 => a.try_copy_(b),
        16 => a.try_detach(),
        17 => Ok(no_grad(|| a.try_maximum(b)).unwrap_or(a)),
        18 => Ok(scope(|| a.try_minimum(b)).unwrap_or(a)),
        _ => a.try_zero_grad().map(|()| a),
    })
}
