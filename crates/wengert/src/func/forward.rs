//! Jacobian-vector products, and Hessian-vector products of both modes.

use std::marker::PhantomData;

use smallvec::SmallVec;

use super::jacobian::gradient_or;
use super::reverse::check_open;
use super::transform::{Transform, check_alive, or_zeros};
use super::tree::{Leaf, Leaves, Tree, check_alike, leaves, with_leaves};
use crate::autograd;
use crate::element::FloatElement;
use crate::error::{Result, unwrap};
use crate::is_grad_enabled;
use crate::tape::{Scope, with};
use crate::tensor::TensorBase;
use crate::trace;

/// The value of `f` at `x`, and its derivative along `v`, a tree like `x`: the Jacobian-vector product, by one forward sweep
/// over what `f` recorded. Named as `torch.func.jvp` and `jax.jvp`.
///
/// ```
/// use wengert::{func::{grad, jvp}, Tensor64};
///
/// let (x, v) = (Tensor64::new([1.0, 2.0]), Tensor64::new([1.0, 0.0]));
/// let (y, dy) = jvp(|x| (x * x).sum(), x, v);
/// assert_eq!((y.item(), dy.item()), (5.0, 2.0));
///
/// // Forward over reverse: a Hessian-vector product.
/// let (g, h) = jvp(|x| grad(|x| x.powi(3).sum(), x), x, v);
/// assert_eq!((g.to_vec(), h.to_vec()), (vec![3.0, 12.0], vec![6.0, 0.0]));
/// ```
///
/// # Panics
/// With the errors of [`try_jvp`], and if `f` does.
#[track_caller]
pub fn jvp<X: Tree, Y: Tree>(f: impl FnOnce(X) -> Y, x: X, v: X) -> (Y, Y) {
    unwrap(try_jvp(f, x, v))
}

/// [`jvp`], with the error returned.
///
/// # Errors
/// `x` contains no tensor; a tensor of `v` differs from that of `x` in shape or type; a derivative needs a value that `f`
/// overwrote; a stale handle.
#[track_caller]
pub fn try_jvp<X: Tree, Y: Tree>(f: impl FnOnce(X) -> Y, x: X, v: X) -> Result<(Y, Y)> {
    let directions = leaves(&v);
    check_alike("jvp", "tangent", &directions, "primal", &leaves(&x))?;
    let (transform, tracked) = Transform::open("jvp", &x)?;
    let y = f(tracked);
    let _line = trace::note();
    let outputs = leaves(&y);
    check_alive(&outputs)?;
    let flows_on = transform.flows_on(&directions)?;
    with(|tape| {
        tape.grad_enabled = flows_on;
        Ok(())
    })?;
    let mut results = push(transform.start, &transform.inputs, &directions, &outputs, None)?;
    results.extend(outputs.iter().copied());
    let (results, ()) = transform.close(flows_on, results, ())?;
    let (tangents, values) = results.split_at(outputs.len());
    Ok((with_leaves(&y, values), with_leaves(&y, tangents)))
}

/// The tangents of `outputs` for those of `inputs`, along the entries from `start` on; with `many`, each has a leading dimension of
/// that length.
pub(super) fn push(
    start: u32,
    inputs: &[Leaf],
    directions: &[Leaf],
    outputs: &[Leaf],
    many: Option<usize>,
) -> Result<Leaves> {
    let seeds: SmallVec<[_; 4]> =
        inputs.iter().zip(directions).map(|(input, along)| (input.handle(), along.handle())).collect();
    let ends: SmallVec<[_; 4]> = outputs.iter().map(|output| output.handle()).collect();
    let found = autograd::push(start, &seeds, &ends, many)?;
    outputs.iter().zip(found).map(|(&y, found)| or_zeros(y, found, many)).collect()
}

/// The value of `f` at `x`, and a function that multiplies by its Jacobian there: as often as you like, while the current scope
/// is open, which keeps what `f` recorded. As [`jvp`] without evaluating `f` again. Named as `torch.func.linearize` and
/// `jax.linearize`.
///
/// ```
/// use wengert::{func::{grad, linearize}, Tensor64};
///
/// // The gradient at a point and products with the Hessian there, as the method of conjugate gradients needs them.
/// let (g, hessian) = linearize(|x| grad(|x| x.powi(3).sum(), x), Tensor64::new([1.0, 2.0]));
/// assert_eq!(g.to_vec(), [3.0, 12.0]);
/// assert_eq!(hessian.call(Tensor64::new([1.0, 0.0])).to_vec(), [6.0, 0.0]);
/// assert_eq!(hessian.call(Tensor64::new([0.0, 1.0])).to_vec(), [0.0, 12.0]);
/// ```
///
/// # Panics
/// With the errors of [`try_linearize`], and if `f` does.
#[track_caller]
pub fn linearize<X: Tree, Y: Tree>(f: impl FnOnce(X) -> Y, x: X) -> (Y, Pushforward<X, Y>) {
    unwrap(try_linearize(f, x))
}

/// [`linearize`], with the error returned.
///
/// # Errors
/// `x` contains no tensor; a stale handle.
#[track_caller]
pub fn try_linearize<X: Tree, Y: Tree>(f: impl FnOnce(X) -> Y, x: X) -> Result<(Y, Pushforward<X, Y>)> {
    let (transform, tracked) = Transform::open("linearize", &x)?;
    let y = f(tracked);
    let outputs = leaves(&y);
    check_alive(&outputs)?;
    let (start, flows_on) = (transform.start, transform.flows_on(&[])?);
    let inputs = transform.keep()?;
    let value = if flows_on {
        outputs.clone()
    } else {
        outputs.iter().map(|output| output.detached()).collect::<Result<Leaves>>()?
    };
    let value = with_leaves(&y, &value);
    Ok((value, Pushforward { y, start, inputs, outputs, flows_on, tangent: PhantomData }))
}

/// The product with a Jacobian, by [`linearize`].
pub struct Pushforward<X, Y> {
    y: Y,
    start: u32,
    inputs: Leaves,
    outputs: Leaves,
    /// Whether derivatives flow on to tensors outside of the function.
    flows_on: bool,
    tangent: PhantomData<fn(X)>,
}

impl<X: Tree, Y: Tree> Pushforward<X, Y> {
    /// The derivative along `v`, a tree like the function's inputs: a tree like its value. It can be differentiated, by `v` too.
    ///
    /// # Panics
    /// With the errors of [`Self::try_call`].
    #[track_caller]
    pub fn call(&self, v: X) -> Y {
        unwrap(self.try_call(v))
    }

    /// [`Self::call`], with the error returned.
    ///
    /// # Errors
    /// A tensor of `v` differs from the input's in shape or type; the scope in which [`linearize`] was called has ended; a
    /// derivative needs a value that was overwritten.
    #[track_caller]
    pub fn try_call(&self, v: X) -> Result<Y> {
        let _line = trace::note();
        check_open("linearize", "pushforward", &self.inputs, &self.outputs)?;
        let directions = leaves(&v);
        check_alike("linearize", "tangent", &directions, "primal", &self.inputs)?;
        let mut flows_on = self.flows_on;
        for along in &directions {
            flows_on |= along.requires_grad()?;
        }
        let tangents = if flows_on && is_grad_enabled() {
            push(self.start, &self.inputs, &directions, &self.outputs, None)?
        } else {
            let scope = Scope::open(|_| false);
            let tangents = push(self.start, &self.inputs, &directions, &self.outputs, None)?;
            scope.leave(tangents.into_vec()).into()
        };
        Ok(with_leaves(&self.y, &tangents))
    }
}

/// The product of the Hessian of `f`, which gives a single element, at `x` with `v`: a tree like `x`. Forward mode over
/// reverse mode, at the cost of a few evaluations of `f` (Pearlmutter, Fast exact multiplication by the Hessian, 1994).
///
/// For many products at one point see [`linearize`].
///
/// ```
/// use wengert::{func::hvp, Tensor64};
///
/// let (x, v) = (Tensor64::new([1.0, 2.0]), Tensor64::new([1.0, 1.0]));
/// assert_eq!(hvp(|x| x.prod() + x.powi(3).sum(), x, v).to_vec(), [7.0, 13.0]);
/// ```
///
/// # Panics
/// With the errors of [`try_hvp`], and if `f` does.
#[track_caller]
pub fn hvp<X: Tree, E: FloatElement>(f: impl FnOnce(X) -> TensorBase<E>, x: X, v: X) -> X {
    unwrap(try_hvp(f, x, v))
}

/// [`hvp`], with the error returned.
///
/// # Errors
/// As [`super::try_grad`] and [`try_jvp`].
#[track_caller]
pub fn try_hvp<X: Tree, E: FloatElement>(f: impl FnOnce(X) -> TensorBase<E>, x: X, v: X) -> Result<X> {
    let mut failed = None;
    let gradient = |x: X| gradient_or(&mut failed, f, x);
    let product = try_jvp(gradient, x, v)?.1;
    failed.map_or(Ok(product), Err)
}
