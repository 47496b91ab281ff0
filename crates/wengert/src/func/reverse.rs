//! Gradients, values with gradients, and vector-Jacobian products.

use std::marker::PhantomData;

use super::transform::{Transform, check_alive, one, pull};
use super::tree::{Leaf, Leaves, Tree, check_alike, leaves, with_leaves};
use crate::element::FloatElement;
use crate::error::{Result, error, unwrap};
use crate::is_grad_enabled;
use crate::tape::{Escape, Flags, with};
use crate::tensor::TensorBase;
use crate::trace;

/// The gradient of `f`, which gives a single element, at `x`: a tree like `x`. Inputs that the result does not depend on get
/// zeros. Named as `torch.func.grad` and `jax.grad`.
///
/// ```
/// use wengert::{func::grad, Tensor64};
///
/// let (x, y) = (Tensor64::scalar(3.0), Tensor64::scalar(2.0));
/// let (dx, dy) = grad(|(x, y)| x * x * y, (x, y));
/// assert_eq!((dx.item(), dy.item()), (12.0, 9.0));
///
/// // Derivatives of derivatives, by nesting: of x^4 at 3.
/// let third = grad(|x| grad(|x| grad(|x| x.powi(4), x), x), x);
/// assert_eq!(third.item(), 72.0);
/// ```
///
/// # Panics
/// With the errors of [`try_grad`], and if `f` does.
#[track_caller]
pub fn grad<X: Tree, E: FloatElement>(f: impl FnOnce(X) -> TensorBase<E>, x: X) -> X {
    unwrap(try_grad(f, x))
}

/// [`grad`], with the error returned.
///
/// # Errors
/// `x` contains no tensor; `f` gives several elements; a derivative needs a value that `f` overwrote; a stale handle.
#[track_caller]
pub fn try_grad<X: Tree, E: FloatElement>(f: impl FnOnce(X) -> TensorBase<E>, x: X) -> Result<X> {
    let ([], (), g) = gradient("grad", |x| (f(x), ()), x)?;
    Ok(g)
}

/// The value of `f` and its gradient, as [`grad`] gives it, in one go.
///
/// ```
/// use wengert::{func::value_and_grad, Tensor64};
///
/// let w = vec![Tensor64::new([1.0, 2.0]), Tensor64::new([3.0])];
/// let (loss, g) = value_and_grad(|w| (w[0] * w[1]).sum(), w);
/// assert_eq!(loss.item(), 9.0);
/// assert_eq!((g[0].to_vec(), g[1].to_vec()), (vec![3.0, 3.0], vec![3.0]));
/// ```
///
/// # Panics
/// With the errors of [`try_value_and_grad`], and if `f` does.
#[track_caller]
pub fn value_and_grad<X: Tree, E: FloatElement>(f: impl FnOnce(X) -> TensorBase<E>, x: X) -> (TensorBase<E>, X) {
    unwrap(try_value_and_grad(f, x))
}

/// [`value_and_grad`], with the error returned.
///
/// # Errors
/// As [`try_grad`].
#[track_caller]
pub fn try_value_and_grad<X: Tree, E: FloatElement>(
    f: impl FnOnce(X) -> TensorBase<E>,
    x: X,
) -> Result<(TensorBase<E>, X)> {
    let ([y], (), g) = gradient("value_and_grad", |x| (f(x), ()), x)?;
    Ok((y, g))
}

/// As [`value_and_grad`] for a function that gives something besides, which is not differentiated: `((value, besides),
/// gradient)`, as `has_aux` in `torch.func`.
///
/// ```
/// use wengert::{func::value_and_grad_aux, Tensor64};
///
/// let x = Tensor64::new([1.0, 2.0]);
/// let ((loss, scores), g) = value_and_grad_aux(|x| { let scores = x * 3.0; (scores.sum(), scores) }, x);
/// assert_eq!((loss.item(), scores.to_vec(), g.to_vec()), (9.0, vec![3.0, 6.0], vec![3.0, 3.0]));
/// ```
///
/// # Panics
/// With the errors of [`try_value_and_grad_aux`], and if `f` does.
#[track_caller]
pub fn value_and_grad_aux<X: Tree, E: FloatElement, A: Escape>(
    f: impl FnOnce(X) -> (TensorBase<E>, A),
    x: X,
) -> ((TensorBase<E>, A), X) {
    unwrap(try_value_and_grad_aux(f, x))
}

/// [`value_and_grad_aux`], with the error returned.
///
/// # Errors
/// As [`try_grad`].
#[track_caller]
pub fn try_value_and_grad_aux<X: Tree, E: FloatElement, A: Escape>(
    f: impl FnOnce(X) -> (TensorBase<E>, A),
    x: X,
) -> Result<((TensorBase<E>, A), X)> {
    let ([y], aux, g) = gradient("value_and_grad_aux", f, x)?;
    Ok(((y, aux), g))
}

/// The value, `KEPT` times (0 or 1), what `f` gives besides, and the gradient.
#[track_caller]
fn gradient<X: Tree, E: FloatElement, A: Escape, const KEPT: usize>(
    op: &str,
    f: impl FnOnce(X) -> (TensorBase<E>, A),
    x: X,
) -> Result<([TensorBase<E>; KEPT], A, X)> {
    let (transform, tracked) = Transform::open(op, &x)?;
    let (y, aux) = f(tracked);
    let _line = trace::note();
    let seed = one(op, y)?;
    let flows_on = transform.flows_on(&[])?;
    let mut results = pull(&[y.into()], &[seed], &transform.inputs, flows_on, None)?;
    results.extend([y.into(); KEPT]);
    let (results, aux) = transform.close(flows_on, results, aux)?;
    let (gradients, values) = results.split_at(results.len() - KEPT);
    Ok((std::array::from_fn(|k| values[k].tensor()), aux, with_leaves(&x, gradients)))
}

/// The value of `f` at `x`, and a function that multiplies by the transpose of its Jacobian there: as often as you like, while
/// the current scope is open, which keeps what `f` recorded. Named as `torch.func.vjp` and `jax.vjp`.
///
/// ```
/// use wengert::{func::vjp, Tensor64};
///
/// let (y, pullback) = vjp(|x| x * x, Tensor64::new([1.0, 2.0, 3.0]));
/// assert_eq!(y.to_vec(), [1.0, 4.0, 9.0]);
/// assert_eq!(pullback.call(Tensor64::new([1.0, 0.0, 0.0])).to_vec(), [2.0, 0.0, 0.0]);
/// assert_eq!(pullback.call(Tensor64::new([1.0, 1.0, 1.0])).to_vec(), [2.0, 4.0, 6.0]);
/// ```
///
/// # Panics
/// With the errors of [`try_vjp`], and if `f` does.
#[track_caller]
pub fn vjp<X: Tree, Y: Tree>(f: impl FnOnce(X) -> Y, x: X) -> (Y, Pullback<X, Y>) {
    unwrap(try_vjp(f, x))
}

/// [`vjp`], with the error returned.
///
/// # Errors
/// `x` or the result contains no tensor; a stale handle.
#[track_caller]
pub fn try_vjp<X: Tree, Y: Tree>(f: impl FnOnce(X) -> Y, x: X) -> Result<(Y, Pullback<X, Y>)> {
    let (transform, tracked) = Transform::open("vjp", &x)?;
    let y = f(tracked);
    let _line = trace::note();
    let outputs = leaves(&y);
    check_alive(&outputs)?;
    let flows_on = transform.flows_on(&[])?;
    let inputs = transform.keep()?;
    let value = if flows_on {
        outputs.clone()
    } else {
        outputs.iter().map(|output| output.detached()).collect::<Result<Leaves>>()?
    };
    Ok((with_leaves(&y, &value), Pullback { x, inputs, outputs, flows_on, seed: PhantomData }))
}

/// The product with the transpose of a Jacobian, by [`vjp`].
pub struct Pullback<X, Y> {
    x: X,
    inputs: Leaves,
    outputs: Leaves,
    /// Whether derivatives flow on to tensors outside of the function.
    flows_on: bool,
    seed: PhantomData<fn(Y)>,
}

impl<X: Tree, Y: Tree> Pullback<X, Y> {
    /// The product of `seed`, a tree like the function's value, with its Jacobian: a tree like the function's inputs. It can be
    /// differentiated, by `seed` too.
    ///
    /// # Panics
    /// With the errors of [`Self::try_call`].
    #[track_caller]
    pub fn call(&self, seed: Y) -> X {
        unwrap(self.try_call(seed))
    }

    /// [`Self::call`], with the error returned.
    ///
    /// # Errors
    /// A tensor of `seed` differs from the value's in shape or type; the scope in which [`vjp`] was called has ended; a
    /// derivative needs a value that was overwritten.
    #[track_caller]
    pub fn try_call(&self, seed: Y) -> Result<X> {
        let _line = trace::note();
        check_open("vjp", "pullback", &self.inputs, &self.outputs)?;
        let seeds = leaves(&seed);
        check_alike("vjp", "seed", &seeds, "output", &self.outputs)?;
        let mut recorded = self.flows_on;
        for seed in &seeds {
            recorded |= seed.requires_grad()?;
        }
        let gradients = pull(&self.outputs, &seeds, &self.inputs, recorded && is_grad_enabled(), None)?;
        Ok(with_leaves(&self.x, &gradients))
    }
}

/// Checks that the entries which a derivative goes through are there, and are still tracked.
///
/// # Errors
/// Their scope has ended, or the transform in which they were recorded.
pub(super) fn check_open(op: &str, what: &str, inputs: &[Leaf], outputs: &[Leaf]) -> Result<()> {
    let open = with(|tape| {
        let mut ends = inputs.iter().chain(outputs);
        let there = ends.all(|leaf| tape.check(leaf.handle()).is_ok());
        Ok(there && inputs.iter().all(|input| tape.entry(input.handle().index).flags.has(Flags::GRAD)))
    })?;
    if open {
        return Ok(());
    }
    Err(error!(
        Stale,
        "{op}: the {what} is used after the scope or function in which it was made has ended, and with it what it needs; call \
         it there"
    ))
}
