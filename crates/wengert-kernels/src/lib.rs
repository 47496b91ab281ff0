//! Flat numeric loops: the arithmetic under wengert.
//!
//! Everything here works on slices of `f32` or `f64` (movement: any `Copy` element). Nothing here knows a shape rule, a
//! tape or a derivative.
//!
//! * [`Real`] is the arithmetic that formulas are written in. `f32` and `f64` implement it here with branch-free
//!   polynomials that LLVM vectorises; a tensor handle implements it by recording.
//! * [`simd`] runs a loop with the widest instruction set that this machine has.
//! * [`map`] applies formulas over slices, [`reduce`] combines their elements.
//! * [`strided`], [`index`] and [`remap`] move elements.
//! * [`mod@gemm`] is the matrix product.
//! * [`parallel`] shares loops over many elements among threads.
//! * [`mod@softmax`], [`cross_entropy`], [`nll`], [`norm`], [`conv`] and [`pool`] are what networks need.

pub mod conv;
pub mod cross_entropy;
pub mod gemm;
pub mod index;
pub mod map;
mod math;
pub mod nll;
pub mod norm;
pub mod parallel;
pub mod pool;
pub mod real;
pub mod reduce;
pub mod remap;
mod scratch;
pub mod simd;
pub mod softmax;
pub mod strided;
pub mod window;

pub use real::Real;
