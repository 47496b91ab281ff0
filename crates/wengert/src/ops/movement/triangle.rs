//! Triangles of matrices.

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use crate::autograd::{Backward, Forward};
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, twins};
use crate::shape::{Layout, Shape};
use crate::tensor::TensorBase;

/// Matrices with zeros (`false`) on one side of a diagonal.
pub(crate) struct Triangle;

/// Which side stays.
#[derive(Clone, Copy)]
pub(crate) struct Side {
    upper: bool,
    /// How far right of the main diagonal the last (first) diagonal that stays begins.
    diagonal: isize,
}

impl Operation for Triangle {
    const OP: Structured = Structured::Triangle;
    const NAME: &'static str = "tril";
    const GRAD_FN: &'static str = "TrilBackward0";
    type Attrs = Side;

    fn grad_fn(side: &Side) -> &'static str {
        if side.upper { "TriuBackward0" } else { Self::GRAD_FN }
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("tril", &[&[2, 3, 3]], |x| x[0].tril(0)),
            Case::new("triu of a transpose", &[&[4, 3]], |x| x[0].t().triu(1)),
        ]
    }
}

impl<E: Element> Compute<E> for Triangle {
    fn output(inputs: &[&Layout], _: &Side) -> Result<Shape> {
        Ok(Shape::of(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], side: &Side, out: &mut [E]) {
        let shape = inputs[0].layout.shape();
        let (rows, columns) = (shape[shape.len() - 2], shape[shape.len() - 1]);
        if rows * columns == 0 {
            return;
        }
        let pairs = out.chunks_exact_mut(columns).zip(inputs[0].slice::<E>().chunks_exact(columns));
        for (i, (to, from)) in pairs.enumerate() {
            // Of row `i`, columns from `i + diagonal` on are on or right of the diagonal.
            let cut = (i % rows) as isize + side.diagonal + isize::from(!side.upper);
            let cut = cut.clamp(0, columns as isize) as usize;
            to.copy_from_slice(from);
            let zeros = if side.upper { &mut to[..cut] } else { &mut to[cut..] };
            zeros.fill(E::default());
        }
    }
}

impl<E: FloatElement> Derivative<E> for Triangle {
    fn backward(cx: &mut Backward<'_, E>, side: &Side) -> Result<()> {
        let g = triangle("tril", cx.grad(), *side)?;
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<E>, side: &Side) -> Result<TensorBase<E>> {
        triangle("tril", cx.tangent_or_zeros(0)?, *side)
    }
}

fn triangle<E: Element>(op: &str, x: TensorBase<E>, side: Side) -> Result<TensorBase<E>> {
    let shape = x.try_shape()?;
    if shape.len() < 2 {
        return Err(error!(Shape, "{op}: a tensor of shape {shape:?} is no matrix; it needs at least 2 dimensions"));
    }
    let rows = shape[shape.len() - 2] as isize;
    let columns = shape[shape.len() - 1] as isize;
    let side = Side { diagonal: side.diagonal.clamp(-rows - 1, columns + 1), ..side };
    record::<Triangle, E>(&[x.try_contiguous()?.handle()], side)
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// The matrices in the last two dimensions with zeros right of a diagonal: the main one for 0, `diagonal` further to the
        /// right else.
        pub fn tril | try_tril(self, diagonal: isize) -> TensorBase<E> {
            triangle("tril", self, Side { upper: false, diagonal })
        }

        /// The matrices in the last two dimensions with zeros left of a diagonal: the main one for 0, `diagonal` further to the
        /// right else.
        pub fn triu | try_triu(self, diagonal: isize) -> TensorBase<E> {
            triangle("triu", self, Side { upper: true, diagonal })
        }
    }
}
