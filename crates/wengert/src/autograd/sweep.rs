//! The reverse sweep.
//!
//! ```text
//! for each entry, last to first, that has an adjoint:
//!     a leaf, or a tensor that retains its gradient: accumulate the adjoint into its slot
//!     for each operand that needs a gradient: add the vector-Jacobian product to the operand's adjoint
//!     the adjoint's block is free again
//! ```
//!
//! There are two modes. A *plain* sweep keeps adjoints in blocks of a level of their own: elementwise products run as flat kernels
//! from block to block; rules of structured operations record scratch entries behind the tape's end, without
//! derivatives, which are forgotten after each. A *recorded* sweep (`create_graph`) keeps adjoints as tensors and records all.
//!
//! Invariant: a sweep that fails changes no gradient. A slot that was empty is stored into directly and marked empty again on
//! failure; one that was full gets its share when the sweep has succeeded.

mod boundary;
mod lists;
mod numbers;
mod park;
mod region;
mod splice;

use wengert_kernels::map;
use wengert_kernels::strided::pack;

use self::boundary::Boundary;
pub(super) use self::lists::Adjoint;
pub(crate) use self::lists::trim;
use self::lists::{LISTS, Lists};
use super::Backward;
use super::wanted::{Wanted, own_gradient};
use super::watch::Watch;
use crate::anomaly;
use crate::custom;
use crate::element::{DType, Element, FloatElement};
use crate::error::{Result, filled, reserve};
use crate::ops::Op;
use crate::ops::elementwise::{self, Elementwise};
use crate::shape::{Layout, Shape};
use crate::tape::arena::{Storage, lend};
use crate::tape::profile::{self, Phase, Work};
use crate::tape::{self, Entry, Filling, Flags, Handle, Meta, Scope, Slot, Tape, Value, When};
use crate::tensor::TensorBase;

/// Which gradients a sweep is for.
enum Purpose {
    /// All leaves that it reaches, into their slots.
    Accumulate,
    /// These entries.
    Capture(Wanted),
}

/// A sweep under way.
pub(crate) struct Sweep {
    recorded: bool,
    purpose: Purpose,
    /// The id of the scope that the sweep was called from: hooks run there.
    pub(super) caller: u32,
    /// Leaves whose hooks wait for the end.
    accumulated: Vec<Handle>,
    /// Where a sweep over a part of the tape ends.
    boundary: Option<Boundary>,
    /// No entry below it has an adjoint.
    lowest: u32,
    /// Where a plain sweep keeps adjoints; its caller's level lies below, scratch entries and scopes of user code above.
    level: usize,
    /// Where a recomputation that is being passed begins. What it records is none of the user's: no gradient of it is kept.
    pub(super) inner: u32,
    lists: Lists,
}

impl Sweep {
    fn new(caller: u32, recorded: bool, purpose: Purpose, lists: Lists) -> Self {
        let (accumulated, boundary) = (Vec::new(), None);
        Self { recorded, purpose, caller, accumulated, boundary, lowest: u32::MAX, level: 0, inner: u32::MAX, lists }
    }

    /// Accumulates the gradients of the leaves below `roots`, each with its seed. Gives the leaves whose hooks wait for that, to be
    /// run in the scope `caller`, which may lie outside of the current one.
    pub fn accumulate(caller: u32, roots: &[(Handle, Handle)], recorded: bool) -> Result<Vec<Handle>> {
        let mut sweep = Self::new(caller, recorded, Purpose::Accumulate, LISTS.take());
        sweep.run_in_scope(roots)?;
        Ok(std::mem::take(&mut sweep.accumulated))
    }

    /// The gradients of `wanted`, as tensors of the current scope; `None` where no path leads there.
    pub fn capture(roots: &[(Handle, Handle)], wanted: &[Handle], recorded: bool) -> Result<Vec<Option<Handle>>> {
        let (wanted, caller) = tape::with(|tape| Ok((Wanted::new(tape, wanted)?, tape.scope_id())))?;
        Self::new(caller, recorded, Purpose::Capture(wanted), LISTS.take()).run_in_scope(roots)
    }

    /// Opens the scopes that a plain sweep works in, and runs it. The outer scope's level holds adjoints, the inner one's
    /// the scratch entries of rules.
    fn run_in_scope(&mut self, roots: &[(Handle, Handle)]) -> Result<Vec<Option<Handle>>> {
        if self.recorded {
            // Also inside of `no_grad`, as the derivatives were asked for.
            let _recording = tape::Recording::start()?;
            self.run(roots)?;
        } else {
            let _adjoints = tape::NoGrad::enter();
            self.level = tape::with(|tape| Ok(tape.arena.depth()))?;
            let _scratch = Scope::enter();
            self.run(roots)?;
        }
        let Purpose::Capture(wanted) = &mut self.purpose else { return Ok(Vec::new()) };
        let mut gradients = filled(None, wanted.len())?;
        tape::with(|tape| {
            for (index, place, found) in wanted.found() {
                gradients[place] = own_gradient(tape, index, found)?;
            }
            Ok(gradients)
        })
    }

    fn run(&mut self, roots: &[(Handle, Handle)]) -> Result<()> {
        let end = self.seed(roots)?;
        self.run_between(0, end)?;
        self.commit()
    }

    /// Passes the entries from `start` up to `end`, last to first.
    fn run_between(&mut self, start: u32, mut end: u32) -> Result<()> {
        while end > start.max(self.lowest) {
            if !self.recorded && self.boundary.is_none() && !anomaly::is_on() {
                end = tape::with(|tape| self.pass_numbers(tape, start, end))?;
                if end == start {
                    break;
                }
            }
            let index = end - 1;
            end = index;
            if matches!(self.lists.adjoints[index as usize], Adjoint::Block(_) | Adjoint::Uniform(_))
                && tape::with(|tape| self.pass_region(tape, start, index))?
            {
                continue;
            }
            let adjoint = std::mem::replace(&mut self.lists.adjoints[index as usize], Adjoint::None);
            if matches!(adjoint, Adjoint::None) {
                continue;
            }
            match tape::with(|tape| Ok(tape.entry(index).dtype()))? {
                DType::F32 => self.pass::<f32>(index, adjoint)?,
                _ => self.pass::<f64>(index, adjoint)?,
            }
        }
        if self.lowest >= start {
            self.lowest = u32::MAX;
        }
        Ok(())
    }

    /// Gives the roots their seeds; the end of the entries up to the highest root.
    fn seed(&mut self, roots: &[(Handle, Handle)]) -> Result<u32> {
        let mut end = 0;
        for &(root, seed) in roots {
            let (index, dtype) = tape::with(|tape| {
                // A part of the tape may end at a version that was replaced since.
                let index = if self.boundary.is_some() { tape.check(root)? } else { tape.locate(root)? };
                Ok((index, tape.entry(index).dtype()))
            })?;
            end = end.max(index + 1);
            if self.lists.adjoints.len() < end as usize {
                let more = end as usize - self.lists.adjoints.len();
                reserve(&mut self.lists.adjoints, more)?;
                self.lists.adjoints.resize(end as usize, Adjoint::None);
            }
            match dtype {
                DType::F32 => self.add::<f32>(index, TensorBase::from_handle(seed))?,
                _ => self.add::<f64>(index, TensorBase::from_handle(seed))?,
            }
        }
        Ok(end)
    }

    /// Whether entry `operand` takes part.
    pub fn needs(&self, tape: &Tape, operand: u32) -> bool {
        tape.entry(operand).flags.has(Flags::GRAD)
            && match &self.purpose {
                Purpose::Accumulate => self.boundary.as_ref().is_none_or(|boundary| boundary.needs(tape, operand)),
                Purpose::Capture(wanted) => wanted.is_reached(operand),
            }
    }

    /// Passes entry `index`, whose adjoint is complete.
    fn pass<E: FloatElement>(&mut self, index: u32, adjoint: Adjoint) -> Result<()> {
        let (op, hooked, adjoint) = tape::with(|tape| {
            if let Purpose::Capture(wanted) = &mut self.purpose {
                wanted.reach(tape, index);
            }
            let adjoint = match adjoint {
                Adjoint::Number(number) | Adjoint::Uniform(number) => {
                    Adjoint::Block(self.block_of(tape, index, E::of(number))?)
                }
                other => other,
            };
            let entry = tape.entry(index);
            Ok((entry.op, entry.flags.has(Flags::SLOT), adjoint))
        })?;
        if self.boundary.is_some() && self.ends_at_boundary::<E>(index, op, adjoint)? {
            return Ok(());
        }
        let adjoint = if hooked { self.run_hooks::<E>(index, adjoint)? } else { adjoint };
        self.keep_if_wanted::<E>(index, adjoint)?;
        self.deliver::<E>(index, op, adjoint)?;
        let watch = Watch::begin::<E>(self, index, adjoint)?;
        if op == Op::Leaf {
            return Ok(());
        }
        let span = profile::span(Phase::Backward, || tape::with(|tape| Ok(work(tape, index, 1))).ok());
        match op {
            Op::Leaf => {}
            Op::Elementwise(op) => self.pass_elementwise::<E>(index, op, adjoint)?,
            Op::Structured(_) | Op::Custom => self.pass_structured::<E>(index, op, adjoint)?,
        }
        if let Some(watch) = watch {
            watch.end(self, index)?;
        }
        drop(span);
        if let Adjoint::Block(block) = adjoint {
            let numel = tape::with(|tape| Ok(tape.layout(index).numel()))?;
            self.lists.free(E::DTYPE, numel, block);
        }
        Ok(())
    }

    /// Hands a complete adjoint to the slot or the caller that waits for it.
    fn deliver<E: FloatElement>(&mut self, index: u32, op: Op, adjoint: Adjoint) -> Result<()> {
        if index >= self.inner {
            return Ok(());
        }
        if let Purpose::Capture(wanted) = &mut self.purpose {
            for place in wanted.places(index) {
                let kept = match adjoint {
                    Adjoint::Block(_) => tape::with(|tape| copy_block::<E>(tape, index, adjoint, self.level - 1))?,
                    other => other,
                };
                wanted.set(place, kept);
            }
            return Ok(());
        }
        let slot = tape::with(|tape| match op {
            Op::Leaf => tape.slot_or_new(index).map(Some),
            _ => Ok(tape.slot_of(index)),
        })?;
        let Some(slot) = slot else { return Ok(()) };
        // Made here, where the sweep can still fail.
        tape::with(|tape| tape.slot_storage::<E>(slot))?;
        let kept = match (adjoint, op) {
            // The sweep is done with a leaf's adjoint; that of another entry will be reused.
            (Adjoint::Block(_), Op::Leaf) | (Adjoint::Tensor(_), _) => adjoint,
            _ => tape::with(|tape| copy_block::<E>(tape, index, adjoint, self.level))?,
        };
        reserve(&mut self.lists.shares, 1)?;
        self.lists.shares.push((index, kept));
        Ok(())
    }

    fn pass_elementwise<E: FloatElement>(&mut self, index: u32, op: Elementwise, adjoint: Adjoint) -> Result<()> {
        let products = tape::with(|tape| elementwise::products(tape, index, op))?;
        for product in &products {
            match adjoint {
                Adjoint::Block(g) => tape::with(|tape| {
                    if self.needs(tape, product.operand) {
                        let (target, first) = self.target::<E>(tape, product.operand)?;
                        elementwise::sweep::<E>(tape, index, op, product, g, target, first)?;
                        tape.restart();
                    }
                    Ok(())
                })?,
                Adjoint::Tensor(g) => {
                    if tape::with(|tape| Ok(self.needs(tape, product.operand)))? {
                        let g = TensorBase::<E>::from_handle(g);
                        let full = elementwise::recorded(index, op, product.rule, g)?;
                        let shape = tape::with(|tape| Ok(Shape::of(tape.layout(product.operand).shape())))?;
                        let full = if full.numel() < g.numel() { full.try_expand(g.shape())? } else { full };
                        self.add(product.operand, full.try_sum_to(&shape)?)?;
                    }
                }
                _ => unreachable!("an entry is passed with its adjoint"),
            }
        }
        Ok(())
    }

    fn pass_structured<E: FloatElement>(&mut self, index: u32, op: Op, adjoint: Adjoint) -> Result<()> {
        let g = match adjoint {
            Adjoint::Tensor(handle) => handle,
            Adjoint::Block(block) => tape::with(|tape| show_block::<E>(tape, index, block))?,
            _ => unreachable!("an entry is passed with its adjoint"),
        };
        let mut cx = Backward::<E>::new(self, index, TensorBase::from_handle(g))?;
        match op {
            Op::Structured(op) => op.backward(&mut cx)?,
            _ => custom::backward(&mut cx)?,
        }
        if !self.recorded {
            tape::with(|tape| {
                tape.restart();
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Where the gradient of entry `operand` accumulates in a plain sweep, and whether nothing is there yet.
    pub fn target<E: FloatElement>(&mut self, tape: &mut Tape, operand: u32) -> Result<(Storage, bool)> {
        let is_kept = operand < self.inner && matches!(self.purpose, Purpose::Accumulate);
        // Numbers are summed up outside of their slots.
        if is_kept && tape.entry(operand).op == Op::Leaf && !tape.entry(operand).is_inline() {
            let slot = tape.slot_or_new(operand)?;
            let Slot { state, filler, .. } = *tape.slot(slot);
            // A slot that the sweep around this one fills is left to it, as is one with a gradient; and what a hook waits for
            // must be complete.
            let is_apart = !matches!(self.lists.adjoints[operand as usize], Adjoint::None)
                || tape.has_hooks(operand, When::Complete)
                || self.boundary.as_ref().is_some_and(|boundary| boundary.wants(operand));
            if !is_apart && (state == Filling::Empty || (state == Filling::Partial && filler == self.level)) {
                if state == Filling::Empty {
                    reserve(&mut self.lists.filling, 1)?;
                    tape.slot_mut(slot).state = Filling::Partial;
                    tape.slot_mut(slot).filler = self.level;
                    self.lists.filling.push(operand);
                }
                return Ok((tape.slot_storage::<E>(slot)?, state == Filling::Empty));
            }
        }
        match self.lists.adjoints[operand as usize] {
            Adjoint::Block(block) => Ok((block, false)),
            Adjoint::Number(number) | Adjoint::Uniform(number) => {
                let block = self.block_of(tape, operand, E::of(number))?;
                self.lists.adjoints[operand as usize] = Adjoint::Block(block);
                Ok((block, false))
            }
            _ => {
                let numel = tape.layout(operand).numel();
                let block = self.block::<E>(tape, numel)?;
                self.lists.adjoints[operand as usize] = Adjoint::Block(block);
                self.lowest = self.lowest.min(operand);
                Ok((block, true))
            }
        }
    }

    /// What has been added to the gradient of entry `operand` so far.
    pub(super) fn adjoint(&self, tape: &Tape, operand: u32) -> Adjoint {
        match self.lists.adjoints[operand as usize] {
            // A leaf's slot, if the sweep stores into it directly.
            Adjoint::None => {
                let slot = tape.slot_of(operand).map(|slot| tape.slot(slot));
                let partial = slot.filter(|slot| slot.state == Filling::Partial).and_then(|slot| slot.storage());
                partial.map_or(Adjoint::None, Adjoint::Block)
            }
            adjoint => adjoint,
        }
    }

    /// A block for an adjoint: one that is free again, or a new one.
    fn block<E: Element>(&mut self, tape: &Tape, numel: usize) -> Result<Storage> {
        match self.lists.free.iter().rposition(|&(dtype, free, _)| (dtype, free) == (E::DTYPE, numel)) {
            Some(place) => Ok(self.lists.free.swap_remove(place).2),
            None => Ok(tape.arena.alloc_at::<E>(self.level, numel, u32::MAX)?.publish()),
        }
    }

    /// A block that holds an adjoint of entry `index` that is kept as one number.
    fn block_of<E: FloatElement>(&mut self, tape: &mut Tape, index: u32, number: E) -> Result<Storage> {
        let block = self.block::<E>(tape, tape.layout(index).numel())?;
        lend(tape, block, |out: &mut [E], _| map::fill(number, out));
        Ok(block)
    }

    /// Adds `value` to the adjoint of entry `operand`.
    pub fn add<E: FloatElement>(&mut self, operand: u32, value: TensorBase<E>) -> Result<()> {
        self.lowest = self.lowest.min(operand);
        if !self.recorded {
            return tape::with(|tape| {
                let index = tape.resolve(value.handle())?;
                if let (Some(&[number]), true) = (tape.entry(index).inline::<E>(), tape.entry(operand).is_inline()) {
                    let Lists { adjoints, free, .. } = &mut self.lists;
                    numbers::add_number(tape, adjoints, free, operand, number);
                    return Ok(());
                }
                if let Some(number) = self.uniform::<E>(tape, operand, index) {
                    self.lists.adjoints[operand as usize] = Adjoint::Uniform(number.into());
                    return Ok(());
                }
                let (target, first) = self.target::<E>(tape, operand)?;
                accumulate::<E>(tape, index, target, first)
            });
        }
        let slot = &mut self.lists.adjoints[operand as usize];
        *slot = match *slot {
            Adjoint::Tensor(before) => Adjoint::Tensor(TensorBase::<E>::from_handle(before).try_add(value)?.handle()),
            _ => Adjoint::Tensor(value.handle()),
        };
        Ok(())
    }

    /// The number that all elements of entry `value` are, if it is the first share of an elementwise entry's adjoint, which then takes
    /// no memory.
    fn uniform<E: FloatElement>(&self, tape: &Tape, operand: u32, value: u32) -> Option<E> {
        let is_first = matches!(self.lists.adjoints[operand as usize], Adjoint::None);
        let is_kept = matches!(tape.entry(operand).op, Op::Elementwise(_)) && !tape.entry(operand).is_inline();
        let layout = tape.layout(value);
        let is_uniform = is_first && is_kept && self.boundary.is_none() && !anomaly::is_on() && layout.is_uniform();
        is_uniform.then(|| tape.data::<E>(value)[0])
    }

    pub fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// The sweep has succeeded: its gradients count. What can fail comes first.
    fn commit(&mut self) -> Result<()> {
        for place in 0..self.lists.shares.len() {
            let (owner, share) = self.lists.shares[place];
            self.lists.shares[place].1 = match tape::with(|tape| Ok(tape.entry(owner).dtype()))? {
                DType::F32 => prepare::<f32>(owner, share)?,
                _ => prepare::<f64>(owner, share)?,
            };
        }
        tape::with(|tape| {
            let owners = self.lists.filling.iter().copied().chain(self.lists.shares.iter().map(|&(owner, _)| owner));
            self.accumulated.extend(
                owners.filter(|&owner| tape.has_hooks(owner, When::Accumulated)).map(|owner| tape.handle(owner)),
            );
            // In the order in which the sweep passes them.
            self.accumulated.sort_unstable_by_key(|leaf| std::cmp::Reverse(leaf.index));
            for owner in self.lists.filling.drain(..) {
                let slot = tape.own_slot(owner);
                tape.slot_mut(slot).state = Filling::Full;
                tape.slot_mut(slot).recorded = None;
                tape.stamp_slot(slot);
            }
            for (owner, share) in self.lists.shares.drain(..) {
                match tape.entry(owner).dtype() {
                    DType::F32 => keep::<f32>(tape, owner, share),
                    _ => keep::<f64>(tape, owner, share),
                }
            }
            Ok(())
        })
    }
}

impl Drop for Sweep {
    /// A sweep that failed or unwound leaves the slots that it was filling as they were: empty.
    fn drop(&mut self) {
        let mut lists = std::mem::take(&mut self.lists);
        // When this fails, the thread is ending or the tape is in use, so that the sweep has not begun.
        let _ = tape::with(|tape| {
            if !lists.filling.is_empty() {
                tape.abandon_slots(self.level);
            }
            Ok(())
        });
        if self.lowest < u32::MAX {
            lists.adjoints.fill(Adjoint::None);
        }
        lists.filling.clear();
        lists.shares.clear();
        lists.free.clear();
        // An error means that the thread is ending, and the lists with it.
        let _ = LISTS.try_with(|kept| kept.set(lists));
    }
}

/// What passing entry `index` does: reads its gradient and its operands, and writes their gradients.
fn work(tape: &Tape, index: u32, cost: u32) -> Work {
    let operands = tape.operands_of(tape.entry(index));
    let of_operand = |operand| if tape.entry(operand).flags.has(Flags::GRAD) { 2 } else { 1 } * tape.bytes(operand);
    let bytes = tape.bytes(index) + operands.map(of_operand).sum::<usize>();
    Work { op: tape.name(tape.entry(index)), phase: None, bytes, cost }
}

/// Adds (stores, if `first`) the value of entry `value` to a block of the same number of elements.
pub(super) fn accumulate<E: FloatElement>(tape: &mut Tape, value: u32, target: Storage, first: bool) -> Result<()> {
    let layout = *tape.layout(value);
    lend(tape, target, |out: &mut [E], tape| {
        let data = tape.data::<E>(value);
        let (shape, strides) = (layout.shape(), layout.strides());
        match (layout.is_contiguous(), first) {
            (true, true) => out.copy_from_slice(&data[..out.len()]),
            (true, false) => map::add_assign(&data[..out.len()], out),
            (false, true) => pack(data, shape, strides, 0, out),
            (false, false) => {
                for start in (0..out.len()).step_by(elementwise::BLOCK) {
                    let part = &mut out[start..layout.numel().min(start + elementwise::BLOCK)];
                    tape.arena.scratch(part.len(), |block: &mut [E]| {
                        pack(data, shape, strides, start, block);
                        map::add_assign(block, part);
                    })?;
                }
            }
        }
        Ok(())
    })
}

/// A copy of an adjoint in `level`.
pub(super) fn copy_block<E: FloatElement>(
    tape: &mut Tape,
    index: u32,
    adjoint: Adjoint,
    level: usize,
) -> Result<Adjoint> {
    let Adjoint::Block(block) = adjoint else { unreachable!("a plain sweep has blocks") };
    let numel = tape.layout(index).numel();
    let mut fresh = tape.arena.alloc_at::<E>(level, numel, u32::MAX)?;
    fresh.slice().copy_from_slice(tape.arena.read(block));
    Ok(Adjoint::Block(fresh.publish()))
}

/// An adjoint's block as a scratch entry of the shape of entry `index`.
pub(super) fn show_block<E: FloatElement>(tape: &mut Tape, index: u32, block: Storage) -> Result<Handle> {
    let entry = *tape.entry(index);
    let own = tape.layout(index);
    let meta = if own.is_contiguous() && own.offset() == 0 {
        entry.meta
    } else {
        tape.arena.put(Meta::plain(Layout::contiguous(own.shape())))?
    };
    let value = Value::<E>::Block(block);
    let shown = tape.push(Entry::new(tape.scope_id(), Op::Leaf, Flags::default(), value, meta))?;
    Ok(tape.handle(shown))
}

/// Makes a share ready to be kept: a tensor has the gradient so far added, recorded; a block finds it in the slot's buffer.
fn prepare<E: FloatElement>(owner: u32, share: Adjoint) -> Result<Adjoint> {
    let before = tape::with(|tape| match share {
        Adjoint::Tensor(_) => tape.show_gradient::<E>(owner),
        _ => tape.gradient_block::<E>(owner).map(|_| None),
    })?;
    match (before, share) {
        // What a sweep around this one has begun to fill has no history.
        (None, Adjoint::Tensor(share)) => tape::with(|tape| {
            let index = tape.resolve(share)?;
            let slot = tape.own_slot(owner);
            if tape.slot(slot).state != Filling::Partial {
                return Ok(Adjoint::Tensor(share));
            }
            let layout = *tape.layout(index);
            let mut fresh = tape.arena.alloc::<E>(layout.numel(), tape.len())?;
            pack(tape.data(index), layout.shape(), layout.strides(), 0, fresh.slice());
            Ok(Adjoint::Block(fresh.publish()))
        }),
        (Some(before), Adjoint::Tensor(share)) => {
            let total = TensorBase::<E>::from_handle(before).try_add(TensorBase::from_handle(share))?;
            tape::with(|tape| tape.resolve(total.handle()))?;
            Ok(Adjoint::Tensor(total.handle()))
        }
        _ => Ok(share),
    }
}

/// Adds a block to a slot's gradient, or keeps a total in its place.
fn keep<E: FloatElement>(tape: &mut Tape, owner: u32, share: Adjoint) {
    let slot = tape.own_slot(owner);
    let target = tape.slot(slot).storage().expect("made when the share was");
    let (state, full) = (tape.slot(slot).state, tape.slot(slot).state != Filling::Empty);
    tape.slot_mut(slot).recorded = None;
    match share {
        Adjoint::Number(number) => {
            lend(tape, target, |out: &mut [E], _| out[0] = if full { out[0] + E::of(number) } else { E::of(number) });
        }
        Adjoint::Block(block) => lend(tape, target, |out: &mut [E], tape| {
            let share = tape.arena.read(block);
            if full { map::add_assign(share, out) } else { out.copy_from_slice(share) }
        }),
        Adjoint::Tensor(total) => {
            let layout = *tape.layout(total.index);
            lend(tape, target, |out: &mut [E], tape| {
                pack(tape.data(total.index), layout.shape(), layout.strides(), 0, out)
            });
            tape.slot_mut(slot).recorded = Some(total);
        }
        Adjoint::None | Adjoint::Uniform(_) => unreachable!("a share is a complete adjoint"),
    }
    // What a sweep around this one has begun to fill is full when that has succeeded.
    if state != Filling::Partial {
        tape.slot_mut(slot).state = Filling::Full;
    }
    tape.stamp_slot(slot);
}
