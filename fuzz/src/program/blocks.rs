//! Blocks of steps, and what contains blocks: scopes, modes, checkpoints, functions of the user's, panics.

use std::any::Any;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use wengert::{
    Context, Error, ErrorKind, Escape, Function, Result, Scope, TensorBase, enable_grad, memory, no_grad, scope, tape,
    try_checkpoint, try_detect_anomaly,
};

use super::{Float, Values, autograd, burn, indexing, networks, operations};
use crate::bytes::Bytes;
use crate::limited;

/// How deep blocks nest.
const DEPTH: usize = 3;

/// The payload of a panic that stands for one of the user's code. It passes by the panic hook, which would end the process.
struct Injected;

/// A panic of the user's.
pub fn give_up() -> ! {
    resume_unwind(Box::new(Injected))
}

/// The value, or a panic of the user's.
pub fn or_give_up<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|_| give_up())
}

/// Runs `f`; `None` if it panicked as the user's code does. Any other panic goes on.
pub fn catching<R>(f: impl FnOnce() -> R) -> Option<R> {
    let goes_on = |payload: Box<dyn Any + Send>| if payload.is::<Injected>() { None } else { resume_unwind(payload) };
    catch_unwind(AssertUnwindSafe(f)).map_or_else(goes_on, Some)
}

/// Runs steps until the bytes end.
pub fn block(bytes: &mut Bytes<'_>, values: &mut Values, depth: usize) {
    let mut guards = Vec::new();
    while !bytes.is_empty() && burn() {
        let done = catching(|| match bytes.byte() {
            250.. if guards.len() < 4 => guards.push(Scope::enter()),
            245.. if !guards.is_empty() => drop(guards.swap_remove(bytes.below(guards.len()))),
            byte if byte % 8 == 0 => step::<f32>(byte / 8, bytes, values, depth),
            byte => step::<f64>(byte / 8, bytes, values, depth),
        });
        if done.is_none() {
            limited(true);
            values.note(Ok(7));
        }
    }
}

fn step<E: Float>(family: u8, bytes: &mut Bytes<'_>, values: &mut Values, depth: usize) {
    match family % 16 {
        0..=2 => operations::elementwise::<E>(bytes, values),
        3 => operations::reduce::<E>(bytes, values),
        4 | 5 => operations::movement::<E>(bytes, values),
        6 => operations::products::<E>(bytes, values),
        7 => indexing::make::<E>(bytes, values),
        8 => indexing::index::<E>(bytes, values),
        9 => networks::networks::<E>(bytes, values),
        10 | 11 => autograd::sweep::<E>(bytes, values, depth),
        12 if depth < DEPTH => autograd::transform::<E>(bytes, values, depth),
        13 | 14 if depth < DEPTH => nested::<E>(bytes, values, depth),
        _ => look::<E>(bytes, values),
    }
}

/// What only looks at the tape.
fn look<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values) {
    let x: TensorBase<E> = values.float(bytes);
    let length = match bytes.below(6) {
        // Lines differ from run to run of another build only.
        0 => format!("{x}").len(),
        1 => tape::dump().len(),
        2 => tape::to_dot(x).len(),
        3 => {
            memory::trim();
            0
        }
        4 => return values.note(x.try_with_data(|data| x.try_exp().is_err() as u64 + data.len() as u64)),
        _ => format!("{x:?} {:?} {:?}", x.try_strides(), x.try_grad_fn()).len().min(1),
    };
    // Numbers of scopes are in texts.
    values.note(Ok(u64::from(length > 0)));
}

/// A block of its own on these tensors; its last value.
pub fn apply<E: Float>(code: &[u8], inputs: &[TensorBase<E>], depth: usize) -> TensorBase<E> {
    let mut values = or_give_up(Values::of(inputs));
    block(&mut Bytes(code), &mut values, depth + 1);
    if code.first().is_some_and(|first| first % 16 == 9) {
        give_up();
    }
    values.last()
}

/// [`apply`] with a result of one element.
pub fn apply_to_number<E: Float>(code: &[u8], inputs: &[TensorBase<E>], depth: usize) -> TensorBase<E> {
    or_give_up(apply(code, inputs, depth).try_sum())
}

impl Values {
    /// The program's values with these alone of their type.
    fn of<E: Float>(inputs: &[TensorBase<E>]) -> Result<Self> {
        let mut values = Self::start()?;
        *E::list(&mut values) = inputs.to_vec();
        Ok(values)
    }

    /// The last value that is alive.
    pub fn last<E: Float>(&mut self) -> TensorBase<E> {
        let last = E::list(self).iter().rev().find(|x| x.is_alive()).copied();
        last.unwrap_or_else(|| or_give_up(TensorBase::try_scalar(E::of(0.5))))
    }
}

fn nested<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values, depth: usize) {
    let kind = bytes.below(9);
    let code = bytes.part();
    let mut inner = || {
        let mut inner = values.clone();
        block(&mut Bytes(code), &mut inner, depth + 1);
        values.notes = std::mem::take(&mut inner.notes);
        let result = (inner.last::<E>(), inner.f64s[0]);
        // Plain scopes have no way to say that memory is short.
        limited(false);
        result
    };
    let result = match kind {
        0 | 1 => scope(inner),
        2 => no_grad(inner),
        3 => enable_grad(inner),
        4 => match try_detect_anomaly(|| scope(inner)) {
            Ok(result) => result,
            Err(error) => {
                limited(true);
                return values.note(Err(error));
            }
        },
        5 => {
            scope(|| -> () {
                inner();
                give_up()
            });
            return;
        }
        6 => return values.keep(custom::<E>(code, [values.clone().float(bytes), values.clone().float(bytes)], depth)),
        _ => {
            let (code, inputs) = (code.to_vec(), [values.float::<E>(bytes), values.float(bytes)]);
            return values.keep(try_checkpoint(move |x: [TensorBase<E>; 2]| apply(&code, &x, depth), inputs));
        }
    };
    limited(true);
    values.keep(Ok(result.0));
}

/// A user-defined function of two tensors that does what its code says, and whose derivative may fail in every way.
struct Custom<E> {
    code: Vec<u8>,
    depth: usize,
    element: PhantomData<E>,
}

fn custom<E: Float>(code: &[u8], inputs: [TensorBase<E>; 2], depth: usize) -> Result<TensorBase<E>> {
    Custom { code: code.to_vec(), depth, element: PhantomData }.try_apply(inputs)
}

impl<E: Float> Function<E> for Custom<E> {
    type Inputs = [TensorBase<E>; 2];
    type Outputs = TensorBase<E>;
    type Saved = Kept<E>;

    fn forward(&self, x: [TensorBase<E>; 2]) -> Result<(TensorBase<E>, Kept<E>)> {
        Ok((apply(&self.code, &x, self.depth).try_copy()?, Kept(x[0].try_exp()?)))
    }

    fn backward(&self, cx: &Context<'_, E, Self>, g: TensorBase<E>) -> Result<[Option<TensorBase<E>>; 2]> {
        let (x, total) = (cx.inputs()?, g.try_sum()?);
        Ok(match self.code.last().copied().unwrap_or(0) % 8 {
            0 => return Err(Error::new(ErrorKind::Value, "of the user")),
            1 => give_up(),
            2 => [Some(g), Some(g)],
            3 => [None, Some(x[1].try_mul(total)?)],
            4 => [Some(cx.saved()?.0.try_mul(total)?), None],
            5 => [Some(apply_to_number(&self.code, &x, self.depth).try_mul(x[0])?), None],
            _ => [Some(x[0].try_mul(total)?), Some(x[1].try_mul(total)?)],
        })
    }
}

/// A saved tensor.
struct Kept<E>(TensorBase<E>);
impl<E: Float> Escape for Kept<E> {
    fn escape(self, exit: &mut wengert::ScopeExit) -> Self {
        Self(self.0.escape(exit))
    }
}
