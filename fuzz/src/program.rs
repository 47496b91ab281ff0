//! Bytes as a program on the tape: operations of every family on tensors of all four types, in scopes, modes, checkpoints, functions of the
//! user's, hooks and transforms that nest, with panics of the user's in between.
//!
//! Every program runs twice, the second time on memory that is full of other numbers: what both show must be equal bit for bit, so
//! an operation that reads what nobody wrote is found without a crash.

use std::cell::Cell;

use wengert::{
    BoolTensor, ErrorKind, FloatElement, IndexTensor, Result, Tensor, Tensor64, TensorBase, manual_seed, memory, scope,
};

use crate::bytes::{Bytes, bits};

mod autograd;
mod blocks;
mod indexing;
mod networks;
mod operations;

/// The most operations of a program, those that are done again included.
const FUEL: usize = 150;
/// The most sweeps: with `create_graph`, each may double the tape.
const SWEEPS: usize = 10;
/// The most elements of a tensor that is used again.
const ELEMENTS: usize = 1024;
/// The most entries at which a program goes on.
const ENTRIES: usize = 10_000;

thread_local! {
    /// Whether memory ran short, which depends on what is reserved already.
    static SHORT: Cell<bool> = const { Cell::new(false) };
    /// Operations and sweeps that may still run.
    static LEFT: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Whether one more operation may run.
fn burn() -> bool {
    LEFT.set((LEFT.get().0.saturating_sub(1), LEFT.get().1));
    LEFT.get().0 > 0 && memory::stats().entries < ENTRIES
}

/// Whether one more sweep may run.
fn burn_sweep() -> bool {
    LEFT.set((LEFT.get().0, LEFT.get().1.saturating_sub(1)));
    LEFT.get().1 > 0
}

pub fn run(bytes: &[u8]) {
    SHORT.set(false);
    let first = scope(|| show(bytes));
    spoil(4);
    let second = scope(|| show(bytes));
    assert!(SHORT.get() || first == second, "the same program on other memory:\n{first:x?}\n{second:x?}");
}

/// Fills the memory of the next scopes with NaN.
fn spoil(depth: usize) {
    if depth > 0 {
        scope(|| {
            _ = Tensor64::try_full(ELEMENTS * 32, f64::NAN);
            spoil(depth - 1);
        });
    }
}

/// Runs the program; what its values and gradients are.
fn show(bytes: &[u8]) -> Vec<u64> {
    LEFT.set((FUEL, SWEEPS));
    manual_seed(7);
    let mut values = Values::start().expect("memory for four small tensors");
    blocks::block(&mut Bytes(bytes), &mut values, 0);
    let last = values.f64s[values.f64s.len() - 1];
    match blocks::catching(|| last.try_sum().and_then(|loss| loss.try_backward())) {
        Some(swept) => values.note(swept.map(|()| 0)),
        None => values.note(Ok(7)),
    }
    values.shown()
}

/// An element type with a list of tensors in [`Values`].
trait Float: FloatElement {
    fn list(values: &mut Values) -> &mut Vec<TensorBase<Self>>;
}
impl Float for f32 {
    fn list(values: &mut Values) -> &mut Vec<Tensor> {
        &mut values.f32s
    }
}
impl Float for f64 {
    fn list(values: &mut Values) -> &mut Vec<Tensor64> {
        &mut values.f64s
    }
}

/// The tensors that a program has; handles whose scope has ended stay among them.
#[derive(Clone)]
struct Values {
    f64s: Vec<Tensor64>,
    f32s: Vec<Tensor>,
    indices: Vec<IndexTensor>,
    masks: Vec<BoolTensor>,
    /// What else happened.
    notes: Vec<u64>,
}

impl Values {
    fn start() -> Result<Self> {
        Ok(Self {
            f64s: vec![Tensor64::try_new([[-1.0, -0.6, -0.2], [0.2, 0.6, 1.0]])?.try_requires_grad_(true)?],
            f32s: vec![Tensor::try_linspace(0.5, 2.0, 4)?.try_requires_grad_(true)?],
            indices: vec![IndexTensor::try_new([2, 0, 1])?],
            masks: vec![BoolTensor::try_new([true, false, true])?],
            notes: Vec::new(),
        })
    }

    /// Notes a number, or that an operation was refused.
    fn note(&mut self, result: Result<u64>) {
        self.notes.push(result.unwrap_or_else(|error| {
            SHORT.set(SHORT.get() || error.kind() == ErrorKind::Memory);
            1 << 32 | error.kind() as u64
        }));
    }

    /// One of the float tensors, later ones more often.
    fn float<E: Float>(&mut self, bytes: &mut Bytes<'_>) -> TensorBase<E> {
        let list = E::list(self);
        list[list.len() - 1 - bytes.below(list.len())]
    }

    fn index(&self, bytes: &mut Bytes<'_>) -> IndexTensor {
        self.indices[self.indices.len() - 1 - bytes.below(self.indices.len())]
    }

    fn mask(&self, bytes: &mut Bytes<'_>) -> BoolTensor {
        self.masks[self.masks.len() - 1 - bytes.below(self.masks.len())]
    }

    fn keep<E: Float>(&mut self, result: Result<TensorBase<E>>) {
        match result.and_then(|x| Ok((x.try_numel()?, x))) {
            Ok((numel, x)) if numel <= ELEMENTS => E::list(self).push(x),
            Ok((numel, _)) => self.note(Ok(numel as u64)),
            Err(error) => self.note(Err(error)),
        }
    }

    fn keep_all<E: Float>(&mut self, result: Result<Vec<TensorBase<E>>>) {
        match result {
            Ok(all) => all.into_iter().take(8).for_each(|x| self.keep(Ok(x))),
            Err(error) => self.note(Err(error)),
        }
    }

    fn keep_index(&mut self, result: Result<IndexTensor>) {
        match result {
            Ok(x) if x.numel() <= ELEMENTS => self.indices.push(x),
            other => self.note(other.map(|_| 1)),
        }
    }

    fn keep_mask(&mut self, result: Result<BoolTensor>) {
        match result {
            Ok(x) if x.numel() <= ELEMENTS => self.masks.push(x),
            other => self.note(other.map(|_| 1)),
        }
    }

    /// All values and gradients as numbers.
    fn shown(mut self) -> Vec<u64> {
        let mut shown = std::mem::take(&mut self.notes);
        show_all(&self.f64s, &mut shown);
        show_all(&self.f32s, &mut shown);
        for x in self.indices.iter().filter(|x| x.is_alive()) {
            shown.extend(x.to_vec().iter().map(|&x| x as u64));
        }
        for x in self.masks.iter().filter(|x| x.is_alive()) {
            shown.extend(x.to_vec().iter().map(|&x| u64::from(x)));
        }
        shown
    }
}

fn show_all<E: Float>(list: &[TensorBase<E>], shown: &mut Vec<u64>) {
    for x in list.iter().filter(|x| x.is_alive()) {
        let values = x.to_vec();
        assert_eq!(values.len(), x.shape().iter().product::<usize>(), "as many elements as the shape has");
        shown.extend(bits(&values));
        if let Ok(Some(grad)) = x.try_grad() {
            assert_eq!(grad.shape(), x.shape(), "a gradient has its tensor's shape");
            shown.extend(bits(&grad.to_vec()));
        }
    }
}
