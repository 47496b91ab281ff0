//! Broadcasting as a view.

use super::super::{Case, Derivative, Operation, Structured, View, record_view};
use crate::autograd::{Backward, BackwardMany, Forward, ForwardMany};
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, twins};
use crate::shape::{IntoShape, Layout, Shape, broadcast, shape_of};
use crate::tensor::TensorBase;

/// Dimensions of length 1, and new leading ones, repeated without a copy.
pub(crate) struct Expand;

impl Operation for Expand {
    const OP: Structured = Structured::Expand;
    const NAME: &'static str = "expand";
    const GRAD_FN: &'static str = "ExpandBackward0";
    type Attrs = Layout;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("a dimension of 1", &[&[3, 1]], |x| x[0].expand([3, 4])),
            Case::new("leading dimensions", &[&[3]], |x| x[0].expand([2, 2, 3])),
            Case::new("a number", &[&[]], |x| x[0].expand([2, 3])),
        ]
    }
}

impl View for Expand {
    fn layout(input: &Layout, to: &Layout) -> Result<Layout> {
        Ok(input.broadcast_to(to.shape()))
    }
}

impl<E: FloatElement> Derivative<E> for Expand {
    fn backward(cx: &mut Backward<'_, E>, _: &Layout) -> Result<()> {
        let g = cx.grad().try_sum_to(cx.shape(0)?)?;
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<E>, to: &Layout) -> Result<TensorBase<E>> {
        cx.tangent_or_zeros(0)?.try_expand(to.shape())
    }

    fn backward_many(cx: &mut BackwardMany<'_, E>, _: &Layout) -> Result<bool> {
        cx.add_summed(0, cx.grads())?;
        Ok(true)
    }

    fn tangent_many(cx: &ForwardMany<'_, E>, to: &Layout) -> Result<Option<TensorBase<E>>> {
        let tangents = cx.tangents_beside(0, to.rank()).transpose()?;
        tangents.map(|tangents| tangents.try_expand(cx.value_shape_many()?)).transpose()
    }
}

impl<E: Element> TensorBase<E> {
    /// [`Self::expand`] where there is something to repeat; a tensor of that shape already stays as it is.
    pub(crate) fn stretched(self, shape: &[usize]) -> Result<Self> {
        if *self.try_shape()? == *shape { Ok(self) } else { self.try_expand(shape) }
    }
}

/// `x` repeated to `shape`, for the method `op`.
fn expand<E: Element>(op: &str, x: TensorBase<E>, shape: &Shape) -> Result<TensorBase<E>> {
    let own = x.try_shape()?;
    if broadcast(op, &own, shape).ok().as_ref() != Some(shape) {
        return Err(error!(
            Shape,
            "{op}: shape {own:?} can't be repeated to {shape:?}: lengths must be equal, or 1 before, counted from the last dimension"
        ));
    }
    record_view::<Expand, E>(x, Layout::contiguous(shape))
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// A view in which dimensions of length 1, and new leading ones, are repeated to make `shape`; no copy. PyTorch's
        /// `broadcast_to` is the same.
        pub fn expand | try_expand<S: IntoShape>(self, shape: S) -> TensorBase<E> {
            expand("expand", self, &shape_of("expand", shape)?)
        }

        /// [`Self::expand`] by its other name.
        pub fn broadcast_to | try_broadcast_to<S: IntoShape>(self, shape: S) -> TensorBase<E> {
            expand("broadcast_to", self, &shape_of("broadcast_to", shape)?)
        }
    }
}
