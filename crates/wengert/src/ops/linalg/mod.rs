//! Products of matrices and vectors.

pub(crate) mod dot;
pub(crate) mod einsum;
pub(crate) mod linear;
pub(crate) mod matmul;
