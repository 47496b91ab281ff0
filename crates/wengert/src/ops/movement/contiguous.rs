//! A row-major copy.

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use crate::autograd::{Backward, BackwardMany, Forward, ForwardMany};
use crate::element::{Element, FloatElement};
use crate::error::{Result, twins};
use crate::shape::{Layout, Shape};
use crate::tensor::TensorBase;

/// The operand's elements in a block of their own.
pub(crate) struct Contiguous;

impl Operation for Contiguous {
    const OP: Structured = Structured::Contiguous;
    const NAME: &'static str = "contiguous";
    const GRAD_FN: &'static str = "CloneBackward0";
    type Attrs = ();

    fn cases() -> Vec<Case> {
        vec![Case::new("of a transpose", &[&[2, 3]], |x| x[0].transpose(0, 1).contiguous())]
    }
}

impl<E: Element> Compute<E> for Contiguous {
    fn output(inputs: &[&Layout], (): &()) -> Result<Shape> {
        Ok(Shape::of(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], (): &(), out: &mut [E]) {
        let layout = &inputs[0].layout;
        wengert_kernels::strided::pack(inputs[0].strided(), layout.shape(), layout.strides(), 0, out);
    }
}

impl<E: FloatElement> Derivative<E> for Contiguous {
    fn backward(cx: &mut Backward<'_, E>, (): &()) -> Result<()> {
        let g = cx.grad();
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<E>, (): &()) -> Result<TensorBase<E>> {
        cx.tangent_or_zeros(0)
    }

    fn backward_many(cx: &mut BackwardMany<'_, E>, (): &()) -> Result<bool> {
        cx.add(0, cx.grads())?;
        Ok(true)
    }

    fn tangent_many(cx: &ForwardMany<'_, E>, (): &()) -> Result<Option<TensorBase<E>>> {
        cx.tangents_or_zeros(0).map(Some)
    }
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// This tensor if its elements lie row-major without gaps, else a copy whose do.
        pub fn contiguous | try_contiguous(self) -> TensorBase<E> {
            if self.try_is_contiguous()? { Ok(self) } else { self.try_copy() }
        }

        /// A copy with memory of its own; derivatives flow through it. `clone` is Rust's name for copying the handle, so
        /// PyTorch's `clone()` is called `copy`.
        pub fn copy | try_copy(self) -> TensorBase<E> {
            record::<Contiguous, E>(&[self.handle()], ())
        }

        /// The same elements, sharing memory, without a history: no derivative flows through it.
        pub fn detach | try_detach(self) -> TensorBase<E> {
            crate::ops::rule::alias(self)
        }
    }
}
