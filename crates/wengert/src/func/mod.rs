//! Derivatives of functions, named as in `torch.func` and JAX.
//!
//! | | gives | by |
//! | --- | --- | --- |
//! | [`grad`], [`value_and_grad`] | the gradient of a function with one number as its value | a reverse sweep |
//! | [`vjp`] | the value, and products with the transpose of the Jacobian | a reverse sweep each |
//! | [`jvp`], [`linearize`] | the value, and products with the Jacobian | a forward sweep each |
//! | [`hvp`] | the product of the Hessian with a vector | a forward sweep over a reverse one |
//! | [`jacrev`], [`jacfwd`] | the Jacobian | reverse or forward sweeps with many seeds each |
//! | [`hessian`] | the Hessian | forward sweeps with many seeds over a reverse one |
//!
//! Each takes a function and the point: a tensor, or a tuple, array or `Vec` of tensors, nested as you like ([`Tree`]). The
//! point needs no `requires_grad`, and no `.grad()` is touched.
//!
//! Each runs the function in a scope of its own, so that nothing of it stays on the tape but the results. They nest in each
//! other, in scopes and in code that is differentiated by [`crate::TensorBase::backward`]: where a result has to be
//! differentiable by what surrounds it, because the point or a captured tensor is being differentiated there, it is recorded
//! there. Inside of [`crate::no_grad`] it is not: for the plain gradient at leaves that require one, that saves memory.
//!
//! A [`crate::scope`] *inside* of the function cuts derivatives, as it does everywhere: what leaves it is a leaf.

mod forward;
mod jacobian;
mod reverse;
mod transform;
mod tree;

pub use self::forward::{Pushforward, hvp, jvp, linearize, try_hvp, try_jvp, try_linearize};
pub use self::jacobian::{
    JacobianOptions, hessian, hessian_with, jacfwd, jacfwd_with, jacrev, jacrev_with, try_hessian, try_jacfwd,
    try_jacrev,
};
pub use self::reverse::{
    Pullback, grad, try_grad, try_value_and_grad, try_value_and_grad_aux, try_vjp, value_and_grad, value_and_grad_aux,
    vjp,
};
pub use self::tree::{Leaf, Tree};
