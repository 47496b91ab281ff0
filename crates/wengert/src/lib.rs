//! Reverse-mode automatic differentiation on a thread-local tape.

#[allow(dead_code, reason = "the Display of tensors, its one user, comes with the tensors")]
mod display;

pub use display::{PrintOptions, print_options, set_print_options};
