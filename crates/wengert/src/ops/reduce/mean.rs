//! Means.

use super::super::{Case, Compute, Derivative, Fold, Input, Operation, Structured, record, record_fold};
use super::Over;
use super::sum::sum_all_but_one_run;
use crate::autograd::{Backward, BackwardMany, Forward, ForwardMany};
use crate::element::FloatElement;
use crate::error::{Result, twins};
use crate::shape::{IntoDims, Layout, Shape};
use crate::tensor::TensorBase;

/// The sum over one run of adjacent dimensions, divided by a count.
pub(crate) struct Mean;

/// Over what, and divided by what.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    over: Over,
    /// How many elements the caller's mean is of: more than the run's if other runs were summed before.
    count: usize,
}

impl Operation for Mean {
    const OP: Structured = Structured::Mean;
    const NAME: &'static str = "mean";
    const GRAD_FN: &'static str = "MeanBackward0";
    type Attrs = Share;

    fn grad_fn(share: &Share) -> &'static str {
        if share.over.whole { "MeanBackward0" } else { "MeanBackward1" }
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("all", &[&[3, 4]], |x| x[0].mean()),
            Case::new("one dimension", &[&[3, 4, 2]], |x| x[0].mean_dims(1, false)),
            Case::new("several runs, kept", &[&[2, 3, 2, 2]], |x| x[0].mean_dims([0, -2], true)),
            Case::new("of a transpose", &[&[3, 4]], |x| x[0].t().mean_dims(0, false)),
        ]
    }
}

impl<E: FloatElement> Compute<E> for Mean {
    fn output(inputs: &[&Layout], share: &Share) -> Result<Shape> {
        Ok(share.over.output(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], share: &Share, out: &mut [E]) {
        wengert_kernels::reduce::sum_axis(inputs[0].slice(), share.over.around(inputs[0].layout.shape()), out);
        let count = E::of(share.count as f64);
        out.iter_mut().for_each(|sum| *sum /= count);
    }
}

impl<E: FloatElement> Fold<E> for Mean {
    fn of_sum(sum: E, share: &Share) -> Option<E> {
        share.over.whole.then(|| sum / E::of(share.count as f64))
    }
}

impl<E: FloatElement> Derivative<E> for Mean {
    fn backward(cx: &mut Backward<'_, E>, share: &Share) -> Result<()> {
        let shape = cx.shape(0)?;
        let g = share.over.spread(cx.grad().try_div(share.count as f64)?, &shape)?;
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<E>, share: &Share) -> Result<TensorBase<E>> {
        share.over.total(cx.tangent_or_zeros(0)?)?.try_div(share.count as f64)
    }

    fn backward_many(cx: &mut BackwardMany<'_, E>, share: &Share) -> Result<bool> {
        let g = cx.grads().try_div(share.count as f64)?;
        cx.add(0, share.over.later().spread(g, &cx.shape_many(0)?)?)?;
        Ok(true)
    }

    fn tangent_many(cx: &ForwardMany<'_, E>, share: &Share) -> Result<Option<TensorBase<E>>> {
        share.over.later().total(cx.tangents_or_zeros(0)?)?.try_div(share.count as f64).map(Some)
    }
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The mean of all elements, of rank 0; NaN for none.
        pub fn mean | try_mean(self) -> TensorBase<E> {
            let x = self.try_contiguous()?;
            let shape = x.try_shape()?;
            record_fold::<Mean, E>(x, Share { over: Over::whole(shape.len()), count: shape.numel() })
        }

        /// The means over `dims` (one number, an array, `()` for all), which become 1 with `keepdim`, else go.
        pub fn mean_dims | try_mean_dims<D: IntoDims>(self, dims: D, keepdim: bool) -> TensorBase<E> {
            let shape = self.try_shape()?;
            let dims = dims.into_dim_set("mean", shape.len())?;
            let count = super::dims_of(dims, shape.len()).map(|d| shape[d]).product();
            let (x, over) = sum_all_but_one_run(self, dims, keepdim)?;
            record::<Mean, E>(&[x.handle()], Share { over, count })
        }
    }
}
