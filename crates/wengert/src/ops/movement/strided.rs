//! A view by explicit strides, and its adjoint: together they differentiate every view that has no simpler inverse.

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, View, record, record_view};
use crate::autograd::{Backward, Forward};
use crate::element::{Element, FloatElement};
use crate::error::Result;
use crate::shape::{Layout, MAX_RANK, Shape};
use crate::tape::Tape;
use crate::tensor::TensorBase;

/// The elements of a contiguous tensor at the places of a layout.
pub(crate) struct AsStrided;

/// Zeros of a shape, with the operand's elements added at the places of a layout: the adjoint of [`AsStrided`].
pub(crate) struct FromStrided;

/// A layout inside of a contiguous tensor of shape `outer`.
#[derive(Clone, Copy)]
pub(crate) struct Placement {
    outer: Layout,
    inner: Layout,
}

/// The elements of `x`, which is made contiguous, at the places of `inner`.
pub(crate) fn as_strided<E: Element>(x: TensorBase<E>, inner: Layout) -> Result<TensorBase<E>> {
    let x = x.try_contiguous()?;
    record_view::<AsStrided, E>(x, Placement { outer: Layout::contiguous(&x.try_shape()?), inner })
}

/// Zeros of shape `outer` with `x` added at the places of `inner`, which has `x`'s shape.
pub(crate) fn from_strided<E: FloatElement>(x: TensorBase<E>, outer: &[usize], inner: Layout) -> Result<TensorBase<E>> {
    let x = x.try_contiguous()?;
    record::<FromStrided, E>(&[x.handle()], Placement { outer: Layout::contiguous(outer), inner })
}

/// The gradient of a view's operand: the incoming one, put where the view took its elements from.
pub(crate) fn view_backward<V: View, E: FloatElement>(cx: &mut Backward<'_, E>, attrs: &V::Attrs) -> Result<()> {
    if cx.needs(0) {
        let outer = cx.shape(0)?;
        let inner = V::layout(&Layout::contiguous(&outer), attrs)?;
        let g = cx.grad().try_contiguous()?;
        let add = |tape: &Tape, out: &mut [E]| {
            if inner.numel() > 0 {
                let values = Input::of(tape, g.handle().index);
                wengert_kernels::strided::unpack_add(
                    &mut out[inner.offset()..],
                    inner.shape(),
                    inner.strides(),
                    values.slice(),
                );
            }
        };
        cx.add_sparse(0, || from_strided(g, &outer, inner), add)?;
    }
    Ok(())
}

/// The tangent of a view: the same view of the operand's tangent.
pub(crate) fn view_tangent<V: View, E: FloatElement>(cx: &Forward<E>, attrs: &V::Attrs) -> Result<TensorBase<E>> {
    record_view::<V, E>(cx.tangent_or_zeros(0)?.try_contiguous()?, *attrs)
}

impl Operation for AsStrided {
    const OP: Structured = Structured::AsStrided;
    const NAME: &'static str = "as_strided";
    const GRAD_FN: &'static str = "AsStridedBackward0";
    type Attrs = Placement;

    fn cases() -> Vec<Case> {
        vec![Case::new("overlapping windows", &[&[6]], |x| {
            as_strided(x[0], Layout::strided(&[4, 3], &[1, 1], 0)).expect("windows inside of the operand")
        })]
    }
}

impl View for AsStrided {
    fn layout(input: &Layout, attrs: &Placement) -> Result<Layout> {
        let inner = &attrs.inner;
        Ok(Layout::strided(inner.shape(), inner.strides(), input.offset() + inner.offset()))
    }
}

impl<E: FloatElement> Derivative<E> for AsStrided {
    fn backward(cx: &mut Backward<'_, E>, attrs: &Placement) -> Result<()> {
        let g = from_strided(cx.grad(), attrs.outer.shape(), attrs.inner)?;
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<E>, attrs: &Placement) -> Result<TensorBase<E>> {
        as_strided(cx.tangent_or_zeros(0)?, attrs.inner)
    }
}

impl Operation for FromStrided {
    const OP: Structured = Structured::FromStrided;
    const NAME: &'static str = "from_strided";
    const GRAD_FN: &'static str = "AsStridedBackward0";
    type Attrs = Placement;

    fn cases() -> Vec<Case> {
        vec![Case::new("overlapping windows", &[&[4, 3]], |x| {
            from_strided(x[0], &[6], Layout::strided(&[4, 3], &[1, 1], 0)).expect("windows inside of the result")
        })]
    }
}

impl<E: FloatElement> Compute<E> for FromStrided {
    fn output(_: &[&Layout], attrs: &Placement) -> Result<Shape> {
        Ok(Shape::of(attrs.outer.shape()))
    }

    fn forward(inputs: &[Input<'_>], attrs: &Placement, out: &mut [E]) {
        out.fill(E::of(0.0));
        let inner = &attrs.inner;
        if inner.numel() > 0 {
            let part = &mut out[inner.offset()..];
            wengert_kernels::strided::unpack_add(part, inner.shape(), inner.strides(), inputs[0].slice());
        }
    }
}

impl<E: FloatElement> Derivative<E> for FromStrided {
    fn backward(cx: &mut Backward<'_, E>, attrs: &Placement) -> Result<()> {
        let g = as_strided(cx.grad(), attrs.inner)?;
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<E>, attrs: &Placement) -> Result<TensorBase<E>> {
        from_strided(cx.tangent_or_zeros(0)?, attrs.outer.shape(), attrs.inner)
    }
}

const _: () = assert!(MAX_RANK == wengert_kernels::strided::MAX_RANK);
