//! Sums.

use super::super::{Case, Compute, Derivative, Fold, Input, Operation, Structured, record, record_fold};
use super::{Over, broadcast_dims, dims_of, runs};
use crate::autograd::{Backward, BackwardMany, Forward, ForwardMany};
use crate::element::FloatElement;
use crate::error::{Result, error, twins};
use crate::shape::{DimSet, IntoDims, IntoShape, Layout, Shape, shape_of};
use crate::tensor::TensorBase;

/// The sum over one run of adjacent dimensions, which become 1 or go.
pub(crate) struct Sum;

impl Operation for Sum {
    const OP: Structured = Structured::Sum;
    const NAME: &'static str = "sum";
    const GRAD_FN: &'static str = "SumBackward0";
    type Attrs = Over;

    fn grad_fn(over: &Over) -> &'static str {
        if over.whole { "SumBackward0" } else { "SumBackward1" }
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("all", &[&[3, 4]], |x| x[0].sum()),
            Case::new("one dimension", &[&[3, 4, 2]], |x| x[0].sum_dims(1, false)),
            Case::new("several runs, kept", &[&[2, 3, 2, 2]], |x| x[0].sum_dims([0, -2], true)),
        ]
    }
}

impl<E: FloatElement> Compute<E> for Sum {
    fn output(inputs: &[&Layout], over: &Over) -> Result<Shape> {
        Ok(over.output(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], over: &Over, out: &mut [E]) {
        wengert_kernels::reduce::sum_axis(inputs[0].slice(), over.around(inputs[0].layout.shape()), out);
    }
}

impl<E: FloatElement> Fold<E> for Sum {
    fn of_sum(sum: E, over: &Over) -> Option<E> {
        over.whole.then_some(sum)
    }
}

impl<E: FloatElement> Derivative<E> for Sum {
    fn backward(cx: &mut Backward<'_, E>, over: &Over) -> Result<()> {
        let shape = cx.shape(0)?;
        let g = over.spread(cx.grad(), &shape)?;
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<E>, over: &Over) -> Result<TensorBase<E>> {
        over.total(cx.tangent_or_zeros(0)?)
    }

    fn backward_many(cx: &mut BackwardMany<'_, E>, over: &Over) -> Result<bool> {
        let g = over.later().spread(cx.grads(), &cx.shape_many(0)?)?;
        cx.add(0, g)?;
        Ok(true)
    }

    fn tangent_many(cx: &ForwardMany<'_, E>, over: &Over) -> Result<Option<TensorBase<E>>> {
        over.later().total(cx.tangents_or_zeros(0)?).map(Some)
    }
}

/// Sums over all but the first run of `dims`, and what is left to sum.
pub(super) fn sum_all_but_one_run<E: FloatElement>(
    x: TensorBase<E>,
    dims: DimSet,
    keepdim: bool,
) -> Result<(TensorBase<E>, Over)> {
    let mut x = x.try_contiguous()?;
    let runs = runs(dims_of(dims, x.try_shape()?.len()));
    // From the last run on, so that the numbers of the others stay.
    for &(first, last) in runs.iter().skip(1).rev() {
        x = record::<Sum, E>(&[x.handle()], Over::run(DimSet::range(first, last), keepdim))?;
    }
    let first = runs.first().map_or(DimSet::none(), |&(first, last)| DimSet::range(first, last));
    Ok((x, Over::run(first, keepdim)))
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The sum of all elements, of rank 0; 0 for none.
        pub fn sum | try_sum(self) -> TensorBase<E> {
            let x = self.try_contiguous()?;
            record_fold::<Sum, E>(x, Over::whole(x.try_shape()?.len()))
        }

        /// The sums over `dims` (one number, an array, `()` for all), which become 1 with `keepdim`, else go.
        pub fn sum_dims | try_sum_dims<D: IntoDims>(self, dims: D, keepdim: bool) -> TensorBase<E> {
            let dims = dims.into_dim_set("sum", self.try_shape()?.len())?;
            let (x, over) = sum_all_but_one_run(self, dims, keepdim)?;
            record::<Sum, E>(&[x.handle()], over)
        }

        /// The sums over the dimensions that broadcasting `shape` to this tensor's shape would repeat: its adjoint.
        pub fn sum_to | try_sum_to<S: IntoShape>(self, shape: S) -> TensorBase<E> {
            let (own, shape) = (self.try_shape()?, shape_of("sum_to", shape)?);
            if own == shape {
                return Ok(self);
            }
            if crate::shape::broadcast("sum_to", &own, &shape).ok().as_ref() != Some(&own) {
                return Err(error!(Shape, "sum_to: shape {shape:?} does not broadcast to {own:?}"));
            }
            let dims = DimSet::of(broadcast_dims(&own, &shape));
            self.try_sum_dims(dims, true)?.try_reshape(shape)
        }
    }
}
