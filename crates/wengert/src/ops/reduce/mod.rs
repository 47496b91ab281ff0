//! Reductions.
//!
//! A reduction sees its contiguous operand as `[outer, n, inner]` and reduces `n`, one run of adjacent dimensions: [`Over`] says
//! which. A reduction over several runs is made of several (sums), or the dimensions are brought together first
//! ([`as_one_run`]).

pub(crate) mod extreme;
pub(crate) mod logsumexp;
pub(crate) mod mean;
pub(crate) mod norm;
pub(crate) mod prod;
pub(crate) mod scan;
pub(crate) mod spread;
pub(crate) mod sum;
mod truth;

use smallvec::SmallVec;
use wengert_kernels::{map, reduce};

use crate::autograd::{Backward, Forward};
use crate::element::{Element, FloatElement};
use crate::error::{Result, error};
use crate::ops::{Fold, Op, Structured, elementwise};
use crate::shape::{DimSet, Shape};
use crate::tape::Tape;
use crate::tape::arena::{Storage, lend};
use crate::tape::profile::{self, Phase};
use crate::tensor::TensorBase;

/// What a reduction is taken over.
#[derive(Clone, Copy)]
pub(crate) struct Over {
    /// The operand's dimensions that are reduced: one run, or none.
    run: DimSet,
    /// Where dimensions of length 1 stand in the result: all places of reduced dimensions with `keepdim`, else none.
    kept: DimSet,
    /// Whether all elements were asked for, not dimensions: print shows another name.
    pub whole: bool,
}

impl Over {
    /// Over dimensions that are one run, or none.
    pub fn run(run: DimSet, keepdim: bool) -> Self {
        Self { run, kept: if keepdim { run } else { DimSet::none() }, whole: false }
    }

    /// Over all dimensions of a tensor of rank `rank`, as the method without arguments.
    pub fn whole(rank: usize) -> Self {
        Self { whole: true, ..Self::run(DimSet::all(rank), false) }
    }

    /// The same, counted as all elements if nothing but one number is left of a tensor of rank `rank`.
    pub fn or_whole(self, rank: usize) -> Self {
        Self { whole: self.run == DimSet::all(rank) && self.kept == DimSet::none(), ..self }
    }

    /// The same of an operand with one more leading dimension, which stays.
    pub fn later(self) -> Self {
        Self { run: self.run.later(), kept: self.kept.later(), whole: false }
    }

    /// The operand's dimensions that are reduced.
    pub fn dims(&self) -> DimSet {
        self.run
    }

    /// The lengths before, in and after the run.
    pub fn around(&self, shape: &[usize]) -> [usize; 3] {
        match runs(dims_of(self.run, shape.len()))[..] {
            [] => [shape.iter().product(), 1, 1],
            [(first, last)] => around(shape, first, last),
            _ => panic!("reductions over several runs of dimensions are made one by one"),
        }
    }

    /// The result's shape for an operand of shape `shape`.
    pub fn output(&self, shape: &[usize]) -> Shape {
        let mut rest = (0..shape.len()).filter(|&d| !self.run.contains(d)).map(|d| shape[d]);
        let mut out = Shape::default();
        loop {
            let length = if self.kept.contains(out.len()) { Some(1) } else { rest.next() };
            match length {
                Some(length) => out.dims_mut().push(length),
                None => return out,
            }
        }
    }

    /// A tensor of the result's shape with the operand's number of dimensions, so that it broadcasts to the operand's `shape`.
    pub fn beside<E: Element>(&self, result: TensorBase<E>, shape: &[usize]) -> Result<TensorBase<E>> {
        result.try_reshape(self.run.reduce(shape, true))
    }

    /// A tensor of the result's shape as a view of the operand's `shape`, repeated along the run.
    pub fn spread<E: Element>(&self, result: TensorBase<E>, shape: &[usize]) -> Result<TensorBase<E>> {
        // A number is repeated as it is.
        let beside = if self.whole { result } else { self.beside(result, shape)? };
        beside.try_expand(shape)
    }

    /// Adds the vector-Jacobian product of a reduction whose result has the derivatives `partials`, of the operand's shape.
    pub fn pull<E: FloatElement>(&self, cx: &mut Backward<'_, E>, partials: TensorBase<E>) -> Result<()> {
        let g = self.beside(cx.grad(), &cx.shape(0)?)?.try_mul(partials)?;
        cx.add(0, g)
    }

    /// The Jacobian-vector product of a reduction whose result has the derivatives `partials`, of the operand's shape.
    pub fn push<E: FloatElement>(&self, cx: &Forward<E>, partials: TensorBase<E>) -> Result<TensorBase<E>> {
        self.total(cx.tangent_or_zeros(0)?.try_mul(partials)?)
    }

    /// The sums over the run of a tensor of the operand's shape, which broadcast to that shape.
    pub fn total_beside<E: FloatElement>(&self, x: TensorBase<E>) -> Result<TensorBase<E>> {
        x.try_sum_dims(self.run, true)
    }

    /// The sums over the run of a tensor of the operand's shape, of the result's shape.
    pub fn total<E: FloatElement>(&self, x: TensorBase<E>) -> Result<TensorBase<E>> {
        self.total_beside(x)?.try_reshape(self.output(&x.try_shape()?))
    }
}

/// Checks that there is something to reduce, for what has no value of nothing.
fn check_some(op: &str, shape: &[usize], dims: DimSet) -> Result<()> {
    let empty: SmallVec<[usize; 8]> = dims_of(dims, shape.len()).filter(|&d| shape[d] == 0).collect();
    if empty.is_empty() {
        return Ok(());
    }
    let some = if empty.len() == 1 { "dimension" } else { "dimensions" };
    Err(error!(Shape, "{op}: {some} {empty:?} of shape {shape:?} must not be empty: {op} of nothing has no value"))
}

/// `x` contiguous, with `dims` as one run, and what to reduce of it.
pub(crate) fn as_one_run<E: Element>(x: TensorBase<E>, dims: DimSet, keepdim: bool) -> Result<(TensorBase<E>, Over)> {
    let rank = x.try_shape()?.len();
    if runs(dims_of(dims, rank)).len() <= 1 {
        return Ok((x.try_contiguous()?, Over::run(dims, keepdim)));
    }
    let kept: SmallVec<[isize; 8]> = (0..rank).filter(|&d| !dims.contains(d)).map(|d| d as isize).collect();
    let order: SmallVec<[isize; 8]> = kept.iter().copied().chain(dims_of(dims, rank).map(|d| d as isize)).collect();
    let run = DimSet::range(kept.len(), rank - 1);
    let over = Over { run, kept: if keepdim { dims } else { DimSet::none() }, whole: false };
    Ok((x.try_permute(order)?.try_contiguous()?, over))
}

/// The dimensions in which `to`, right-aligned, is shorter than `from`.
pub(crate) fn broadcast_dims(from: &[usize], to: &[usize]) -> SmallVec<[usize; 8]> {
    let lead = from.len() - to.len();
    (0..from.len()).filter(|&d| d < lead || (to[d - lead] == 1 && from[d] != 1)).collect()
}

/// Runs of adjacent dimensions among `dims`, ascending: `(first, last)`.
pub(crate) fn runs(dims: impl IntoIterator<Item = usize>) -> SmallVec<[(usize, usize); 4]> {
    let mut runs = SmallVec::<[(usize, usize); 4]>::new();
    for d in dims {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == d => *last = d,
            _ => runs.push((d, d)),
        }
    }
    runs
}

/// A contiguous shape around the run of dimensions `first ..= last`: lengths before, in and after it.
pub(crate) fn around(shape: &[usize], first: usize, last: usize) -> [usize; 3] {
    let product = |part: &[usize]| part.iter().product();
    [product(&shape[..first]), product(&shape[first..=last]), product(&shape[last + 1..])]
}

/// The dimensions of a set, ascending.
pub(crate) fn dims_of(set: DimSet, rank: usize) -> impl Iterator<Item = usize> {
    (0..rank).filter(move |&d| set.contains(d))
}

/// Adds (stores, if `first`) to `target`, of shape `to`, the sums of the block `from` over the dimensions that were broadcast.
pub(crate) fn sum_to<E: FloatElement>(
    tape: &mut Tape,
    from: Storage,
    from_shape: &[usize],
    to: &[usize],
    target: Storage,
    first: bool,
) -> Result<()> {
    let mut shape: SmallVec<[usize; 8]> = SmallVec::from_slice(from_shape);
    let mut current = from;
    for &(start, end) in runs(broadcast_dims(from_shape, to)).iter().rev() {
        let [outer, n, inner] = around(&shape, start, end);
        let mut fresh = tape.arena.alloc::<E>(outer * inner, u32::MAX)?;
        reduce::sum_axis(tape.arena.read(current), [outer, n, inner], fresh.slice());
        current = fresh.publish();
        shape[start..=end].fill(1);
    }
    lend(tape, target, |out: &mut [E], tape| {
        let sums = tape.arena.read(current);
        if first { out.copy_from_slice(sums) } else { map::add_assign(sums, out) }
    });
    Ok(())
}

/// Computes the deferred entry `index`, a fold.
pub(crate) fn compute_fold<E: FloatElement>(tape: &mut Tape, index: u32) -> Result<()> {
    let operand = tape.entry(index).a;
    let span = |bytes: usize| {
        profile::span(Phase::Forward, || profile::whole(tape.name(tape.entry(index)), bytes + size_of::<E>()))
    };
    let sum = if tape.entry(operand).is_deferred() {
        drop(span(0));
        elementwise::sum_deferred::<E>(tape, operand)?
    } else {
        let _span = span(tape.bytes(operand));
        let (numel, mut sum) = (tape.layout(operand).numel(), E::default());
        reduce::sum_axis(&tape.data(operand)[..numel], [1, numel, 1], std::slice::from_mut(&mut sum));
        sum
    };
    settle_fold(tape, index, sum);
    Ok(())
}

/// Gives the deferred entry `index`, a fold, its value: that of the sum of its operand's elements.
pub(crate) fn settle_fold<E: FloatElement>(tape: &mut Tape, index: u32, sum: E) {
    let value = match tape.entry(index).op {
        Op::Structured(Structured::Sum) => value_of::<sum::Sum, E>(tape, index, sum),
        Op::Structured(Structured::Mean) => value_of::<mean::Mean, E>(tape, index, sum),
        op => unreachable!("{op:?} is no fold"),
    };
    tape.entry_mut(index).settle_number(value);
}

fn value_of<R: Fold<E>, E: FloatElement>(tape: &Tape, index: u32, sum: E) -> E {
    let attrs = tape.meta(index).attrs.expect("a fold has attributes");
    R::of_sum(sum, tape.arena.get_erased::<R::Attrs>(attrs)).expect("all elements are folded")
}
