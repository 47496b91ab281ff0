//! Forward mode: tangents pushed along the tape, in the order of recording.

use std::marker::PhantomData;

use smallvec::SmallVec;

use super::many::{add, tangents_of};
use super::rule::{attrs, saved};
use crate::custom;
use crate::element::{DType, Element, FloatElement};
use crate::error::{Result, filled};
use crate::ops::Op;
use crate::ops::elementwise::{self, Elementwise};
use crate::shape::Shape;
use crate::tape::{self, Flags, Handle};
use crate::tensor::TensorBase;

/// The tangents that a forward sweep has found.
struct Tangents {
    /// Of entries before `start`, for a sweep over a recomputation.
    around: SmallVec<[(u32, Handle); 4]>,
    /// Of the entries from `start` on.
    start: u32,
    list: Vec<Option<Handle>>,
    /// The length of their leading dimension, if there are many of each entry.
    many: Option<usize>,
}

impl Tangents {
    fn new(start: u32, end: u32, many: Option<usize>) -> Result<Self> {
        let list = filled(None, end.saturating_sub(start) as usize)?;
        Ok(Self { around: SmallVec::new(), start, list, many })
    }

    /// The tangent of entry `index`, or `None` if it does not depend on the primals.
    fn get(&self, index: u32) -> Option<Handle> {
        match index.checked_sub(self.start) {
            Some(place) => self.list.get(place as usize).copied().flatten(),
            None => self.around.iter().find(|&&(entry, _)| entry == index).map(|&(_, tangent)| tangent),
        }
    }

    /// Passes the entries from `start` to the end of the list.
    fn pass(&mut self) -> Result<()> {
        for place in 0..self.list.len() {
            let index = self.start + place as u32;
            let (op, dtype, tracked) = tape::with(|tape| {
                let entry = tape.entry(index);
                Ok((entry.op, entry.dtype(), entry.flags.has(Flags::GRAD)))
            })?;
            if op == Op::Leaf || !tracked || self.list[place].is_some() {
                continue;
            }
            let operands = tape::with(|tape| Ok(tape.operands(index)))?;
            let along: SmallVec<[Option<Handle>; 4]> = operands.iter().map(|&x| self.get(x)).collect();
            if along.iter().any(Option::is_some) {
                self.list[place] = match dtype {
                    DType::F32 => tangent_of::<f32>(index, op, operands, along, self.many)?,
                    _ => tangent_of::<f64>(index, op, operands, along, self.many)?,
                };
            }
        }
        Ok(())
    }
}

/// One entry being passed by a forward sweep.
#[derive(Clone)]
pub(crate) struct Forward<E> {
    index: u32,
    operands: SmallVec<[u32; 4]>,
    /// By operand; with a leading dimension if there are many.
    pub(super) tangents: SmallVec<[Option<Handle>; 4]>,
    element: PhantomData<E>,
}

impl<E: FloatElement> Forward<E> {
    /// The entry, and its operands.
    pub fn place(&self) -> (u32, &[u32]) {
        (self.index, &self.operands)
    }

    /// The operation's attributes.
    pub fn attrs<A: Copy + 'static>(&self) -> Result<A> {
        attrs(self.index)
    }

    /// How many operands there are.
    pub fn len(&self) -> usize {
        self.operands.len()
    }

    /// Operand `k`.
    pub fn operand<T: Element>(&self, k: usize) -> Result<TensorBase<T>> {
        saved(self.operands[k], self.index)
    }

    /// The value.
    pub fn value(&self) -> Result<TensorBase<E>> {
        saved(self.index, self.index)
    }

    /// The shape of the value, which no write changes.
    pub fn value_shape(&self) -> Result<Shape> {
        tape::with(|tape| Ok(tape.layout(self.index).shape().iter().copied().collect()))
    }

    /// The tangent of operand `k`, or `None` if it does not depend on the primals.
    pub fn tangent(&self, k: usize) -> Option<TensorBase<E>> {
        self.tangent_of(k)
    }

    /// As [`Self::tangent`], for an operand of another float type.
    pub fn tangent_of<F: FloatElement>(&self, k: usize) -> Option<TensorBase<F>> {
        self.tangents[k].map(TensorBase::from_handle)
    }

    /// The tangent of operand `k`, zeros if it has none.
    pub fn tangent_or_zeros(&self, k: usize) -> Result<TensorBase<E>> {
        match self.tangent(k) {
            Some(tangent) => Ok(tangent),
            None => TensorBase::try_zeros(tape::with(|tape| Ok(Shape::of(tape.layout(self.operands[k]).shape())))?),
        }
    }

    /// The tangents of `outputs`, of which those from `start` on were recorded anew; zeros for one without.
    pub fn splice(&self, start: u32, outputs: &[TensorBase<E>]) -> Result<SmallVec<[TensorBase<E>; 4]>> {
        let mut inner = Tangents::new(start, tape::with(|tape| Ok(tape.len()))?, None)?;
        inner.around = self.operands.iter().zip(&self.tangents).filter_map(|(&x, &along)| Some((x, along?))).collect();
        inner.pass()?;
        let of = |y: &TensorBase<E>| match inner.get(tape::with(|tape| tape.locate(y.handle()))?) {
            Some(tangent) => Ok(TensorBase::from_handle(tangent)),
            None => y.try_zeros_like(),
        };
        outputs.iter().map(of).collect()
    }

    /// The sum of the terms, zeros of the value's shape if there is none.
    pub fn sum(&self, terms: impl IntoIterator<Item = Result<TensorBase<E>>>) -> Result<TensorBase<E>> {
        let mut total = None;
        for term in terms {
            add(&mut total, term?)?;
        }
        match total {
            Some(total) => Ok(TensorBase::from_handle(total)),
            None => TensorBase::try_zeros(self.value_shape()?),
        }
    }
}

/// Pushes tangents along the entries from `start` on: `seeds` are entries there with their tangents. Gives the tangents of
/// `outputs`, `None` where no path leads. They are recorded if the current mode is to record. With `many`, each tangent has a
/// leading dimension of that length.
pub(crate) fn push(
    start: u32,
    seeds: &[(Handle, Handle)],
    outputs: &[Handle],
    many: Option<usize>,
) -> Result<SmallVec<[Option<Handle>; 4]>> {
    let mut ends = SmallVec::<[u32; 4]>::new();
    for &output in outputs {
        ends.push(tape::with(|tape| tape.locate(output))?);
    }
    let end = ends.iter().map(|&last| last + 1).max().unwrap_or(start).max(start);
    let mut tangents = Tangents::new(start, end, many)?;
    for &(input, tangent) in seeds {
        let index = tape::with(|tape| tape.check(input))?;
        if let Some(place) = tangents.list.get_mut((index - start) as usize) {
            *place = Some(tangent);
        }
    }
    tangents.pass()?;
    Ok(ends.iter().map(|&last| tangents.get(last)).collect())
}

fn tangent_of<E: FloatElement>(
    index: u32,
    op: Op,
    operands: SmallVec<[u32; 4]>,
    tangents: SmallVec<[Option<Handle>; 4]>,
    many: Option<usize>,
) -> Result<Option<Handle>> {
    let cx = Forward::<E> { index, operands, tangents, element: PhantomData };
    let tangent = match (op, many) {
        (Op::Leaf, _) => None,
        (op, Some(count)) => tangents_of(&cx, op, count)?,
        (Op::Custom, None) => Some(custom::tangent(&cx)?),
        (Op::Structured(op), None) => Some(op.tangent(&cx)?),
        (Op::Elementwise(op), None) => elementwise_tangent(&cx, op)?,
    };
    Ok(tangent.map(|tangent| tangent.handle()))
}

fn elementwise_tangent<E: FloatElement>(cx: &Forward<E>, op: Elementwise) -> Result<Option<TensorBase<E>>> {
    let shape = cx.value_shape()?;
    let mut total = None;
    for (k, rule) in cx.moving(op)? {
        let along = cx.tangent(k).expect("an operand that moves").stretched(&shape)?;
        add(&mut total, elementwise::recorded(cx.index, op, rule, along)?.stretched(&shape)?)?;
    }
    Ok(total.map(TensorBase::from_handle))
}

impl<E: FloatElement> Forward<E> {
    /// The operands of an elementwise entry that have tangents and rules: their places here and in the row.
    pub(super) fn moving(&self, op: Elementwise) -> Result<SmallVec<[(usize, usize); 3]>> {
        let place = |of: u32| self.operands.iter().position(|&x| x == of);
        let moves = |of: u32| place(of).is_some_and(|k| self.tangents[k].is_some());
        let products = tape::with(|tape| elementwise::moving(tape, self.index, op, moves))?;
        Ok(products.iter().map(|product| (place(product.operand).expect("an operand"), product.rule)).collect())
    }
}
