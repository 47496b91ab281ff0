//! What all transforms do: open a scope, track the inputs there, and end the scope.

use smallvec::SmallVec;

use super::tree::{Leaf, Leaves, Tree, leaves, typed, with_leaves};
use crate::autograd::{Sweep, capture_many};
use crate::element::FloatElement;
use crate::error::{Result, error};
use crate::is_grad_enabled;
use crate::shape::Shape;
use crate::tape::{Escape, Handle, Scope, ScopeExit, with};
use crate::tensor::TensorBase;
use crate::trace;

/// A function that is being differentiated, in a scope of its own.
pub(super) struct Transform {
    scope: Scope,
    /// The tape's length when the scope began.
    pub start: u32,
    /// The inputs as entries of the scope, which derivatives flow through.
    pub inputs: Leaves,
    /// Whether the caller records derivatives.
    recording: bool,
}

impl Transform {
    /// Opens a scope for `op`; `x` with its inputs in the place of the tensors.
    ///
    /// # Errors
    /// There is no input, or one is stale.
    #[track_caller]
    pub fn open<X: Tree>(op: &str, x: &X) -> Result<(Self, X)> {
        let _line = trace::note();
        let given = leaves(x);
        if given.is_empty() {
            return Err(error!(
                Value,
                "{op}: there is nothing to differentiate with respect to: the inputs contain no tensor"
            ));
        }
        let recording = is_grad_enabled();
        let scope = Scope::open(|_| true);
        let start = with(|tape| Ok(tape.len()))?;
        let inputs = given.iter().map(|leaf| leaf.tracked()).collect::<Result<Leaves>>()?;
        let x = with_leaves(x, &inputs);
        Ok((Self { scope, start, inputs, recording }, x))
    }

    /// Whether derivatives of the result have to flow on to tensors outside of the scope: to inputs that are being
    /// differentiated there, to captured ones, or to the tensors `besides`.
    pub fn flows_on(&self, besides: &[Leaf]) -> Result<bool> {
        if !self.recording {
            return Ok(false);
        }
        for leaf in besides {
            if leaf.requires_grad()? {
                return Ok(true);
            }
        }
        with(|tape| Ok(tape.flows_across(self.start)))
    }

    /// Ends the scope. If derivatives of `results` flow on, its entries become the caller's; else it is rewound, and its
    /// results are copied out.
    pub fn close<A: Escape>(self, flows_on: bool, results: Leaves, aux: A) -> Result<(Leaves, A)> {
        if flows_on {
            with(|tape| {
                tape.settle(self.start);
                Ok(())
            })?;
            self.scope.merge()?;
            return Ok((results, aux));
        }
        let (Results(results), aux) = self.scope.leave((Results(results), aux));
        Ok((results, aux))
    }

    /// Ends the scope so that its entries become the caller's, and its inputs stay tracked.
    pub fn keep(self) -> Result<Leaves> {
        self.scope.merge()?;
        Ok(self.inputs)
    }
}

struct Results(Leaves);
impl Escape for Results {
    fn escape(self, exit: &mut ScopeExit) -> Self {
        Self(self.0.into_iter().map(|leaf| leaf.escape(exit)).collect())
    }
}

/// The products of `seeds` with the derivatives of `outputs` by `inputs`: zeros where no path leads. With `many`, each seed has a
/// leading dimension of that length, and the current mode says whether the products are recorded.
pub(super) fn pull(
    outputs: &[Leaf],
    seeds: &[Leaf],
    inputs: &[Leaf],
    recorded: bool,
    many: Option<usize>,
) -> Result<Leaves> {
    let mut roots = SmallVec::<[_; 4]>::new();
    for (output, seed) in outputs.iter().zip(seeds) {
        if output.requires_grad()? {
            roots.push((output.handle(), seed.handle()));
        }
    }
    let wanted: SmallVec<[_; 4]> = inputs.iter().map(|input| input.handle()).collect();
    let found = match many {
        None => Sweep::capture(&roots, &wanted, recorded)?.into(),
        Some(count) => capture_many(&roots, &wanted, count, 0)?,
    };
    inputs.iter().zip(found).map(|(&input, found)| or_zeros(input, found, many)).collect()
}

/// A tangent or gradient of the shape of `leaf`, zeros if there is none; with `many`, as many along a leading dimension.
pub(super) fn or_zeros(leaf: Leaf, found: Option<Handle>, many: Option<usize>) -> Result<Leaf> {
    match found {
        Some(found) => Ok(leaf.at(found)),
        None => typed!(leaf, x => {
            let shape: Shape = many.into_iter().chain(x.try_shape()?.iter().copied()).collect();
            Ok(Leaf::from(x.zeros_of(&shape)?))
        }),
    }
}

impl<E: FloatElement> TensorBase<E> {
    /// Zeros of this tensor's type.
    fn zeros_of(self, shape: &Shape) -> Result<Self> {
        Self::try_zeros(shape)
    }
}

/// The seed of a single element.
pub(super) fn one<E: FloatElement>(op: &str, y: TensorBase<E>) -> Result<Leaf> {
    let shape = y.try_shape()?;
    if shape.numel() != 1 {
        return Err(error!(
            Grad,
            "{op}: the function must give a single element, and it gave shape {shape:?}; reduce it, or use `jacrev` or `vjp`"
        ));
    }
    Ok(TensorBase::<E>::try_ones(&shape)?.into())
}

/// Checks that the outputs of a function are on the tape.
pub(super) fn check_alive(outputs: &[Leaf]) -> Result<()> {
    outputs.iter().try_for_each(|&output| typed!(output, y => y.try_shape()).map(drop))
}
