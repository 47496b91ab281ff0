//! The logarithm of a sum of exponentials.

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use super::{Over, as_one_run};
use crate::autograd::{Backward, Forward};
use crate::element::FloatElement;
use crate::error::{Result, twins};
use crate::shape::{IntoDims, Layout, Shape};
use crate::tensor::TensorBase;

/// `ln Σ e^x` over one run of adjacent dimensions.
pub(crate) struct Logsumexp;

impl Operation for Logsumexp {
    const OP: Structured = Structured::Logsumexp;
    const NAME: &'static str = "logsumexp";
    const GRAD_FN: &'static str = "LogsumexpBackward0";
    type Attrs = Over;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("all", &[&[3, 4]], |x| x[0].logsumexp((), false)),
            Case::new("one dimension", &[&[3, 4, 2]], |x| x[0].logsumexp(1, false)),
            Case::new("several runs, kept", &[&[2, 3, 2, 2]], |x| x[0].logsumexp([0, -2], true)),
        ]
    }
}

impl<E: FloatElement> Compute<E> for Logsumexp {
    fn output(inputs: &[&Layout], over: &Over) -> Result<Shape> {
        Ok(over.output(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], over: &Over, out: &mut [E]) {
        wengert_kernels::softmax::logsumexp_axis(inputs[0].slice(), over.around(inputs[0].layout.shape()), out);
    }
}

/// The derivative of the result by each element: its share of the sum.
fn partials<E: FloatElement>(x: TensorBase<E>, y: TensorBase<E>, over: &Over) -> Result<TensorBase<E>> {
    x.try_sub(over.beside(y, &x.try_shape()?)?)?.try_exp()
}

impl<E: FloatElement> Derivative<E> for Logsumexp {
    fn backward(cx: &mut Backward<'_, E>, over: &Over) -> Result<()> {
        let partials = partials(cx.operand(0)?, cx.value()?, over)?;
        over.pull(cx, partials)
    }

    fn tangent(cx: &Forward<E>, over: &Over) -> Result<TensorBase<E>> {
        let partials = partials(cx.operand(0)?, cx.value()?, over)?;
        over.push(cx, partials)
    }
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// `ln Σ e^x` over `dims` (one number, an array, `()` for all), which become 1 with `keepdim`, else go. Does not overflow;
        /// infinities are right; `-∞` for nothing.
        pub fn logsumexp | try_logsumexp<D: IntoDims>(self, dims: D, keepdim: bool) -> TensorBase<E> {
            let dims = dims.into_dim_set("logsumexp", self.try_shape()?.len())?;
            let (x, over) = as_one_run(self, dims, keepdim)?;
            record::<Logsumexp, E>(&[x.handle()], over)
        }
    }
}
