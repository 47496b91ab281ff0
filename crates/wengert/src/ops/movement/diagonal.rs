//! Diagonals.

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, View, record, record_view};
use super::strided::{view_backward, view_tangent};
use crate::autograd::{Backward, Forward};
use crate::element::{Element, FloatElement};
use crate::error::{Result, error, twins};
use crate::shape::{Layout, MAX_RANK, Shape, wrap_dim};
use crate::tensor::TensorBase;

/// A diagonal of two dimensions as the last one.
pub(crate) struct Diagonal;

/// Which one.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    dims: [u8; 2],
    /// How far it begins along the second dimension; if negative, along the first.
    offset: isize,
}

/// A diagonal of a matrix as a vector of its own, or the matrix of zeros that has a vector as a diagonal.
pub(crate) struct Diag;

/// The matrix.
#[derive(Clone, Copy)]
pub(crate) struct Matrix {
    size: [usize; 2],
    offset: isize,
    /// The matrix is the operand.
    extract: bool,
}

/// Where a diagonal of a matrix begins, and its length; one that lies outside begins nowhere.
fn extent([rows, columns]: [usize; 2], offset: isize) -> ([usize; 2], usize) {
    let start = [offset.min(0).unsigned_abs(), offset.max(0).unsigned_abs()];
    let length = rows.saturating_sub(start[0]).min(columns.saturating_sub(start[1]));
    (if length > 0 { start } else { [0, 0] }, length)
}

impl Operation for Diagonal {
    const OP: Structured = Structured::Diagonal;
    const NAME: &'static str = "diagonal";
    const GRAD_FN: &'static str = "DiagonalBackward0";
    type Attrs = Place;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("of a matrix", &[&[3, 4]], |x| x[0].diagonal(1, 0, 1)),
            Case::new("of two of three dimensions", &[&[2, 3, 4]], |x| x[0].diagonal(-1, -1, 0)),
        ]
    }
}

impl View for Diagonal {
    fn layout(input: &Layout, place: &Place) -> Result<Layout> {
        let [a, b] = place.dims.map(usize::from);
        let (lengths, steps) = (input.shape(), input.strides());
        let (start, length) = extent([lengths[a], lengths[b]], place.offset);
        let (mut shape, mut strides) = ([0; MAX_RANK], [0; MAX_RANK]);
        let kept = (0..input.rank()).filter(|&d| d != a && d != b).map(|d| (lengths[d], steps[d]));
        // As in a slice, a step beyond what strides hold leaves one element.
        let step = steps[a].checked_add(steps[b]).filter(|&step| step <= isize::MAX as usize);
        for (to, (n, stride)) in kept.chain([(length, step.unwrap_or(steps[b]))]).enumerate() {
            (shape[to], strides[to]) = (n, stride);
        }
        let rank = input.rank() - 1;
        let offset = input.offset() + start[0] * steps[a] + start[1] * steps[b];
        Ok(Layout::strided(&shape[..rank], &strides[..rank], offset))
    }
}

impl<E: FloatElement> Derivative<E> for Diagonal {
    fn backward(cx: &mut Backward<'_, E>, place: &Place) -> Result<()> {
        view_backward::<Diagonal, E>(cx, place)
    }

    fn tangent(cx: &Forward<E>, place: &Place) -> Result<TensorBase<E>> {
        view_tangent::<Diagonal, E>(cx, place)
    }
}

impl Operation for Diag {
    const OP: Structured = Structured::Diag;
    const NAME: &'static str = "diag";
    const GRAD_FN: &'static str = "DiagEmbedBackward0";
    type Attrs = Matrix;

    fn grad_fn(matrix: &Matrix) -> &'static str {
        if matrix.extract { "DiagonalBackward0_copy" } else { Self::GRAD_FN }
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("of a vector", &[&[3]], |x| x[0].diag(-1)),
            Case::new("of a matrix", &[&[3, 2]], |x| x[0].t().diag(1)),
        ]
    }
}

impl<E: Element> Compute<E> for Diag {
    fn output(_: &[&Layout], matrix: &Matrix) -> Result<Shape> {
        let (_, length) = extent(matrix.size, matrix.offset);
        Ok(if matrix.extract { Shape::of(&[length]) } else { Shape::of(&matrix.size) })
    }

    fn forward(inputs: &[Input<'_>], matrix: &Matrix, out: &mut [E]) {
        let columns = matrix.size[1];
        let ([row, column], length) = extent(matrix.size, matrix.offset);
        let place = |i: usize| (row + i) * columns + column + i;
        let x = inputs[0].slice::<E>();
        if matrix.extract {
            out.iter_mut().enumerate().for_each(|(i, to)| *to = x[place(i)]);
        } else {
            out.fill(E::default());
            (0..length).for_each(|i| out[place(i)] = x[i]);
        }
    }
}

impl<E: FloatElement> Derivative<E> for Diag {
    fn backward(cx: &mut Backward<'_, E>, matrix: &Matrix) -> Result<()> {
        let g =
            record::<Diag, E>(&[cx.grad().try_contiguous()?.handle()], Matrix { extract: !matrix.extract, ..*matrix })?;
        cx.add(0, g)
    }

    fn tangent(cx: &Forward<E>, matrix: &Matrix) -> Result<TensorBase<E>> {
        record::<Diag, E>(&[cx.tangent_or_zeros(0)?.try_contiguous()?.handle()], *matrix)
    }
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// A view of the elements whose coordinates along `dim1` and `dim2` differ by `offset` (the second less the first), as the
        /// last dimension; PyTorch's defaults are 0, 0 and 1.
        pub fn diagonal | try_diagonal(self, offset: isize, dim1: isize, dim2: isize) -> TensorBase<E> {
            let shape = self.try_shape()?;
            let (a, b) = (wrap_dim("diagonal", dim1, shape.len())?, wrap_dim("diagonal", dim2, shape.len())?);
            if a == b {
                return Err(error!(Dim, "diagonal: dimensions {dim1} and {dim2} of shape {shape:?} are the same; name two"));
            }
            record_view::<Diagonal, E>(self, Place { dims: [a as u8, b as u8], offset })
        }

        /// Of a vector the matrix of zeros with it as a diagonal, of a matrix a copy of that diagonal: the main one for 0,
        /// `diagonal` further to the right else.
        pub fn diag | try_diag(self, diagonal: isize) -> TensorBase<E> {
            let (shape, offset) = (self.try_shape()?, diagonal);
            let matrix = match shape[..] {
                [n] => {
                    let side = n.saturating_add(offset.unsigned_abs());
                    Shape::new("diag", &[side, side])?;
                    Matrix { size: [side, side], offset, extract: false }
                }
                [rows, columns] => Matrix { size: [rows, columns], offset, extract: true },
                _ => return Err(error!(Shape, "diag: a tensor of shape {shape:?} is neither vector nor matrix; use `diagonal`")),
            };
            record::<Diag, E>(&[self.try_contiguous()?.handle()], matrix)
        }
    }
}
