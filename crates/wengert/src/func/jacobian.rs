//! Jacobians and Hessians: all rows, or all columns, in few sweeps.

use std::ops::Range;

use smallvec::SmallVec;

use super::forward::push;
use super::reverse::try_grad;
use super::transform::{Transform, check_alive, or_zeros, pull};
use super::tree::{Leaf, Leaves, Tree, leaves, typed, with_leaves};
use crate::element::{DType, FloatElement};
use crate::error::{Result, error, filled, unwrap};
use crate::ops::movement::cat::try_cat;
use crate::shape::{MAX_RANK, Shape};
use crate::tape::{Scope, with};
use crate::tensor::TensorBase;
use crate::trace;

/// How [`jacrev_with`], [`jacfwd_with`] and [`hessian_with`] go through the rows or columns.
#[derive(Clone, Copy, Debug, Default)]
pub struct JacobianOptions {
    /// How many rows (`jacrev`) or columns (`jacfwd`, `hessian`) one sweep computes, 1 or more; more are faster and need as many times
    /// the memory of the function's intermediate values. By default as many as need about [`JacobianOptions::MEMORY`] bytes.
    pub chunk: Option<usize>,
}

impl JacobianOptions {
    /// What the intermediate values of one sweep may take, in bytes, if `chunk` is not given.
    pub const MEMORY: usize = 8 << 20;
}

/// The Jacobian of `f` at `x` by reverse mode: for each tensor of `f`'s value of shape `y`, a tree like `x` of tensors of shape `[*y, *x]`.
/// Made for functions with fewer outputs than inputs. Named as `torch.func.jacrev` and `jax.jacrev`.
///
/// Many rows go through one sweep, as a leading dimension of its adjoints; one at a time if the function attaches hooks.
///
/// ```
/// use wengert::{func::jacrev, Tensor64};
///
/// let x = Tensor64::new([1.0, 2.0, 3.0]);
/// let j = jacrev(|x| x * x, x);
/// assert_eq!(j.shape(), [3, 3]);
/// assert_eq!(j.to_vec(), [2.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 6.0]);
///
/// // Of several outputs by several inputs: a tree of outputs of trees of inputs.
/// let [by_sum, by_product] = jacrev(|(a, b)| [(a + b).sum(), (a * b).sum()], (x, x));
/// assert_eq!((by_sum.0.to_vec(), by_product.1.to_vec()), (vec![1.0; 3], vec![1.0, 2.0, 3.0]));
/// ```
///
/// # Panics
/// With the errors of [`jacrev_with`], and if `f` does.
#[track_caller]
pub fn jacrev<X: Tree, Y: Tree>(f: impl FnOnce(X) -> Y, x: X) -> Y::Of<X> {
    unwrap(try_jacrev(f, x))
}

/// [`jacrev`], with the error returned.
///
/// # Errors
/// As [`jacrev_with`].
#[track_caller]
pub fn try_jacrev<X: Tree, Y: Tree>(f: impl FnOnce(X) -> Y, x: X) -> Result<Y::Of<X>> {
    jacrev_with(f, x, JacobianOptions::default())
}

/// [`jacrev`] with options.
///
/// # Errors
/// `x` contains no tensor; the dimensions of an output and an input are more than [`crate::MAX_RANK`] together; a chunk of 0; a
/// derivative needs a value that `f` overwrote; a stale handle.
#[track_caller]
pub fn jacrev_with<X: Tree, Y: Tree>(f: impl FnOnce(X) -> Y, x: X, options: JacobianOptions) -> Result<Y::Of<X>> {
    let (transform, tracked) = Transform::open("jacrev", &x)?;
    let y = f(tracked);
    let _line = trace::note();
    let outputs = leaves(&y);
    check_alive(&outputs)?;
    let flows_on = transform.flows_on(&[])?;
    let inputs = &transform.inputs;
    check_ranks("jacrev", &outputs, inputs)?;
    let plan = Plan::new("jacrev", &outputs, transform.start, options)?;
    let rows = plan.go(flows_on, inputs, |seeded, seeds, many| pull(seeded, seeds, inputs, flows_on, many))?;
    let mut parts = Leaves::new();
    for (output, range) in outputs.iter().zip(&plan.ranges) {
        for (input, rows) in inputs.iter().zip(&rows) {
            let shape = joined(&output.shape()?, &input.shape()?);
            parts.push(typed!(*rows, j => {
                Leaf::from(j.try_narrow(0, range.start, range.len())?.try_reshape(shape)?)
            }));
        }
    }
    let (parts, ()) = transform.close(flows_on, parts, ())?;
    Ok(blocks(&y, &x, &parts))
}

/// The Jacobian of `f` at `x` by forward mode, as [`jacrev`] gives it. Made for functions with fewer inputs than outputs. Named as
/// `torch.func.jacfwd` and `jax.jacfwd`.
///
/// Many columns go through one sweep, as a leading dimension of its tangents.
///
/// ```
/// use wengert::{func::jacfwd, Tensor64};
///
/// let x = Tensor64::new([1.0, 2.0]);
/// let j = jacfwd(|x| x.outer(x), x);
/// assert_eq!(j.shape(), [2, 2, 2]);
/// assert_eq!(j.to_vec(), [2.0, 0.0, 2.0, 1.0, 2.0, 1.0, 0.0, 4.0]);
/// ```
///
/// # Panics
/// With the errors of [`jacfwd_with`], and if `f` does.
#[track_caller]
pub fn jacfwd<X: Tree, Y: Tree>(f: impl FnOnce(X) -> Y, x: X) -> Y::Of<X> {
    unwrap(try_jacfwd(f, x))
}

/// [`jacfwd`], with the error returned.
///
/// # Errors
/// As [`jacrev_with`].
#[track_caller]
pub fn try_jacfwd<X: Tree, Y: Tree>(f: impl FnOnce(X) -> Y, x: X) -> Result<Y::Of<X>> {
    jacfwd_with(f, x, JacobianOptions::default())
}

/// [`jacfwd`] with options.
///
/// # Errors
/// As [`jacrev_with`].
#[track_caller]
pub fn jacfwd_with<X: Tree, Y: Tree>(f: impl FnOnce(X) -> Y, x: X, options: JacobianOptions) -> Result<Y::Of<X>> {
    let (transform, tracked) = Transform::open("jacfwd", &x)?;
    let y = f(tracked);
    let _line = trace::note();
    let outputs = leaves(&y);
    check_alive(&outputs)?;
    let flows_on = transform.flows_on(&[])?;
    let (start, inputs) = (transform.start, &transform.inputs);
    check_ranks("jacfwd", &outputs, inputs)?;
    let plan = Plan::new("jacfwd", inputs, start, options)?;
    let columns = plan.go(flows_on, &outputs, |seeded, seeds, many| push(start, seeded, seeds, &outputs, many))?;
    let mut parts = Leaves::new();
    for (output, columns) in outputs.iter().zip(&columns) {
        for (input, range) in inputs.iter().zip(&plan.ranges) {
            let shape = joined(&output.shape()?, &input.shape()?);
            parts.push(typed!(*columns, j => {
                let part = j.try_narrow(0, range.start, range.len())?.try_movedim(0, -1)?.try_reshape(shape)?;
                input.of_its_type(part)?
            }));
        }
    }
    let (parts, ()) = transform.close(flows_on, parts, ())?;
    Ok(blocks(&y, &x, &parts))
}

/// The Hessian of `f`, which gives a single element, at `x`: for each tensor of `x`, a tree like `x`, with blocks of shape `[*x_i, *x_j]`.
/// Forward mode over reverse mode. Named as `torch.func.hessian` and `jax.hessian`.
///
/// For products with it, which do not need all of it, see [`super::hvp`] and [`super::linearize`].
///
/// ```
/// use wengert::{func::hessian, Tensor64};
///
/// let h = hessian(|x| x.prod() + x.powi(3).sum(), Tensor64::new([1.0, 2.0]));
/// assert_eq!(h.to_vec(), [6.0, 1.0, 1.0, 12.0]);
/// ```
///
/// # Panics
/// With the errors of [`hessian_with`], and if `f` does.
#[track_caller]
pub fn hessian<X: Tree, E: FloatElement>(f: impl FnOnce(X) -> TensorBase<E>, x: X) -> X::Of<X> {
    unwrap(try_hessian(f, x))
}

/// [`hessian`], with the error returned.
///
/// # Errors
/// As [`hessian_with`].
#[track_caller]
pub fn try_hessian<X: Tree, E: FloatElement>(f: impl FnOnce(X) -> TensorBase<E>, x: X) -> Result<X::Of<X>> {
    hessian_with(f, x, JacobianOptions::default())
}

/// [`hessian`] with options.
///
/// # Errors
/// As [`super::try_grad`] and [`jacrev_with`].
#[track_caller]
pub fn hessian_with<X: Tree, E: FloatElement>(
    f: impl FnOnce(X) -> TensorBase<E>,
    x: X,
    options: JacobianOptions,
) -> Result<X::Of<X>> {
    let mut failed = None;
    let gradient = |x: X| gradient_or(&mut failed, f, x);
    let h = jacfwd_with(gradient, x, options)?;
    failed.map_or(Ok(h), Err)
}

/// The gradient of `f`; if it fails, `x` instead, with the error in `failed`.
pub(super) fn gradient_or<X: Tree, E: FloatElement>(
    failed: &mut Option<crate::Error>,
    f: impl FnOnce(X) -> TensorBase<E>,
    x: X,
) -> X {
    match try_grad(f, with_leaves(&x, &leaves(&x))) {
        Ok(g) => g,
        Err(error) => {
            *failed = Some(error);
            x
        }
    }
}

/// # Errors
/// A block would have too many dimensions.
fn check_ranks(op: &str, outputs: &[Leaf], inputs: &[Leaf]) -> Result<()> {
    for output in outputs {
        for input in inputs {
            let (y, x) = (output.shape()?, input.shape()?);
            if y.len() + x.len() > MAX_RANK {
                return Err(error!(
                    Shape,
                    "{op}: the Jacobian of an output of shape {y:?} by an input of shape {x:?} would have {} dimensions; at most \
                     {MAX_RANK} fit: flatten them",
                    y.len() + x.len()
                ));
            }
        }
    }
    Ok(())
}

fn joined(a: &[usize], b: &[usize]) -> Shape {
    a.iter().chain(b).copied().collect()
}

/// The tree of outputs of trees of inputs that the blocks make, row by row.
fn blocks<X: Tree, Y: Tree>(y: &Y, x: &X, parts: &[Leaf]) -> Y::Of<X> {
    let inputs = leaves(x).len();
    let mut rows = parts.chunks(inputs);
    y.fill(&mut || with_leaves(x, rows.next().expect("a row for each output")))
}

/// Which elements are seeded, and how many at once.
struct Plan {
    seeded: Leaves,
    /// The rows or columns of each.
    ranges: SmallVec<[Range<usize>; 4]>,
    total: usize,
    chunk: usize,
}

impl Plan {
    /// # Errors
    /// The chunk that was asked for is 0.
    fn new(op: &str, seeded: &[Leaf], start: u32, options: JacobianOptions) -> Result<Self> {
        let mut ranges = SmallVec::new();
        let mut total = 0;
        for leaf in seeded {
            let numel = leaf.shape()?.numel();
            ranges.push(total..total + numel);
            total += numel;
        }
        let chunk = match options.chunk {
            Some(0) => return Err(error!(Value, "{op}: `chunk` is 0; give 1 or more")),
            Some(chunk) => chunk,
            None => with(|tape| {
                let (bytes, rank) = tape.footprint(start);
                Ok(if rank < MAX_RANK { JacobianOptions::MEMORY / bytes.max(1) } else { 1 })
            })?,
        };
        // A hook takes one gradient.
        let hooked = with(|tape| Ok(tape.has_hooks_from(start)))?;
        let chunk = if hooked { 1 } else { chunk.clamp(1, total.max(1)) };
        Ok(Self { seeded: Leaves::from_slice(seeded), ranges, total, chunk })
    }

    /// Runs `sweep` for all chunks: for what is seeded, the seeds, and how many there are along a leading dimension, `None` for one
    /// seed without that dimension. The results are like `results`, with a leading dimension of all seeds.
    fn go(
        &self,
        flows_on: bool,
        results: &[Leaf],
        mut sweep: impl FnMut(&[Leaf], &[Leaf], Option<usize>) -> Result<Leaves>,
    ) -> Result<Leaves> {
        let mut chunks: Vec<Leaves> = Vec::new();
        for from in (0..self.total).step_by(self.chunk) {
            let to = self.total.min(from + self.chunk);
            let many = (self.chunk > 1).then_some(to - from);
            let scope = (!flows_on).then(|| Scope::open(|_| false));
            let (mut seeded, mut seeds) = (Leaves::new(), Leaves::new());
            for (&leaf, range) in self.seeded.iter().zip(&self.ranges) {
                if range.start < to && from < range.end {
                    seeded.push(leaf);
                    seeds.push(typed!(leaf, x => Leaf::from(x.unit_rows(range.start, from..to, many.is_some())?)));
                }
            }
            let mut found = sweep(&seeded, &seeds, many)?;
            if many.is_none() {
                found = found.iter().map(|&one| unsqueezed(one)).collect::<Result<_>>()?;
            }
            chunks.push(match scope {
                Some(scope) => scope.leave(found.into_vec()).into(),
                None => found,
            });
        }
        let join = |(k, &like): (usize, &Leaf)| match &chunks[..] {
            [] => or_zeros(like, None, Some(0)),
            [one] => Ok(one[k]),
            _ => typed!(like, x => x.joined(chunks.iter().map(|chunk| chunk[k]))),
        };
        results.iter().enumerate().map(join).collect()
    }
}

fn unsqueezed(leaf: Leaf) -> Result<Leaf> {
    typed!(leaf, x => Ok(Leaf::from(x.try_unsqueeze(0)?)))
}

/// What a leaf's type is needed for.
impl<E: FloatElement> TensorBase<E> {
    /// Rows `rows` of the identity whose first row is `first`, each of this tensor's shape: along a leading dimension, or the only one.
    fn unit_rows(self, first: usize, rows: Range<usize>, leading: bool) -> Result<Self> {
        let shape = self.try_shape()?;
        let numel = shape.numel();
        let mut values = filled(E::default(), rows.len().saturating_mul(numel))?;
        for (k, row) in rows.clone().enumerate() {
            if let Some(place) = row.checked_sub(first).filter(|&place| place < numel) {
                values[k * numel + place] = E::of(1.0);
            }
        }
        if leading {
            Self::try_from_slice(&values, joined(&[rows.len()], &shape))
        } else {
            Self::try_from_slice(&values, &shape)
        }
    }

    fn joined(self, parts: impl Iterator<Item = Leaf>) -> Result<Leaf> {
        Ok(Leaf::from(try_cat(&parts.map(Leaf::tensor::<E>).collect::<Vec<_>>(), 0)?))
    }
}

impl Leaf {
    /// `x` as a leaf of this one's type.
    fn of_its_type<E: FloatElement>(self, x: TensorBase<E>) -> Result<Self> {
        Ok(match self.dtype() {
            DType::F32 => Self::from(x.try_cast::<f32>()?),
            _ => Self::from(x.try_cast::<f64>()?),
        })
    }
}
