//! Another shape for the same elements.

use super::super::{Case, Derivative, Operation, Structured, View, record_view};
use crate::autograd::{Backward, Forward};
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, twins};
use crate::shape::{IntoShape, Layout, shape_of};
use crate::tensor::TensorBase;

/// The operand's elements, row-major, in another shape.
pub(crate) struct Reshape;

impl Operation for Reshape {
    const OP: Structured = Structured::Reshape;
    const NAME: &'static str = "reshape";
    const GRAD_FN: &'static str = "ViewBackward0";
    type Attrs = Layout;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("contiguous", &[&[2, 6]], |x| x[0].reshape([3, 4])),
            Case::new("of a transpose", &[&[2, 3]], |x| x[0].transpose(0, 1).reshape([6])),
        ]
    }
}

impl View for Reshape {
    fn layout(input: &Layout, to: &Layout) -> Result<Layout> {
        Ok(Layout::strided(to.shape(), to.strides(), input.offset()))
    }
}

impl<E: FloatElement> Derivative<E> for Reshape {
    fn backward(cx: &mut Backward<'_, E>, _: &Layout) -> Result<()> {
        let g = cx.grad().try_reshape(cx.shape(0)?)?;
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<'_, E>, to: &Layout) -> Result<TensorBase<E>> {
        cx.tangent_or_zeros(0)?.try_reshape(to.shape())
    }
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// The same elements, row-major, in `shape`, which must have as many. A view if the elements lie row-major, else a
        /// copy.
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
            record_view::<Reshape, E>(self.try_contiguous()?, Layout::contiguous(&shape))
        }
    }
}
