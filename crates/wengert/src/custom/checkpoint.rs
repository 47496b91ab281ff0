//! Checkpoints: functions whose intermediate results are computed again when backward needs them.
//!
//! ```text
//! forward    x ---- f ----> y      one entry: operands x and what f captured, value y; what f recorded is forgotten
//! backward   x ---- f ----> y      f again, recorded behind the tape's end, and compared with y;
//!            x <--- f' ---- g      then its entries are passed like those of the sweep itself, and forgotten
//! ```
//!
//! Griewank and Walther 2000, "Algorithm 799: revolve", is the general method; this is its two-level form (Chen et al. 2016,
//! "Training Deep Nets with Sublinear Memory Cost").

use wengert_kernels::strided::pack;

use super::tensors::{List, Tensors};
use super::{Outcome, Rule, parts};
use crate::autograd::{Backward, Forward};
use crate::element::FloatElement;
use crate::error::{Result, error, unwrap};
use crate::is_grad_enabled;
use crate::ops::elementwise::BLOCK;
use crate::random::{self, Replay};
use crate::shape::Shape;
use crate::tape::{self, Escape, Flags, Recording, Scope, Tape, guarded};
use crate::tensor::TensorBase;
use crate::trace;

/// The name in errors.
const NAME: &str = "checkpoint";

/// `f(inputs)`, of which only inputs and outputs stay in memory: what `f` computes in between is computed again during backward.
/// Named as `torch.utils.checkpoint`.
///
/// A network of n layers in √n checkpoints takes the memory of about 2√n layers, for one more evaluation of `f`. Gradients are
/// the same bits as without, for inputs and for tensors that `f` captures, in every mode (`grad`, `create_graph`, `jvp`).
/// Checkpoints may lie inside of checkpoints.
///
/// `f` must compute the same again: its random numbers repeat (the generator of [`crate::manual_seed`]), but what else it reads
/// must not change, and what it does beside computing happens twice. A result that differs is an error.
///
/// ```
/// use wengert::{checkpoint, Tensor};
///
/// let w = Tensor::randn([8, 8]).requires_grad_(true);
/// let x = Tensor::randn([4, 8]);
/// let y = checkpoint(move |x: Tensor| x.matmul(w).tanh().matmul(w).dropout(0.5, true), x);
/// y.sum().backward();
/// assert_eq!(w.grad().unwrap().shape(), [8, 8]);
/// ```
///
/// # Panics
/// With the errors of [`try_checkpoint`], and if `f` does.
#[track_caller]
pub fn checkpoint<I, O>(f: impl Fn(I) -> O + 'static, inputs: I) -> O
where
    I: Tensors,
    O: Tensors<Element = I::Element>,
{
    unwrap(try_checkpoint(f, inputs))
}

/// [`checkpoint`], with the error returned.
///
/// # Errors
/// A stale input. Backward's errors are those of the operations in `f`, and: an input or captured tensor that requires a gradient was
/// overwritten in place since; `f` gave another result than before.
#[track_caller]
pub fn try_checkpoint<I, O>(f: impl Fn(I) -> O + 'static, inputs: I) -> Result<O>
where
    I: Tensors,
    O: Tensors<Element = I::Element>,
{
    let _line = trace::note();
    tape::all_or_nothing(|| {
        let handles = inputs.list();
        let mut operands =
            tape::with(|tape| handles.iter().map(|x| tape.resolve(x.handle())).collect::<Result<List<u32>>>())?;
        let (count, random) = (operands.len(), random::state());
        let scope = Scope::enter();
        let start = tape::with(|tape| Ok(tape.len()))?;
        let outputs = guarded(NAME, || Ok(f(inputs)))?.list();
        if outputs.is_empty() {
            return Ok(O::of(&[]));
        }
        let shapes = outputs.iter().map(|y| y.try_shape()).collect::<Result<List<Shape>>>()?;
        let tracked = tape::with(|tape| note_captured(tape, start, &outputs, &mut operands))?;
        let outcome = Outcome { name: NAME, scope, outputs: &outputs, operands: tracked.then_some(&operands[..]) };
        let outputs = outcome.record(&shapes.clone(), |_| {
            let run = move |x: &[TensorBase<I::Element>]| f(I::of(x)).list();
            Ok(Box::new(Checkpoint { run, count, random, shapes }))
        })?;
        Ok(O::of(&outputs))
    })
}

/// Appends the entries before `start` that derivatives of the outputs flow to, and which are not among the operands yet; says
/// whether derivatives flow at all.
fn note_captured<E: FloatElement>(
    tape: &mut Tape,
    start: u32,
    outputs: &[TensorBase<E>],
    operands: &mut List<u32>,
) -> Result<bool> {
    let tracked = |tape: &Tape, index: u32| tape.entry(index).flags.has(Flags::GRAD);
    let mut captured = Vec::new();
    let mut any = false;
    for y in outputs {
        let index = tape.resolve(y.handle())?;
        any |= tracked(tape, index);
        captured.push(index);
    }
    for index in (start..tape.len()).filter(|&index| tracked(tape, index)) {
        captured.extend(tape.operands(index));
    }
    captured.sort_unstable();
    captured.dedup();
    captured.retain(|&index| index < start && tracked(tape, index) && !operands.contains(&index));
    operands.extend(captured);
    Ok(any && tape.grad_enabled)
}

/// The state of a checkpoint's entry.
struct Checkpoint<F> {
    run: F,
    /// How many of the operands are inputs; the others are captured.
    count: usize,
    /// Where the random generator stood when the function began.
    random: random::State,
    /// Of the outputs.
    shapes: List<Shape>,
}

impl<F> Checkpoint<F> {
    /// Records anew what the function does for the entry `index`; gives the outputs.
    ///
    /// # Errors
    /// An operand has changed; the outputs differ from those that were kept.
    fn again<E: FloatElement>(&self, index: u32, operands: &[u32]) -> Result<List<TensorBase<E>>>
    where
        F: Fn(&[TensorBase<E>]) -> List<TensorBase<E>>,
    {
        let inputs = tape::with(|tape| {
            operands.iter().try_for_each(|&operand| tape.check_unchanged(operand, index))?;
            let of = |&operand: &u32| TensorBase::from_handle(tape.handle(operand));
            Ok(operands[..self.count].iter().map(of).collect::<List<_>>())
        })?;
        let outputs = {
            let _recording = Recording::start()?;
            let _replay = Replay::from(self.random.clone());
            guarded(NAME, || Ok((self.run)(&inputs)))?
        };
        let shapes = outputs.iter().map(|y| y.try_shape()).collect::<Result<List<Shape>>>()?;
        if shapes != self.shapes {
            return Err(differs(&format!("shapes {shapes:?} instead of {:?}", self.shapes)));
        }
        tape::with(|tape| {
            // An output that was overwritten since can't be compared.
            if tape.check_unchanged(index, index).is_err() {
                return Ok(());
            }
            let mut before = 0;
            for (k, y) in outputs.iter().enumerate() {
                let y = tape.resolve(y.handle())?;
                if !is_equal::<E>(tape, y, index, before)? {
                    return Err(differs(&format!("other elements in output {k} of shape {:?}", self.shapes[k])));
                }
                before += self.shapes[k].numel();
            }
            Ok(())
        })?;
        Ok(outputs)
    }
}

#[cold]
fn differs(what: &str) -> crate::Error {
    error!(
        Value,
        "checkpoint: the function is not deterministic: when it was computed again for backward, it gave {what}; it must not depend \
         on what changes in between (counters, clocks, other random generators, tensors that are written in place)"
    )
}

/// Whether the elements of entry `y` are, bit for bit, those of entry `kept` from `before` on.
fn is_equal<E: FloatElement>(tape: &Tape, y: u32, kept: u32, before: usize) -> Result<bool> {
    let layout = tape.layout(y);
    let kept = &tape.data::<E>(kept)[before..before + layout.numel()];
    let same = |(a, b): (&E, &E)| Into::<f64>::into(*a).to_bits() == Into::<f64>::into(*b).to_bits();
    let mut equal = true;
    for (n, kept) in kept.chunks(BLOCK).enumerate() {
        equal &= tape.arena.scratch(kept.len(), |block: &mut [E]| {
            pack(tape.data(y), layout.shape(), layout.strides(), n * BLOCK, block);
            block.iter().zip(kept).all(same)
        })?;
    }
    Ok(equal)
}

impl<E: FloatElement, F: Fn(&[TensorBase<E>]) -> List<TensorBase<E>>> Rule<E> for Checkpoint<F> {
    fn backward(&self, cx: &mut Backward<'_, E>) -> Result<()> {
        let start = tape::with(|tape| Ok(tape.len()))?;
        let (index, operands) = cx.place();
        let outputs = self.again(index, operands)?;
        let grads = parts(cx.grad(), &self.shapes, super::grad_fn(NAME))?;
        let roots: List<_> = outputs.iter().zip(&grads).map(|(y, g)| (y.handle(), g.handle())).collect();
        cx.splice(start, &roots)
    }

    fn tangent(&self, cx: &Forward<E>) -> Result<TensorBase<E>> {
        let (index, operands) = cx.place();
        let run = || {
            let start = tape::with(|tape| Ok(tape.len()))?;
            let outputs = self.again(index, operands)?;
            super::joined(&cx.splice(start, &outputs)?)
        };
        if is_grad_enabled() {
            return run();
        }
        let scope = Scope::enter();
        let tangent = run()?;
        scope.leave_with(|exit| Ok(tangent.escape(exit)))
    }
}
