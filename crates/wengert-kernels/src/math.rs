//! The elementary functions: branch-free text that LLVM vectorises inside [`crate::simd::run`].
//!
//! * No branches on values: both sides are computed and one is selected.
//! * No casts between integers and floats: adding a large constant rounds, and leaves the integer in the last bits.
//! * No fused multiply-add: the baseline would call a library for it, and results are the same bits on every
//!   instruction set without. Where a product has to be exact, factors are split, or `f32` is computed in
//!   `f64`.
//!
//! Errors are below 2 ulp; `tests` holds them against tables and, for `f32`, against every argument there is.

pub(crate) mod erf;
pub(crate) mod exp;
mod float;
pub(crate) mod log;
mod poly;

#[cfg(test)]
mod tests;
