//! The ways in which a tensor's elements can lie in memory.

use wengert::{Result, Tensor64, stack, try_cat};

/// How the elements of a tensor lie in memory. What lies between and beside them is NaN, so that reading it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// Row-major, without gaps.
    Contiguous,
    /// The dimensions in reverse order.
    Transposed,
    /// With a gap after each element.
    Gaps,
    /// Not from the start of the memory, nor to its end.
    Inside,
    /// All of that.
    Scattered,
}

impl View {
    /// Every one, the simplest first.
    pub const ALL: [Self; 5] = [Self::Contiguous, Self::Transposed, Self::Gaps, Self::Inside, Self::Scattered];

    /// The elements of `x`, which requires no gradient, in memory of this kind.
    ///
    /// # Errors
    /// `x` has the highest rank already, and gaps need one more.
    pub fn of(self, x: Tensor64) -> Result<Tensor64> {
        match self {
            Self::Contiguous => Ok(x),
            Self::Transposed => {
                let reverse: Vec<isize> = (0..x.try_dim()? as isize).rev().collect();
                x.try_permute(&reverse)?.try_copy()?.try_permute(&reverse)
            }
            Self::Gaps => stack(&[x, x.try_full_like(f64::NAN)?], -1).try_select(-1, 0),
            Self::Inside => {
                let (shape, flat) = (x.try_shape()?, x.try_reshape([x.try_numel()?])?);
                let beside = Tensor64::try_full([3], f64::NAN)?;
                try_cat(&[beside, flat, beside], 0)?.try_narrow(0, 3, shape.numel())?.try_reshape(shape)
            }
            Self::Scattered => {
                let reverse: Vec<isize> = (0..x.try_dim()? as isize).rev().collect();
                let inner = Self::Gaps.of(x.try_permute(&reverse)?)?;
                stack(&[inner.try_full_like(f64::NAN)?, inner], 0).try_select(0, 1)?.try_permute(&reverse)
            }
        }
    }
}
