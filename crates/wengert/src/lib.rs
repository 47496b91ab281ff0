//! Reverse-mode automatic differentiation on a thread-local tape.
