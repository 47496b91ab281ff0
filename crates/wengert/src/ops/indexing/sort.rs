//! Sorting. The order is computed as indices, and the values are gathered by it, which is what is differentiated.

use super::gather::gathered;
use super::places::Places;
use crate::element::Element;
use crate::error::{Result, error, reserve, twins};
use crate::ops::reduce::around;
use crate::shape::{Shape, wrap_dim};
use crate::tape;
use crate::tensor::{IndexTensor, TensorBase};

/// Up to how many keys are kept in order while the others pass by.
const FEW: usize = 32;

/// The `k` smallest of `all` keys, ascending, each with its position behind it: so no two are equal, and any sort is stable.
fn first_keys(keys: &mut Vec<u128>, k: usize, all: impl ExactSizeIterator<Item = u64>) {
    let with_position = |(position, key): (usize, u64)| u128::from(key) << 64 | position as u128;
    keys.clear();
    if k > FEW || 4 * k > all.len() {
        keys.extend(all.enumerate().map(with_position));
        if k < keys.len() && k > 0 {
            keys.select_nth_unstable(k - 1);
        }
        keys.truncate(k);
        keys.sort_unstable();
        return;
    }
    let mut all = all.enumerate();
    keys.extend(all.by_ref().take(k).map(with_position));
    keys.sort_unstable();
    let Some(&last) = keys.last() else { return };
    let mut limit = (last >> 64) as u64;
    for (position, key) in all {
        // Of equal ones the earlier, which is there already, comes first.
        if key < limit {
            let key = with_position((position, key));
            keys.pop();
            keys.insert(keys.partition_point(|&other| other < key), key);
            limit = (keys[k - 1] >> 64) as u64;
        }
    }
}

/// The positions along `dim` of the first `k` elements in ascending (descending) order; of equal ones the earlier comes first.
fn order<E: Element>(x: TensorBase<E>, dim: usize, k: usize, descending: bool) -> Result<IndexTensor> {
    let shape = x.try_shape()?;
    let [outer, n, inner] = if shape.is_empty() { [1, 1, 1] } else { around(&shape, dim, dim) };
    let ordered: Shape = shape.iter().enumerate().map(|(d, &n)| if d == dim { k } else { n }).collect();
    let values = x.try_to_vec()?;
    let mut keys: Vec<u128> = Vec::new();
    // As many as it ever holds.
    reserve(&mut keys, if k > FEW || 4 * k > n { n } else { k })?;
    tape::with(|tape| {
        let index = tape.push_leaf(&ordered, |out: &mut [i64]| {
            for row in 0..outer * inner {
                let (o, i) = (row / inner, row % inner);
                let key = |j: usize| {
                    let key = values[(o * n + j) * inner + i].sort_key();
                    if descending { !key } else { key }
                };
                first_keys(&mut keys, k, (0..n).map(key));
                for (j, &key) in keys.iter().enumerate() {
                    out[(o * k + j) * inner + i] = key as u64 as i64;
                }
            }
        })?;
        Ok(TensorBase::from_handle(tape.handle(index)))
    })
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
