//! The elementary functions: branch-free text that LLVM vectorises inside [`crate::simd::run`].
//!
//! * No branches on values: both sides are computed and one is selected.
//! * No casts between integers and floats: adding a large constant rounds, and leaves the integer in the last bits.
//! * Fused multiply-adds by name (`mul_add`), which round once on every machine, so that results are the same bits on every
//!   instruction set. A machine without the instruction calls a library for each: right, but tens of times slower.
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
