//! Which elements of a tensor an index names.

use wengert_kernels::index;

use super::super::Input;
use crate::element::FloatElement;
use crate::error::{Result, error};
use crate::shape::{Layout, MAX_RANK, Shape};
use crate::tape;
use crate::tensor::TensorBase;

/// The places that an index, which is contiguous, names in a contiguous tensor: see [`wengert_kernels::index`].
///
/// Invariant: with integers that [`check`] has accepted, every place lies inside of the tensor.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    /// The tensor.
    pub outer: Layout,
    /// The chosen elements' shape, and the walk through the tensor.
    walk: Layout,
    /// The same shape, and the walk through the index.
    index: Layout,
    /// How far apart places are whose integers differ by one.
    step: usize,
    /// An integer whose places pass no derivative, or -1.
    padding: i64,
    /// By which method it was asked for, as print shows it.
    pub grad_fn: &'static str,
}

impl Places {
    /// Places of the shape `dims`, each with the stride in the tensor and the one in the index.
    fn new(outer: Layout, dims: impl IntoIterator<Item = [usize; 3]>, step: usize, grad_fn: &'static str) -> Self {
        let (mut shape, mut walk, mut index) = ([0; MAX_RANK], [0; MAX_RANK], [0; MAX_RANK]);
        let mut rank = 0;
        for dim in dims {
            [shape[rank], walk[rank], index[rank]] = dim;
            rank += 1;
        }
        let layout = |strides: &[usize]| Layout::strided(&shape[..rank], &strides[..rank], 0);
        Self { outer, walk: layout(&walk), index: layout(&index), step, padding: -1, grad_fn }
    }

    /// Along `dim`, each by an integer of its own: those of PyTorch's `gather`. The tensor broadcasts elsewhere.
    pub fn along(outer: &[usize], dim: usize, index: &[usize], grad_fn: &'static str) -> Self {
        let (outer, index) = (Layout::contiguous(outer), Layout::contiguous(index));
        let stride = |d: usize| match outer.shape().get(d) {
            Some(&n) if d != dim && n != 1 => outer.strides()[d],
            _ => 0,
        };
        let dims = (0..index.rank()).map(|d| [index.shape()[d], stride(d), index.strides()[d]]);
        let step = outer.strides().get(dim).copied().unwrap_or(1);
        Self::new(outer, dims, step, grad_fn)
    }

    /// One along `dim`, which becomes 1 with `keepdim`, else goes, each by an integer of its own.
    pub fn one_along(outer: &[usize], dim: usize, keepdim: bool, grad_fn: &'static str) -> Self {
        let index: Shape = outer.iter().enumerate().map(|(d, &n)| if d == dim { 1 } else { n }).collect();
        let (outer, index) = (Layout::contiguous(outer), Layout::contiguous(&index));
        let kept = (0..outer.rank()).filter(|&d| keepdim || d != dim);
        let dims = kept.map(|d| [index.shape()[d], if d == dim { 0 } else { outer.strides()[d] }, index.strides()[d]]);
        let step = outer.strides().get(dim).copied().unwrap_or(1);
        Self::new(outer, dims, step, grad_fn)
    }

    /// Along `dim`, all by the same `count` integers: those of PyTorch's `index_select`.
    pub fn slices(outer: &[usize], dim: usize, count: usize, grad_fn: &'static str) -> Self {
        let outer = Layout::contiguous(outer);
        let length = |d: usize| [outer.shape()[d], outer.strides()[d], 0];
        let dims = (0..outer.rank()).map(|d| if d == dim { [count, 0, 1] } else { length(d) });
        let step = outer.strides().get(dim).copied().unwrap_or(1);
        Self::new(outer, dims, step, grad_fn)
    }

    /// Of the parts that are left of the tensor without its first `lead` dimensions, in the index's order; integers count parts.
    pub fn parts(outer: &[usize], lead: usize, index: &[usize], grad_fn: &'static str) -> Self {
        let (outer, index) = (Layout::contiguous(outer), Layout::contiguous(index));
        let chosen = (0..index.rank()).map(|d| [index.shape()[d], 0, index.strides()[d]]);
        let rest = (lead..outer.rank()).map(|d| [outer.shape()[d], outer.strides()[d], 0]);
        let step = outer.shape()[lead..].iter().product();
        Self::new(outer, chosen.chain(rest), step, grad_fn)
    }

    /// The same places, where those of the integer `index` pass no derivative.
    pub fn without_gradient_of(self, index: usize) -> Self {
        Self { padding: index as i64, ..self }
    }

    /// `x`, a derivative of the chosen elements, with 0 where none is passed.
    pub fn passed<E: FloatElement>(&self, x: TensorBase<E>, index: TensorBase<i64>) -> Result<TensorBase<E>> {
        if self.padding < 0 {
            return Ok(x);
        }
        let mask = index.try_equal(TensorBase::try_scalar(self.padding)?)?;
        let ones = std::iter::repeat_n(1, self.walk.rank() - mask.dim());
        let shape: Shape = mask.shape().iter().copied().chain(ones).collect();
        x.try_masked_fill(mask.try_reshape(shape)?, E::default())
    }

    /// The chosen elements' shape.
    pub fn shape(&self) -> Shape {
        Shape::of(self.walk.shape())
    }

    /// The places, for the kernels.
    pub fn read<'a>(&'a self, index: &Input<'a>) -> index::Places<'a> {
        index::Places {
            shape: self.walk.shape(),
            strides: self.walk.strides(),
            index: index.slice(),
            index_strides: self.index.strides(),
            step: self.step,
        }
    }
}

/// Checks that every integer is from 0 up to but not including `size`, the length of `dim`.
pub(crate) fn check(op: &str, index: TensorBase<i64>, dim: usize, size: usize) -> Result<()> {
    let index = index.try_contiguous()?;
    tape::with(|tape| {
        let entry = tape.resolve(index.handle())?;
        let integers = &tape.data::<i64>(entry)[..tape.layout(entry).numel()];
        match integers.iter().find(|&&i| i < 0 || i >= size as i64) {
            None => Ok(()),
            Some(wrong) => Err(error!(Index, "{op}: index {wrong} is out of range for dimension {dim} of size {size}")),
        }
    })
}
