//! Sorting. The order is computed as indices, and the values are gathered by it, which is what is differentiated.

use std::cmp::Ordering;

use super::gather::gathered;
use super::places::Places;
use crate::element::Element;
use crate::error::{Result, error, twins};
use crate::ops::reduce::around;
use crate::shape::{Shape, wrap_dim};
use crate::tape;
use crate::tensor::{IndexTensor, TensorBase};

/// PyTorch's order of elements: NaN comes after all else.
fn compare<E: Element>(a: E, b: E) -> Ordering {
    // Only NaN is not equal to itself.
    let is_nan = |x: E| x.partial_cmp(&x).is_none();
    a.partial_cmp(&b).unwrap_or_else(|| is_nan(a).cmp(&is_nan(b)))
}

/// The positions along `dim` of the first `k` elements in ascending (descending) order; of equal ones the earlier comes first.
fn order<E: Element>(x: TensorBase<E>, dim: usize, k: usize, descending: bool) -> Result<IndexTensor> {
    let shape = x.try_shape()?;
    let [outer, n, inner] = if shape.is_empty() { [1, 1, 1] } else { around(&shape, dim, dim) };
    let ordered: Shape = shape.iter().enumerate().map(|(d, &n)| if d == dim { k } else { n }).collect();
    let values = x.try_to_vec()?;
    let mut positions: Vec<i64> = Vec::with_capacity(n);
    let index = tape::with(|tape| {
        tape.push_leaf(&ordered, |out: &mut [i64]| {
            for row in 0..outer * inner {
                let (o, i) = (row / inner, row % inner);
                let at = |j: i64| values[(o * n + j as usize) * inner + i];
                // With the position as the last criterion no two are equal, so any sort is stable.
                let by = |&a: &i64, &b: &i64| {
                    let order = compare(at(a), at(b));
                    (if descending { order.reverse() } else { order }).then(a.cmp(&b))
                };
                positions.clear();
                positions.extend(0..n as i64);
                if k < n && k > 0 {
                    positions.select_nth_unstable_by(k - 1, by);
                }
                positions[..k].sort_unstable_by(by);
                for (j, &position) in positions[..k].iter().enumerate() {
                    out[(o * k + j) * inner + i] = position;
                }
            }
        })
    })?;
    tape::with(|tape| Ok(TensorBase::from_handle(tape.handle(index))))
}

/// The values in that order, and their positions.
fn ordered<E: Element>(
    x: TensorBase<E>,
    dim: usize,
    k: usize,
    descending: bool,
    grad_fn: &'static str,
) -> Result<(TensorBase<E>, IndexTensor)> {
    let index = order(x, dim, k, descending)?;
    let places = Places::along(&x.try_shape()?, dim, &index.try_shape()?, grad_fn);
    Ok((gathered(x, index, places)?, index))
}

/// The dimension's number and length; a tensor of rank 0 counts as one of one element.
fn dimension<E: Element>(op: &str, x: TensorBase<E>, dim: isize) -> Result<(usize, usize)> {
    let shape = x.try_shape()?;
    let dim = wrap_dim(op, dim, shape.len())?;
    Ok((dim, shape.get(dim).copied().unwrap_or(1)))
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// The elements along `dim` in ascending (with `descending`: descending) order, and the positions they had. Equal elements
        /// keep their order; NaN counts as greater than all else.
        pub fn sort | try_sort(self, dim: isize, descending: bool) -> (TensorBase<E>, TensorBase<i64>) {
            let (dim, n) = dimension("sort", self, dim)?;
            ordered(self, dim, n, descending, "SortBackward1")
        }

        /// The positions of the elements along `dim` in the order of [`Self::sort`].
        pub fn argsort | try_argsort(self, dim: isize, descending: bool) -> TensorBase<i64> {
            let (dim, n) = dimension("argsort", self, dim)?;
            order(self, dim, n, descending)
        }

        /// The `k` largest (or smallest) elements along `dim`, the most extreme first, and their positions. Of equal elements the
        /// earlier come first; NaN counts as greater than all else.
        pub fn topk | try_topk(self, k: usize, dim: isize, largest: bool) -> (TensorBase<E>, TensorBase<i64>) {
            let (dim, n) = dimension("topk", self, dim)?;
            if k > n {
                return Err(error!(Index, "topk: {k} elements are out of range for dimension {dim} of size {n}"));
            }
            ordered(self, dim, k, largest, "TopkBackward0")
        }
    }
}
