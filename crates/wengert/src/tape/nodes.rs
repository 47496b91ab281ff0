//! What user-defined operations keep: boxed state with destructors, on a list beside the entries.
//!
//! An entry of [`crate::ops::Op::Custom`] holds a place in this list. Forgetting entries moves their nodes to a second list, whose
//! destructors run when the tape's borrow has ended, because they are code of users: they may use the tape, and may panic.
//!
//! Invariant: the list grows and shrinks with the entries, so that those of the scopes outside keep their places.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use super::{Entry, Tape, with};
use crate::error::Result;
use crate::ops::Op;

/// The state of one user-defined operation.
#[derive(Clone)]
pub(crate) struct Node {
    /// The function's name.
    pub name: &'static str,
    /// A `Box<dyn Rule<E>>` of the entry's type.
    pub state: Rc<dyn Any>,
}

#[derive(Default)]
pub(super) struct Nodes {
    kept: Vec<Node>,
    /// Of entries that are forgotten.
    forgotten: Vec<Node>,
}

impl Nodes {
    pub fn len(&self) -> u32 {
        self.kept.len() as u32
    }

    /// Moves those from `len` on to the forgotten ones, the last first.
    #[inline]
    pub fn truncate(&mut self, len: u32) {
        if self.kept.len() > len as usize {
            self.forgotten.extend(self.kept.drain(len as usize..).rev());
        }
    }
}

impl Drop for Nodes {
    /// The thread ends, and its tape is gone already; a destructor that misses it must not take the process along.
    fn drop(&mut self) {
        self.truncate(0);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Forgotten(std::mem::take(&mut self.forgotten)))));
    }
}

/// Nodes that the tape has let go of. All destructors run; then the first panic among them goes on, unless one is under way.
struct Forgotten(Vec<Node>);

impl Drop for Forgotten {
    fn drop(&mut self) {
        let mut first = None;
        for node in self.0.drain(..) {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(node))) {
                match first {
                    None => first = Some(panic),
                    // What a panic carries may panic when it is dropped.
                    Some(_) => std::mem::forget(panic),
                }
            }
        }
        match first {
            Some(panic) if !std::thread::panicking() => resume_unwind(panic),
            other => std::mem::forget(other),
        }
    }
}

impl Tape {
    /// Keeps the state of an operation; its place.
    pub fn push_node(&mut self, node: Node) -> u32 {
        self.nodes.kept.push(node);
        self.nodes.len() - 1
    }

    /// The state of the user-defined operation that `entry` records.
    pub fn node(&self, entry: &Entry) -> &Node {
        &self.nodes.kept[entry.b as usize]
    }

    /// The name of the operation that `entry` records, as its method is called.
    pub fn name(&self, entry: &Entry) -> &'static str {
        match entry.op {
            Op::Custom => self.node(entry).name,
            op => op.name(),
        }
    }
}

/// As [`with`], for an `f` that forgets entries: their nodes are dropped after the borrow.
#[inline]
pub(crate) fn with_forgetting<R>(f: impl FnOnce(&mut Tape) -> Result<R>) -> Result<R> {
    let (result, forgotten) = with(|tape| {
        let result = f(tape);
        Ok((result, std::mem::take(&mut tape.nodes.forgotten)))
    })?;
    if !forgotten.is_empty() {
        drop(Forgotten(forgotten));
    }
    result
}
