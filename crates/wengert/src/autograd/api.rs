//! Gradients as PyTorch's users ask for them.

use super::Sweep;
use super::sweep::check_root;
use crate::element::FloatElement;
use crate::error::{Result, error, twins, unwrap};
use crate::tape::{self, Flags, Scope};
use crate::tensor::TensorBase;
use crate::trace;

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// Adds the derivative of this tensor, which has one element, to the gradients of the leaves that it was computed
        /// from. The graph lives until its scope ends, so a second call is allowed, and accumulates.
        ///
        /// ```
        /// # use wengert::Tensor;
        /// let x = Tensor::from_slice(&[1.0, 2.0], [2]).requires_grad_(true);
        /// (x * x).sum().backward();
        /// assert_eq!(x.grad().unwrap().to_vec(), [2.0, 4.0]);
        /// ```
        pub fn backward | try_backward(self) -> () {
            let _scope = Scope::enter();
            let seed = check_root("backward", self, None)?;
            Sweep::accumulate(&[(self.handle(), seed.handle())], false)
        }

        /// As [`Self::backward`] for a tensor of any shape: the vector-Jacobian product with `seed`, of the same shape.
        pub fn backward_with | try_backward_with(self, seed: TensorBase<E>) -> () {
            let _scope = Scope::enter();
            let seed = check_root("backward", self, Some(seed))?;
            Sweep::accumulate(&[(self.handle(), seed.handle())], false)
        }

        /// As [`Self::backward`], recording the derivative itself, so that gradients have gradients. They belong to the
        /// current scope.
        pub fn backward_create_graph | try_backward_create_graph(self) -> () {
            let seed = check_root("backward", self, None)?;
            Sweep::accumulate(&[(self.handle(), seed.handle())], true)
        }
    }
}

/// What [`grad_with`] does besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct GradOptions {
    /// Record the derivative itself, so that it can be differentiated.
    pub create_graph: bool,
    /// Give `None` for an input that the output does not depend on, instead of an error.
    pub allow_unused: bool,
}

/// The gradients of `output`, which has one element, with respect to `inputs`; `.grad()` of nothing changes.
/// Named as `torch.autograd.grad`.
///
/// ```
/// # use wengert::{grad, Tensor};
/// let x = Tensor::scalar(3.0).requires_grad_(true);
/// let y = x.powi(4);
/// assert_eq!(grad(y, &[x])[0].item(), 108.0);
/// ```
///
/// # Panics
/// With the errors of [`grad_with`].
#[track_caller]
pub fn grad<E: FloatElement>(output: TensorBase<E>, inputs: &[TensorBase<E>]) -> Vec<TensorBase<E>> {
    let grads = unwrap(grad_with(output, inputs, None, GradOptions::default()));
    grads.into_iter().map(|grad| grad.expect("unused inputs are an error by default")).collect()
}

/// The gradients of `output` with respect to `inputs`, by a vector-Jacobian product with `seed` (of the output's shape; 1 by
/// default for a single element).
///
/// # Errors
/// An input that does not require a gradient or, without `allow_unused`, that the output does not depend on; a seed of
/// another shape; no seed for an output of several elements.
#[track_caller]
pub fn grad_with<E: FloatElement>(
    output: TensorBase<E>,
    inputs: &[TensorBase<E>],
    seed: Option<TensorBase<E>>,
    options: GradOptions,
) -> Result<Vec<Option<TensorBase<E>>>> {
    let _line = trace::note();
    tape::all_or_nothing(|| {
        let seed = check_root("grad", output, seed)?;
        for (k, input) in inputs.iter().enumerate() {
            if !tape::with(|tape| Ok(tape.check(input.handle()).map(|i| tape.entry(i).flags.has(Flags::GRAD))))?? {
                return Err(error!(
                    Grad,
                    "grad: input {k} of shape {:?} does not require a gradient; call `requires_grad_(true)` on it first",
                    input.shape()
                ));
            }
        }
        let wanted: Vec<_> = inputs.iter().map(|input| input.handle()).collect();
        let found = Sweep::capture(&[(output.handle(), seed.handle())], &wanted, options.create_graph)?;
        if !options.allow_unused
            && let Some(k) = found.iter().position(Option::is_none)
        {
            return Err(error!(
                Grad,
                "grad: the output does not depend on input {k} of shape {:?}; set `allow_unused` to get `None` for it",
                inputs[k].shape()
            ));
        }
        Ok(found.into_iter().map(|handle| handle.map(TensorBase::from_handle)).collect())
    })
}
