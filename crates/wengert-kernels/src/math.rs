//! The elementary functions: branch-free text that LLVM vectorises inside [`crate::simd::run`].
//!
//! * No branches on values: both sides are computed and one is selected.
//! * No casts between integers and floats: adding a large constant rounds, and leaves the integer in the last bits.
//! * No fused multiply-add: the baseline would call a library for it, and without, results are the same bits on every
//!   instruction set. Where a product has to be exact, factors are split (see [`dd`]), or `f32` is computed in `f64`.
//! * No closures, no iterator adapters: what is not inlined is compiled for the baseline.
//!
//! Errors are below 2 ulp; `tests` holds them against tables and, for `f32`, against every argument there is.

pub(crate) mod arc;
mod dd;
pub(crate) mod erf;
pub(crate) mod exp;
mod float;
pub(crate) mod hyper;
pub(crate) mod log;
mod poly;
pub(crate) mod pow;
mod reduction;
pub(crate) mod trig;

#[cfg(test)]
mod tests;
