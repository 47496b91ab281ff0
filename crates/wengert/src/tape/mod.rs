//! The tape: a thread-local Wengert list of entries, in scopes that rewind it.
//!
//! ```text
//! entries   w  b | x  h  y  loss |            indices grow; an entry refers to earlier ones only
//! scopes    0    | 17            |            each activation has an id of its own, stored in its entries
//! levels    0    | 1             |            values, shapes and attributes lie in the level of their scope
//! ```
//!
//! Leaving a scope truncates the entries to where it began and resets its level. A handle is `(scope id, index)`: it is valid
//! while the entry at `index` carries that id, so a handle that outlived its scope is refused and never reads another tensor.
//!
//! Invariant: the tape is borrowed for the length of one operation and never while user code runs.
//! It does not know what an operation computes; `ops` does.

pub(crate) mod arena;
mod deferred;
mod dot;
mod dump;
mod entry;
pub(crate) mod escape;
mod forgotten;
mod hooks;
mod nodes;
mod position;
pub(crate) mod profile;
pub(crate) mod scope;
mod slots;
pub(crate) mod stats;
mod suspend;
mod values;
mod versions;

use std::cell::RefCell;
use std::collections::HashMap;

use self::arena::{Arena, Ref, Storage};
use self::deferred::Deferred;
pub use self::deferred::defer_from;
pub use self::dot::to_dot;
pub use self::dump::dump;
pub(crate) use self::entry::{Entry, Flags, Meta, Value};
pub(crate) use self::escape::{Escape, Passed, ScopeExit};
use self::forgotten::Forgotten;
pub(crate) use self::forgotten::with_forgetting;
use self::hooks::Hooks;
pub(crate) use self::hooks::When;
pub(crate) use self::nodes::Node;
use self::nodes::Nodes;
pub use self::position::{Position, position};
pub use self::profile::{Limits, Phase, Profile, ProfileRow, profile};
pub(crate) use self::scope::{Frame, Frames, NoGrad, Recording, Scope, guarded};
pub(crate) use self::slots::{Filling, Slot};
use self::stats::Stats;
pub(crate) use self::suspend::Suspended;
pub(crate) use self::values::Numbers;
use self::versions::Version;
use crate::anomaly;
pub use crate::autograd::Segment;
use crate::error::{Result, error};
use crate::ops::Op;
use crate::shape::Layout;
use crate::trace::{self, Line};

/// What a tensor handle names, without its element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Handle {
    pub scope: u32,
    pub index: u32,
}

/// Entries that a tape has room for at first.
const FIRST_ENTRIES: usize = 1024;

/// One thread's recorded operations.
pub(crate) struct Tape {
    entries: Vec<Entry>,
    /// The lines that recorded the entries, as far as they were noted; not longer than the tape.
    lines: Vec<Line>,
    constants: Vec<f64>,
    pub arena: Arena,
    /// The layout of a tensor of rank 0; made with the first one.
    rank0: Option<Ref<Meta>>,
    frames: Frames,
    slots: Vec<Slot>,
    nodes: Nodes,
    deferred: Deferred,
    hooks: Hooks,
    forgotten: Forgotten,
    /// Blocks that were written in place, and the latest position at which one was.
    written: Vec<Storage>,
    last_write: u32,
    versions: HashMap<u32, Version>,
    pub grad_enabled: bool,
    high_water: Stats,
}

thread_local! {
    static TAPE: RefCell<Tape> = RefCell::new(Tape::new());
}

/// Runs `f` on this thread's tape.
///
/// # Errors
/// Inside of `with_data`; while the thread is being torn down, when its tape is gone.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&mut Tape) -> Result<R>) -> Result<R> {
    let run = |tape: &RefCell<Tape>| match tape.try_borrow_mut() {
        Ok(mut tape) => f(&mut tape),
        Err(_) => Err(error!(
            Busy,
            "the tape is in use: inside of `with_data`, no tensor operation can run; copy the elements out with `to_vec`"
        )),
    };
    match TAPE.try_with(run) {
        Ok(result) => result,
        Err(_) => Err(error!(Stale, "the tape of this thread is gone: the thread is ending")),
    }
}

/// As [`with`], for a short cut: `None` if the tape is not to be had, which the general path reports.
#[inline(always)]
pub(crate) fn with_free<R>(f: impl FnOnce(&mut Tape) -> Option<R>) -> Option<R> {
    TAPE.try_with(
        #[inline(always)]
        |tape| match tape.try_borrow_mut() {
            Ok(mut tape) => f(&mut tape),
            Err(_) => None,
        },
    )
    .unwrap_or(None)
}

/// Runs `f`, which records several entries, and forgets those again if it fails.
#[inline]
pub(crate) fn all_or_nothing<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    let mark = with(|tape| Ok(tape.mark()))?;
    let result = f();
    if result.is_err() {
        with_forgetting(|tape| {
            tape.undo_slow(mark);
            Ok(())
        })?;
    }
    result
}

/// A position of the tape within a scope.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    scope: u32,
    entries: u32,
    constants: u32,
    nodes: u32,
}

impl Tape {
    fn new() -> Self {
        Self {
            entries: Vec::new(),
            lines: Vec::new(),
            constants: Vec::new(),
            arena: Arena::new(),
            rank0: None,
            frames: Frames::new(),
            slots: Vec::new(),
            nodes: Nodes::default(),
            deferred: Deferred::new(),
            hooks: Hooks::default(),
            forgotten: Forgotten::default(),
            written: Vec::new(),
            last_write: 0,
            versions: HashMap::new(),
            grad_enabled: true,
            high_water: Stats::default(),
        }
    }

    /// How many entries there are; the index of the next one.
    #[inline]
    pub fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    #[inline]
    pub fn entry(&self, index: u32) -> &Entry {
        &self.entries[index as usize]
    }

    #[inline]
    pub fn entry_mut(&mut self, index: u32) -> &mut Entry {
        &mut self.entries[index as usize]
    }

    pub fn meta(&self, index: u32) -> &Meta {
        self.arena.get(self.entry(index).meta)
    }

    pub fn layout(&self, index: u32) -> &Layout {
        &self.meta(index).layout
    }

    /// Whether two entries have one shape; many share their meta.
    pub fn same_shape(&self, a: u32, b: u32) -> bool {
        self.entry(a).meta == self.entry(b).meta || self.layout(a).shape() == self.layout(b).shape()
    }

    /// The bytes of the elements of entry `index`.
    pub fn bytes(&self, index: u32) -> usize {
        self.layout(index).numel() * self.entry(index).dtype().size()
    }

    /// The id of the current scope activation.
    #[inline]
    pub fn scope_id(&self) -> u32 {
        self.frames.innermost()
    }

    /// The handle of entry `index`.
    #[inline]
    pub fn handle(&self, index: u32) -> Handle {
        Handle { scope: self.entry(index).scope, index }
    }

    /// The entry that a handle names, as it was recorded.
    ///
    /// # Errors
    /// The handle outlived its scope, or belongs to another thread.
    #[inline]
    pub fn check(&self, handle: Handle) -> Result<u32> {
        match self.find(handle) {
            Some((index, _)) => Ok(index),
            None => Err(stale(handle)),
        }
    }

    /// As [`Self::check`], with the entry.
    #[inline]
    pub fn find(&self, handle: Handle) -> Option<(u32, &Entry)> {
        let entry = self.entries.get(handle.index as usize)?;
        if entry.scope == handle.scope { Some((handle.index, entry)) } else { None }
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// The tape holds 2^32 - 1 entries, or its budget is spent; in anomaly mode, a value that is not finite.
    #[inline]
    pub fn push(&mut self, entry: Entry) -> Result<u32> {
        self.reserve()?;
        if trace::is_on() {
            self.trace_slow(&entry)?;
        }
        let index = self.len();
        self.entries.push(entry);
        Ok(index)
    }

    /// Checks the value of the next entry in anomaly mode, and notes the line that records it.
    #[cold]
    fn trace_slow(&mut self, entry: &Entry) -> Result<()> {
        if anomaly::is_on() {
            anomaly::check_value(self, entry)?;
        }
        self.note_line(self.len(), trace::line());
        Ok(())
    }

    /// Sets the line of entry `index`, the last one or the next.
    pub fn note_line(&mut self, index: u32, line: Line) {
        // What was recorded while lines were not noted, or without memory for them, has none.
        self.lines.truncate(index as usize);
        if self.lines.try_reserve(index as usize + 1 - self.lines.len()).is_ok() {
            self.lines.resize(index as usize, None);
            self.lines.push(line);
        }
    }

    /// The line of the user's code that recorded entry `index`, if it was noted.
    pub fn line(&self, index: u32) -> Line {
        self.lines.get(index as usize).copied().flatten()
    }

    /// Makes room for the next entry.
    ///
    /// # Errors
    /// As [`Self::push`], which then can't fail.
    #[inline]
    pub fn reserve(&mut self) -> Result<()> {
        if self.entries.len() == self.entries.capacity() { self.grow_slow() } else { Ok(()) }
    }

    #[cold]
    fn grow_slow(&mut self) -> Result<()> {
        let len = self.entries.len();
        let more = len.max(FIRST_ENTRIES).min(u32::MAX as usize - len);
        if more == 0 {
            return Err(error!(Memory, "the tape is full with {len} entries; wrap the step in `scope`"));
        }
        self.arena.room(more * size_of::<Entry>())?;
        self.entries.try_reserve_exact(more).map_err(|_| {
            error!(Memory, "the tape: {more} entries more could not be allocated; wrap the step in `scope`")
        })?;
        self.count_entries();
        Ok(())
    }

    /// Gives the memory of what is not in use back to the system.
    fn trim(&mut self) {
        self.arena.trim();
        self.entries.shrink_to_fit();
        self.lines.shrink_to_fit();
        self.constants.shrink_to_fit();
        self.count_entries();
    }

    fn count_entries(&mut self) {
        self.arena.besides = self.entries.capacity() * size_of::<Entry>();
    }

    /// As [`Self::push_constant`]; `None` if that takes new memory.
    #[inline]
    pub fn push_constant_quick(&mut self, value: f64) -> Option<u32> {
        let index = self.constants.len();
        if index == self.constants.capacity() {
            return None;
        }
        self.constants.push(value);
        Some(index as u32)
    }

    /// Keeps a number that an operation uses as an operand.
    ///
    /// # Errors
    /// The system has no more memory.
    #[inline]
    pub fn push_constant(&mut self, value: f64) -> Result<u32> {
        if self.constants.len() == self.constants.capacity() {
            crate::error::reserve(&mut self.constants, 1)?;
        }
        self.constants.push(value);
        Ok(self.constants.len() as u32 - 1)
    }

    #[inline]
    pub fn constant(&self, index: u32) -> f64 {
        self.constants[index as usize]
    }

    /// The operands of entry `index` that are tensors.
    pub fn operands(&self, index: u32) -> smallvec::SmallVec<[u32; 4]> {
        self.operands_of(self.entry(index)).collect()
    }

    /// The operands that are tensors of an entry, which need not be on the tape yet.
    #[inline]
    pub fn operands_of<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = u32> + 'a {
        let (computed, listed) = (entry.op != Op::Leaf, entry.flags.has(Flags::LIST));
        let list = if computed && listed { self.arena.get_list(self.arena.get(entry.meta).operands) } else { &[] };
        let a = computed && !listed && !entry.flags.has(Flags::CONST_A);
        let b = computed && !listed && entry.op.is_binary() && !entry.flags.has(Flags::CONST_B);
        list.iter().copied().chain(a.then_some(entry.a)).chain(b.then_some(entry.b))
    }

    /// The operands of an entry that are numbers.
    pub fn numbers_of(&self, entry: &Entry) -> &[f64] {
        let (place, count) = match entry.op {
            Op::Elementwise(_) if entry.flags.has(Flags::LIST) => return &[],
            Op::Elementwise(_) if entry.flags.has(Flags::CONST_A) => (entry.a, 1),
            Op::Elementwise(op) if entry.flags.has(Flags::CONST_B) => (entry.b, op.row().arity - 1),
            _ => return &[],
        };
        &self.constants[place as usize..][..count]
    }

    /// Ends the innermost scope: forgets its entries, and with them all that refers to its level.
    pub(crate) fn rewind(&mut self) {
        let frame = self.frames.pop();
        self.note_high_water();
        self.forget_slots(frame.entries);
        self.forget_from(frame.entries, frame.constants, frame.nodes);
        self.grad_enabled = frame.grad_enabled;
        self.arena.leave();
    }

    /// Ends the scope `id` and those inside of it; none if it has ended already.
    pub(crate) fn rewind_through(&mut self, id: u32) {
        self.rewind_to(id);
        if self.scope_id() == id && self.frames.len() > 1 {
            self.rewind();
        }
    }

    /// Ends the scopes inside of scope `id`; none if that has ended itself.
    pub(crate) fn rewind_to(&mut self, id: u32) {
        if let Some(place) = self.frames.iter().rposition(|frame| frame.id == id) {
            while self.frames.len() > place + 1 {
                self.rewind();
            }
        }
    }

    /// Ends the scope `id`, and keeps its entries as if its parent had recorded them; what scopes inside of it recorded is
    /// forgotten. Nothing happens if it has ended already.
    pub(crate) fn merge(&mut self, id: u32) -> Result<()> {
        self.rewind_to(id);
        if self.scope_id() == id && self.frames.len() > 1 {
            self.arena.join()?;
            let frame = self.frames.pop();
            self.grad_enabled = frame.grad_enabled;
        }
        Ok(())
    }

    /// Whether `holds` is true of an operand of entry `index` that is a tensor.
    pub(crate) fn any_operand(&self, index: u32, holds: impl Fn(u32) -> bool) -> bool {
        self.operands_of(self.entry(index)).any(holds)
    }

    /// Whether a derivative flows from before entry `start` into one from `start` on.
    pub(crate) fn flows_across(&self, start: u32) -> bool {
        (start..self.len()).any(|index| {
            self.entry(index).flags.has(Flags::GRAD)
                && self.any_operand(index, |of| of < start && self.entry(of).flags.has(Flags::GRAD))
        })
    }

    /// The bytes of one adjoint of every entry from `start` on that derivatives flow through, and the highest rank among them.
    pub(crate) fn footprint(&self, start: u32) -> (usize, usize) {
        let tracked = (start..self.len()).filter(|&index| self.entry(index).flags.has(Flags::GRAD));
        tracked.fold((0, 0), |(bytes, rank), index| {
            let layout = self.layout(index);
            (bytes + layout.numel() * self.entry(index).dtype().size(), rank.max(layout.rank()))
        })
    }

    /// Lets derivatives flow through the entries from `start` on only where one flows into an operand: forgets that inputs
    /// of a derivative that is done were tracked.
    pub(crate) fn settle(&mut self, start: u32) {
        for index in start..self.len() {
            let entry = self.entry(index);
            if entry.op != Op::Leaf && entry.flags.has(Flags::GRAD) {
                let flows = self.any_operand(index, |of| self.entry(of).flags.has(Flags::GRAD));
                self.entry_mut(index).flags.set(Flags::GRAD, flows);
            }
        }
    }

    /// Starts a scope.
    ///
    /// # Errors
    /// The system has no memory to note it.
    pub(crate) fn enter(&mut self, grad_enabled: bool) -> Result<()> {
        self.frames.reserve()?;
        self.arena.enter()?;
        self.frames.push(Frame {
            id: scope::next_id(),
            entries: self.len(),
            constants: self.constants.len() as u32,
            nodes: self.nodes.len(),
            grad_enabled: self.grad_enabled,
        });
        self.grad_enabled = grad_enabled;
        Ok(())
    }

    /// Forgets the entries that the innermost scope has recorded so far, and stays in it.
    pub(crate) fn restart(&mut self) {
        let frame = *self.frames.last().expect("the root scope never ends");
        self.forget_from(frame.entries, frame.constants, frame.nodes);
        self.arena.clear();
    }

    /// The position that the next entry takes.
    fn mark(&self) -> Mark {
        let (constants, nodes) = (self.constants.len() as u32, self.nodes.len());
        Mark { scope: self.scope_id(), entries: self.len(), constants, nodes }
    }

    /// Forgets the entries from `mark` on, which are of the innermost scope; their memory is free when that ends. Nothing is
    /// left to forget if a function of the user's ended the scope.
    #[cold]
    fn undo_slow(&mut self, mark: Mark) {
        if self.len() > mark.entries && mark.scope == self.scope_id() {
            self.forget_slots(mark.entries);
            self.forget_from(mark.entries, mark.constants, mark.nodes);
        }
    }

    /// Forgets the entries from `entries` on, and what belongs to them.
    fn forget_from(&mut self, entries: u32, constants: u32, nodes: u32) {
        self.forget_hooks(entries);
        self.forget_writes(entries);
        self.forget_deferred(entries);
        self.truncate(entries);
        self.constants.truncate(constants as usize);
        self.nodes.truncate(nodes, &mut self.forgotten);
    }

    /// The level of the arena that belongs to scope `id`, which is open.
    pub fn level_of_scope(&self, id: u32) -> usize {
        self.frames.iter().rposition(|frame| frame.id == id).expect("the scope is open")
    }

    /// The level of the arena that entry `index` lies in.
    pub fn level_of(&self, index: u32) -> usize {
        self.frames.iter().rposition(|frame| frame.entries <= index).expect("the root scope starts at 0")
    }

    fn truncate(&mut self, len: u32) {
        self.entries.truncate(len as usize);
        self.lines.truncate(len as usize);
    }
}

#[cold]
fn stale(handle: Handle) -> crate::Error {
    let Handle { scope, index } = handle;
    error!(
        Stale,
        "tensor {index} of scope {scope} is not on this thread's tape: its scope has ended, or it was made on another \
         thread; return it from the scope, or move its data with `to_vec`"
    )
}
