//! Reverse-mode automatic differentiation on a thread-local tape, with PyTorch's semantics.
//!
//! A [`Tensor`] is an 8-byte `Copy` handle to an entry of this thread's tape, so operators read like maths:
//!
//! ```
//! use wengert::{scope, Tensor};
//!
//! let x = Tensor::from_slice(&[1.0, 2.0, 3.0], [3]).requires_grad_(true);
//! scope(|| {
//!     let y = (x * x + 2.0).sum() / 3.0;
//!     y.backward();
//! });
//! println!("{}", x.grad().unwrap()); // tensor([0.6667, 1.3333, 2.0000])
//! ```
//!
//! What is recorded inside of a [`scope`] is forgotten at its end; what it returns survives. Gradients of leaves persist and
//! accumulate until [`TensorBase::zero_grad`].
//!
//! A tensor of one element is a number: it implements [`num_traits::Float`] and its kin, compares by value, sums and multiplies, so
//! that code written for any float, here or in another crate, is differentiated unchanged. With the feature `nalgebra` it is a scalar
//! of that crate's matrices (`simba`'s `RealField`), with `ndarray` one beside arrays, with `approx` it compares with tolerances.
//!
//! Every operation has a plain form, which panics at the caller's line with a message that names the operation, the shapes and
//! the remedy, and a `try_` twin, which returns the same text as an [`Error`].

mod anomaly;
mod autograd;
mod custom;
mod display;
mod element;
mod error;
pub mod func;
#[allow(clippy::should_implement_trait, reason = "PyTorch's names; the operators are implemented too")]
mod ops;
mod random;
mod shape;
#[doc(hidden)]
pub mod table;
pub mod tape;
mod tensor;
mod trace;

pub use anomaly::{DetectAnomaly, detect_anomaly, is_anomaly_enabled, try_detect_anomaly};
pub use autograd::{GradOptions, Hook, Outputs, Seeds, grad, grad_with};
pub use custom::{
    Context, Function, Tensors, checkpoint, checkpoint_sequential, try_checkpoint, try_checkpoint_sequential,
};
pub use display::{PrintOptions, print_options, set_print_options};
pub use element::{DType, Element, FloatElement};
pub use error::{Error, ErrorKind, Result};
pub use func::{jvp, try_jvp};
/// The traits that make a tensor of one element a number of generic code, in the version that this crate implements.
pub use num_traits;
pub use ops::elementwise::{IntoOperand, Operand, pow, xlogy};
pub use ops::indexing::{IntoSource, Source};
pub use ops::linalg::einsum::{einsum, try_einsum};
pub use ops::movement::cat::{cat, stack, try_cat, try_stack};
pub use ops::movement::remap::PadMode;
pub use ops::movement::slice::{IntoSections, Sections};
pub use random::manual_seed;
pub use shape::{IntoDimList, IntoDims, IntoShape, MAX_RANK, Shape};
pub use tape::escape::{Escape, ScopeExit};
pub use tape::scope::{EnableGrad, NoGrad, Scope, enable_grad, is_grad_enabled, no_grad, scope};
pub use tensor::{BoolTensor, IndexTensor, NestedArray, Tensor, Tensor64, TensorBase};

pub use wengert_kernels::parallel::{num_threads, set_num_threads};

/// Arguments of operations that have many: each has `Default`, so that a call names what it changes.
pub mod options {
    pub use crate::custom::Segments;
    pub use crate::ops::nn::Reduction;
    pub use crate::ops::nn::conv::{Conv1d, Conv2d};
    pub use crate::ops::nn::cross_entropy::{CrossEntropy, IntoTarget, Target};
    pub use crate::ops::nn::losses::{BinaryCrossEntropy, BinaryCrossEntropyWithLogits, Huber, KlDiv, SmoothL1};
    pub use crate::ops::nn::nll::Nll;
    pub use crate::ops::nn::norm::{BatchNorm, LayerNorm};
    pub use crate::ops::nn::pool::{AvgPool, MaxPool};
    pub use crate::ops::nn::window::IntoPair;
}

/// How much the tape holds, and its limits.
pub mod memory {
    pub use crate::tape::stats::{Stats, set_budget, stats, trim};
}

/// The README's code, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
