//! Parts of a tensor as views.

use smallvec::SmallVec;

use super::super::{Case, Derivative, Operation, Structured, View, record_view};
use super::strided::{from_strided, view_backward, view_tangent};
use crate::autograd::{Backward, BackwardMany, Forward, ForwardMany};
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
    /// By which method it was asked for, as print shows it.
    grad_fn: &'static str,
}

impl Range {
    /// The same of a tensor with one more leading dimension.
    fn later(&self) -> Self {
        Self { dim: self.dim + 1, ..*self }
    }
}

impl Operation for Slice {
    const OP: Structured = Structured::Slice;
    const NAME: &'static str = "slice";
    const GRAD_FN: &'static str = "SliceBackward0";
    type Attrs = Range;

    fn grad_fn(range: &Range) -> &'static str {
        range.grad_fn
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("with a step", &[&[3, 7]], |x| x[0].slice(1, 1, 6, 2)),
            Case::new("select", &[&[3, 4]], |x| x[0].select(0, -1)),
            Case::new("split", &[&[5, 2]], |x| {
                let parts = x[0].split([1, 3, 1], 0);
                parts[0] * parts[1] + parts[2]
            }),
            Case::new("chunk", &[&[2, 4]], |x| {
                let parts = x[0].chunk(2, -1);
                parts[0] * parts[1]
            }),
            Case::new("unbind", &[&[2, 3]], |x| {
                let parts = x[0].unbind(0);
                parts[0] * parts[1]
            }),
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
                // A step beyond what strides hold leaves at most one element, which no stride moves.
                let stride = input.strides()[d].checked_mul(range.step).filter(|&stride| stride <= isize::MAX as usize);
                (shape[to], strides[to]) = (range.length, stride.unwrap_or(input.strides()[d]));
            }
            to += usize::from(d != dim || !range.select);
        }
        // What is empty begins nowhere: behind a single element, a stride may be beyond memory.
        let start = if range.length > 0 { range.start } else { 0 };
        let offset = input.offset() + start * input.strides()[dim];
        Ok(Layout::strided(&shape[..to], &strides[..to], offset))
    }
}

impl<E: FloatElement> Derivative<E> for Slice {
    fn backward(cx: &mut Backward<'_, E>, range: &Range) -> Result<()> {
        view_backward::<Slice, E>(cx, range)
    }

    fn tangent(cx: &Forward<E>, range: &Range) -> Result<TensorBase<E>> {
        view_tangent::<Slice, E>(cx, range)
    }

    fn backward_many(cx: &mut BackwardMany<'_, E>, range: &Range) -> Result<bool> {
        let outer = cx.shape_many(0)?;
        let inner = Self::layout(&Layout::contiguous(&outer), &range.later())?;
        cx.add(0, from_strided(cx.grads(), &outer, inner)?)?;
        Ok(true)
    }

    fn tangent_many(cx: &ForwardMany<'_, E>, range: &Range) -> Result<Option<TensorBase<E>>> {
        record_view::<Slice, E>(cx.tangents_or_zeros(0)?.try_contiguous()?, range.later()).map(Some)
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

/// `length` elements from `start` on.
fn part<E: Element>(
    x: TensorBase<E>,
    dim: u8,
    start: usize,
    length: usize,
    grad_fn: &'static str,
) -> Result<TensorBase<E>> {
    record_view::<Slice, E>(x, Range { dim, select: false, start, step: 1, length, grad_fn })
}

/// The part at `start`, without the dimension.
fn single<E: Element>(x: TensorBase<E>, dim: u8, start: usize, grad_fn: &'static str) -> Result<TensorBase<E>> {
    record_view::<Slice, E>(x, Range { dim, select: true, start, step: 1, length: 1, grad_fn })
}

/// Parts of at most `size` elements.
fn equal_parts<E: Element>(x: TensorBase<E>, dim: u8, n: usize, size: usize) -> Result<Vec<TensorBase<E>>> {
    let count = n.div_ceil(size.max(1)).max(1);
    (0..count).map(|k| part(x, dim, k * size, size.min(n - k * size), "SplitBackward0")).collect()
}

/// What [`TensorBase::split`] takes: the length of all parts (the last may be shorter), or the length of each.
pub trait IntoSections {
    /// The length of all, or the lengths.
    fn into_sections(self) -> Sections;
}

/// Lengths of parts.
#[derive(Clone, Debug)]
pub enum Sections {
    /// All of this length; the last may be shorter.
    Equal(usize),
    /// One by one.
    Each(SmallVec<[usize; 8]>),
}

impl IntoSections for usize {
    fn into_sections(self) -> Sections {
        Sections::Equal(self)
    }
}
impl<const N: usize> IntoSections for [usize; N] {
    fn into_sections(self) -> Sections {
        Sections::Each(SmallVec::from_slice(&self))
    }
}
impl IntoSections for &[usize] {
    fn into_sections(self) -> Sections {
        Sections::Each(SmallVec::from_slice(self))
    }
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
            record_view::<Slice, E>(self, Range { dim, select: false, start, step, length, grad_fn: Slice::GRAD_FN })
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
            part(self, dim, start, length, Slice::GRAD_FN)
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
            single(self, dim, place as usize, "SelectBackward0")
        }

        /// Views of the consecutive parts along `dim`, of `sizes` elements each (the last may be shorter), or of the lengths in an
        /// array, whose sum is the dimension's length.
        pub fn split | try_split<S: IntoSections>(self, sizes: S, dim: isize) -> Vec<TensorBase<E>> {
            let (dim, n) = dimension("split", self, dim)?;
            let lengths = match sizes.into_sections() {
                Sections::Equal(0) if n > 0 => {
                    return Err(error!(Value, "split: parts of 0 elements do not make up {n}; the size must be at least 1"));
                }
                Sections::Equal(size) => return equal_parts(self, dim, n, size),
                Sections::Each(lengths) => lengths,
            };
            if lengths.iter().try_fold(0usize, |sum, &length| sum.checked_add(length)) != Some(n) {
                return Err(error!(
                    Shape,
                    "split: parts of {lengths:?} elements do not make up dimension {dim} of shape {:?}",
                    self.shape()
                ));
            }
            let mut end = 0;
            let next = |&length: &usize| {
                end += length;
                part(self, dim, end - length, length, "SplitWithSizesBackward0")
            };
            lengths.iter().map(next).collect()
        }

        /// Views of at most `chunks` consecutive parts along `dim`, all equally long but the last.
        pub fn chunk | try_chunk(self, chunks: usize, dim: isize) -> Vec<TensorBase<E>> {
            let (dim, n) = dimension("chunk", self, dim)?;
            if chunks == 0 {
                return Err(error!(Value, "chunk: there must be at least 1 chunk"));
            }
            if n == 0 {
                return (0..chunks).map(|_| part(self, dim, 0, 0, "SplitWithSizesBackward0")).collect();
            }
            equal_parts(self, dim, n, n.div_ceil(chunks))
        }

        /// Views of the parts along `dim`, which is dropped.
        pub fn unbind | try_unbind(self, dim: isize) -> Vec<TensorBase<E>> {
            let (dim, n) = dimension("unbind", self, dim)?;
            (0..n).map(|place| single(self, dim, place, "UnbindBackward0")).collect()
        }
    }
}
