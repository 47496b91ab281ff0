//! What networks are made of: fused operations, each one entry.

pub(crate) mod conv;
pub(crate) mod cross_entropy;
mod dropout;
pub(crate) mod losses;
pub(crate) mod nll;
pub(crate) mod norm;
pub(crate) mod pointwise;
pub(crate) mod pool;
pub(crate) mod softmax;
pub(crate) mod window;

use crate::error::{Result, error};

/// How the losses of single elements become the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reduction {
    /// One loss per element.
    None,
    /// Their mean; weighted losses are divided by the sum of their weights where PyTorch does so.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// Their sum divided by the length of the first dimension: the divergence's definition. For
    /// [`kl_div`](crate::TensorBase::kl_div) only.
    BatchMean,
}

/// Checks that a number lies in `0 ..= 1`.
fn check_fraction(op: &str, what: &str, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(error!(Value, "{op}: {what} is {value}; expected 0 to 1"))
}

/// Checks that a reduction is not the divergence's own.
fn check_reduction(op: &str, reduction: Reduction) -> Result<()> {
    match reduction {
        Reduction::BatchMean => Err(error!(Value, "{op}: the reduction `BatchMean` is for `kl_div` only")),
        _ => Ok(()),
    }
}
