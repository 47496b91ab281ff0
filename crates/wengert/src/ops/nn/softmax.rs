//! Softmax and its logarithm. Their vector-Jacobian products are operations too, so that a sweep runs one fused loop.

use wengert_kernels::softmax as kernels;

use super::super::reduce::around;
use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use crate::autograd::{Backward, BackwardMany, Forward, ForwardMany};
use crate::element::FloatElement;
use crate::error::{Result, twins};
use crate::shape::{Layout, Shape, wrap_dim};
use crate::tensor::TensorBase;

/// `e^x / Σ e^x`.
pub(crate) struct Softmax;

/// `x - ln Σ e^x`.
pub(crate) struct LogSoftmax;

/// `y (g - Σ g y)`: the gradient of [`Softmax`]'s operand, of `g` and its value `y`.
pub(crate) struct SoftmaxBackward;

/// `g - e^y Σ g`: the gradient of [`LogSoftmax`]'s operand, of `g` and its value `y`.
pub(crate) struct LogSoftmaxBackward;

/// Along which dimension.
#[derive(Clone, Copy)]
pub(crate) struct Along {
    dim: usize,
}

impl Along {
    /// The same dimension of a tensor with one more leading dimension.
    fn later(self) -> Self {
        Self { dim: self.dim + 1 }
    }

    fn around(self, input: &Input<'_>) -> [usize; 3] {
        match input.layout.shape() {
            [] => [1; 3],
            shape => around(shape, self.dim, self.dim),
        }
    }

    /// The sums along the dimension, which is kept.
    fn sum<E: FloatElement>(self, x: TensorBase<E>) -> Result<TensorBase<E>> {
        if x.try_shape()?.is_empty() { Ok(x) } else { x.try_sum_dims(self.dim as isize, true) }
    }
}

/// Stamps the parts that the four have in common.
macro_rules! operations {
    ($($rule:ident $name:literal $grad_fn:literal [$($operand:ident)+] $kernel:ident $cases:expr;)+) => { $(
        impl Operation for $rule {
            const OP: Structured = Structured::$rule;
            const NAME: &'static str = $name;
            const GRAD_FN: &'static str = $grad_fn;
            type Attrs = Along;

            fn cases() -> Vec<Case> {
                $cases
            }
        }

        impl<E: FloatElement> Compute<E> for $rule {
            fn output(inputs: &[&Layout], _: &Along) -> Result<Shape> {
                Ok(Shape::of(inputs[0].shape()))
            }

            fn forward(inputs: &[Input<'_>], along: &Along, out: &mut [E]) {
                let [$($operand),+] = inputs else { unreachable!("the operands that it is recorded with") };
                kernels::$kernel($($operand.slice(),)+ along.around(&inputs[0]), out);
            }
        }
    )+ };
}
operations! {
    Softmax "softmax" "SoftmaxBackward0" [x] softmax vec![
        Case::new("last dimension", &[&[2, 3]], |x| x[0].softmax(-1)),
        Case::new("middle dimension", &[&[2, 3, 2]], |x| x[0].softmax(1)),
        Case::new("rank 0", &[&[]], |x| x[0].softmax(0)),
    ];
    LogSoftmax "log_softmax" "LogSoftmaxBackward0" [x] log_softmax vec![
        Case::new("last dimension", &[&[2, 3]], |x| x[0].log_softmax(-1)),
        Case::new("middle dimension", &[&[2, 3, 2]], |x| x[0].log_softmax(1)),
    ];
    SoftmaxBackward "softmax_backward" "SoftmaxBackwardDataBackward0" [g y] softmax_backward vec![
        Case::new("middle dimension", &[&[2, 3, 2], &[2, 3, 2]], |x| {
            softmax_backward(x[0], x[1], 1).expect("equal shapes")
        }),
    ];
    LogSoftmaxBackward "log_softmax_backward" "LogSoftmaxBackwardDataBackward0" [g y] log_softmax_backward vec![
        Case::new("middle dimension", &[&[2, 3, 2], &[2, 3, 2]], |x| {
            log_softmax_backward(x[0], x[1], Along { dim: 1 }).expect("equal shapes")
        }),
    ];
}

/// The gradient of the operand of the softmax along `dim`, from that of its value `y`.
pub(super) fn softmax_backward<E: FloatElement>(
    g: TensorBase<E>,
    y: TensorBase<E>,
    dim: usize,
) -> Result<TensorBase<E>> {
    let operands = [g.try_contiguous()?.handle(), y.try_contiguous()?.handle()];
    record::<SoftmaxBackward, E>(&operands, Along { dim })
}

fn log_softmax_backward<E: FloatElement>(g: TensorBase<E>, y: TensorBase<E>, along: Along) -> Result<TensorBase<E>> {
    record::<LogSoftmaxBackward, E>(&[g.try_contiguous()?.handle(), y.try_contiguous()?.handle()], along)
}

impl<E: FloatElement> Derivative<E> for Softmax {
    fn backward(cx: &mut Backward<'_, E>, along: &Along) -> Result<()> {
        cx.add(0, softmax_backward(cx.grad(), cx.value()?, along.dim)?)
    }

    fn tangent(cx: &Forward<E>, along: &Along) -> Result<TensorBase<E>> {
        softmax_backward(cx.tangent_or_zeros(0)?, cx.value()?, along.dim)
    }

    fn backward_many(cx: &mut BackwardMany<'_, E>, along: &Along) -> Result<bool> {
        if cx.shape(0)?.is_empty() {
            return Ok(false);
        }
        let weighed = cx.grads().try_mul(cx.value()?)?;
        cx.add(0, weighed.try_sub(along.later().sum(weighed)?.try_mul(cx.value()?)?)?)?;
        Ok(true)
    }

    fn tangent_many(cx: &ForwardMany<'_, E>, along: &Along) -> Result<Option<TensorBase<E>>> {
        let y = cx.value()?;
        if y.try_shape()?.is_empty() {
            return Ok(None);
        }
        let weighed = cx.tangents_or_zeros(0)?.try_mul(y)?;
        weighed.try_sub(along.later().sum(weighed)?.try_mul(y)?).map(Some)
    }
}

impl<E: FloatElement> Derivative<E> for LogSoftmax {
    fn backward(cx: &mut Backward<'_, E>, along: &Along) -> Result<()> {
        cx.add(0, log_softmax_backward(cx.grad(), cx.value()?, *along)?)
    }

    fn tangent(cx: &Forward<E>, along: &Along) -> Result<TensorBase<E>> {
        let dx = cx.tangent_or_zeros(0)?;
        dx.try_sub(along.sum(cx.value()?.try_exp()?.try_mul(dx)?)?)
    }

    fn backward_many(cx: &mut BackwardMany<'_, E>, along: &Along) -> Result<bool> {
        if cx.shape(0)?.is_empty() {
            return Ok(false);
        }
        let g = cx.grads();
        cx.add(0, g.try_sub(along.later().sum(g)?.try_mul(cx.value()?.try_exp()?)?)?)?;
        Ok(true)
    }

    fn tangent_many(cx: &ForwardMany<'_, E>, along: &Along) -> Result<Option<TensorBase<E>>> {
        let p = cx.value()?.try_exp()?;
        if p.try_shape()?.is_empty() {
            return Ok(None);
        }
        let dx = cx.tangents_or_zeros(0)?;
        dx.try_sub(along.later().sum(dx.try_mul(p)?)?).map(Some)
    }
}

impl<E: FloatElement> Derivative<E> for SoftmaxBackward {
    fn backward(cx: &mut Backward<'_, E>, along: &Along) -> Result<()> {
        let (h, g, y) = (cx.grad(), cx.operand::<E>(0)?, cx.operand::<E>(1)?);
        if cx.needs(0) {
            cx.add(0, softmax_backward(h, y, along.dim)?)?;
        }
        if cx.needs(1) {
            let direct = h.try_mul(g.try_sub(along.sum(g.try_mul(y)?)?)?)?;
            cx.add(1, direct.try_sub(g.try_mul(along.sum(h.try_mul(y)?)?)?)?)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, along: &Along) -> Result<TensorBase<E>> {
        let (g, y) = (cx.operand::<E>(0)?, cx.operand::<E>(1)?);
        let of_g = cx.tangent(0).map(|dg| softmax_backward(dg, y, along.dim));
        let of_y = cx.tangent(1).map(|dy| {
            let direct = dy.try_mul(g.try_sub(along.sum(g.try_mul(y)?)?)?)?;
            direct.try_sub(y.try_mul(along.sum(g.try_mul(dy)?)?)?)
        });
        cx.sum(of_g.into_iter().chain(of_y))
    }
}

impl<E: FloatElement> Derivative<E> for LogSoftmaxBackward {
    fn backward(cx: &mut Backward<'_, E>, along: &Along) -> Result<()> {
        let (h, g, p) = (cx.grad(), cx.operand::<E>(0)?, cx.operand::<E>(1)?.try_exp()?);
        if cx.needs(0) {
            cx.add(0, h.try_sub(along.sum(h.try_mul(p)?)?)?)?;
        }
        if cx.needs(1) {
            cx.add(1, h.try_mul(p)?.try_mul(along.sum(g)?)?.try_neg()?)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, along: &Along) -> Result<TensorBase<E>> {
        let (g, y) = (cx.operand::<E>(0)?, cx.operand::<E>(1)?);
        let of_g = cx.tangent(0).map(|dg| log_softmax_backward(dg, y, *along));
        let of_y = cx.tangent(1).map(|dy| y.try_exp()?.try_mul(dy)?.try_mul(along.sum(g)?)?.try_neg());
        cx.sum(of_g.into_iter().chain(of_y))
    }
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// `e^x / Σ e^x` along `dim`: probabilities that sum to 1, without overflow.
        pub fn softmax | try_softmax(self, dim: isize) -> TensorBase<E> {
            let dim = wrap_dim("softmax", dim, self.try_shape()?.len())?;
            record::<Softmax, E>(&[self.try_contiguous()?.handle()], Along { dim })
        }

        /// `ln softmax(x)` along `dim`, accurate where [`Self::softmax`] underflows.
        pub fn log_softmax | try_log_softmax(self, dim: isize) -> TensorBase<E> {
            let dim = wrap_dim("log_softmax", dim, self.try_shape()?.len())?;
            record::<LogSoftmax, E>(&[self.try_contiguous()?.handle()], Along { dim })
        }
    }
}
