//! Gradients as PyTorch's users ask for them.

use smallvec::SmallVec;

use super::Sweep;
use super::hooks::run_accumulated;
use crate::element::FloatElement;
use crate::error::{Result, error, twins, unwrap};
use crate::tape::{self, Flags, Handle, Scope};
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
            accumulate(self, None, false)
        }

        /// As [`Self::backward`] for a tensor of any shape: the vector-Jacobian product with `seed`, of the same shape.
        pub fn backward_with | try_backward_with(self, seed: TensorBase<E>) -> () {
            accumulate(self, Some(seed), false)
        }

        /// As [`Self::backward`], recording the derivative itself, so that gradients have gradients. They belong to the
        /// current scope.
        pub fn backward_create_graph | try_backward_create_graph(self) -> () {
            accumulate(self, None, true)
        }
    }
}

fn accumulate<E: FloatElement>(root: TensorBase<E>, seed: Option<TensorBase<E>>, recorded: bool) -> Result<()> {
    let caller = tape::with(|tape| Ok(tape.scope_id()))?;
    let leaves = {
        let _scope = (!recorded).then(Scope::enter);
        let seed = check_root("backward", root, seed)?;
        Sweep::accumulate(caller, &[(root.handle(), seed.handle())], recorded)?
    };
    run_accumulated(&leaves)
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

/// What can be given to [`grad_with`] as outputs: a tensor, or several.
pub trait Outputs<E> {
    /// The tensors.
    fn outputs(&self) -> &[TensorBase<E>];
}
impl<E> Outputs<E> for TensorBase<E> {
    fn outputs(&self) -> &[TensorBase<E>] {
        std::slice::from_ref(self)
    }
}
impl<E> Outputs<E> for &[TensorBase<E>] {
    fn outputs(&self) -> &[TensorBase<E>] {
        self
    }
}
impl<E> Outputs<E> for &Vec<TensorBase<E>> {
    fn outputs(&self) -> &[TensorBase<E>] {
        self
    }
}
impl<E, const N: usize> Outputs<E> for &[TensorBase<E>; N] {
    fn outputs(&self) -> &[TensorBase<E>] {
        &self[..]
    }
}

/// What can be given to [`grad_with`] as seeds: one for a single output, or one for each; `None` is 1, for an output of a single
/// element.
pub trait Seeds<E> {
    /// The seeds; `None` for the default everywhere.
    fn seeds(&self) -> Option<&[Option<TensorBase<E>>]>;
}
impl<E> Seeds<E> for Option<TensorBase<E>> {
    fn seeds(&self) -> Option<&[Option<TensorBase<E>>]> {
        self.is_some().then_some(std::slice::from_ref(self))
    }
}
impl<E> Seeds<E> for &[Option<TensorBase<E>>] {
    fn seeds(&self) -> Option<&[Option<TensorBase<E>>]> {
        Some(self)
    }
}
impl<E> Seeds<E> for &Vec<Option<TensorBase<E>>> {
    fn seeds(&self) -> Option<&[Option<TensorBase<E>>]> {
        Some(self)
    }
}
impl<E, const N: usize> Seeds<E> for &[Option<TensorBase<E>>; N] {
    fn seeds(&self) -> Option<&[Option<TensorBase<E>>]> {
        Some(&self[..])
    }
}

/// The gradients of the sum of `outputs`, each multiplied by its seed (of its shape; 1 by default for a single element), with
/// respect to `inputs`: one vector-Jacobian product.
///
/// ```
/// # use wengert::{grad_with, GradOptions, Tensor};
/// let x = Tensor::new([1.0, 2.0]).requires_grad_(true);
/// let (y, total) = (x * x, x.sum());
/// let seed = Tensor::new([1.0, 10.0]);
/// let one = grad_with(y, &[x], Some(seed), GradOptions::default())?;
/// assert_eq!(one[0].unwrap().to_vec(), [2.0, 40.0]);
/// // Of several tensors at once: with a seed for each, or `None` if each has a single element.
/// let both = grad_with(&[y, total], &[x], &[Some(seed), None], GradOptions::default())?;
/// assert_eq!(both[0].unwrap().to_vec(), [3.0, 41.0]);
/// # Ok::<(), wengert::Error>(())
/// ```
///
/// # Errors
/// An output or input that does not require a gradient; without `allow_unused`, an input that no output depends on; a seed of
/// another shape; no seed for an output of several elements; as many seeds as outputs are needed, or none.
#[track_caller]
pub fn grad_with<E: FloatElement>(
    outputs: impl Outputs<E>,
    inputs: &[TensorBase<E>],
    seeds: impl Seeds<E>,
    options: GradOptions,
) -> Result<Vec<Option<TensorBase<E>>>> {
    let _line = trace::note();
    let (outputs, seeds) = (outputs.outputs(), seeds.seeds());
    tape::all_or_nothing(|| {
        let roots = roots(outputs, seeds)?;
        let wanted: Vec<_> = inputs.iter().map(|input| input.handle()).collect();
        tape::with(|tape| {
            for (k, &input) in wanted.iter().enumerate() {
                let index = tape.check(input)?;
                if !tape.entry(index).flags.has(Flags::GRAD) {
                    return Err(error!(
                        Grad,
                        "grad: input {k} of shape {:?} does not require a gradient; call `requires_grad_(true)` on it first",
                        tape.layout(index).shape()
                    ));
                }
            }
            Ok(())
        })?;
        let found = Sweep::capture(&roots, &wanted, options.create_graph)?;
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

/// The outputs with their seeds.
fn roots<E: FloatElement>(
    outputs: &[TensorBase<E>],
    seeds: Option<&[Option<TensorBase<E>>]>,
) -> Result<SmallVec<[(Handle, Handle); 4]>> {
    if let Some(seeds) = seeds
        && seeds.len() != outputs.len()
    {
        return Err(error!(
            Shape,
            "grad: {} seeds were given for {} outputs; give one for each (`None` is 1), or none at all",
            seeds.len(),
            outputs.len()
        ));
    }
    let with_seed = |(k, &output): (usize, &TensorBase<E>)| {
        let seed = check_root("grad", output, seeds.and_then(|seeds| seeds[k]))?;
        Ok((output.handle(), seed.handle()))
    };
    outputs.iter().enumerate().map(with_seed).collect()
}

/// Checks what `backward` was asked for and gives the seed: the caller's, or 1 for a single element.
///
/// # Errors
/// The tensor does not require a gradient, has more than one element without a seed, or the seed's shape differs.
pub(super) fn check_root<E: FloatElement>(
    what: &str,
    root: TensorBase<E>,
    seed: Option<TensorBase<E>>,
) -> Result<TensorBase<E>> {
    let shape = root.try_shape()?;
    if !root.requires_grad() {
        return Err(error!(
            Grad,
            "{what}: the tensor of shape {shape:?} does not require a gradient and has no grad_fn; call \
             `requires_grad_(true)` on a leaf before computing it, outside of `no_grad`"
        ));
    }
    match seed {
        None if shape.numel() == 1 => TensorBase::try_ones(&shape),
        None => Err(error!(
            Grad,
            "{what}: grad can be implicitly created only for scalar outputs, and this one has shape {shape:?}; reduce it, \
             or give a seed of its shape with `{what}_with`"
        )),
        Some(seed) if seed.try_shape()? == shape => Ok(seed),
        Some(seed) => Err(error!(
            Shape,
            "{what}: the seed has shape {:?}, but the tensor {shape:?}; they must be equal",
            seed.shape()
        )),
    }
}
