//! Reductions to truth values and integers, which have no derivative, and to the elements at the integers.

use wengert_kernels::reduce::{argmax_axis, argmin_axis, count_nonzero_axis};

use super::super::compute_leaf;
use super::super::indexing::gather::gathered;
use super::super::indexing::places::Places;
use super::{Over, as_one_run, check_some};
use crate::element::{Element, FloatElement};
use crate::error::{Result, twins};
use crate::shape::{DimSet, IntoDims, wrap_dim};
use crate::tensor::{BoolTensor, IndexTensor, TensorBase};

/// Evaluates `f` on how many elements are not 0 along the dimensions, and how many there are.
fn of_counts<E: Element, T: Element>(
    op: &str,
    x: TensorBase<E>,
    dims: impl IntoDims,
    keepdim: bool,
    f: impl Fn(i64, usize) -> T,
) -> Result<TensorBase<T>> {
    let dims = dims.into_dim_set(op, x.try_shape()?.len())?;
    let (x, over) = as_one_run(x, dims, keepdim)?;
    let shape = x.try_shape()?;
    let around @ [_, n, _] = over.around(&shape);
    let output = over.output(&shape);
    let counts = compute_leaf(&[x.handle()], &output, |inputs, out| {
        count_nonzero_axis(inputs[0].slice(), E::default(), around, out);
        Ok(())
    })?;
    compute_leaf(&[counts.handle()], &output, |inputs, out| {
        out.iter_mut().zip(inputs[0].slice()).for_each(|(out, &count)| *out = f(count, n));
        Ok(())
    })
}

/// The positions of the largest or smallest elements over one run of dimensions.
pub(super) fn positions<E: FloatElement>(op: &str, x: TensorBase<E>, over: Over, largest: bool) -> Result<IndexTensor> {
    let (x, shape) = (x.try_contiguous()?, x.try_shape()?);
    check_some(op, &shape, over.dims())?;
    compute_leaf(&[x.handle()], &over.output(&shape), |inputs, out| {
        (if largest { argmax_axis } else { argmin_axis })(inputs[0].slice::<E>(), over.around(&shape), out);
        Ok(())
    })
}

/// One dimension to be reduced; a tensor of rank 0 has none, but takes 0 and -1.
pub(super) fn over_dim(op: &str, dim: isize, rank: usize, keepdim: bool) -> Result<Over> {
    let dim = wrap_dim(op, dim, rank)?;
    Ok(Over::run(if rank == 0 { DimSet::none() } else { DimSet::of([dim]) }, keepdim))
}

twins! {
    impl[E: Element] TensorBase<E> {
        /// Whether an element holds (of numbers: is not 0; NaN is not), of rank 0; false for none.
        pub fn any | try_any(self) -> BoolTensor {
            self.try_any_dims((), false)
        }

        /// Whether an element holds, over `dims` (one number, an array, `()` for all), which become 1 with `keepdim`, else go.
        pub fn any_dims | try_any_dims<D: IntoDims>(self, dims: D, keepdim: bool) -> BoolTensor {
            of_counts("any", self, dims, keepdim, |count, _| count > 0)
        }

        /// Whether all elements hold (of numbers: are not 0; NaN is not), of rank 0; true for none.
        pub fn all | try_all(self) -> BoolTensor {
            self.try_all_dims((), false)
        }

        /// Whether all elements hold, over `dims` (one number, an array, `()` for all), which become 1 with `keepdim`, else go.
        pub fn all_dims | try_all_dims<D: IntoDims>(self, dims: D, keepdim: bool) -> BoolTensor {
            of_counts("all", self, dims, keepdim, |count, n| count == n as i64)
        }

        /// How many elements hold (of numbers: are not 0), of rank 0.
        pub fn count_nonzero | try_count_nonzero(self) -> IndexTensor {
            self.try_count_nonzero_dims((), false)
        }

        /// How many elements hold, over `dims` (one number, an array, `()` for all), which become 1 with `keepdim`, else go.
        pub fn count_nonzero_dims | try_count_nonzero_dims<D: IntoDims>(self, dims: D, keepdim: bool) -> IndexTensor {
            of_counts("count_nonzero", self, dims, keepdim, |count, _| count)
        }
    }
}

/// The largest or smallest elements along one dimension, and where they are.
fn extreme_dim<E: FloatElement>(
    op: &str,
    x: TensorBase<E>,
    dim: isize,
    keepdim: bool,
    largest: bool,
) -> Result<(TensorBase<E>, IndexTensor)> {
    let shape = x.try_shape()?;
    let index = positions(op, x, over_dim(op, dim, shape.len(), keepdim)?, largest)?;
    let name = if largest { "MaxBackward0" } else { "MinBackward0" };
    let places = Places::one_along(&shape, wrap_dim(op, dim, shape.len())?, keepdim, name);
    Ok((gathered(x, index, places)?, index))
}

twins! {
    impl[] TensorBase<bool> {
        /// How many elements of the mask hold, of rank 0.
        pub fn sum | try_sum(self) -> IndexTensor {
            self.try_count_nonzero()
        }

        /// How many elements of the mask hold, over `dims` (one number, an array, `()` for all), which become 1 with `keepdim`, else
        /// go.
        pub fn sum_dims | try_sum_dims<D: IntoDims>(self, dims: D, keepdim: bool) -> IndexTensor {
            self.try_count_nonzero_dims(dims, keepdim)
        }
    }
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The largest elements along `dim`, which becomes 1 with `keepdim`, else goes, and the positions of the first of them: NaN,
        /// and the first one, where there is one. Each gradient goes to the element at that position.
        pub fn max_dim | try_max_dim(self, dim: isize, keepdim: bool) -> (TensorBase<E>, IndexTensor) {
            extreme_dim("max", self, dim, keepdim, true)
        }

        /// The smallest elements along `dim`, which becomes 1 with `keepdim`, else goes, and the positions of the first of them: NaN,
        /// and the first one, where there is one. Each gradient goes to the element at that position.
        pub fn min_dim | try_min_dim(self, dim: isize, keepdim: bool) -> (TensorBase<E>, IndexTensor) {
            extreme_dim("min", self, dim, keepdim, false)
        }

        /// The row-major position of the first largest element, or of the first NaN, of rank 0.
        pub fn argmax | try_argmax(self) -> IndexTensor {
            positions("argmax", self, Over::whole(self.try_shape()?.len()), true)
        }

        /// The positions along `dim`, which becomes 1 with `keepdim`, else goes, of the first largest elements, or of the first NaN.
        pub fn argmax_dim | try_argmax_dim(self, dim: isize, keepdim: bool) -> IndexTensor {
            positions("argmax", self, over_dim("argmax", dim, self.try_shape()?.len(), keepdim)?, true)
        }

        /// The row-major position of the first smallest element, or of the first NaN, of rank 0.
        pub fn argmin | try_argmin(self) -> IndexTensor {
            positions("argmin", self, Over::whole(self.try_shape()?.len()), false)
        }

        /// The positions along `dim`, which becomes 1 with `keepdim`, else goes, of the first smallest elements, or of the first NaN.
        pub fn argmin_dim | try_argmin_dim(self, dim: isize, keepdim: bool) -> IndexTensor {
            positions("argmin", self, over_dim("argmin", dim, self.try_shape()?.len(), keepdim)?, false)
        }
    }
}
