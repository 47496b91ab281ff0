//! Vector norms.

use wengert_kernels::Real;
use wengert_kernels::map::{Map1, map1};
use wengert_kernels::parallel;
use wengert_kernels::reduce::{max_axis, min_axis, sum_axis, sum_axis_of};

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, compute_leaf, record};
use super::extreme::shares;
use super::{Over, as_one_run, check_some};
use crate::autograd::{Backward, Forward};
use crate::element::FloatElement;
use crate::error::{Result, twins};
use crate::shape::{IntoDims, Layout, Shape};
use crate::tensor::{Tensor64, TensorBase};

/// The `p`-norm over one run of adjacent dimensions.
pub(crate) struct Norm;

/// Over what, and which norm.
#[derive(Clone, Copy)]
pub(crate) struct Order {
    over: Over,
    p: f64,
}

/// The term 1 for what is not 0.
#[derive(Clone, Copy)]
struct Nonzero;

/// The term `|a|`.
#[derive(Clone, Copy)]
struct Magnitude;

/// The term `a²`.
#[derive(Clone, Copy)]
struct Square;

/// The term `|a|^p`.
#[derive(Clone, Copy)]
struct Power<E>(E);

impl<E: Real> Map1<E> for Nonzero {
    #[inline(always)]
    fn at(self, a: E) -> E {
        E::select(a.eq(E::of(0.0)), E::of(0.0), E::of(1.0))
    }
}

impl<E: Real> Map1<E> for Magnitude {
    #[inline(always)]
    fn at(self, a: E) -> E {
        a.abs()
    }
}

impl<E: Real> Map1<E> for Square {
    #[inline(always)]
    fn at(self, a: E) -> E {
        a * a
    }
}

impl<E: Real> Map1<E> for Power<E> {
    #[inline(always)]
    fn at(self, a: E) -> E {
        a.abs().pow(self.0)
    }
}

impl Operation for Norm {
    const OP: Structured = Structured::Norm;
    const NAME: &'static str = "norm";
    const GRAD_FN: &'static str = "LinalgVectorNormBackward0";
    type Attrs = Order;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("2, all", &[&[3, 4]], |x| x[0].norm()),
            Case::new("2, one dimension", &[&[3, 4, 2]], |x| x[0].norm_dims(2.0, 1, false)),
            Case::new("1, several runs, kept", &[&[2, 3, 2, 2]], |x| x[0].norm_dims(1.0, [0, -2], true)),
            Case::new("infinity", &[&[3, 4]], |x| x[0].norm_dims(f64::INFINITY, 1, false)),
            Case::new("minus infinity", &[&[3, 4]], |x| x[0].norm_dims(f64::NEG_INFINITY, 0, true)),
            Case::new("0", &[&[3, 4]], |x| x[0].norm_dims(0.0, 1, false)),
            Case::new("3", &[&[3, 4]], |x| x[0].norm_dims(3.0, 1, false)),
            Case::on("a half", &[&[3, 2]], 0.5..2.0, |x| x[0].norm_dims(0.5, (), false)),
            Case::on("-1.5", &[&[3, 2]], -2.0..-0.5, |x| x[0].norm_dims(-1.5, 0, false)),
            Case::on("at zeros", &[&[4]], 0.0..0.0, |x| (x[0] + Tensor64::new([0.0, 1.0, 0.0, -2.0])).norm()),
        ]
    }
}

impl<E: FloatElement> Compute<E> for Norm {
    fn output(inputs: &[&Layout], order: &Order) -> Result<Shape> {
        Ok(order.over.output(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], order: &Order, out: &mut [E]) {
        let (x, around) = (inputs[0].slice::<E>(), order.over.around(inputs[0].layout.shape()));
        match order.p {
            0.0 => with_terms(Nonzero, 1, x, |terms| sum_axis(terms, around, out)),
            1.0 => sum_axis_of(Magnitude, x, around, out),
            2.0 => {
                sum_axis_of(Square, x, around, out);
                out.iter_mut().for_each(|out| *out = Real::sqrt(*out));
            }
            f64::INFINITY => with_terms(Magnitude, 1, x, |terms| max_axis(terms, around, out)),
            f64::NEG_INFINITY => with_terms(Magnitude, 1, x, |terms| min_axis(terms, around, out)),
            p => {
                with_terms(Power(E::of(p)), POWER_COST, x, |terms| sum_axis(terms, around, out));
                out.iter_mut().for_each(|out| *out = Real::pow(*out, E::of(1.0 / p)));
            }
        }
    }
}

/// What a power costs, in additions.
const POWER_COST: usize = 60;

/// Runs `reduce` on the terms of `x`, in memory of their own: a loop for each pair of a term and a reduction would be much code for
/// norms that are rare.
fn with_terms<E: FloatElement>(term: impl Map1<E> + Sync, cost: usize, x: &[E], reduce: impl FnOnce(&[E])) {
    E::scratch(x.len(), |terms| {
        parallel::in_parts(x.len(), cost, 1, &mut *terms, |range, terms| map1(term, &x[range], terms));
        reduce(terms);
    });
}

/// -1, 0 or 1; 0 for NaN, as PyTorch has it in the derivatives of norms.
fn sign<E: FloatElement>(x: E) -> E {
    E::of(f64::from(i8::from(x > E::of(0.0)) - i8::from(x < E::of(0.0))))
}

/// The signs of a contiguous tensor's elements, which are piecewise constant.
fn signs<E: FloatElement>(x: TensorBase<E>) -> Result<TensorBase<E>> {
    compute_leaf(&[x.handle()], &x.try_shape()?, |inputs, out| {
        out.iter_mut().zip(inputs[0].slice()).for_each(|(out, &x)| *out = sign::<E>(x));
        Ok(())
    })
}

/// `x`, and 1 where it is 0: a divisor, or the base of a power, where the other factor is 0 too.
fn or_one<E: FloatElement>(x: TensorBase<E>) -> Result<TensorBase<E>> {
    x.try_eq(0.0)?.try_where_(1.0, x)
}

/// `y`, and 1 where it is 0: a divisor of what is 0 too. Its slope there is infinite, so that second derivatives are NaN, as in
/// PyTorch: they do not exist.
fn or_cusp<E: FloatElement>(y: TensorBase<E>) -> Result<TensorBase<E>> {
    y.try_eq(0.0)?.try_where_(y.try_sqrt()?.try_add(1.0)?, y)
}

impl Order {
    /// The derivative of the norm `y` by each element of `x`; `None` if it is 0 everywhere.
    ///
    /// At 0 it is 0, and to others than 1 and 2 an element that is 0 is a constant; of elements that tie for an infinite norm each has its share, as in PyTorch.
    fn partials<E: FloatElement>(&self, x: TensorBase<E>, y: TensorBase<E>) -> Result<Option<TensorBase<E>>> {
        let beside = |y| self.over.beside(y, &x.try_shape()?);
        Ok(Some(match self.p {
            0.0 => return Ok(None),
            1.0 => signs(x)?,
            2.0 => x.try_div(beside(or_cusp(y)?)?)?,
            p if p.is_infinite() => shares(x, y, self.over, |x, y| {
                let counts = Real::abs(x) == y || x.is_nan();
                (counts, if counts { sign(x) } else { E::of(0.0) })
            })?,
            // |x|^(p - 1) / y^(p - 1), as one power: no overflow.
            p => signs(x)?.try_mul(or_one(x.try_abs()?)?.try_div(beside(or_one(y)?)?)?.try_pow(p - 1.0)?)?,
        }))
    }
}

impl<E: FloatElement> Derivative<E> for Norm {
    fn backward(cx: &mut Backward<'_, E>, order: &Order) -> Result<()> {
        match order.partials(cx.operand(0)?, cx.value()?)? {
            None => Ok(()),
            Some(partials) => order.over.pull(cx, partials),
        }
    }

    fn tangent(cx: &Forward<E>, order: &Order) -> Result<TensorBase<E>> {
        match order.partials(cx.operand(0)?, cx.value()?)? {
            None => cx.sum([]),
            Some(partials) => order.over.push(cx, partials),
        }
    }
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The Euclidean norm of all elements, of rank 0: the square root of the sum of their squares. Its gradient at 0 is 0, and its
        /// second derivative there NaN.
        pub fn norm | try_norm(self) -> TensorBase<E> {
            self.try_norm_dims(2.0, (), false)
        }

        /// The `p`-norms `(Σ |x|^p)^(1/p)` over `dims` (one number, an array, `()` for all), which become 1 with `keepdim`, else go.
        /// Any `p`: `f64::INFINITY` is the largest magnitude, `f64::NEG_INFINITY` the smallest, 0 the number of elements that
        /// are not 0. Gradients at 0 are 0.
        pub fn norm_dims | try_norm_dims<D: IntoDims>(self, p: f64, dims: D, keepdim: bool) -> TensorBase<E> {
            let shape = self.try_shape()?;
            let dims = dims.into_dim_set("norm", shape.len())?;
            if p < 0.0 || p.is_infinite() {
                check_some("norm", &shape, dims)?;
            }
            let (x, over) = as_one_run(self, dims, keepdim)?;
            record::<Norm, E>(&[x.handle()], Order { over, p })
        }
    }
}
