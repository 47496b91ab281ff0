//! Operations that users define: [`Function`], and what is built like one.
//!
//! ```text
//! apply(f, inputs)                 one entry, whatever `f` does inside
//!     scope without derivatives    f.forward(inputs) -> outputs, saved
//!     entry `Custom`               value: the output (several outputs: their elements one after another, and views of it)
//!     node, beside the entries     f, saved, shapes of the outputs
//! ```
//!
//! Invariant: code of users runs while the tape is not borrowed, in a scope of its own or within [`guarded`], so that it may use
//! the tape in every way, leave guards behind, and panic.

mod checkpoint;
mod function;
mod sequential;
mod tensors;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

pub use self::checkpoint::{checkpoint, try_checkpoint};
pub use self::function::{Context, Function};
pub use self::sequential::{Segments, checkpoint_sequential, try_checkpoint_sequential};
use self::tensors::List;
pub use self::tensors::Tensors;
use crate::anomaly;
use crate::autograd::{Backward, Forward};
use crate::element::FloatElement;
use crate::error::{Result, error};
use crate::ops::Op;
use crate::ops::movement::cat::try_cat;
use crate::ops::movement::reshape::reshaped;
use crate::shape::Shape;
use crate::tape::{self, Flags, Meta, Node, Scope, ScopeExit, guarded};
use crate::tensor::TensorBase;

/// How an entry of [`Op::Custom`] is differentiated.
pub(crate) trait Rule<E: FloatElement> {
    /// Adds the vector-Jacobian product to each operand that needs one.
    fn backward(&self, cx: &mut Backward<'_, E>) -> Result<()>;
    /// The Jacobian-vector product with the operands' tangents.
    fn tangent(&self, cx: &Forward<E>) -> Result<TensorBase<E>>;
}

/// The name that print shows for a function of this name.
pub(crate) fn grad_fn(name: &'static str) -> &'static str {
    /// What was put together once stays, as there are only so many functions.
    static NAMES: Mutex<BTreeMap<&'static str, &'static str>> = Mutex::new(BTreeMap::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.entry(name).or_insert_with(|| {
        let (first, rest) = name.split_at(name.chars().next().map_or(0, char::len_utf8));
        Box::leak(format!("{}{rest}Backward", first.to_uppercase()).into_boxed_str())
    })
}

/// The rule of entry `index`, kept alive while it runs.
fn rule<E: FloatElement>(index: u32) -> Result<Rc<Box<dyn Rule<E>>>> {
    let node = tape::with(|tape| Ok(tape.node(tape.entry(index)).clone()))?;
    Ok(node.state.downcast().expect("a node is of its entry's type"))
}

/// Passes an entry of [`Op::Custom`] in a reverse sweep.
pub(crate) fn backward<E: FloatElement>(cx: &mut Backward<'_, E>) -> Result<()> {
    // What the function makes beside its results is forgotten after a plain sweep has added those.
    let _scope = cx.plain_sweep().is_some().then(Scope::enter);
    rule::<E>(cx.place().0)?.backward(cx)
}

/// Passes an entry of [`Op::Custom`] in a forward sweep.
pub(crate) fn tangent<E: FloatElement>(cx: &Forward<E>) -> Result<TensorBase<E>> {
    rule::<E>(cx.place().0)?.tangent(cx)
}

/// What a function gave, to become one entry.
struct Outcome<'a, E> {
    name: &'static str,
    /// The scope that the function ran in.
    scope: Scope,
    outputs: &'a [TensorBase<E>],
    /// If derivatives flow: the entries that they flow to.
    operands: Option<&'a [u32]>,
}

impl<E: FloatElement> Outcome<'_, E> {
    /// Ends the scope and records the outputs, with the rule that `rule` makes while the scope ends; gives them as tensors of the
    /// scope outside.
    fn record(
        self,
        shapes: &[Shape],
        rule: impl FnOnce(&mut ScopeExit) -> Result<Box<dyn Rule<E>>>,
    ) -> Result<List<TensorBase<E>>> {
        let joined = joined(self.outputs)?;
        let is_own = tape::with(|tape| {
            let index = tape.resolve(joined.handle())?;
            Ok(tape.is_innermost(index))
        })?;
        let joined = if is_own { joined } else { joined.try_copy()? };
        let (y, rule) = self.scope.leave_with(|exit| {
            let y = exit.output(joined)?;
            Ok((y, if self.operands.is_some() { Some(rule(exit)?) } else { None }))
        })?;
        tape::with(|tape| {
            let index = y.handle().index;
            if let (Some(operands), Some(rule)) = (self.operands, rule) {
                let layout = *tape.layout(index);
                let operands = tape.arena.put_list(operands)?;
                let meta = tape.arena.put(Meta { layout, operands, attrs: None })?;
                let node = tape.push_node(Node { name: self.name, state: Rc::new(rule) });
                let entry = tape.entry_mut(index);
                (entry.op, entry.meta, entry.b) = (Op::Custom, meta, node);
                entry.flags.set(Flags::LIST | Flags::GRAD, true);
                if anomaly::is_on() {
                    anomaly::check_value(tape, tape.entry(index))?;
                }
            } else {
                tape.entry_mut(index).flags.set(Flags::GRAD, false);
            }
            Ok(())
        })?;
        parts(y, shapes, grad_fn(self.name))
    }
}

/// Several outputs as one tensor.
fn joined<E: FloatElement>(outputs: &[TensorBase<E>]) -> Result<TensorBase<E>> {
    if let [output] = outputs {
        return Ok(*output);
    }
    let flat = outputs.iter().map(|y| y.try_reshape([y.try_numel()?])).collect::<Result<List<_>>>()?;
    try_cat(&flat, 0)
}

/// The outputs of these shapes that [`joined`] made one tensor of.
fn parts<E: FloatElement>(y: TensorBase<E>, shapes: &[Shape], grad_fn: &'static str) -> Result<List<TensorBase<E>>> {
    if shapes.len() == 1 {
        return Ok(List::from_slice(&[y]));
    }
    let mut end = 0;
    let next = |shape: &Shape| {
        end += shape.numel();
        reshaped(y.try_narrow(0, end - shape.numel(), shape.numel())?, shape, grad_fn)
    };
    shapes.iter().map(next).collect()
}

/// Checks that each of `given`, where there is one, has the shape of its counterpart.
fn check_shapes<E: FloatElement>(
    name: &str,
    what: [&str; 2],
    given: &[Option<TensorBase<E>>],
    shapes: &[Shape],
) -> Result<()> {
    let [what, whose] = what;
    if given.len() != shapes.len() {
        return Err(error!(
            Shape,
            "{name}: {} {what}s were returned for {} {whose}s; each needs one",
            given.len(),
            shapes.len()
        ));
    }
    for (k, (given, shape)) in given.iter().zip(shapes).enumerate() {
        if let Some(given) = given
            && given.try_shape()? != *shape
        {
            return Err(error!(
                Shape,
                "{name}: the {what} of {whose} {k} was returned with shape {:?}, but the {whose} has shape {shape:?}; they must \
                 be equal",
                given.shape()
            ));
        }
    }
    Ok(())
}
