//! Another shape for the same elements.

use super::super::{Case, Derivative, Operation, Structured, View, record_view};
use crate::autograd::{Backward, BackwardMany, Forward, ForwardMany};
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, twins};
use crate::shape::{DimSet, IntoDimList, IntoDims, IntoShape, Layout, Shape, shape_of, wrap_dim};
use crate::tensor::TensorBase;

/// The operand's elements, row-major, in another shape.
pub(crate) struct Reshape;

/// The shape.
#[derive(Clone, Copy)]
pub(crate) struct To {
    shape: Layout,
    /// By which method it was asked for, as print shows it.
    grad_fn: &'static str,
}

impl Operation for Reshape {
    const OP: Structured = Structured::Reshape;
    const NAME: &'static str = "reshape";
    const GRAD_FN: &'static str = "ViewBackward0";
    type Attrs = To;

    fn grad_fn(to: &To) -> &'static str {
        to.grad_fn
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("contiguous", &[&[2, 6]], |x| x[0].reshape([3, 4])),
            Case::new("of a transpose", &[&[2, 3]], |x| x[0].transpose(0, 1).reshape([6])),
            Case::new("of a transpose, a view", &[&[2, 6]], |x| x[0].transpose(0, 1).reshape([2, 3, 2])),
            Case::new("flatten", &[&[2, 3, 2]], |x| x[0].flatten(1, -1)),
            Case::new("unflatten", &[&[2, 6]], |x| x[0].unflatten(-1, [3, 2])),
            Case::new("squeeze", &[&[1, 3, 1]], |x| x[0].squeeze()),
            Case::new("squeeze some", &[&[1, 3, 1, 1]], |x| x[0].squeeze_dims([0, 1, 2])),
            Case::new("unsqueeze of a transpose", &[&[2, 3]], |x| x[0].t().unsqueeze(-2)),
        ]
    }
}

impl View for Reshape {
    fn layout(input: &Layout, to: &To) -> Result<Layout> {
        let shape = to.shape.shape();
        input.viewed_as(shape).ok_or_else(|| {
            error!(
                Shape,
                "view: {input:?} can't be seen in shape {shape:?} without a copy; use `reshape` or `contiguous`"
            )
        })
    }
}

impl<E: FloatElement> Derivative<E> for Reshape {
    fn backward(cx: &mut Backward<'_, E>, _: &To) -> Result<()> {
        let g = cx.grad().try_reshape(cx.shape(0)?)?;
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<E>, to: &To) -> Result<TensorBase<E>> {
        cx.tangent_or_zeros(0)?.try_reshape(to.shape.shape())
    }

    fn backward_many(cx: &mut BackwardMany<'_, E>, _: &To) -> Result<bool> {
        let g = cx.grads().try_reshape(cx.shape_many(0)?)?;
        cx.add(0, g)?;
        Ok(true)
    }

    fn tangent_many(cx: &ForwardMany<'_, E>, _: &To) -> Result<Option<TensorBase<E>>> {
        cx.tangents_or_zeros(0)?.try_reshape(cx.value_shape_many()?).map(Some)
    }
}

/// `x` in `shape`, which has as many elements: as a view if strides allow it, else of a copy.
pub(crate) fn reshaped<E: Element>(x: TensorBase<E>, shape: &[usize], grad_fn: &'static str) -> Result<TensorBase<E>> {
    let to = To { shape: Layout::contiguous(shape), grad_fn };
    if x.try_layout()?.viewed_as(shape).is_some() {
        return record_view::<Reshape, E>(x, to);
    }
    record_view::<Reshape, E>(x.try_copy()?, To { grad_fn: "UnsafeViewBackward0", ..to })
}

/// `x` without the dimensions of `dims` whose length is 1.
fn squeezed<E: Element>(x: TensorBase<E>, dims: DimSet, grad_fn: &'static str) -> Result<TensorBase<E>> {
    let shape = x.try_shape()?;
    let kept = shape.iter().enumerate().filter(|&(d, &n)| n != 1 || !dims.contains(d));
    let kept: Shape = kept.map(|(_, &n)| n).collect();
    reshaped(x, &kept, grad_fn)
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// The same elements, row-major, in `shape`, which must have as many. A view if strides allow it, else a copy.
        pub fn reshape | try_reshape<S: IntoShape>(self, shape: S) -> TensorBase<E> {
            let shape = shape_of("reshape", shape)?;
            let own = self.try_shape()?;
            if shape.numel() != own.numel() {
                return Err(error!(
                    Shape,
                    "reshape: shape {own:?} has {} elements and {shape:?} has {}; they must be equal",
                    own.numel(),
                    shape.numel()
                ));
            }
            reshaped(self, &shape, Reshape::GRAD_FN)
        }

        /// The dimensions `start ..= end` as one; `flatten(0, -1)` gives rank 1. A view if strides allow it, else a copy.
        pub fn flatten | try_flatten(self, start: isize, end: isize) -> TensorBase<E> {
            let own = self.try_shape()?;
            if own.is_empty() {
                wrap_dim("flatten", start, 0)?;
                wrap_dim("flatten", end, 0)?;
                return reshaped(self, &[1], Reshape::GRAD_FN);
            }
            let (from, to) = (wrap_dim("flatten", start, own.len())?, wrap_dim("flatten", end, own.len())?);
            if from > to {
                return Err(error!(
                    Dim,
                    "flatten: dimension {start} comes after {end} in a tensor of shape {own:?}; the first must not come after the last"
                ));
            }
            if from == to {
                return Ok(self);
            }
            let run: usize = own[from..=to].iter().product();
            let shape: Shape = own[..from].iter().copied().chain([run]).chain(own[to + 1..].iter().copied()).collect();
            reshaped(self, &shape, Reshape::GRAD_FN)
        }

        /// Dimension `dim` as several of lengths `sizes`, whose product is its length.
        pub fn unflatten | try_unflatten<S: IntoShape>(self, dim: isize, sizes: S) -> TensorBase<E> {
            let own = self.try_shape()?;
            let (dim, sizes) = (wrap_dim("unflatten", dim, own.len())?, shape_of("unflatten", sizes)?);
            let length = own.get(dim).copied();
            if sizes.is_empty() || length != Some(sizes.numel()) {
                return Err(error!(
                    Shape,
                    "unflatten: dimension {dim} of shape {own:?} can't be cut into {sizes:?}; their product must be its length"
                ));
            }
            let dims = own[..dim].iter().copied().chain(sizes.iter().copied()).chain(own[dim + 1..].iter().copied());
            let shape = Shape::new("unflatten", &dims.collect::<Vec<_>>())?;
            reshaped(self, &shape, Reshape::GRAD_FN)
        }

        /// A view without the dimensions of length 1.
        pub fn squeeze | try_squeeze(self) -> TensorBase<E> {
            squeezed(self, DimSet::all(self.try_shape()?.len()), "SqueezeBackward0")
        }

        /// A view without those of `dims` (one number, an array, `()` for none) whose length is 1; the others stay.
        pub fn squeeze_dims | try_squeeze_dims<D: IntoDimList>(self, dims: D) -> TensorBase<E> {
            let (rank, dims) = (self.try_shape()?.len(), dims.into_dim_list());
            let set = if dims.is_empty() { DimSet::default() } else { dims[..].into_dim_set("squeeze", rank)? };
            squeezed(self, set, if dims.len() == 1 { "SqueezeBackward1" } else { "SqueezeBackward2" })
        }

        /// A view with a dimension of length 1 put before dimension `dim`; of the result, `dim` is its number.
        pub fn unsqueeze | try_unsqueeze(self, dim: isize) -> TensorBase<E> {
            let own = self.try_shape()?;
            let dim = wrap_dim("unsqueeze", dim, own.len() + 1)?;
            let dims = own[..dim].iter().copied().chain([1]).chain(own[dim..].iter().copied());
            let shape = Shape::new("unsqueeze", &dims.collect::<smallvec::SmallVec<[usize; 9]>>())?;
            reshaped(self, &shape, "UnsqueezeBackward0")
        }
    }
}
