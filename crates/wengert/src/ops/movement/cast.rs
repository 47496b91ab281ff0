//! Conversion between element types.

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use crate::autograd::{Backward, BackwardMany, Forward, ForwardMany};
use crate::element::{DType, FloatElement};
use crate::error::{Result, error, twins};
use crate::shape::{Layout, Shape};
use crate::tensor::TensorBase;

/// The same numbers in another type; differentiable between floats.
pub(crate) struct Cast;

/// The type that was cast from.
#[derive(Clone, Copy)]
pub(crate) struct From(DType);

impl Operation for Cast {
    const OP: Structured = Structured::Cast;
    const NAME: &'static str = "cast";
    const GRAD_FN: &'static str = "ToCopyBackward0";
    type Attrs = From;

    fn cases() -> Vec<Case> {
        vec![Case::new("of the same type", &[&[2, 2]], |x| {
            record::<Cast, f64>(&[x[0].handle()], From(DType::F64)).expect("a cast")
        })]
    }
}

impl<E: FloatElement> Compute<E> for Cast {
    fn output(inputs: &[&Layout], _: &From) -> Result<Shape> {
        Ok(Shape::of(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], attrs: &From, out: &mut [E]) {
        let input = &inputs[0];
        match attrs.0 {
            DType::F32 => out.iter_mut().zip(input.slice::<f32>()).for_each(|(to, &x)| *to = E::of(x.into())),
            DType::F64 => out.iter_mut().zip(input.slice::<f64>()).for_each(|(to, &x)| *to = E::of(x)),
            DType::I64 => out.iter_mut().zip(input.slice::<i64>()).for_each(|(to, &x)| *to = E::of(x as f64)),
            DType::Bool => {
                out.iter_mut().zip(input.slice::<bool>()).for_each(|(to, &x)| *to = E::of(u8::from(x).into()))
            }
        }
    }
}

/// `x` in the type `F`.
fn cast<E: FloatElement, F: FloatElement>(x: TensorBase<E>) -> Result<TensorBase<F>> {
    if E::DTYPE == F::DTYPE {
        return Ok(TensorBase::from_handle(x.handle()));
    }
    record::<Cast, F>(&[x.try_contiguous()?.handle()], From(E::DTYPE))
}

impl<E: FloatElement> Derivative<E> for Cast {
    fn backward(cx: &mut Backward<'_, E>, attrs: &From) -> Result<()> {
        let g = cx.grad();
        match attrs.0 {
            DType::F32 => cx.add_other::<f32>(0, cast(g)?),
            _ => cx.add_other::<f64>(0, cast(g)?),
        }
    }

    fn tangent(cx: &Forward<E>, attrs: &From) -> Result<TensorBase<E>> {
        let tangent = match attrs.0 {
            DType::F32 => cx.tangent_of::<f32>(0).map(cast).transpose()?,
            _ => cx.tangent_of::<f64>(0).map(cast).transpose()?,
        };
        cx.sum(tangent.map(Ok))
    }

    fn backward_many(cx: &mut BackwardMany<'_, E>, attrs: &From) -> Result<bool> {
        match attrs.0 {
            DType::F32 => cx.add::<f32>(0, cast(cx.grads())?)?,
            _ => cx.add::<f64>(0, cast(cx.grads())?)?,
        }
        Ok(true)
    }

    fn tangent_many(cx: &ForwardMany<'_, E>, attrs: &From) -> Result<Option<TensorBase<E>>> {
        match attrs.0 {
            DType::F32 => cx.tangents_of::<f32>(0).map(cast).transpose(),
            _ => cx.tangents_of::<f64>(0).map(cast).transpose(),
        }
    }
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The same numbers in another float type: `x.cast::<f64>()`. Differentiable.
        pub fn cast | try_cast<F: FloatElement>(self) -> TensorBase<F> {
            cast(self)
        }

        /// The numbers without their fractions, as indices.
        ///
        /// # Errors
        /// A number that is NaN or beyond 64 bits.
        pub fn to_index | try_to_index(self) -> TensorBase<i64> {
            // Both limits are powers of two, hence exact: -2^63 fits and 2^63 does not.
            let fits = |x: E| (i64::MIN as f64..-(i64::MIN as f64)).contains(&x.into());
            if let Some(wrong) = self.try_with_data(|data| data.iter().copied().find(|&x| !fits(x)))? {
                return Err(error!(Value, "to_index: {wrong:?} is no index"));
            }
            crate::tensor::map(self, |x| {
                let x: f64 = x.into();
                x as i64
            })
        }
    }
}

twins! {
    impl[] TensorBase<i64> {
        /// The integers as floats.
        pub fn to_float | try_to_float<F: FloatElement>(self) -> TensorBase<F> {
            record::<Cast, F>(&[self.try_contiguous()?.handle()], From(DType::I64))
        }
    }
}

twins! {
    impl[] TensorBase<bool> {
        /// 1 where the mask holds, else 0.
        pub fn to_float | try_to_float<F: FloatElement>(self) -> TensorBase<F> {
            record::<Cast, F>(&[self.try_contiguous()?.handle()], From(DType::Bool))
        }
    }
}
