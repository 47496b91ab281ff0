//! Products of matrices and vectors.

pub(crate) mod linear;
pub(crate) mod matmul;
