//! Running sums and products along a dimension, and what their derivatives are made of.
//!
//! With the running product `y[k] = x[0] .. x[k]` and the incoming `g`, the gradient is `P[k] S[k]` where `P` is `y` shifted by
//! one ([`Shift`]) and `S[k] = g[k] + x[k + 1] S[k + 1]` ([`Recurrence`]): no division, so zeros do no harm. The derivatives of
//! both are the same two again, so every order is right.

use wengert_kernels::reduce::{cumprod_axis, cumsum_axis, recur_axis};

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use super::around;
use crate::autograd::{Backward, Forward};
use crate::element::FloatElement;
use crate::error::{Result, twins};
use crate::shape::{Layout, Shape, wrap_dim};
use crate::tape;
use crate::tensor::{Tensor64, TensorBase};

/// Where a running result goes.
#[derive(Clone, Copy)]
pub(crate) struct Along {
    /// The lengths before, in and after the dimensions it runs along, as if these were one.
    pub axes: [usize; 3],
    /// From the last element down.
    pub reverse: bool,
}

impl Along {
    /// Up along one dimension.
    fn dim(op: &str, shape: &[usize], dim: isize) -> Result<Self> {
        let dim = wrap_dim(op, dim, shape.len())?;
        Ok(Self { axes: if shape.is_empty() { [1; 3] } else { around(shape, dim, dim) }, reverse: false })
    }

    /// The other way.
    fn back(self) -> Self {
        Self { reverse: !self.reverse, ..self }
    }
}

/// Running sums.
pub(crate) struct Cumsum;

/// Running products.
pub(crate) struct Cumprod;

/// The elements moved on by one place along the way; the first place is filled.
pub(crate) struct Shift;

/// `s[k] = b[k] + a[k] s[k - 1]` along the way, for the operands `a` and `b`; see [`recur_axis`].
pub(crate) struct Recurrence;

/// Where, and what fills the first place.
#[derive(Clone, Copy)]
pub(crate) struct Filled {
    along: Along,
    fill: f64,
}

/// Where, and whether the factor is that of the element before.
#[derive(Clone, Copy)]
pub(crate) struct Lagged {
    along: Along,
    lagged: bool,
}

/// Running sums of `x`.
fn cumsum<E: FloatElement>(x: TensorBase<E>, along: Along) -> Result<TensorBase<E>> {
    record::<Cumsum, E>(&[x.try_contiguous()?.handle()], along)
}

/// Running products of `x`.
pub(super) fn cumprod<E: FloatElement>(x: TensorBase<E>, along: Along) -> Result<TensorBase<E>> {
    record::<Cumprod, E>(&[x.try_contiguous()?.handle()], along)
}

/// `x` moved on by one place.
pub(super) fn shift<E: FloatElement>(x: TensorBase<E>, along: Along, fill: f64) -> Result<TensorBase<E>> {
    record::<Shift, E>(&[x.try_contiguous()?.handle()], Filled { along, fill })
}

/// The recurrence with factors `a` and terms `b`.
fn recur<E: FloatElement>(a: TensorBase<E>, b: TensorBase<E>, along: Along, lagged: bool) -> Result<TensorBase<E>> {
    record::<Recurrence, E>(&[a.try_contiguous()?.handle(), b.try_contiguous()?.handle()], Lagged { along, lagged })
}

/// Whether an element of a contiguous tensor is 0.
pub(super) fn has_zero<E: FloatElement>(x: TensorBase<E>) -> Result<bool> {
    tape::with(|tape| {
        let index = tape.resolve(x.handle())?;
        Ok(tape.data::<E>(index)[..tape.layout(index).numel()].contains(&E::of(0.0)))
    })
}

/// Whether the elements of a contiguous tensor are neither infinite nor NaN.
fn all_finite<E: FloatElement>(x: TensorBase<E>) -> Result<bool> {
    tape::with(|tape| {
        let index = tape.resolve(x.handle())?;
        let elements = &tape.data::<E>(index)[..tape.layout(index).numel()];
        Ok(elements.iter().all(|&x| Into::<f64>::into(x).is_finite()))
    })
}

impl Operation for Cumsum {
    const OP: Structured = Structured::Cumsum;
    const NAME: &'static str = "cumsum";
    const GRAD_FN: &'static str = "CumsumBackward0";
    type Attrs = Along;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("the last dimension", &[&[2, 3]], |x| x[0].cumsum(-1)),
            Case::new("of a transpose", &[&[3, 2]], |x| x[0].t().cumsum(0)),
        ]
    }
}

impl<E: FloatElement> Compute<E> for Cumsum {
    fn output(inputs: &[&Layout], _: &Along) -> Result<Shape> {
        Ok(Shape::of(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], along: &Along, out: &mut [E]) {
        cumsum_axis(inputs[0].slice(), along.axes, along.reverse, out);
    }
}

impl<E: FloatElement> Derivative<E> for Cumsum {
    fn backward(cx: &mut Backward<'_, E>, along: &Along) -> Result<()> {
        let g = cumsum(cx.grad(), along.back())?;
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<E>, along: &Along) -> Result<TensorBase<E>> {
        cumsum(cx.tangent_or_zeros(0)?, *along)
    }
}

impl Operation for Cumprod {
    const OP: Structured = Structured::Cumprod;
    const NAME: &'static str = "cumprod";
    const GRAD_FN: &'static str = "CumprodBackward0";
    type Attrs = Along;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("the last dimension", &[&[2, 3]], |x| x[0].cumprod(-1)),
            Case::new("of a transpose", &[&[3, 2]], |x| x[0].t().cumprod(0)),
            Case::on("at a zero", &[&[4]], 0.0..0.0, |x| (x[0] + Tensor64::new([2.0, 0.0, -3.0, 0.5])).cumprod(0)),
            Case::on("at zeros, down", &[&[2, 4]], 0.0..0.0, |x| {
                let x = x[0] + Tensor64::new([[0.0, 2.0, 0.0, 1.5], [3.0, 0.5, -1.0, 0.0]]);
                cumprod(x, Along { axes: [2, 4, 1], reverse: true }).expect("a running product")
            }),
        ]
    }
}

impl<E: FloatElement> Compute<E> for Cumprod {
    fn output(inputs: &[&Layout], _: &Along) -> Result<Shape> {
        Ok(Shape::of(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], along: &Along, out: &mut [E]) {
        cumprod_axis(inputs[0].slice(), along.axes, along.reverse, out);
    }
}

impl<E: FloatElement> Derivative<E> for Cumprod {
    fn backward(cx: &mut Backward<'_, E>, along: &Along) -> Result<()> {
        let (x, y, g) = (cx.operand::<E>(0)?, cx.value()?, cx.grad());
        let exact = shift(y, *along, 1.0)?.try_mul(recur(x, g, along.back(), true)?)?;
        if all_finite(y)? {
            return cx.add(0, exact);
        }
        // As PyTorch: what is not finite spreads to all factors before it, but to zeros.
        let spread = cumsum(g.try_mul(y)?, along.back())?.try_div(x)?;
        let g = x.try_eq(0.0)?.try_where_(exact, spread)?;
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<E>, along: &Along) -> Result<TensorBase<E>> {
        let own = shift(cx.value()?, *along, 1.0)?.try_mul(cx.tangent_or_zeros(0)?)?;
        recur(cx.operand(0)?, own, *along, false)
    }
}

impl Operation for Shift {
    const OP: Structured = Structured::Shift;
    const NAME: &'static str = "shift";
    const GRAD_FN: &'static str = "ShiftBackward0";
    type Attrs = Filled;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("up", &[&[2, 3]], |x| {
                shift(x[0], Along { axes: [2, 3, 1], reverse: false }, 2.0).expect("a shift")
            }),
            Case::new("down", &[&[3, 2]], |x| {
                shift(x[0], Along { axes: [1, 3, 2], reverse: true }, 0.0).expect("a shift")
            }),
        ]
    }
}

impl<E: FloatElement> Compute<E> for Shift {
    fn output(inputs: &[&Layout], _: &Filled) -> Result<Shape> {
        Ok(Shape::of(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], filled: &Filled, out: &mut [E]) {
        let [_, n, inner] = filled.along.axes;
        let (size, fill) = (n * inner, E::of(filled.fill));
        if size == 0 {
            return;
        }
        for (x, out) in inputs[0].slice::<E>().chunks_exact(size).zip(out.chunks_exact_mut(size)) {
            if filled.along.reverse {
                out[..size - inner].copy_from_slice(&x[inner..]);
                out[size - inner..].fill(fill);
            } else {
                out[inner..].copy_from_slice(&x[..size - inner]);
                out[..inner].fill(fill);
            }
        }
    }
}

impl<E: FloatElement> Derivative<E> for Shift {
    fn backward(cx: &mut Backward<'_, E>, filled: &Filled) -> Result<()> {
        let g = shift(cx.grad(), filled.along.back(), 0.0)?;
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<E>, filled: &Filled) -> Result<TensorBase<E>> {
        shift(cx.tangent_or_zeros(0)?, filled.along, 0.0)
    }
}

impl Operation for Recurrence {
    const OP: Structured = Structured::Recurrence;
    const NAME: &'static str = "recurrence";
    const GRAD_FN: &'static str = "RecurrenceBackward0";
    type Attrs = Lagged;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("up", &[&[2, 3], &[2, 3]], |x| {
                recur(x[0], x[1], Along { axes: [2, 3, 1], reverse: false }, false).expect("a recurrence")
            }),
            Case::new("down, lagged", &[&[3, 2], &[3, 2]], |x| {
                recur(x[0], x[1], Along { axes: [1, 3, 2], reverse: true }, true).expect("a recurrence")
            }),
        ]
    }
}

impl<E: FloatElement> Compute<E> for Recurrence {
    fn output(inputs: &[&Layout], _: &Lagged) -> Result<Shape> {
        Ok(Shape::of(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], &Lagged { along, lagged }: &Lagged, out: &mut [E]) {
        recur_axis(inputs[0].slice(), inputs[1].slice(), along.axes, [along.reverse, lagged], out);
    }
}

impl<E: FloatElement> Derivative<E> for Recurrence {
    fn backward(cx: &mut Backward<'_, E>, &Lagged { along, lagged }: &Lagged) -> Result<()> {
        // The transposed recurrence gives what each step passes on; a factor gets that times the element it was applied to.
        let passed = recur(cx.operand(0)?, cx.grad(), along.back(), !lagged)?;
        if cx.needs(0) {
            let s = cx.value()?;
            let g = if lagged {
                shift(passed, along.back(), 0.0)?.try_mul(s)?
            } else {
                passed.try_mul(shift(s, along, 0.0)?)?
            };
            cx.add(0, g)?;
        }
        if cx.needs(1) { cx.add(1, passed) } else { Ok(()) }
    }

    fn tangent(cx: &Forward<E>, &Lagged { along, lagged }: &Lagged) -> Result<TensorBase<E>> {
        let before = shift(cx.value()?, along, 0.0)?;
        let by_factor = cx.tangent(0).map(|da| {
            let da = if lagged { shift(da, along, 0.0)? } else { da };
            da.try_mul(before)
        });
        let own = cx.sum(by_factor.into_iter().chain(cx.tangent(1).map(Ok)))?;
        recur(cx.operand(0)?, own, along, lagged)
    }
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The running sums along `dim`: of each element and all before it.
        pub fn cumsum | try_cumsum(self, dim: isize) -> TensorBase<E> {
            cumsum(self, Along::dim("cumsum", &self.try_shape()?, dim)?)
        }

        /// The running products along `dim`: of each element and all before it. Their gradients are right where factors are 0.
        pub fn cumprod | try_cumprod(self, dim: isize) -> TensorBase<E> {
            cumprod(self, Along::dim("cumprod", &self.try_shape()?, dim)?)
        }
    }
}
