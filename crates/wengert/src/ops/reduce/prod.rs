//! Products.

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use super::scan::{Along, cumprod, has_zero, shift};
use super::{Over, as_one_run};
use crate::autograd::{Backward, Forward};
use crate::element::FloatElement;
use crate::error::{Result, twins};
use crate::shape::{IntoDims, Layout, Shape};
use crate::tensor::{Tensor64, TensorBase};

/// The product over one run of adjacent dimensions.
pub(crate) struct Prod;

impl Operation for Prod {
    const OP: Structured = Structured::Prod;
    const NAME: &'static str = "prod";
    const GRAD_FN: &'static str = "ProdBackward0";
    type Attrs = Over;

    fn grad_fn(over: &Over) -> &'static str {
        if over.whole { "ProdBackward0" } else { "ProdBackward1" }
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("all", &[&[2, 3]], |x| x[0].prod()),
            Case::new("one dimension", &[&[3, 4, 2]], |x| x[0].prod_dims(1, false)),
            Case::new("several runs, kept", &[&[2, 2, 2]], |x| x[0].prod_dims([0, -1], true)),
            Case::on("at a zero", &[&[4]], 0.0..0.0, |x| (x[0] + Tensor64::new([2.0, 0.0, -3.0, 0.5])).prod()),
            Case::on("at several zeros", &[&[3, 3]], 0.0..0.0, |x| {
                let at = Tensor64::new([[0.0, 2.0, 0.0], [-3.0, 0.0, 0.0], [1.0, 2.0, 0.0]]);
                (x[0] + at).prod_dims(1, false) + (x[0] + at).prod_dims(0, false)
            }),
        ]
    }
}

impl<E: FloatElement> Compute<E> for Prod {
    fn output(inputs: &[&Layout], over: &Over) -> Result<Shape> {
        Ok(over.output(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], over: &Over, out: &mut [E]) {
        wengert_kernels::reduce::prod_axis(inputs[0].slice(), over.around(inputs[0].layout.shape()), out);
    }
}

/// The derivative of the product by each factor: the product of the others.
fn partials<E: FloatElement>(x: TensorBase<E>, y: TensorBase<E>, over: &Over) -> Result<TensorBase<E>> {
    let shape = x.try_shape()?;
    if !has_zero(x)? {
        return over.beside(y, &shape)?.try_div(x);
    }
    // Without a division: the product of those before times the product of those behind.
    let [up, down] = [false, true].map(|reverse| Along { axes: over.around(&shape), reverse });
    let before = shift(cumprod(x, up)?, up, 1.0)?;
    let behind = shift(cumprod(x, down)?, down, 1.0)?;
    before.try_mul(behind)
}

impl<E: FloatElement> Derivative<E> for Prod {
    fn backward(cx: &mut Backward<'_, E>, over: &Over) -> Result<()> {
        let partials = partials(cx.operand(0)?, cx.value()?, over)?;
        over.pull(cx, partials)
    }

    fn tangent(cx: &Forward<E>, over: &Over) -> Result<TensorBase<E>> {
        let partials = partials(cx.operand(0)?, cx.value()?, over)?;
        over.push(cx, partials)
    }
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The product of all elements, of rank 0; 1 for none. Its gradients are right where factors are 0.
        pub fn prod | try_prod(self) -> TensorBase<E> {
            let x = self.try_contiguous()?;
            record::<Prod, E>(&[x.handle()], Over::whole(x.try_shape()?.len()))
        }

        /// The products over `dims` (one number, an array, `()` for all), which become 1 with `keepdim`, else go.
        pub fn prod_dims | try_prod_dims<D: IntoDims>(self, dims: D, keepdim: bool) -> TensorBase<E> {
            let dims = dims.into_dim_set("prod", self.try_shape()?.len())?;
            let (x, over) = as_one_run(self, dims, keepdim)?;
            record::<Prod, E>(&[x.handle()], over)
        }
    }
}
