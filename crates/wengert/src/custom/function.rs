//! Functions with derivatives of their own, named as `torch.autograd.Function`.

use super::tensors::{List, Tensors};
use super::{Outcome, Rule, check_shapes, guarded, joined, parts};
use crate::autograd::{Backward, Forward, GradOptions, grad_with, saved};
use crate::element::FloatElement;
use crate::error::{Result, error, unwrap};
use crate::is_grad_enabled;
use crate::shape::Shape;
use crate::tape::{self, Escape, Flags, Passed, Recording, Scope};
use crate::tensor::TensorBase;
use crate::trace;

/// An operation with a derivative of your own: to use a better formula than the chain rule's, to differentiate what is computed
/// outside of tensor operations, or to change a gradient on purpose. Named as `torch.autograd.Function`.
///
/// A value of the type is one application: what it captures (numbers, masks, index tensors) are its arguments that have no
/// derivative. [`Function::apply`] calls it like any operation, in every mode: `backward`, `grad`, `create_graph`, `jvp`, `no_grad`.
///
/// ```
/// use wengert::{Context, FloatElement, Function, Result, Tensor, TensorBase};
///
/// /// ln(1 + e^x), whose derivative by the chain rule overflows for large x.
/// struct LogOnePlusExp;
///
/// impl<E: FloatElement> Function<E> for LogOnePlusExp {
///     type Inputs = TensorBase<E>;
///     type Outputs = TensorBase<E>;
///     type Saved = ();
///
///     fn forward(&self, x: TensorBase<E>) -> Result<(TensorBase<E>, ())> {
///         Ok((x.relu() + x.abs().neg().exp().log1p(), ()))
///     }
///
///     fn backward(&self, cx: &Context<'_, E, Self>, g: TensorBase<E>) -> Result<Option<TensorBase<E>>> {
///         let x = cx.inputs()?;
///         Ok(Some(g * x.sigmoid()))
///     }
/// }
///
/// let x = Tensor::new([-2.0, 0.0, 100.0]).requires_grad_(true);
/// let y = LogOnePlusExp.apply(x);
/// assert_eq!(y.grad_fn(), Some("LogOnePlusExpBackward"));
/// y.sum().backward();
/// assert_eq!(x.grad().unwrap().to_vec()[1..], [0.5, 1.0]);
/// ```
///
/// `forward` runs once, without derivatives, in a scope of its own. `backward` runs whenever a sweep passes: without derivatives in
/// a plain sweep; with them under `create_graph`, so that a `backward` written in tensor operations has derivatives of every
/// order. Both may call anything: operations, scopes, `backward`, `grad`. If they fail or panic, no gradient has changed.
pub trait Function<E: FloatElement>: Sized + 'static {
    /// The operands: a tensor, an array, a tuple or a `Vec` of tensors.
    type Inputs: Tensors<Element = E>;

    /// The results: the same choice.
    type Outputs: Tensors<Element = E>;

    /// What `forward` keeps for `backward` beside inputs and outputs, which are at hand anyway: tensors and plain data, in a tuple or a
    /// struct that implements [`Escape`].
    type Saved: Escape + 'static;

    /// `backward` is not made of tensor operations only, so it can't be differentiated: `create_graph` through it is refused.
    const ONCE_DIFFERENTIABLE: bool = false;

    /// The float tensors in [`Self::Saved`] that `forward` computed do not depend on the inputs (a random mask, for example).
    /// Unless this is set, [`Context::saved`] refuses to hand them to a `backward` that is differentiated, because their part
    /// of the second derivative would be missing.
    const SAVES_CONSTANTS: bool = false;

    /// The name in errors and, with `Backward` appended, in print. By default that of the type.
    fn name() -> &'static str {
        let name = std::any::type_name::<Self>();
        let name = name.split('<').next().unwrap_or(name);
        name.rsplit("::").next().unwrap_or(name)
    }

    /// Computes the outputs, and what `backward` will need. Whether input `x` needs a gradient, `x.requires_grad()` says.
    ///
    /// # Errors
    /// As you define them ([`crate::Error::new`]); [`Self::try_apply`] returns them.
    fn forward(&self, inputs: Self::Inputs) -> Result<(Self::Outputs, Self::Saved)>;

    /// The vector-Jacobian product: from the gradients with respect to the outputs, those with respect to the inputs, of their
    /// shapes. `None` stands for zeros; what is returned for an input that needs none is ignored ([`Context::needs_grad`]).
    ///
    /// # Errors
    /// As you define them; the sweep returns them.
    fn backward(&self, cx: &Context<'_, E, Self>, grads: Self::Outputs) -> Result<<Self::Inputs as Tensors>::Optional>;

    /// The Jacobian-vector product, for forward mode: from the tangents of the inputs (`None` stands for zeros) those of the
    /// outputs. By default [`Context::tangent_by_backward`].
    ///
    /// # Errors
    /// As you define them; the sweep returns them.
    fn tangent(
        &self,
        cx: &Context<'_, E, Self>,
        tangents: <Self::Inputs as Tensors>::Optional,
    ) -> Result<Self::Outputs> {
        cx.tangent_by_backward(tangents)
    }

    /// The function's value as an operation: recorded as one entry if an input requires a gradient.
    ///
    /// # Panics
    /// With the text of the error that [`Self::try_apply`] returns.
    #[track_caller]
    fn apply(self, inputs: Self::Inputs) -> Self::Outputs {
        unwrap(self.try_apply(inputs))
    }

    /// [`Self::apply`], with the error returned.
    ///
    /// # Errors
    /// A stale input; an error of [`Self::forward`]; a tensor that `forward` used without being given it, though it requires a gradient,
    /// which would be lost.
    #[track_caller]
    fn try_apply(self, inputs: Self::Inputs) -> Result<Self::Outputs> {
        let _line = trace::note();
        tape::all_or_nothing(|| apply(self, inputs))
    }
}

fn apply<E: FloatElement, F: Function<E>>(function: F, inputs: F::Inputs) -> Result<F::Outputs> {
    let name = F::name();
    let handles = inputs.list();
    let (operands, tracked) = tape::with(|tape| {
        let operands = handles.iter().map(|x| tape.resolve(x.handle())).collect::<Result<List<u32>>>()?;
        let tracked = tape.grad_enabled && operands.iter().any(|&x| tape.entry(x).flags.has(Flags::GRAD));
        Ok((operands, tracked))
    })?;
    let scope = Scope::open(|_| false);
    let start = tape::with(|tape| Ok(tape.len()))?;
    let (outputs, kept) = guarded(name, || function.forward(inputs))?;
    let outputs = outputs.list();
    if outputs.is_empty() {
        return Ok(F::Outputs::of(&[]));
    }
    let shapes = outputs.iter().map(|y| y.try_shape()).collect::<Result<List<Shape>>>()?;
    if tracked {
        check_reads(name, start, &operands)?;
    }
    let outcome = Outcome { name, scope, outputs: &outputs, operands: tracked.then_some(&operands[..]) };
    let outputs = outcome.record(&shapes.clone(), |exit| {
        let saved = kept.escape(exit);
        Ok(Box::new(Applied { function, saved, passed: exit.passed(), shapes }))
    })?;
    Ok(F::Outputs::of(&outputs))
}

/// # Errors
/// The entries from `start` on read a tensor that requires a gradient and is not among `operands`.
fn check_reads(name: &str, start: u32, operands: &[u32]) -> Result<()> {
    tape::with(|tape| {
        let read = (start..tape.len()).flat_map(|index| tape.operands(index));
        let lost = |&x: &u32| x < start && tape.entry(x).flags.has(Flags::GRAD) && !operands.contains(&x);
        match read.into_iter().find(lost) {
            None => Ok(()),
            Some(x) => Err(error!(
                Grad,
                "{name}: `forward` used a tensor of shape {:?} that requires a gradient and is not among the inputs, so its gradient \
                 would be lost; make it an input, or `detach()` it",
                tape.layout(x).shape()
            )),
        }
    })
}

/// The state of an entry that applied a function.
struct Applied<E: FloatElement, F: Function<E>> {
    function: F,
    saved: F::Saved,
    /// The tensors in `saved`.
    passed: Vec<Passed>,
    /// Of the outputs.
    shapes: List<Shape>,
}

/// What `backward` and `tangent` of a [`Function`] know of the application that they differentiate.
pub struct Context<'a, E: FloatElement, F: Function<E>> {
    applied: &'a Applied<E, F>,
    index: u32,
    operands: &'a [u32],
    needs: List<bool>,
    /// Whether what is computed is going to be differentiated.
    recorded: bool,
}

impl<E: FloatElement, F: Function<E>> Context<'_, E, F> {
    /// The inputs, with their history.
    ///
    /// # Errors
    /// One was overwritten in place after it was used.
    pub fn inputs(&self) -> Result<F::Inputs> {
        let inputs = self.operands.iter().map(|&x| saved(x, self.index)).collect::<Result<List<_>>>()?;
        Ok(F::Inputs::of(&inputs))
    }

    /// The outputs, with their history.
    ///
    /// # Errors
    /// One was overwritten in place.
    pub fn outputs(&self) -> Result<F::Outputs> {
        let y = saved(self.index, self.index)?;
        Ok(F::Outputs::of(&parts(y, &self.applied.shapes, super::grad_fn(F::name()))?))
    }

    /// What `forward` saved.
    ///
    /// # Errors
    /// A tensor among it was overwritten in place. If the derivative is recorded: a float tensor among it was computed by `forward`,
    /// so its history is lost ([`Function::SAVES_CONSTANTS`]).
    pub fn saved(&self) -> Result<&F::Saved> {
        for passed in &self.applied.passed {
            tape::with(|tape| {
                let index = tape.check(passed.handle)?;
                tape.check_unchanged(index, self.index)?;
                if self.recorded && passed.is_cut && !F::SAVES_CONSTANTS {
                    return Err(error!(
                        Grad,
                        "{}: the derivative is going to be differentiated, and `forward` saved a tensor of shape {:?} that it computed, \
                         whose dependence on the inputs is not known; use `inputs()` and `outputs()` instead, or set \
                         `SAVES_CONSTANTS` if it does not depend on them",
                        F::name(),
                        tape.layout(index).shape()
                    ));
                }
                Ok(())
            })?;
        }
        Ok(&self.applied.saved)
    }

    /// Whether the gradient with respect to input `k` is asked for; in `tangent`, whether input `k` has one.
    pub fn needs_grad(&self, k: usize) -> bool {
        self.needs.get(k).copied().unwrap_or(false)
    }

    /// Whether the result is going to be differentiated in turn, so that it must be made of tensor operations.
    pub fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// The tangents of the outputs by differentiating `backward`: the vector-Jacobian product is linear in the incoming gradient `v`,
    /// so the derivative of `<backward(v), t>` with respect to `v` is the Jacobian-vector product with `t`.
    ///
    /// # Errors
    /// The function is only once differentiable, or its `backward` turns out not to be made of tensor operations.
    pub fn tangent_by_backward(&self, tangents: <F::Inputs as Tensors>::Optional) -> Result<F::Outputs> {
        let (name, shapes) = (F::name(), &self.applied.shapes);
        if F::ONCE_DIFFERENTIABLE {
            return Err(error!(
                Grad,
                "{name}: there is no tangent rule, and none can be derived because `backward` is declared to be once differentiable; \
                 implement `tangent`"
            ));
        }
        let _recording = Recording::start()?;
        let shape = match &shapes[..] {
            [shape] => shape.clone(),
            _ => Shape::of(&[shapes.iter().map(Shape::numel).sum()]),
        };
        let v = TensorBase::<E>::try_ones(&shape)?.try_requires_grad_(true)?;
        let grads = self.products(v)?;
        let mut total: Option<TensorBase<E>> = None;
        for (grad, tangent) in grads.into_iter().zip(F::Inputs::optional_list(tangents)) {
            if let (Some(grad), Some(tangent)) = (grad, tangent) {
                let term = grad.try_mul(tangent)?.try_sum()?;
                total = Some(total.map_or(Ok(term), |total| total.try_add(term))?);
            }
        }
        let tangent = match total {
            Some(total) if total.try_requires_grad()? => {
                let options = GradOptions { create_graph: true, allow_unused: true };
                grad_with(total, &[v], None, options)?[0]
            }
            _ => None,
        };
        let tangent = tangent.map_or_else(|| v.try_zeros_like(), Ok)?;
        Ok(F::Outputs::of(&parts(tangent, shapes, super::grad_fn(name))?))
    }

    /// What `backward` gives for the gradient `g`, checked.
    fn products(&self, g: TensorBase<E>) -> Result<List<Option<TensorBase<E>>>> {
        let name = F::name();
        let incoming = F::Outputs::of(&parts(g, &self.applied.shapes, super::grad_fn(name))?);
        let grads = guarded(name, || self.applied.function.backward(self, incoming))?;
        let grads = F::Inputs::optional_list(grads);
        let shapes = tape::with(|tape| {
            Ok(self.operands.iter().map(|&x| Shape::of(tape.layout(x).shape())).collect::<List<Shape>>())
        })?;
        check_shapes(name, ["gradient", "input"], &grads, &shapes)?;
        if g.try_requires_grad()? {
            for (k, grad) in grads.iter().enumerate().filter(|&(k, _)| self.needs_grad(k)) {
                let Some(grad) = grad else { continue };
                if !grad.try_requires_grad()? && grad.try_to_vec()?.iter().any(|&x| x != E::default()) {
                    return Err(error!(
                        Grad,
                        "{name}: the gradient that `backward` gives for input {k} can't be differentiated; write it in tensor operations \
                         (under derivatives, without `detach` and `to_vec`), or set `ONCE_DIFFERENTIABLE`"
                    ));
                }
            }
        }
        Ok(grads)
    }
}

impl<E: FloatElement, F: Function<E>> Rule<E> for Applied<E, F> {
    fn backward(&self, cx: &mut Backward<'_, E>) -> Result<()> {
        let recorded = cx.is_recorded();
        if recorded && F::ONCE_DIFFERENTIABLE {
            return Err(error!(
                Grad,
                "{}: `create_graph` needs the derivative of `backward`, which is declared to be once differentiable; leave \
                 `create_graph` out, or write `backward` in tensor operations",
                F::name()
            ));
        }
        let needs: List<bool> = (0..cx.len()).map(|k| cx.needs(k)).collect();
        let (index, operands) = cx.place();
        let operands = List::from_slice(operands);
        let context = Context { applied: self, index, operands: &operands, needs, recorded };
        for (k, grad) in context.products(cx.grad())?.into_iter().enumerate() {
            if let Some(grad) = grad
                && context.needs_grad(k)
            {
                cx.add(k, grad)?;
            }
        }
        Ok(())
    }

    fn tangent(&self, cx: &Forward<E>) -> Result<TensorBase<E>> {
        let tangents: List<_> = (0..cx.len()).map(|k| cx.tangent(k)).collect();
        let needs = tangents.iter().map(Option::is_some).collect();
        let (index, operands) = cx.place();
        let context = Context { applied: self, index, operands, needs, recorded: is_grad_enabled() };
        let name = F::name();
        let tangents = F::Inputs::optional_of(&tangents);
        let outputs = guarded(name, || self.function.tangent(&context, tangents))?.list();
        let given: List<_> = outputs.iter().map(|&y| Some(y)).collect();
        check_shapes(name, ["tangent", "output"], &given, &self.shapes)?;
        joined(&outputs)
    }
}
