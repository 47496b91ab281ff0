//! Parts of a tensor as views.

use super::super::{Case, Derivative, Operation, Structured, View, record_view};
use super::strided::{view_backward, view_tangent};
use crate::autograd::{Backward, Forward};
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, twins};
use crate::shape::{Layout, MAX_RANK, wrap_dim};
use crate::tensor::TensorBase;

/// Every `step`-th of `length` elements from `start` on, along one dimension.
pub(crate) struct Slice;

/// Which elements.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    dim: u8,
    /// Drop the dimension, whose length is 1.
    select: bool,
    start: usize,
    step: usize,
    length: usize,
}

impl Operation for Slice {
    const OP: Structured = Structured::Slice;
    const NAME: &'static str = "slice";
    const GRAD_FN: &'static str = "SliceBackward0";
    type Attrs = Range;

    fn grad_fn(range: &Range) -> &'static str {
        if range.select { "SelectBackward0" } else { Self::GRAD_FN }
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("with a step", &[&[3, 7]], |x| x[0].slice(1, 1, 6, 2)),
            Case::new("select", &[&[3, 4]], |x| x[0].select(0, -1)),
            Case::new("of a transpose", &[&[3, 4]], |x| x[0].t().narrow(0, 1, 2)),
        ]
    }
}

impl View for Slice {
    fn layout(input: &Layout, range: &Range) -> Result<Layout> {
        let (rank, dim) = (input.rank(), range.dim as usize);
        let (mut shape, mut strides) = ([0; MAX_RANK], [0; MAX_RANK]);
        let mut to = 0;
        for d in 0..rank {
            (shape[to], strides[to]) = (input.shape()[d], input.strides()[d]);
            if d == dim {
                (shape[to], strides[to]) = (range.length, input.strides()[d] * range.step);
            }
            to += usize::from(d != dim || !range.select);
        }
        let offset = input.offset() + range.start * input.strides()[dim];
        Ok(Layout::strided(&shape[..to], &strides[..to], offset))
    }
}

impl<E: FloatElement> Derivative<E> for Slice {
    fn backward(cx: &mut Backward<'_, E>, range: &Range) -> Result<()> {
        view_backward::<Slice, E>(cx, range)
    }

    fn tangent(cx: &Forward<'_, E>, range: &Range) -> Result<TensorBase<E>> {
        view_tangent::<Slice, E>(cx, range)
    }
}

/// The dimension's number and length; a tensor of rank 0 has none to take a part of.
fn dimension<E: Element>(op: &str, x: TensorBase<E>, dim: isize) -> Result<(u8, usize)> {
    let shape = x.try_shape()?;
    if shape.is_empty() {
        return Err(error!(Dim, "{op}: a tensor of rank 0 has no dimension to take a part of"));
    }
    let dim = wrap_dim(op, dim, shape.len())?;
    Ok((dim as u8, shape[dim]))
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// A view of the elements `start`, `start + step`, .. up to but not including `end` along `dim`. As in PyTorch, negative
        /// positions count from the end and those out of range are limited to it; `step` is at least 1.
        pub fn slice | try_slice(self, dim: isize, start: isize, end: isize, step: usize) -> TensorBase<E> {
            let (dim, n) = dimension("slice", self, dim)?;
            if step == 0 {
                return Err(error!(Value, "slice: the step must be at least 1"));
            }
            let wrap = |i: isize| if i < 0 { i.saturating_add(n as isize).max(0) as usize } else { (i as usize).min(n) };
            let (start, end) = (wrap(start), wrap(end));
            let length = end.saturating_sub(start).div_ceil(step);
            let start = if length == 0 { 0 } else { start };
            record_view::<Slice, E>(self, Range { dim, select: false, start, step, length })
        }

        /// A view of `length` elements from `start` on along `dim`.
        pub fn narrow | try_narrow(self, dim: isize, start: usize, length: usize) -> TensorBase<E> {
            let (dim, n) = dimension("narrow", self, dim)?;
            if start.checked_add(length).is_none_or(|end| end > n) {
                return Err(error!(
                    Index,
                    "narrow: {length} elements from {start} on are out of range for dimension {dim} of shape {:?}",
                    self.shape()
                ));
            }
            record_view::<Slice, E>(self, Range { dim, select: false, start: if length == 0 { 0 } else { start }, step: 1, length })
        }

        /// A view of the part at `index` of `dim`, which is dropped; a negative index counts from the end.
        pub fn select | try_select(self, dim: isize, index: isize) -> TensorBase<E> {
            let (dim, n) = dimension("select", self, dim)?;
            let place = if index < 0 { index + n as isize } else { index };
            if place < 0 || place >= n as isize {
                return Err(error!(
                    Index,
                    "select: index {index} is out of range for dimension {dim} of shape {:?}",
                    self.shape()
                ));
            }
            record_view::<Slice, E>(self, Range { dim, select: true, start: place as usize, step: 1, length: 1 })
        }
    }
}
