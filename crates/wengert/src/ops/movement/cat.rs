//! Tensors one after another.

use smallvec::SmallVec;

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use crate::autograd::{Backward, BackwardMany, Forward, ForwardMany};
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, unwrap};
use crate::shape::{Layout, Shape, wrap_dim};
use crate::tensor::TensorBase;

/// The operands one after another along a dimension.
pub(crate) struct Cat;

/// Which dimension.
#[derive(Clone, Copy)]
pub(crate) struct Along {
    dim: u8,
    /// By which function it was asked for, as print shows it.
    grad_fn: &'static str,
}

impl Operation for Cat {
    const OP: Structured = Structured::Cat;
    const NAME: &'static str = "cat";
    const GRAD_FN: &'static str = "CatBackward0";
    type Attrs = Along;

    fn grad_fn(along: &Along) -> &'static str {
        along.grad_fn
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("rows", &[&[2, 3], &[1, 3], &[2, 3]], |x| cat(x, 0)),
            Case::new("columns, one transposed", &[&[2, 1], &[3, 2]], |x| cat(&[x[0], x[1].t()], -1)),
            Case::new("of one", &[&[2, 2]], |x| cat(x, 1)),
            Case::new("with itself", &[&[2, 2]], |x| cat(&[x[0], x[0] * x[0], x[0]], 1)),
            Case::new("stack", &[&[2, 3], &[2, 3]], |x| stack(x, 1)),
            Case::new("stack of numbers", &[&[], &[]], |x| stack(x, 0)),
        ]
    }
}

impl<E: Element> Compute<E> for Cat {
    fn output(inputs: &[&Layout], along: &Along) -> Result<Shape> {
        let (first, dim) = (inputs[0].shape(), along.dim as usize);
        let mut length = 0;
        for (k, input) in inputs.iter().enumerate() {
            let shape = input.shape();
            let fits = shape.len() == first.len() && (0..first.len()).all(|d| d == dim || shape[d] == first[d]);
            if !fits {
                return Err(error!(
                    Shape,
                    "cat: tensor 0 has shape {first:?}, tensor {k} {shape:?}; they must be equal but for dimension {dim}"
                ));
            }
            length += shape[dim];
        }
        Ok(first.iter().enumerate().map(|(d, &n)| if d == dim { length } else { n }).collect())
    }

    fn forward(inputs: &[Input<'_>], along: &Along, out: &mut [E]) {
        let tail = |input: &Input<'_>| input.layout.shape()[along.dim as usize..].iter().product::<usize>();
        let row: usize = inputs.iter().map(tail).sum();
        let mut start = 0;
        for input in inputs {
            let part = tail(input);
            if part > 0 {
                let rows = out.chunks_exact_mut(row).zip(input.slice::<E>().chunks_exact(part));
                rows.for_each(|(to, from)| to[start..start + part].copy_from_slice(from));
            }
            start += part;
        }
    }
}

impl<E: FloatElement> Derivative<E> for Cat {
    fn backward(cx: &mut Backward<'_, E>, along: &Along) -> Result<()> {
        let (g, mut start) = (cx.grad(), 0);
        for k in 0..cx.len() {
            let length = cx.shape(k)?[along.dim as usize];
            if cx.needs(k) {
                cx.add(k, g.try_narrow(along.dim as isize, start, length)?)?;
            }
            start += length;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, along: &Along) -> Result<TensorBase<E>> {
        let parts = (0..cx.len()).map(|k| cx.tangent_or_zeros(k)).collect::<Result<SmallVec<[_; 4]>>>()?;
        joined(&parts, *along)
    }

    fn backward_many(cx: &mut BackwardMany<'_, E>, along: &Along) -> Result<bool> {
        let (g, mut start) = (cx.grads(), 0);
        for k in 0..cx.len() {
            let length = cx.shape(k)?[along.dim as usize];
            if cx.needs(k) {
                cx.add(k, g.try_narrow(along.dim as isize + 1, start, length)?)?;
            }
            start += length;
        }
        Ok(true)
    }

    fn tangent_many(cx: &ForwardMany<'_, E>, along: &Along) -> Result<Option<TensorBase<E>>> {
        let parts = (0..cx.len()).map(|k| cx.tangents_or_zeros(k)).collect::<Result<SmallVec<[_; 4]>>>()?;
        joined(&parts, Along { dim: along.dim + 1, ..*along }).map(Some)
    }
}

fn joined<E: Element>(tensors: &[TensorBase<E>], along: Along) -> Result<TensorBase<E>> {
    let mut handles = SmallVec::<[_; 4]>::new();
    for x in tensors {
        handles.push(x.try_contiguous()?.handle());
    }
    record::<Cat, E>(&handles, along)
}

/// The tensors one after another along `dim`: shapes are equal but for that dimension, of which the result has the sum.
///
/// ```
/// # use wengert::{Tensor, cat};
/// let (a, b) = (Tensor::ones([2, 3]), Tensor::zeros([1, 3]));
/// assert_eq!(cat(&[a, b], 0).shape(), [3, 3]);
/// ```
///
/// # Panics
/// With the text of the error that [`try_cat`] returns.
#[track_caller]
pub fn cat<E: Element>(tensors: &[TensorBase<E>], dim: isize) -> TensorBase<E> {
    unwrap(try_cat(tensors, dim))
}

/// [`cat`], with the error returned.
///
/// # Errors
/// No tensor, tensors of rank 0, shapes that differ elsewhere, a dimension that they do not have.
#[track_caller]
pub fn try_cat<E: Element>(tensors: &[TensorBase<E>], dim: isize) -> Result<TensorBase<E>> {
    let _line = crate::trace::note();
    let mut parts = SmallVec::<[TensorBase<E>; 4]>::new();
    let mut like = None;
    for &x in tensors {
        let shape = x.try_shape()?;
        if shape.is_empty() {
            return Err(error!(Shape, "cat: tensor {} has rank 0 and can't be joined; use `stack`", parts.len()));
        }
        // As in PyTorch, a tensor of shape [0] fits any others.
        if shape != [0] {
            like = like.or(Some(shape));
        }
        parts.push(x);
    }
    if parts.is_empty() {
        return Err(error!(Value, "cat: there is no tensor to join"));
    }
    let dim = wrap_dim("cat", dim, like.as_ref().map_or(1, |like| like.len()))?;
    if let Some(like) = like.filter(|like| like.len() > 1) {
        let none: SmallVec<[usize; 8]> = like.iter().enumerate().map(|(d, &n)| if d == dim { 0 } else { n }).collect();
        for x in parts.iter_mut().filter(|x| x.shape() == [0]) {
            *x = x.try_reshape(&none[..])?;
        }
    }
    joined(&parts, Along { dim: dim as u8, grad_fn: Cat::GRAD_FN })
}

/// The tensors, of one shape, one after another along a new dimension `dim`.
///
/// # Panics
/// With the text of the error that [`try_stack`] returns.
#[track_caller]
pub fn stack<E: Element>(tensors: &[TensorBase<E>], dim: isize) -> TensorBase<E> {
    unwrap(try_stack(tensors, dim))
}

/// [`stack`], with the error returned.
///
/// # Errors
/// No tensor, shapes that differ, a dimension that the result does not have.
#[track_caller]
pub fn try_stack<E: Element>(tensors: &[TensorBase<E>], dim: isize) -> Result<TensorBase<E>> {
    let _line = crate::trace::note();
    let Some(first) = tensors.first() else { return Err(error!(Value, "stack: there is no tensor to join")) };
    let shape = first.try_shape()?;
    let dim = wrap_dim("stack", dim, shape.len() + 1)?;
    let mut parts = SmallVec::<[TensorBase<E>; 4]>::new();
    for (k, x) in tensors.iter().enumerate() {
        let own = x.try_shape()?;
        if own != shape {
            return Err(error!(Shape, "stack: tensor 0 has shape {shape:?}, tensor {k} {own:?}; they must be equal"));
        }
        parts.push(x.try_unsqueeze(dim as isize)?);
    }
    joined(&parts, Along { dim: dim as u8, grad_fn: "StackBackward0" })
}
