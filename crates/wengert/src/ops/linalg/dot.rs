//! Products of two vectors.

use wengert_kernels::reduce;

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use crate::autograd::{Backward, BackwardMany, Forward, ForwardMany};
use crate::element::FloatElement;
use crate::error::{Result, error, twins};
use crate::shape::{Layout, Shape};
use crate::tensor::TensorBase;

/// `Σ a b` of two vectors.
pub(crate) struct Dot;

impl Operation for Dot {
    const OP: Structured = Structured::Dot;
    const NAME: &'static str = "dot";
    const GRAD_FN: &'static str = "DotBackward0";
    type Attrs = ();

    fn cases() -> Vec<Case> {
        vec![
            Case::new("vectors", &[&[3], &[3]], |x| x[0].dot(x[1])),
            Case::new("with itself", &[&[3]], |x| x[0].dot(x[0])),
            Case::new("of matmul", &[&[3], &[3]], |x| x[0].matmul(x[1])),
        ]
    }
}

impl<E: FloatElement> Compute<E> for Dot {
    fn output(inputs: &[&Layout], (): &()) -> Result<Shape> {
        match (inputs[0].shape(), inputs[1].shape()) {
            ([n], [m]) if n == m => Ok(Shape::default()),
            ([n], [m]) => Err(error!(Shape, "dot: shapes [{n}] and [{m}] do not fit: {n} is not {m}")),
            (a, b) => Err(error!(Shape, "dot: shapes {a:?} and {b:?} do not fit: both must be vectors; use `matmul`")),
        }
    }

    fn forward(inputs: &[Input<'_>], (): &(), out: &mut [E]) {
        out[0] = reduce::dot(inputs[0].slice(), inputs[1].slice());
    }
}

impl<E: FloatElement> Derivative<E> for Dot {
    fn backward(cx: &mut Backward<'_, E>, (): &()) -> Result<()> {
        for (k, other) in [(0, 1), (1, 0)] {
            if cx.needs(k) {
                cx.add(k, cx.operand::<E>(other)?.try_mul(cx.grad())?)?;
            }
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, (): &()) -> Result<TensorBase<E>> {
        let of = |k: usize, other: usize| cx.tangent(k).map(|d| d.try_dot(cx.operand(other)?));
        cx.sum(of(0, 1).into_iter().chain(of(1, 0)))
    }

    fn backward_many(cx: &mut BackwardMany<'_, E>, (): &()) -> Result<bool> {
        for (k, other) in [(0, 1), (1, 0)] {
            if cx.needs(k) {
                cx.add(k, cx.grads().try_unsqueeze(1)?.try_mul(cx.operand::<E>(other)?)?)?;
            }
        }
        Ok(true)
    }

    fn tangent_many(cx: &ForwardMany<'_, E>, (): &()) -> Result<Option<TensorBase<E>>> {
        let of = |k: usize, other: usize| cx.tangents(k).map(|d| d.try_matmul(cx.operand(other)?));
        cx.sum(of(0, 1).into_iter().chain(of(1, 0))).map(Some)
    }
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The sum of the products of two vectors' elements, of rank 0.
        pub fn dot | try_dot(self, other: TensorBase<E>) -> TensorBase<E> {
            record::<Dot, E>(&[self.try_contiguous()?.handle(), other.try_contiguous()?.handle()], ())
        }

        /// The matrix `[n, m]` of the products of each element of this vector with each of another.
        pub fn outer | try_outer(self, other: TensorBase<E>) -> TensorBase<E> {
            let (&[n], &[_]) = (&self.try_shape()?[..], &other.try_shape()?[..]) else {
                return Err(error!(
                    Shape,
                    "outer: shapes {:?} and {:?} do not fit: both must be vectors",
                    self.shape(),
                    other.shape()
                ));
            };
            self.try_reshape([n, 1])?.try_mul(other)
        }
    }
}
