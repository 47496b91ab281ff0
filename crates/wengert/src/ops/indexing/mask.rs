//! Elements chosen by a mask.

use wengert_kernels::strided::pack;

use super::super::elementwise::BLOCK;
use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use super::gather::gathered;
use super::places::Places;
use super::{IntoSource, Source};
use crate::autograd::{Backward, Forward};
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, twins};
use crate::shape::{Layout, Shape, broadcast};
use crate::tensor::{BoolTensor, IndexTensor, TensorBase};

/// Operand 0, with operand 2, of one element, where the mask, operand 1 of the same shape, holds.
pub(crate) struct MaskedFill;

/// By which form it was asked for, as print shows it.
#[derive(Clone, Copy)]
pub(crate) struct Form(&'static str);

impl Operation for MaskedFill {
    const OP: Structured = Structured::MaskedFill;
    const NAME: &'static str = "masked_fill";
    const GRAD_FN: &'static str = "MaskedFillBackward0";
    type Attrs = Form;

    fn grad_fn(form: &Form) -> &'static str {
        form.0
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("a number", &[&[2, 3]], |x| {
                x[0].masked_fill(BoolTensor::new([[true, false, false], [false, true, true]]), -1.5)
            }),
            Case::new("a tensor, a mask that broadcasts", &[&[2, 3], &[]], |x| {
                x[0].masked_fill(BoolTensor::new([[true], [false]]), x[1])
            }),
            Case::new("of a transpose", &[&[3, 2]], |x| x[0].t().masked_fill(BoolTensor::new([true, false, true]), 2)),
        ]
    }
}

impl<E: Element> Compute<E> for MaskedFill {
    fn output(inputs: &[&Layout], _: &Form) -> Result<Shape> {
        Ok(Shape::of(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], _: &Form, out: &mut [E]) {
        let value = inputs[2].slice::<E>()[0];
        let (x, mask) = (&inputs[0], &inputs[1]);
        pack(x.strided(), x.layout.shape(), x.layout.strides(), 0, out);
        let (mask, layout) = (mask.strided(), &mask.layout);
        let mut block = [false; BLOCK];
        for start in (0..out.len()).step_by(BLOCK) {
            let part = &mut out[start..layout.numel().min(start + BLOCK)];
            let masked = &mut block[..part.len()];
            pack(mask, layout.shape(), layout.strides(), start, masked);
            part.iter_mut().zip(masked).for_each(|(to, masked)| *to = if *masked { value } else { *to });
        }
    }
}

impl<E: FloatElement> Derivative<E> for MaskedFill {
    fn backward(cx: &mut Backward<'_, E>, _: &Form) -> Result<()> {
        let (g, mask) = (cx.grad(), cx.operand::<bool>(1)?);
        if cx.needs(0) {
            cx.add(0, g.try_masked_fill(mask, E::default())?)?;
        }
        if cx.needs(2) {
            cx.add(2, mask.try_where_(g, 0.0)?.try_sum()?.try_reshape(cx.shape(2)?)?)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, _: &Form) -> Result<TensorBase<E>> {
        cx.tangent_or_zeros(0)?.try_masked_fill(cx.operand(1)?, cx.tangent_or_zeros(2)?)
    }
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// A copy with `value`, a number or a tensor of rank 0, where `mask` holds; this tensor and the mask broadcast.
        pub fn masked_fill | try_masked_fill<S: IntoSource<E>>(self, mask: TensorBase<bool>, value: S) -> TensorBase<E> {
            let shape = broadcast("masked_fill", &self.try_shape()?, &mask.try_shape()?)?;
            let (value, form) = match value.into_source() {
                Source::Tensor(value) => (value, Form("MaskedFillBackward1")),
                Source::Number(value) => (TensorBase::try_scalar(value)?, Form(MaskedFill::GRAD_FN)),
            };
            if !value.try_shape()?.is_empty() {
                return Err(error!(
                    Shape,
                    "masked_fill: the value has shape {:?} instead of rank 0; use `mask.where_(value, x)`",
                    value.shape()
                ));
            }
            let (x, mask) = (self.stretched(&shape)?, mask.stretched(&shape)?);
            record::<MaskedFill, E>(&[x.handle(), mask.handle(), value.handle()], form)
        }

        /// The elements where `mask` holds, row-major, as a tensor of rank 1; both broadcast.
        pub fn masked_select | try_masked_select(self, mask: TensorBase<bool>) -> TensorBase<E> {
            let own = self.try_shape()?;
            let shape = broadcast("masked_select", &own, &mask.try_shape()?)?;
            let chosen = mask.stretched(&shape)?.try_to_vec()?;
            // Where the elements lie in this tensor, which is not copied to broadcast it.
            let layout = Layout::contiguous(&own).broadcast_to(&shape);
            let place = |mut i: usize| -> i64 {
                let mut place = 0;
                for (&length, &stride) in layout.shape().iter().zip(layout.strides()).rev() {
                    place += i % length * stride;
                    i /= length;
                }
                place as i64
            };
            let places = chosen.iter().enumerate().filter(|&(_, &chosen)| chosen).map(|(i, _)| place(i));
            let index = IndexTensor::try_from_iter(places)?;
            let places = Places::parts(&own, own.len(), &index.try_shape()?, "MaskedSelectBackward0");
            gathered(self, index, places)
        }
    }
}
