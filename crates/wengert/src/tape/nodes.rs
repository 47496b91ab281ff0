//! What user-defined operations keep: boxed state with destructors, on a list beside the entries.
//!
//! An entry of [`crate::ops::Op::Custom`] holds a place in this list. Forgetting entries leaves their nodes to
//! [`Forgotten`], because destructors are code of users.
//!
//! Invariant: the list grows and shrinks with the entries, so that those of the scopes outside keep their places.

use std::any::Any;
use std::rc::Rc;

use super::{Entry, Forgotten, Tape};
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
}

impl Nodes {
    pub fn len(&self) -> u32 {
        self.kept.len() as u32
    }

    /// Moves those from `len` on to the forgotten ones, the last first.
    #[inline]
    pub fn truncate(&mut self, len: u32, forgotten: &mut Forgotten) {
        if self.kept.len() > len as usize {
            self.kept.drain(len as usize..).rev().for_each(|node| forgotten.push(node.state));
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
