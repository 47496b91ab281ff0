//! The largest and the smallest element.

use wengert_kernels::reduce::{max_axis, min_axis};

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, compute_leaf, record};
use super::{Over, as_one_run, check_some};
use crate::autograd::{Backward, Forward};
use crate::element::FloatElement;
use crate::error::{Result, twins};
use crate::shape::{IntoDims, Layout, Shape};
use crate::tensor::TensorBase;

/// The largest or smallest element; elements that tie share its derivative evenly.
pub(crate) struct Extreme;

/// Which one, over what: `max` and `min` if over the whole, else `amax` and `amin`.
#[derive(Clone, Copy)]
pub(crate) struct End {
    over: Over,
    largest: bool,
}

impl Operation for Extreme {
    const OP: Structured = Structured::Extreme;
    const NAME: &'static str = "amax";
    const GRAD_FN: &'static str = "AmaxBackward0";
    type Attrs = End;

    fn grad_fn(end: &End) -> &'static str {
        match (end.over.whole, end.largest) {
            (true, true) => "MaxBackward1",
            (true, false) => "MinBackward1",
            (false, true) => "AmaxBackward0",
            (false, false) => "AminBackward0",
        }
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("max", &[&[3, 4]], |x| x[0].max()),
            Case::new("min of a transpose", &[&[3, 4]], |x| x[0].t().min()),
            Case::new("amax", &[&[3, 4, 2]], |x| x[0].amax(1, false)),
            Case::new("amin, several runs, kept", &[&[2, 3, 2, 2]], |x| x[0].amin([0, -2], true)),
        ]
    }
}

impl<E: FloatElement> Compute<E> for Extreme {
    fn output(inputs: &[&Layout], end: &End) -> Result<Shape> {
        Ok(end.over.output(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], end: &End, out: &mut [E]) {
        let around = end.over.around(inputs[0].layout.shape());
        (if end.largest { max_axis } else { min_axis })(inputs[0].slice(), around, out);
    }
}

/// For each element of `x` its `weight` divided by how many elements that go to the same element of the result `y` count:
/// `weight` gives for an element of both whether it counts, and with what weight.
pub(super) fn shares<E: FloatElement>(
    x: TensorBase<E>,
    y: TensorBase<E>,
    over: Over,
    weight: impl Fn(E, E) -> (bool, E),
) -> Result<TensorBase<E>> {
    let (x, y) = (x.try_contiguous()?, y.try_contiguous()?);
    let shape = x.try_shape()?;
    let [_, n, inner] = over.around(&shape);
    let size = (n * inner).max(1);
    let counts = compute_leaf(&[x.handle(), y.handle()], &y.try_shape()?, |inputs, out| {
        out.fill(E::of(0.0));
        let y = inputs[1].slice::<E>().chunks(inner.max(1));
        for ((x, y), out) in inputs[0].slice::<E>().chunks(size).zip(y).zip(out.chunks_mut(inner.max(1))) {
            for row in x.chunks(inner) {
                for ((out, &x), &y) in out.iter_mut().zip(row).zip(y) {
                    *out += E::of(f64::from(u8::from(weight(x, y).0)));
                }
            }
        }
        Ok(())
    })?;
    compute_leaf(&[x.handle(), y.handle(), counts.handle()], &shape, |inputs, out| {
        let [y, counts] = [1, 2].map(|k| inputs[k].slice::<E>().chunks(inner.max(1)));
        for (((x, y), counts), out) in inputs[0].slice::<E>().chunks(size).zip(y).zip(counts).zip(out.chunks_mut(size))
        {
            for (x, out) in x.chunks(inner).zip(out.chunks_mut(inner)) {
                for (((out, &x), &y), &count) in out.iter_mut().zip(x).zip(y).zip(counts) {
                    *out = weight(x, y).1 / count;
                }
            }
        }
        Ok(())
    })
}

/// The derivative of the result by each element, which is piecewise constant.
fn partials<E: FloatElement>(x: TensorBase<E>, y: TensorBase<E>, end: &End) -> Result<TensorBase<E>> {
    // As in PyTorch, a NaN that `max` finds takes the derivative, and one that `amax` finds makes all of them NaN.
    shares(x, y, end.over, |x, y| {
        let counts = x == y || (end.over.whole && x.is_nan());
        (counts, E::of(f64::from(u8::from(counts))))
    })
}

impl<E: FloatElement> Derivative<E> for Extreme {
    fn backward(cx: &mut Backward<'_, E>, end: &End) -> Result<()> {
        let partials = partials(cx.operand(0)?, cx.value()?, end)?;
        end.over.pull(cx, partials)
    }

    fn tangent(cx: &Forward<E>, end: &End) -> Result<TensorBase<E>> {
        let partials = partials(cx.operand(0)?, cx.value()?, end)?;
        end.over.push(cx, partials)
    }
}

/// The largest or smallest of all elements.
fn of_all<E: FloatElement>(op: &str, x: TensorBase<E>, largest: bool) -> Result<TensorBase<E>> {
    let (x, shape) = (x.try_contiguous()?, x.try_shape()?);
    let over = Over::whole(shape.len());
    check_some(op, &shape, over.dims())?;
    record::<Extreme, E>(&[x.handle()], End { over, largest })
}

/// The largest or smallest elements along dimensions.
fn over_dims<E: FloatElement>(
    op: &str,
    x: TensorBase<E>,
    dims: impl IntoDims,
    keepdim: bool,
    largest: bool,
) -> Result<TensorBase<E>> {
    let shape = x.try_shape()?;
    let dims = dims.into_dim_set(op, shape.len())?;
    check_some(op, &shape, dims)?;
    let (x, over) = as_one_run(x, dims, keepdim)?;
    record::<Extreme, E>(&[x.handle()], End { over, largest })
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The largest element, of rank 0; NaN if there is one. Elements that tie share the gradient evenly.
        pub fn max | try_max(self) -> TensorBase<E> {
            of_all("max", self, true)
        }

        /// The smallest element, of rank 0; NaN if there is one. Elements that tie share the gradient evenly.
        pub fn min | try_min(self) -> TensorBase<E> {
            of_all("min", self, false)
        }

        /// The largest elements over `dims` (one number, an array, `()` for all), which become 1 with `keepdim`, else go; NaN
        /// where there is one. Elements that tie share the gradient evenly; with [`Self::max_dim`] the first one gets it.
        pub fn amax | try_amax<D: IntoDims>(self, dims: D, keepdim: bool) -> TensorBase<E> {
            over_dims("amax", self, dims, keepdim, true)
        }

        /// The smallest elements over `dims` (one number, an array, `()` for all), which become 1 with `keepdim`, else go; NaN
        /// where there is one. Elements that tie share the gradient evenly; with [`Self::min_dim`] the first one gets it.
        pub fn amin | try_amin<D: IntoDims>(self, dims: D, keepdim: bool) -> TensorBase<E> {
            over_dims("amin", self, dims, keepdim, false)
        }
    }
}
