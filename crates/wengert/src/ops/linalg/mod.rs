//! Products of matrices and vectors.

pub(crate) mod matmul;
