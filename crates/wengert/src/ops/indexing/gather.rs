//! Elements chosen by index.

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use super::places::{Places, check};
use super::scatter::{add_at, onto_zeros};
use crate::autograd::{Backward, Forward};
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, twins};
use crate::shape::{Layout, Shape, wrap_dim};
use crate::tape::Tape;
use crate::tensor::{IndexTensor, TensorBase};

/// The elements of operand 0, contiguous, at the places that operand 1 names.
pub(crate) struct Gather;

impl Operation for Gather {
    const OP: Structured = Structured::Gather;
    const NAME: &'static str = "gather";
    const GRAD_FN: &'static str = "GatherBackward0";
    type Attrs = Places;

    fn grad_fn(places: &Places) -> &'static str {
        places.grad_fn
    }

    fn cases() -> Vec<Case> {
        fn ids<const N: usize>(ids: [i64; N]) -> IndexTensor {
            IndexTensor::from_slice(&ids, [N])
        }
        vec![
            Case::new("along a dimension, repeated", &[&[2, 3]], |x| {
                x[0].gather(1, IndexTensor::new([[0, 2, 2, 0], [1, 1, 0, 1]]))
            }),
            Case::new("of a transpose, fewer rows", &[&[3, 2]], |x| x[0].t().gather(-1, IndexTensor::new([[2, 0]]))),
            Case::new("index_select", &[&[2, 3, 2]], |x| {
                x[0].index_select(1, IndexTensor::from_slice(&[2, 2, 0, 1], [4]))
            }),
            Case::new("take_along_dim, broadcast", &[&[1, 3]], |x| {
                x[0].take_along_dim(IndexTensor::new([[2, 2], [0, 1]]), 1)
            }),
            Case::new("take_along_dim, flat", &[&[2, 3]], |x| x[0].take_along_dim(ids([5, 0, 0]), None)),
            Case::new("embedding", &[&[4, 3]], |x| IndexTensor::new([[1, 2], [1, 1]]).embedding(x[0], None)),
            Case::new("masked_select", &[&[3]], |x| {
                x[0].masked_select(crate::BoolTensor::new([[true, false, true], [false, false, true]]))
            }),
            Case::new("max_dim", &[&[3, 4]], |x| x[0].max_dim(0, false).0),
            Case::new("min_dim, kept", &[&[2, 3, 2]], |x| x[0].min_dim(1, true).0),
            Case::new("sort", &[&[3, 4]], |x| x[0].sort(0, true).0),
            Case::new("topk", &[&[2, 5]], |x| x[0].topk(3, -1, false).0),
        ]
    }
}

impl<E: Element> Compute<E> for Gather {
    fn output(_: &[&Layout], places: &Places) -> Result<Shape> {
        Ok(places.shape())
    }

    fn forward(inputs: &[Input<'_>], places: &Places, out: &mut [E]) {
        wengert_kernels::index::gather(inputs[0].slice(), places.read(&inputs[1]), out);
    }
}

impl<E: FloatElement> Derivative<E> for Gather {
    fn backward(cx: &mut Backward<'_, E>, places: &Places) -> Result<()> {
        let index: IndexTensor = cx.operand(1)?;
        let g = places.passed(cx.grad(), index)?;
        let add = |tape: &Tape, out: &mut [E]| {
            let (g, index) = (Input::of(tape, g.handle().index), Input::of(tape, index.handle().index));
            add_at(out, places, &index, &g);
        };
        cx.add_sparse(0, || onto_zeros(g, index, *places), add)
    }

    fn tangent(cx: &Forward<E>, places: &Places) -> Result<TensorBase<E>> {
        let index = cx.operand(1)?;
        places.passed(gathered(cx.tangent_or_zeros(0)?, index, *places)?, index)
    }
}

/// The elements of `x` at `places`, whose integers were checked.
pub(crate) fn gathered<E: Element>(x: TensorBase<E>, index: IndexTensor, places: Places) -> Result<TensorBase<E>> {
    record::<Gather, E>(&[x.try_contiguous()?.handle(), index.try_contiguous()?.handle()], places)
}

/// The places of `gather`, after checking that `index` fits a tensor of `shape`.
pub(crate) fn places_along(
    op: &str,
    shape: &[usize],
    dim: isize,
    index: IndexTensor,
    grad_fn: &'static str,
) -> Result<Places> {
    let own = index.try_shape()?;
    let dim = wrap_dim(op, dim, shape.len())?;
    let fits = own.iter().zip(shape).enumerate().all(|(d, (m, n))| d == dim || m <= n);
    if own.len().max(1) != shape.len().max(1) || (own.numel() > 0 && !fits) {
        return Err(error!(
            Shape,
            "{op}: an index of shape {own:?} does not fit a tensor of shape {shape:?}: it needs the same rank, and no \
             dimension but {dim} may be longer"
        ));
    }
    check(op, index, dim, shape.get(dim).copied().unwrap_or(1))?;
    Ok(Places::along(shape, dim, &own, grad_fn))
}

/// The places of `index_select`.
pub(crate) fn places_of_slices(
    op: &str,
    shape: &[usize],
    dim: isize,
    index: IndexTensor,
    grad_fn: &'static str,
) -> Result<Places> {
    let (own, dim) = (index.try_shape()?, wrap_dim(op, dim, shape.len())?);
    if own.len() > 1 || (shape.is_empty() && own.numel() != 1) {
        return Err(error!(
            Shape,
            "{op}: an index of shape {own:?} does not fit a tensor of shape {shape:?}: it needs one dimension{}",
            if shape.is_empty() { " of one element" } else { "" }
        ));
    }
    check(op, index, dim, shape.get(dim).copied().unwrap_or(1))?;
    Ok(Places::slices(shape, dim, own.numel(), grad_fn))
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// For each integer of `index` the element at that position of `dim`, elsewhere at the integer's own coordinates:
        /// `out[i][j] = x[index[i][j]][j]` for `dim` 0. Of `index`'s shape, which has this tensor's rank and, but for `dim`, no
        /// longer dimension. Gradients of an element chosen several times add up.
        pub fn gather | try_gather(self, dim: isize, index: TensorBase<i64>) -> TensorBase<E> {
            let places = places_along("gather", &self.try_shape()?, dim, index, Gather::GRAD_FN)?;
            gathered(self, index, places)
        }

        /// The parts at the positions `index`, of one dimension, along `dim`, in that order.
        pub fn index_select | try_index_select(self, dim: isize, index: TensorBase<i64>) -> TensorBase<E> {
            let places = places_of_slices("index_select", &self.try_shape()?, dim, index, "IndexSelectBackward0")?;
            gathered(self, index, places)
        }

        /// [`Self::gather`] in which both broadcast in all dimensions but `dim`: takes what `argsort` and `argmax` with `keepdim`
        /// give. With `None` both are flat.
        pub fn take_along_dim | try_take_along_dim<D: Into<Option<isize>>>(self, indices: TensorBase<i64>, dim: D) -> TensorBase<E> {
            let op = "take_along_dim";
            let Some(dim) = dim.into() else {
                let (flat, index) = (self.try_flatten(0, -1)?, indices.try_flatten(0, -1)?);
                return gathered(flat, index, places_along(op, &flat.try_shape()?, 0, index, Gather::GRAD_FN)?);
            };
            let (shape, own) = (self.try_shape()?, indices.try_shape()?);
            let dim = wrap_dim(op, dim, shape.len())?;
            if own.len() != shape.len() || shape.is_empty() {
                return Err(error!(Shape, "{op}: indices of shape {own:?} and a tensor of shape {shape:?} need the same rank, at least 1"));
            }
            let without = |shape: &Shape| -> Shape { shape.iter().enumerate().map(|(d, &n)| if d == dim { 1 } else { n }).collect() };
            let mut common = crate::shape::broadcast(op, &without(&shape), &without(&own))?;
            common.dims_mut()[dim] = own[dim];
            let index = indices.stretched(&common)?;
            check(op, indices, dim, shape[dim])?;
            gathered(self, index, Places::along(&shape, dim, &common, Gather::GRAD_FN))
        }
    }
}

twins! {
    impl[] TensorBase<i64> {
        /// For each integer the row of `weight`, of shape `[rows, ..]`, with that number: shape `[self.., ..]`. Gradients of a row
        /// that is chosen several times add up; the row `padding_idx` (negative: counted from the end) gets none.
        pub fn embedding | try_embedding<E: crate::FloatElement, P: Into<Option<isize>>>(self, weight: TensorBase<E>, padding_idx: P) -> TensorBase<E> {
            let shape = weight.try_shape()?;
            if shape.is_empty() {
                return Err(error!(Shape, "embedding: the weight has rank 0; it needs rows"));
            }
            let own = self.try_shape()?;
            Shape::new("embedding", &own.iter().chain(&shape[1..]).copied().collect::<Vec<_>>())?;
            check("embedding", self, 0, shape[0])?;
            let places = Places::parts(&shape, 1, &own, "EmbeddingBackward0");
            match padding_idx.into() {
                None => gathered(weight, self, places),
                Some(padding) => {
                    let row = wrap_dim("embedding: padding_idx", padding, shape[0])?;
                    gathered(weight, self, places.without_gradient_of(row))
                }
            }
        }
    }
}
