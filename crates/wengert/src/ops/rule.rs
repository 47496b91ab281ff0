//! What a structured operation has to say, and how it is recorded.

use std::ops::Range;

use smallvec::SmallVec;

use super::{Op, Structured, elementwise};
use crate::anomaly;
use crate::autograd::{Backward, BackwardMany, Forward, ForwardMany};
use crate::element::{DType, Data, Element, FloatElement};
use crate::error::Result;
use crate::shape::{Layout, Shape};
use crate::tape::arena::RefList;
use crate::tape::profile::{self, Phase};
use crate::tape::{self, Entry, Flags, Handle, Meta, Tape, Value};
use crate::tensor::{Tensor64, TensorBase};

/// A structured operation: its names, its attributes, and sample calls whose derivatives are checked.
pub(crate) trait Operation: 'static {
    /// The variant that names it.
    const OP: Structured;
    /// Its name in errors, as the method is called.
    const NAME: &'static str;
    /// Its name in print, by default.
    const GRAD_FN: &'static str;
    /// What it needs to know beside its operands.
    type Attrs: Copy + 'static;

    /// Its name in print, where that depends on the attributes.
    fn grad_fn(_attrs: &Self::Attrs) -> &'static str {
        Self::GRAD_FN
    }

    /// Sample calls on 64-bit operands. Every one is differentiated in reverse, forward and twice, and compared with
    /// finite differences.
    fn cases() -> Vec<Case>;
}

/// A sample call.
pub struct Case {
    /// What is special about it.
    pub name: &'static str,
    /// Shape and interval of each operand.
    pub inputs: Vec<(Vec<usize>, Range<f64>)>,
    /// The call.
    pub run: fn(&[Tensor64]) -> Tensor64,
}

impl Case {
    /// A call whose operands have values from -2 to 2.
    pub fn new(name: &'static str, shapes: &[&[usize]], run: fn(&[Tensor64]) -> Tensor64) -> Self {
        Self::on(name, shapes, -2.0..2.0, run)
    }

    /// A call whose operands have values from `interval`.
    pub fn on(name: &'static str, shapes: &[&[usize]], interval: Range<f64>, run: fn(&[Tensor64]) -> Tensor64) -> Self {
        let inputs = shapes.iter().map(|shape| (shape.to_vec(), interval.clone())).collect();
        Self { name, inputs, run }
    }
}

/// An operation that computes a new value.
pub(crate) trait Compute<E: Element>: Operation {
    /// Checks the operands and gives the result's shape.
    fn output(inputs: &[&Layout], attrs: &Self::Attrs) -> Result<Shape>;
    /// Writes every element of the value.
    fn forward(inputs: &[Input<'_>], attrs: &Self::Attrs, out: &mut [E]);
}

/// An operation that needs no more of its operand than the sum of all elements, at least with some attributes.
pub(crate) trait Fold<E: FloatElement>: Compute<E> {
    /// The value, given the sum; `None` if it is not enough.
    fn of_sum(sum: E, attrs: &Self::Attrs) -> Option<E>;
}

/// An operation that shows its operand's elements in another arrangement, without a copy.
pub(crate) trait View: Operation {
    /// Where the result's elements lie in the operand's storage.
    fn layout(input: &Layout, attrs: &Self::Attrs) -> Result<Layout>;
}

/// How an operation is differentiated, in both directions, written in tensor operations.
pub(crate) trait Derivative<E: FloatElement>: Operation {
    /// Adds the vector-Jacobian product to each operand that needs one.
    fn backward(cx: &mut Backward<'_, E>, attrs: &Self::Attrs) -> Result<()>;
    /// The Jacobian-vector product with the operands' tangents.
    fn tangent(cx: &Forward<E>, attrs: &Self::Attrs) -> Result<TensorBase<E>>;

    /// As [`Self::backward`] for many gradients at once, which lie along a leading dimension; `false` where there is no such rule,
    /// so that the one above takes them one by one. Both must agree.
    fn backward_many(_cx: &mut BackwardMany<'_, E>, _attrs: &Self::Attrs) -> Result<bool> {
        Ok(false)
    }

    /// As [`Self::tangent`] for many tangents at once, which lie along a leading dimension; `None` where there is no such rule.
    fn tangent_many(_cx: &ForwardMany<'_, E>, _attrs: &Self::Attrs) -> Result<Option<TensorBase<E>>> {
        Ok(None)
    }
}

/// An operand of a computation.
pub(crate) struct Input<'a> {
    data: Data<'a>,
    pub layout: &'a Layout,
}

impl<'a> Input<'a> {
    pub fn of(tape: &'a Tape, index: u32) -> Self {
        let layout = tape.layout(index);
        let data = match tape.entry(index).dtype() {
            DType::F32 => Data::F32(tape.data(index)),
            DType::F64 => Data::F64(tape.data(index)),
            DType::I64 => Data::I64(tape.data(index)),
            DType::Bool => Data::Bool(tape.data(index)),
        };
        Self { data, layout }
    }

    /// The elements from the layout's first one on; address them with the layout's strides.
    pub fn strided<T: Element>(&self) -> &'a [T] {
        let data = T::data(self.data).expect("an operand is read as the type it has");
        &data[..self.layout.extent()]
    }

    /// The elements row-major.
    ///
    /// # Panics
    /// If they are not contiguous; the operation's method makes them so.
    pub fn slice<T: Element>(&self) -> &'a [T] {
        assert!(self.layout.is_contiguous(), "the operand was made contiguous");
        &T::data(self.data).expect("an operand is read as the type it has")[..self.layout.numel()]
    }
}

/// Evaluates an operation and records it.
pub(crate) fn record<R: Compute<E>, E: Element>(inputs: &[Handle], attrs: R::Attrs) -> Result<TensorBase<E>> {
    tape::with(|tape| {
        let operands = resolve(tape, inputs)?;
        let fill = |tape: &Tape, out: &mut [E]| {
            let values: SmallVec<[Input<'_>; 4]> = operands.iter().map(|&index| Input::of(tape, index)).collect();
            R::forward(&values, &attrs, out);
        };
        record_on::<R, E>(tape, &operands, attrs, Some(fill))
    })
}

/// As [`record`], of an operand that need not be computed if its elements are only summed up; the value is deferred with it if
/// it is tracked.
pub(crate) fn record_fold<R: Fold<E>, E: FloatElement>(input: TensorBase<E>, attrs: R::Attrs) -> Result<TensorBase<E>> {
    let folded = tape::with(|tape| {
        let index = tape.locate(input.handle())?;
        let entry = tape.entry(index);
        let is_sum = matches!(entry.op, Op::Elementwise(_)) && R::of_sum(E::default(), &attrs).is_some();
        if !entry.is_deferred() || !is_sum {
            return Ok(None);
        }
        // Anomaly mode looks at each value where it is recorded.
        if is_tracked::<E>(tape, &[index]) && !anomaly::is_anomaly_enabled() {
            tape.reserve_deferred()?;
            let value = record_on::<R, E>(tape, &[index], attrs, None::<fn(&Tape, &mut [E])>)?;
            tape.note_deferred(value.handle().index);
            return Ok(Some(value));
        }
        let value = R::of_sum(elementwise::sum_deferred(tape, index)?, &attrs).expect("asked above");
        record_on::<R, E>(tape, &[index], attrs, Some(|_: &Tape, out: &mut [E]| out.fill(value))).map(Some)
    })?;
    match folded {
        Some(value) => Ok(value),
        None => record::<R, E>(&[input.handle()], attrs),
    }
}

/// Records an operation on these entries, whose value `fill` writes, or which is deferred and has attributes.
fn record_on<R: Compute<E>, E: Element>(
    tape: &mut Tape,
    operands: &[u32],
    attrs: R::Attrs,
    fill: Option<impl FnOnce(&Tape, &mut [E])>,
) -> Result<TensorBase<E>> {
    let layout = {
        let layouts: SmallVec<[&Layout; 4]> = operands.iter().map(|&index| tape.layout(index)).collect();
        Layout::contiguous(&Shape::new(R::NAME, &R::output(&layouts, &attrs)?)?)
    };
    let bytes = || operands.iter().map(|&index| tape.bytes(index)).sum::<usize>() + layout.numel() * size_of::<E>();
    let _span = fill.as_ref().map(|_| profile::span(Phase::Forward, || profile::whole(R::NAME, bytes())));
    let list = if operands.len() > 1 { tape.arena.put_list(operands)? } else { RefList::empty() };
    let mut meta = None;
    if operands.len() > 1 || size_of::<R::Attrs>() > 0 {
        let attrs = if size_of::<R::Attrs>() > 0 { Some(tape.arena.put_erased(attrs)?) } else { None };
        meta = Some(tape.arena.put(Meta { layout, operands: list, attrs })?);
    }
    let (value, meta) = match (fill, meta) {
        (None, Some(meta)) => (Value::Deferred, meta),
        (Some(fill), meta) => tape.evaluate(&layout, meta, |tape, out| {
            fill(tape, out);
            Ok(())
        })?,
        (None, None) => unreachable!("what is deferred has attributes"),
    };
    let mut flags = Flags::default();
    flags.set(Flags::LIST, operands.len() > 1);
    flags.set(Flags::GRAD, is_tracked::<E>(tape, operands));
    let a = operands.first().copied().unwrap_or(0);
    let entry = Entry::new(tape.scope_id(), Op::Structured(R::OP), flags, value, meta);
    let index = tape.push(entry.on(a, 0))?;
    Ok(TensorBase::from_handle(tape.handle(index)))
}

/// A tensor of `shape` without a history that `fill` computes of `inputs`.
pub(crate) fn compute_leaf<T: Element>(
    inputs: &[Handle],
    shape: &[usize],
    fill: impl FnOnce(&[Input<'_>], &mut [T]) -> Result<()>,
) -> Result<TensorBase<T>> {
    tape::with(|tape| {
        let operands = resolve(tape, inputs)?;
        let (value, meta) = tape.evaluate(&Layout::contiguous(shape), None, |tape, out| {
            let values: SmallVec<[Input<'_>; 4]> = operands.iter().map(|&index| Input::of(tape, index)).collect();
            fill(&values, out)
        })?;
        let index = tape.push(Entry::new(tape.scope_id(), Op::Leaf, Flags::default(), value, meta))?;
        Ok(TensorBase::from_handle(tape.handle(index)))
    })
}

/// Records a view, which shares its operand's storage.
pub(crate) fn record_view<R: View, E: Element>(input: TensorBase<E>, attrs: R::Attrs) -> Result<TensorBase<E>> {
    tape::with(|tape| {
        let a = tape.resolve(input.handle())?;
        let _span = profile::span(Phase::Forward, || profile::whole(R::NAME, 0));
        let layout = R::layout(tape.layout(a), &attrs)?;
        let attrs = if size_of::<R::Attrs>() > 0 { Some(tape.arena.put_erased(attrs)?) } else { None };
        let meta = tape.arena.put(Meta { layout, operands: RefList::empty(), attrs })?;
        let mut flags = Flags::SHARES;
        flags.set(Flags::GRAD, is_tracked::<E>(tape, &[a]));
        let value = Value::<E>::Block(tape.block(a)?);
        let entry = Entry::new(tape.scope_id(), Op::Structured(R::OP), flags, value, meta);
        let index = tape.push(entry.on(a, 0))?;
        Ok(TensorBase::from_handle(tape.handle(index)))
    })
}

fn resolve(tape: &mut Tape, inputs: &[Handle]) -> Result<SmallVec<[u32; 4]>> {
    let mut operands = SmallVec::with_capacity(inputs.len());
    for &input in inputs {
        operands.push(tape.resolve(input)?);
    }
    Ok(operands)
}

/// Whether a result of type `E` of these operands has a derivative that is recorded.
fn is_tracked<E: Element>(tape: &Tape, operands: &[u32]) -> bool {
    tape.grad_enabled
        && matches!(E::DTYPE, DType::F32 | DType::F64)
        && operands.iter().any(|&index| tape.entry(index).flags.has(Flags::GRAD))
}

/// The same elements as a tensor without a history.
pub(crate) fn alias<E: Element>(input: TensorBase<E>) -> Result<TensorBase<E>> {
    tape::with(|tape| {
        let of = tape.resolve(input.handle())?;
        let layout = *tape.layout(of);
        let meta = tape.arena.put(Meta::plain(layout))?;
        let value = Value::<E>::Block(tape.block(of)?);
        let index = tape.push(Entry::new(tape.scope_id(), Op::Leaf, Flags::default(), value, meta))?;
        Ok(TensorBase::from_handle(tape.handle(index)))
    })
}
