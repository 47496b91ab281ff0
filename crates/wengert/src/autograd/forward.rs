//! Forward mode: tangents pushed along the tape, in the order of recording.

use smallvec::SmallVec;

use super::rule::{attrs, saved};
use crate::custom;
use crate::element::{DType, Element, FloatElement};
use crate::error::Result;
use crate::ops::{Op, elementwise};
use crate::shape::Shape;
use crate::tape::{self, Flags, Handle};
use crate::tensor::TensorBase;

/// One entry being passed by a forward sweep.
pub(crate) struct Forward<'a, E> {
    index: u32,
    operands: SmallVec<[u32; 4]>,
    tangents: &'a [Option<Handle>],
    start: u32,
    element: std::marker::PhantomData<E>,
}

#[allow(dead_code, reason = "structured operations that land next use all of it")]
impl<E: FloatElement> Forward<'_, E> {
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
        let place = self.operands[k].checked_sub(self.start)?;
        self.tangents.get(place as usize).copied().flatten().map(TensorBase::from_handle)
    }

    /// The tangent of operand `k`, zeros if it has none.
    pub fn tangent_or_zeros(&self, k: usize) -> Result<TensorBase<E>> {
        match self.tangent(k) {
            Some(tangent) => Ok(tangent),
            None => TensorBase::try_zeros(tape::with(|tape| Ok(Shape::of(tape.layout(self.operands[k]).shape())))?),
        }
    }

    /// The sum of the terms, zeros of the value's shape if there is none.
    pub fn sum(&self, terms: impl IntoIterator<Item = Result<TensorBase<E>>>) -> Result<TensorBase<E>> {
        let mut total: Option<TensorBase<E>> = None;
        for term in terms {
            let term = term?;
            total = Some(match total {
                None => term,
                Some(total) => total.try_add(term)?,
            });
        }
        match total {
            Some(total) => Ok(total),
            None => TensorBase::try_zeros(self.value_shape()?),
        }
    }
}

/// Pushes tangents along the entries from `start` on: `seeds` are entries there with their tangents. Gives the tangents of
/// `outputs`, `None` where no path leads. They are recorded if the current mode is to record.
pub(crate) fn push(
    start: u32,
    seeds: &[(Handle, Handle)],
    outputs: &[Handle],
) -> Result<SmallVec<[Option<Handle>; 4]>> {
    let mut ends = SmallVec::<[u32; 4]>::new();
    for &output in outputs {
        ends.push(tape::with(|tape| tape.resolve(output))?);
    }
    let end = ends.iter().map(|&last| last + 1).max().unwrap_or(start).max(start);
    let mut tangents: Vec<Option<Handle>> = vec![None; (end - start) as usize];
    for &(input, tangent) in seeds {
        let index = tape::with(|tape| tape.check(input))?;
        if let Some(place) = tangents.get_mut((index - start) as usize) {
            *place = Some(tangent);
        }
    }
    for index in start..end {
        let (op, dtype, tracked) = tape::with(|tape| {
            let entry = tape.entry(index);
            Ok((entry.op, entry.dtype, entry.flags.has(Flags::GRAD)))
        })?;
        if op == Op::Leaf || !tracked || tangents[(index - start) as usize].is_some() {
            continue;
        }
        tangents[(index - start) as usize] = match dtype {
            DType::F32 => tangent_of::<f32>(index, op, start, &tangents)?.map(|t| t.handle()),
            _ => tangent_of::<f64>(index, op, start, &tangents)?.map(|t| t.handle()),
        };
    }
    Ok(ends.iter().map(|&last| last.checked_sub(start).and_then(|place| tangents[place as usize])).collect())
}

fn tangent_of<E: FloatElement>(
    index: u32,
    op: Op,
    start: u32,
    tangents: &[Option<Handle>],
) -> Result<Option<TensorBase<E>>> {
    let operands = tape::with(|tape| Ok(tape.operands(index)))?;
    let cx = Forward { index, operands, tangents, start, element: std::marker::PhantomData };
    match op {
        Op::Leaf => Ok(None),
        Op::Custom if (0..cx.len()).any(|k| cx.has_tangent(k)) => custom::tangent(&cx).map(Some),
        Op::Structured(op) if (0..cx.len()).any(|k| cx.has_tangent(k)) => op.tangent(&cx).map(Some),
        Op::Structured(_) | Op::Custom => Ok(None),
        Op::Elementwise(op) => {
            let tangent = |operand: u32| operand.checked_sub(start).and_then(|place| tangents[place as usize]);
            let products =
                tape::with(|tape| elementwise::moving(tape, index, op, |operand| tangent(operand).is_some()))?;
            let shape = cx.value_shape()?;
            let mut total: Option<TensorBase<E>> = None;
            for product in products {
                let handle = tangent(product.operand).expect("an operand that moves");
                let along = TensorBase::from_handle(handle).stretched(&shape)?;
                let term = elementwise::recorded(index, op, product.rule, along)?.stretched(&shape)?;
                total = Some(match total {
                    None => term,
                    Some(total) => total.try_add(term)?,
                });
            }
            Ok(total)
        }
    }
}

impl<E: FloatElement> Forward<'_, E> {
    fn has_tangent(&self, k: usize) -> bool {
        self.operands[k].checked_sub(self.start).is_some_and(|place| self.tangents[place as usize].is_some())
    }
}
