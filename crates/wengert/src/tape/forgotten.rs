//! What entries leave behind that has a destructor: dropped when the tape's borrow has ended, because destructors are code of
//! users. They may use the tape, and may panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use wengert_kernels::parallel::lose;

use super::{Tape, with};
use crate::error::Result;

/// Values that the tape has let go of. All destructors run; then the first panic among them goes on, unless one is under way.
#[derive(Default)]
pub(super) struct Forgotten(Vec<Rc<dyn Any>>);

impl Forgotten {
    pub fn push(&mut self, value: Rc<dyn Any>) {
        self.0.push(value);
    }
}

impl Drop for Forgotten {
    fn drop(&mut self) {
        if self.0.is_empty() {
            return;
        }
        let mut first = None;
        for value in self.0.drain(..) {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
                match first {
                    None => first = Some(panic),
                    Some(_) => lose(panic),
                }
            }
        }
        match first {
            Some(panic) if !std::thread::panicking() => resume_unwind(panic),
            Some(panic) => lose(panic),
            None => {}
        }
    }
}

impl Drop for Tape {
    /// The thread ends, and its tape is gone already; a destructor that misses it must not take the process along.
    fn drop(&mut self) {
        self.forget_hooks(0);
        self.nodes.truncate(0, &mut self.forgotten);
        let forgotten = std::mem::take(&mut self.forgotten);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(forgotten))) {
            lose(panic);
        }
    }
}

/// As [`with`], for an `f` that forgets entries: what they leave behind is dropped after the borrow.
#[inline]
pub(crate) fn with_forgetting<R>(f: impl FnOnce(&mut Tape) -> Result<R>) -> Result<R> {
    let (result, forgotten) = with(|tape| {
        let result = f(tape);
        Ok((result, std::mem::take(&mut tape.forgotten)))
    })?;
    drop(forgotten);
    result
}
