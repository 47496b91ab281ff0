//! A layer's affine map: one product with the weight's transpose, and the bias.

use wengert_kernels::gemm::{MatMut, MatRef, gemm, gemm_plus};

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use super::matmul::rows_times;
use crate::autograd::{Backward, BackwardMany, Forward, ForwardMany};
use crate::element::FloatElement;
use crate::error::{Result, error, twins};
use crate::shape::{Layout, Shape};
use crate::tape::profile;
use crate::tensor::TensorBase;

/// `x wᵀ + b` along the last dimension of `x`; operands `x`, `w` and, if there is one, `b`.
pub(crate) struct Linear;

/// How many dimensions `x` has, and whether there is a bias: what its name in print depends on.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    rank: u8,
    bias: bool,
}

impl Operation for Linear {
    const OP: Structured = Structured::Linear;
    const NAME: &'static str = "linear";
    const GRAD_FN: &'static str = "AddmmBackward0";
    type Attrs = Form;

    fn grad_fn(form: &Form) -> &'static str {
        match form {
            Form { rank: 2, bias: true } => "AddmmBackward0",
            Form { rank: 2, bias: false } => "MmBackward0",
            Form { rank: 1, bias: false } => "SqueezeBackward4",
            _ => "UnsafeViewBackward0",
        }
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("rows", &[&[2, 3], &[4, 3], &[4]], |x| x[0].linear(x[1], x[2])),
            Case::new("without a bias", &[&[2, 3], &[4, 3]], |x| x[0].linear(x[1], None)),
            Case::new("a vector", &[&[3], &[2, 3], &[2]], |x| x[0].linear(x[1], x[2])),
            Case::new("batches", &[&[2, 2, 3], &[2, 3], &[2]], |x| x[0].linear(x[1], x[2])),
            Case::new("transposed", &[&[3, 2], &[3, 4], &[4]], |x| x[0].t().linear(x[1].t(), x[2])),
        ]
    }
}

impl<E: FloatElement> Compute<E> for Linear {
    fn output(inputs: &[&Layout], form: &Form) -> Result<Shape> {
        let (x, w) = (inputs[0].shape(), inputs[1].shape());
        let (Some(&k), &[n, columns]) = (x.last(), w) else {
            return Err(error!(
                Shape,
                "linear: shapes {x:?} and {w:?} do not fit: the weight needs two dimensions, [outputs, inputs], and the operand at \
                 least one"
            ));
        };
        if k != columns {
            return Err(error!(
                Shape,
                "linear: shapes {x:?} and {w:?} do not fit: {k} features, but the weight takes {columns}"
            ));
        }
        if form.bias && inputs[2].shape() != [n] {
            return Err(error!(Shape, "linear: the bias has shape {:?}; expected [{n}]", inputs[2].shape()));
        }
        Ok(x[..x.len() - 1].iter().copied().chain([n]).collect())
    }

    fn forward(inputs: &[Input<'_>], form: &Form, out: &mut [E]) {
        let (x, w) = (&inputs[0], matrix::<E>(&inputs[1]));
        let [n, k] = [inputs[1].layout.shape()[0], inputs[1].layout.shape()[1]];
        let rows = out.len().checked_div(n).unwrap_or(0);
        let x = if x.layout.rank() == 2 { matrix(x) } else { MatRef::row_major(x.slice(), [rows, k]) };
        profile::count_flops(2 * out.len() * k);
        let out = MatMut::row_major(out, [rows, n]);
        if form.bias {
            gemm_plus(x, w.t(), MatRef::new(inputs[2].slice(), [rows, n], [0, 1]), out);
        } else {
            gemm(E::of(1.0), x, w.t(), E::of(0.0), out);
        }
    }
}

/// A matrix where it is.
fn matrix<'a, E: FloatElement>(input: &Input<'a>) -> MatRef<'a, E> {
    let (shape, strides) = (input.layout.shape(), input.layout.strides());
    MatRef::new(input.strided(), [shape[0], shape[1]], [strides[0], strides[1]])
}

/// The rows of `x`, all leading dimensions in one.
fn rows<E: FloatElement>(x: TensorBase<E>) -> Result<TensorBase<E>> {
    let shape = x.try_shape()?;
    match &shape[..] {
        [lead @ .., k] if lead.len() != 1 => x.try_reshape([lead.iter().product(), *k]),
        _ => Ok(x),
    }
}

impl<E: FloatElement> Derivative<E> for Linear {
    fn backward(cx: &mut Backward<'_, E>, form: &Form) -> Result<()> {
        let g = rows(cx.grad())?;
        if cx.needs(0) {
            cx.add_product(0, g, cx.operand::<E>(1)?)?;
        }
        if cx.needs(1) {
            cx.add_product(1, g.try_t()?, rows(cx.operand::<E>(0)?)?)?;
        }
        if form.bias && cx.needs(2) {
            cx.add(2, g.try_sum_dims(0, false)?)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, form: &Form) -> Result<TensorBase<E>> {
        let (x, w) = (cx.operand::<E>(0)?, cx.operand::<E>(1)?);
        let of_x = cx.tangent(0).map(|dx| dx.try_linear(w, None));
        let of_w = cx.tangent(1).map(|dw| x.try_linear(dw, None));
        let bias = if form.bias { cx.tangent(2) } else { None };
        let of_b = bias.map(|db| db.try_expand(cx.value_shape()?));
        cx.sum(of_x.into_iter().chain(of_w).chain(of_b))
    }

    fn backward_many(cx: &mut BackwardMany<'_, E>, form: &Form) -> Result<bool> {
        let (shape, w) = (cx.shape_many(0)?, cx.operand::<E>(1)?);
        let (count, [n, inputs]) = (shape[0], [w.size(0), w.size(1)]);
        let numel = shape[1..shape.len() - 1].iter().product();
        // [count, rows, outputs], whatever the rank of the operand.
        let g = cx.grads().try_reshape([count, numel, n])?;
        if cx.needs(0) {
            cx.add(0, rows_times(g, w)?.try_reshape(shape)?)?;
        }
        if cx.needs(1) {
            cx.add(1, g.try_transpose(1, 2)?.try_matmul(cx.operand::<E>(0)?.try_reshape([numel, inputs])?)?)?;
        }
        if form.bias && cx.needs(2) {
            cx.add(2, g.try_sum_dims(1, false)?)?;
        }
        Ok(true)
    }

    fn tangent_many(cx: &ForwardMany<'_, E>, form: &Form) -> Result<Option<TensorBase<E>>> {
        let (x, w) = (cx.operand::<E>(0)?, cx.operand::<E>(1)?);
        let shape = cx.value_shape_many()?;
        let of_x = cx.tangents(0).map(|dx| dx.try_linear(w, None));
        let of_w = cx.tangents(1).map(|dw| {
            let rows = rows(x)?;
            dw.try_matmul(rows.try_t()?)?.try_transpose(1, 2)?.try_reshape(&shape)
        });
        let bias = if form.bias { cx.tangents_beside(2, shape.len() - 1) } else { None };
        let of_b = bias.map(|db| db?.try_expand(&shape));
        cx.sum(of_x.into_iter().chain(of_w).chain(of_b)).map(Some)
    }
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// `x wᵀ + b`: a layer with `weight` of shape `[outputs, inputs]` and `bias` of shape `[outputs]`, a tensor or `None`, on
        /// the last dimension of this tensor, which has `inputs` elements; leading dimensions are batches. A weight of shape `[inputs]`
        /// with a bias of rank 0 is a layer of one output, whose dimension goes.
        ///
        /// ```
        /// # use wengert::Tensor;
        /// let (x, w, b) = (Tensor::ones([5, 3]), Tensor::ones([2, 3]), Tensor::ones([2]));
        /// assert_eq!(x.linear(w, b).shape(), [5, 2]);
        /// assert_eq!(x.linear(w, None).to_vec(), [3.0; 10]);
        /// assert_eq!(x.linear(Tensor::ones([3]), Tensor::scalar(1.0)).to_vec(), [4.0; 5]);
        /// ```
        pub fn linear | try_linear<B: Into<Option<TensorBase<E>>>>(self, weight: TensorBase<E>, bias: B) -> TensorBase<E> {
            let bias: Option<TensorBase<E>> = bias.into();
            if weight.try_shape()?.len() == 1 {
                let bias = bias.map(|bias| bias.try_unsqueeze(0)).transpose()?;
                return self.try_linear(weight.try_unsqueeze(0)?, bias)?.try_select(-1, 0);
            }
            let rank = self.try_shape()?.len();
            let x = if rank == 2 { self } else { self.try_contiguous()? };
            let form = Form { rank: rank as u8, bias: bias.is_some() };
            match bias {
                Some(bias) => {
                    record::<Linear, E>(&[x.handle(), weight.handle(), bias.try_contiguous()?.handle()], form)
                }
                None => record::<Linear, E>(&[x.handle(), weight.handle()], form),
            }
        }
    }
}
