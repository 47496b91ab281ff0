//! Variance and standard deviation.

use wengert_kernels::reduce::var_axis;

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, compute_leaf, record};
use super::{Over, as_one_run};
use crate::autograd::{Backward, Forward};
use crate::element::FloatElement;
use crate::error::{Result, twins};
use crate::shape::{IntoDims, Layout, Shape};
use crate::tensor::TensorBase;

/// The variance over one run of adjacent dimensions.
pub(crate) struct Var;

/// The standard deviation over one run of adjacent dimensions.
pub(crate) struct Std;

/// Over what, and by how many less than there are elements the sum of squares is divided.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    over: Over,
    correction: usize,
}

impl Spread {
    /// How many elements are left after the correction; negative if it takes more than there are.
    fn freedom(&self, shape: &[usize]) -> f64 {
        self.over.around(shape)[1] as f64 - self.correction as f64
    }

    fn var<E: FloatElement>(&self, input: &Input<'_>, out: &mut [E]) {
        let shape = input.layout.shape();
        var_axis(input.slice(), self.over.around(shape), E::of(self.freedom(shape).max(0.0)), out);
    }

    /// The derivative of the variance by each element.
    fn partials<E: FloatElement>(&self, x: TensorBase<E>) -> Result<TensorBase<E>> {
        let shape = x.try_shape()?;
        let mean = x.try_mean_dims(self.over.dims(), true)?;
        let freedom = self.freedom(&shape);
        if freedom > 0.0 || !self.over.whole {
            return x.try_sub(mean)?.try_mul(2.0 / freedom);
        }
        // As PyTorch: infinite, but for elements at the mean.
        let mean = mean.try_expand(&shape)?.try_contiguous()?;
        compute_leaf(&[x.handle(), mean.handle()], &shape, |inputs, out| {
            for (out, (x, mean)) in out.iter_mut().zip(inputs[0].slice::<E>().iter().zip(inputs[1].slice::<E>())) {
                *out = E::of(if x == mean { f64::NAN } else { f64::INFINITY });
            }
            Ok(())
        })
    }
}

impl Operation for Var {
    const OP: Structured = Structured::Var;
    const NAME: &'static str = "var";
    const GRAD_FN: &'static str = "VarBackward0";
    type Attrs = Spread;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("all", &[&[3, 4]], |x| x[0].var()),
            Case::new("one dimension", &[&[3, 4, 2]], |x| x[0].var_dims(1, 0, false)),
            Case::new("several runs, kept", &[&[2, 3, 2, 2]], |x| x[0].var_dims([0, -2], 2, true)),
        ]
    }
}

impl<E: FloatElement> Compute<E> for Var {
    fn output(inputs: &[&Layout], spread: &Spread) -> Result<Shape> {
        Ok(spread.over.output(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], spread: &Spread, out: &mut [E]) {
        spread.var(&inputs[0], out);
    }
}

impl<E: FloatElement> Derivative<E> for Var {
    fn backward(cx: &mut Backward<'_, E>, spread: &Spread) -> Result<()> {
        let partials = spread.partials(cx.operand(0)?)?;
        spread.over.pull(cx, partials)
    }

    fn tangent(cx: &Forward<E>, spread: &Spread) -> Result<TensorBase<E>> {
        let partials = spread.partials(cx.operand(0)?)?;
        spread.over.push(cx, partials)
    }
}

impl Operation for Std {
    const OP: Structured = Structured::Std;
    const NAME: &'static str = "std";
    const GRAD_FN: &'static str = "StdBackward0";
    type Attrs = Spread;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("all", &[&[3, 4]], |x| x[0].std()),
            Case::new("one dimension", &[&[3, 4, 2]], |x| x[0].std_dims(1, 0, false)),
            Case::new("several runs, kept", &[&[2, 3, 2, 2]], |x| x[0].std_dims([0, -2], 2, true)),
        ]
    }
}

impl<E: FloatElement> Compute<E> for Std {
    fn output(inputs: &[&Layout], spread: &Spread) -> Result<Shape> {
        Ok(spread.over.output(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], spread: &Spread, out: &mut [E]) {
        spread.var(&inputs[0], out);
        out.iter_mut().for_each(|out| *out = wengert_kernels::Real::sqrt(*out));
    }
}

/// `dy / 2y`, and 0 where `y`, a standard deviation, is 0, as in PyTorch.
fn halved<E: FloatElement>(dy: TensorBase<E>, y: TensorBase<E>) -> Result<TensorBase<E>> {
    let constant = y.try_eq(0.0)?;
    let divisor = constant.try_where_(1.0, y.try_mul(2.0)?)?;
    constant.try_where_(0.0, dy.try_div(divisor)?)
}

impl<E: FloatElement> Derivative<E> for Std {
    fn backward(cx: &mut Backward<'_, E>, spread: &Spread) -> Result<()> {
        let partials = spread.partials(cx.operand(0)?)?;
        let g = halved(cx.grad(), cx.value()?)?;
        let g = spread.over.beside(g, &cx.shape(0)?)?.try_mul(partials)?;
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<E>, spread: &Spread) -> Result<TensorBase<E>> {
        let partials = spread.partials(cx.operand(0)?)?;
        halved(spread.over.push(cx, partials)?, cx.value()?)
    }
}

/// The operand and the attributes of a variance or standard deviation.
fn prepared<E: FloatElement>(
    op: &str,
    x: TensorBase<E>,
    dims: impl IntoDims,
    correction: usize,
    keepdim: bool,
) -> Result<(TensorBase<E>, Spread)> {
    let dims = dims.into_dim_set(op, x.try_shape()?.len())?;
    let (x, over) = as_one_run(x, dims, keepdim)?;
    Ok((x, Spread { over: over.or_whole(x.try_shape()?.len()), correction }))
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The variance of all elements, of rank 0: the sum of squared differences from the mean, divided by one less than there are
        /// elements. NaN for fewer than two.
        pub fn var | try_var(self) -> TensorBase<E> {
            self.try_var_dims((), 1, false)
        }

        /// The variances over `dims` (one number, an array, `()` for all), which become 1 with `keepdim`, else go. The sums of
        /// squares are divided by `correction` less than there are elements: 1 estimates the variance of what the elements were
        /// drawn from (Bessel), 0 is that of the elements themselves.
        pub fn var_dims | try_var_dims<D: IntoDims>(self, dims: D, correction: usize, keepdim: bool) -> TensorBase<E> {
            let (x, spread) = prepared("var", self, dims, correction, keepdim)?;
            record::<Var, E>(&[x.handle()], spread)
        }

        /// The standard deviation of all elements: the square root of [`Self::var`]. Of equal elements it is 0, and so is its
        /// gradient.
        pub fn std | try_std(self) -> TensorBase<E> {
            self.try_std_dims((), 1, false)
        }

        /// The standard deviations over `dims`: the square roots of [`Self::var_dims`].
        pub fn std_dims | try_std_dims<D: IntoDims>(self, dims: D, correction: usize, keepdim: bool) -> TensorBase<E> {
            let (x, spread) = prepared("std", self, dims, correction, keepdim)?;
            record::<Std, E>(&[x.handle()], spread)
        }
    }
}
