//! Hooks: functions of users that see, and may replace, the gradient of a tensor in the course of a sweep.

use std::rc::Rc;

use super::sweep::{Adjoint, Sweep, accumulate, copy_block, show_block};
use crate::anomaly;
use crate::element::FloatElement;
use crate::error::{Result, error, unwrap};
use crate::ops::Op;
use crate::shape::Shape;
use crate::tape::{self, Flags, Handle, Suspended, When, guarded};
use crate::tensor::TensorBase;

/// A registered hook. Dropping this leaves the hook where it is, until the scope of its tensor ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hook {
    owner: Handle,
    id: u32,
}

impl Hook {
    /// Removes the hook; nothing if it has been, or its tensor's scope has ended.
    pub fn remove(self) {
        // Dropped after the borrow: its destructor is the user's. An error means that the thread is ending, or the tape is lent
        // to a closure.
        drop(tape::with(|tape| Ok(tape.detach(self.owner, self.id))));
    }
}

impl crate::Escape for Hook {}

/// A hook as it is kept.
type OnComplete<E> = Box<dyn Fn(TensorBase<E>) -> Option<TensorBase<E>>>;
type OnAccumulated<E> = Box<dyn Fn(TensorBase<E>)>;

impl<E: FloatElement> TensorBase<E> {
    /// Calls `hook` with the gradient of this tensor whenever a sweep (`backward`, `grad`) has completed it. What it returns, if
    /// anything, takes the gradient's place: in `.grad`, in what `grad` returns, and in all that follows. Named as in PyTorch.
    ///
    /// Several hooks run in the order of their registration, each with what the one before it made; a retained gradient is that after
    /// all of them. A hook runs in the scope that the sweep was called from, and may call anything: operations (which are recorded
    /// with `create_graph`, else not), scopes, backward. The gradient that it is given lives in that scope, so it may be kept. A panic
    /// in a hook leaves the tape usable and all gradients as they were. (Of a tensor inside of a [`checkpoint`](crate::checkpoint), the
    /// gradient lives only as long as the recomputation.) After an in-place write, hooks registered before it see the
    /// gradient of what was overwritten.
    ///
    /// ```
    /// # use wengert::Tensor;
    /// let x = Tensor::new([1.0, 2.0]).requires_grad_(true);
    /// let y = x * 3.0;
    /// let clip = y.register_hook(|g| Some(g.clamp(-6.0, 6.0)));
    /// (y * y).sum().backward(); // 2 y = [6, 12]
    /// assert_eq!(x.grad().unwrap().to_vec(), [18.0, 18.0]);
    /// clip.remove();
    /// ```
    ///
    /// # Panics
    /// With the text of the error that [`Self::try_register_hook`] returns. The sweep fails if the hook returns a tensor of another
    /// shape, or a stale one.
    #[track_caller]
    pub fn register_hook(self, hook: impl Fn(Self) -> Option<Self> + 'static) -> Hook {
        unwrap(self.try_register_hook(hook))
    }

    /// [`Self::register_hook`], with the error returned.
    ///
    /// # Errors
    /// The tensor does not require a gradient; a stale handle.
    pub fn try_register_hook(self, hook: impl Fn(Self) -> Option<Self> + 'static) -> Result<Hook> {
        let run: OnComplete<E> = Box::new(hook);
        self.attach("register_hook", When::Complete, Rc::new(run))
    }

    /// Calls `hook` with this leaf whenever a `backward` has added to its gradient: when all gradients of that backward are in
    /// place, in the scope that it was called from. `grad` does not call it. Named as in PyTorch, where it may run before other leaves have
    /// their gradients.
    ///
    /// ```
    /// # use wengert::Tensor;
    /// let w = Tensor::new([1.0, 2.0]).requires_grad_(true);
    /// w.register_post_accumulate_grad_hook(|w| {
    ///     w.update(|values, grad| values.iter_mut().zip(grad).for_each(|(value, grad)| *value -= 0.25 * grad));
    ///     w.zero_grad();
    /// });
    /// (w * w).sum().backward();
    /// assert_eq!(w.to_vec(), [0.5, 1.0]);
    /// ```
    ///
    /// # Panics
    /// With the text of the error that [`Self::try_register_post_accumulate_grad_hook`] returns.
    #[track_caller]
    pub fn register_post_accumulate_grad_hook(self, hook: impl Fn(Self) + 'static) -> Hook {
        unwrap(self.try_register_post_accumulate_grad_hook(hook))
    }

    /// [`Self::register_post_accumulate_grad_hook`], with the error returned.
    ///
    /// # Errors
    /// The tensor does not require a gradient, or is not a leaf; a stale handle.
    pub fn try_register_post_accumulate_grad_hook(self, hook: impl Fn(Self) + 'static) -> Result<Hook> {
        let run: OnAccumulated<E> = Box::new(hook);
        self.attach("register_post_accumulate_grad_hook", When::Accumulated, Rc::new(run))
    }

    fn attach(self, what: &str, when: When, run: Rc<dyn std::any::Any>) -> Result<Hook> {
        tape::with(|tape| {
            let index = tape.locate(self.handle())?;
            let entry = tape.entry(index);
            if !entry.flags.has(Flags::GRAD) {
                return Err(error!(
                    Grad,
                    "{what}: the tensor of shape {:?} does not require a gradient, so the hook would never run; call \
                     `requires_grad_(true)` on it, or on a leaf before computing it",
                    tape.layout(index).shape()
                ));
            }
            if when == When::Accumulated && entry.op != Op::Leaf {
                return Err(error!(
                    Grad,
                    "{what}: the tensor of shape {:?} was computed by `{}`, and gradients accumulate in leaves; use `register_hook`",
                    tape.layout(index).shape(),
                    tape.name(entry)
                ));
            }
            let id = tape.attach(index, when, run)?;
            Ok(Hook { owner: tape.handle(index), id })
        })
    }
}

impl Sweep {
    /// Runs the hooks of entry `index` on its complete adjoint, and gives the one that goes on.
    pub(super) fn run_hooks<E: FloatElement>(&mut self, index: u32, adjoint: Adjoint) -> Result<Adjoint> {
        let hooks = tape::with(|tape| Ok(tape.hooks(index, When::Complete)))?;
        if hooks.is_empty() {
            return Ok(adjoint);
        }
        self.park(index)?;
        let (shown, suspended) = self.show::<E>(index, adjoint)?;
        let before = TensorBase::<E>::from_handle(shown);
        let mut g = before;
        for hook in &hooks {
            let hook = hook.downcast_ref::<OnComplete<E>>().expect("a hook is of its entry's type");
            if let Some(replaced) = guarded("register_hook", || Ok(hook(g)))? {
                check_replaced(index, g, replaced)?;
                g = replaced;
            }
        }
        if let Some(suspended) = suspended {
            suspended.end()?;
        }
        match adjoint {
            _ if g.is(before) => Ok(adjoint),
            Adjoint::Block(block) => tape::with(|tape| {
                let value = tape.resolve(g.handle())?;
                accumulate::<E>(tape, value, block, true)?;
                Ok(adjoint)
            }),
            _ => Ok(Adjoint::Tensor(g.handle())),
        }
    }

    /// The adjoint as a tensor that user code may keep. In a plain sweep, a copy in the caller's scope, which user code runs in.
    fn show<E: FloatElement>(&self, index: u32, adjoint: Adjoint) -> Result<(Handle, Option<Suspended>)> {
        match adjoint {
            Adjoint::Tensor(handle) => return Ok((handle, None)),
            // What a checkpoint computed again is needed until it is passed, and the gradient lives no longer.
            Adjoint::Block(block) if index >= self.inner => {
                return Ok((tape::with(|tape| show_block::<E>(tape, index, block))?, None));
            }
            _ => {}
        }
        let Adjoint::Block(copy) = tape::with(|tape| {
            let level = tape.level_of_scope(self.caller);
            copy_block::<E>(tape, index, adjoint, level)
        })?
        else {
            unreachable!("a copy of a block is a block")
        };
        let suspended = Suspended::start(self.caller)?;
        let shown = tape::with(|tape| {
            tape.arena.set_base(copy, tape.len());
            show_block::<E>(tape, index, copy)
        })?;
        Ok((shown, Some(suspended)))
    }
}

/// # Errors
/// A hook on entry `index` was given `g` and returned a tensor of another shape, a stale one or, in anomaly mode, one that is
/// not finite though `g` is.
fn check_replaced<E: FloatElement>(index: u32, g: TensorBase<E>, replaced: TensorBase<E>) -> Result<()> {
    let (shape, got): (Shape, Shape) = (g.try_shape()?, replaced.try_shape()?);
    if got != shape {
        return Err(error!(
            Shape,
            "register_hook: a hook on a tensor of shape {shape:?} returned a gradient of shape {got:?}; they must be equal"
        ));
    }
    if !anomaly::is_on() {
        return Ok(());
    }
    tape::with(|tape| {
        let (before, after) = (tape.resolve(g.handle())?, tape.resolve(replaced.handle())?);
        match anomaly::first_bad_of_entry(tape, after) {
            Some(bad) if anomaly::is_finite(tape, before) => Err(anomaly::hook_error(tape, index, &bad)),
            _ => Ok(()),
        }
    })
}

/// Runs the hooks of leaves whose gradients a sweep has added to.
pub(super) fn run_accumulated(leaves: &[Handle]) -> Result<()> {
    for &leaf in leaves {
        // A hook that ran before may have ended the leaf's scope.
        let Ok((dtype, hooks)) = tape::with(|tape| {
            let index = tape.check(leaf)?;
            Ok((tape.entry(index).dtype(), tape.hooks(index, When::Accumulated)))
        }) else {
            continue;
        };
        for hook in &hooks {
            guarded("register_post_accumulate_grad_hook", || {
                match dtype {
                    crate::DType::F32 => call::<f32>(&**hook, leaf),
                    _ => call::<f64>(&**hook, leaf),
                }
                Ok(())
            })?;
        }
    }
    Ok(())
}

fn call<E: FloatElement>(hook: &dyn std::any::Any, leaf: Handle) {
    hook.downcast_ref::<OnAccumulated<E>>().expect("a hook is of its entry's type")(TensorBase::from_handle(leaf));
}
