//! The matrix product, over batches that broadcast.

use wengert_kernels::gemm::{MatRef, gemm_stack};

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, record};
use crate::autograd::{Backward, BackwardMany, Forward, ForwardMany};
use crate::element::FloatElement;
use crate::error::{Result, error, twins};
use crate::shape::{Layout, Shape, broadcast};
use crate::tape::arena::{Storage, lend};
use crate::tape::profile;
use crate::tape::{Handle, Tape};
use crate::tensor::TensorBase;

/// `a b` for operands of rank 2 or more, whose leading dimensions broadcast.
pub(crate) struct Matmul;

impl Operation for Matmul {
    const OP: Structured = Structured::Matmul;
    const NAME: &'static str = "matmul";
    const GRAD_FN: &'static str = "MmBackward0";
    /// Its name in print.
    type Attrs = &'static str;

    fn grad_fn(name: &&'static str) -> &'static str {
        name
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("matrices", &[&[2, 3], &[3, 4]], |x| x[0].matmul(x[1])),
            Case::new("transposed", &[&[3, 2], &[4, 3]], |x| x[0].t().matmul(x[1].t())),
            Case::new("batches that broadcast", &[&[2, 1, 2, 3], &[3, 3, 2]], |x| x[0].matmul(x[1])),
            Case::new("vectors", &[&[3], &[3]], |x| x[0].matmul(x[1])),
            Case::new("a matrix and a vector", &[&[2, 3], &[3]], |x| x[0].matmul(x[1])),
            Case::new("a vector and batches", &[&[3], &[2, 3, 2]], |x| x[0].matmul(x[1])),
            Case::new("with itself", &[&[3, 3]], |x| x[0].matmul(x[0])),
            Case::new("bmm", &[&[2, 2, 3], &[2, 3, 2]], |x| x[0].bmm(x[1])),
        ]
    }
}

/// The matrices of a layout: `(leading dimensions, [rows, columns])`.
fn split(shape: &[usize]) -> (&[usize], [usize; 2]) {
    let (lead, matrix) = shape.split_at(shape.len() - 2);
    (lead, [matrix[0], matrix[1]])
}

impl<E: FloatElement> Compute<E> for Matmul {
    fn output(inputs: &[&Layout], _: &&'static str) -> Result<Shape> {
        product_shape(inputs[0].shape(), inputs[1].shape())
    }

    fn forward(inputs: &[Input<'_>], _: &&'static str, out: &mut [E]) {
        multiply(&inputs[0], &inputs[1], 0.0, out);
    }
}

/// The shape of `a b`.
pub(crate) fn product_shape(a: &[usize], b: &[usize]) -> Result<Shape> {
    let ((lead_a, [m, k]), (lead_b, [rows, n])) = (split(a), split(b));
    if k != rows {
        return Err(error!(Shape, "matmul: shapes {a:?} and {b:?} do not fit: {k} is not {rows}"));
    }
    let mut shape = broadcast("matmul", lead_a, lead_b).map_err(|_| {
        error!(
            Shape,
            "matmul: shapes {a:?} and {b:?} do not fit: the batches {lead_a:?} and {lead_b:?} do not broadcast; lengths \
             must be equal or 1, counted from the last"
        )
    })?;
    shape.dims_mut().extend_from_slice(&[m, n]);
    Ok(shape)
}

/// `out = a b + beta out`, for shapes that fit.
fn multiply<E: FloatElement>(a: &Input<'_>, b: &Input<'_>, beta: f64, out: &mut [E]) {
    let ((lead_a, [m, k]), (lead_b, [_, n])) = (split(a.layout.shape()), split(b.layout.shape()));
    let lead = broadcast("matmul", lead_a, lead_b).expect("shapes that were checked");
    let operands = |batch| (matrix::<E>(a, &lead, batch), matrix::<E>(b, &lead, batch));
    profile::count_flops(2 * out.len() * k);
    gemm_stack(E::of(1.0), operands, E::of(beta), out, [m, n]);
}

/// Matrix number `batch` of an operand, counted in the broadcast leading dimensions.
fn matrix<'a, E: FloatElement>(input: &Input<'a>, lead: &[usize], mut batch: usize) -> MatRef<'a, E> {
    let rank = input.layout.rank();
    let (own_lead, size) = split(input.layout.shape());
    let strides = input.layout.strides();
    let mut offset = 0;
    for (d, &length) in lead.iter().enumerate().rev() {
        let at = batch % length;
        batch /= length;
        if let Some(own) = (d + own_lead.len()).checked_sub(lead.len())
            && own_lead[own] > 1
        {
            offset += at * strides[own];
        }
    }
    let data = input.strided::<E>();
    MatRef::new(&data[offset.min(data.len())..], size, [strides[rank - 2], strides[rank - 1]])
}

/// Adds (stores, if `first`) the product of two stacks of matrices to a block.
pub(crate) fn multiply_into<E: FloatElement>(
    tape: &mut Tape,
    a: Handle,
    b: Handle,
    target: Storage,
    first: bool,
) -> Result<()> {
    let (a, b) = (tape.resolve(a)?, tape.resolve(b)?);
    lend(tape, target, |out: &mut [E], tape| {
        multiply(&Input::of(tape, a), &Input::of(tape, b), if first { 0.0 } else { 1.0 }, out);
    });
    Ok(())
}

/// `a b` for a matrix `b`: all rows of `a` in one product.
pub(super) fn rows_times<E: FloatElement>(a: TensorBase<E>, b: TensorBase<E>) -> Result<TensorBase<E>> {
    let (shape, columns) = (a.try_shape()?, b.size(-1));
    let (lead, [m, k]) = split(&shape);
    let rows = lead.iter().product::<usize>() * m;
    let shape: Shape = lead.iter().copied().chain([m, columns]).collect();
    a.try_reshape([rows, k])?.try_matmul(b)?.try_reshape(shape)
}

impl<E: FloatElement> Derivative<E> for Matmul {
    fn backward(cx: &mut Backward<'_, E>, _: &&'static str) -> Result<()> {
        let g = cx.grad();
        for (k, other) in [(0, 1), (1, 0)] {
            if !cx.needs(k) {
                continue;
            }
            let other = cx.operand::<E>(other)?.try_transpose(-2, -1)?;
            let (left, right) = if k == 0 { (g, other) } else { (other, g) };
            cx.add_product(k, left, right)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, _: &&'static str) -> Result<TensorBase<E>> {
        let (a, b) = (cx.operand::<E>(0)?, cx.operand::<E>(1)?);
        let left = cx.tangent(0).map(|da| da.try_matmul(b));
        let right = cx.tangent(1).map(|db| a.try_matmul(db));
        cx.sum(left.into_iter().chain(right))
    }

    fn backward_many(cx: &mut BackwardMany<'_, E>, _: &&'static str) -> Result<bool> {
        let g = cx.grads();
        if cx.needs(0) {
            let other = cx.operand::<E>(1)?.try_transpose(-2, -1)?;
            let full = if other.dim() == 2 { rows_times(g, other)? } else { g.try_matmul(other)? };
            cx.add_summed(0, full)?;
        }
        if cx.needs(1) {
            cx.add_summed(1, cx.operand::<E>(0)?.try_transpose(-2, -1)?.try_matmul(g)?)?;
        }
        Ok(true)
    }

    fn tangent_many(cx: &ForwardMany<'_, E>, _: &&'static str) -> Result<Option<TensorBase<E>>> {
        let (a, b) = (cx.operand::<E>(0)?, cx.operand::<E>(1)?);
        let rank = cx.value_shape_many()?.len() - 1;
        let left = cx.tangents_beside(0, rank).transpose()?;
        let left = left.map(|da| if b.dim() == 2 { rows_times(da, b) } else { da.try_matmul(b) });
        let right = cx.tangents_beside(1, rank).transpose()?.map(|db| a.try_matmul(db));
        let total = cx.sum(left.into_iter().chain(right))?;
        total.stretched(&cx.value_shape_many()?).map(Some)
    }
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The matrix product, as `torch.matmul`: of two vectors their dot product (rank 0); of matrices `[m, k]` and `[k, n]`, a
        /// matrix `[m, n]`; leading dimensions are batches, which broadcast; a vector on either side is a row or column that goes
        /// again.
        pub fn matmul | try_matmul(self, other: TensorBase<E>) -> TensorBase<E> {
            let (a, b) = (self.try_shape()?, other.try_shape()?);
            if a.is_empty() || b.is_empty() {
                return Err(error!(
                    Shape,
                    "matmul: shapes {a:?} and {b:?} do not fit: both operands need at least one dimension; multiply by `*`"
                ));
            }
            let fits = a[a.len() - 1] == b[b.len().saturating_sub(2)];
            if !fits && (a.len() == 1 || b.len() == 1) {
                let (k, rows) = (a[a.len() - 1], b[b.len().saturating_sub(2)]);
                return Err(error!(Shape, "matmul: shapes {a:?} and {b:?} do not fit: {k} is not {rows}"));
            }
            if a.len() == 1 && b.len() == 1 {
                return self.try_dot(other);
            }
            let x = if a.len() == 1 { self.try_reshape([1, a[0]])? } else { self };
            let y = if b.len() == 1 { other.try_reshape([b[0], 1])? } else { other };
            let name = if a.len() <= 2 && b.len() <= 2 { "MmBackward0" } else { "UnsafeViewBackward0" };
            let product = record::<Matmul, E>(&[x.handle(), y.handle()], name)?;
            if a.len() > 1 && b.len() > 1 {
                return Ok(product);
            }
            let shape = product.try_shape()?;
            let (lead, [m, n]) = split(&shape);
            let row = (a.len() > 1).then_some(m);
            let column = (b.len() > 1).then_some(n);
            product.try_reshape(lead.iter().copied().chain(row).chain(column).collect::<Shape>())
        }

        /// The products of as many matrices: `[n, i, j]` with `[n, j, k]` gives `[n, i, k]`. Nothing broadcasts; see
        /// [`Self::matmul`].
        pub fn bmm | try_bmm(self, other: TensorBase<E>) -> TensorBase<E> {
            let (a, b) = (self.try_shape()?, other.try_shape()?);
            if a.len() != 3 || b.len() != 3 || a[0] != b[0] || a[2] != b[1] {
                return Err(error!(
                    Shape,
                    "bmm: shapes {a:?} and {b:?} do not fit: expected [n, i, j] and [n, j, k]; `matmul` broadcasts"
                ));
            }
            record::<Matmul, E>(&[self.handle(), other.handle()], "BmmBackward0")
        }
    }
}
