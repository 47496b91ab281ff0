//! Deferred values: which operations are, and how several are computed at once.
//!
//! ```text
//! recorded   a = x * x   b = a + 2   y = tanh(b)   z = y * 3   sum(z)
//! computed   for each block of x:  r0 = x * x   r1 = r0 + 2   y = tanh(r1)   r2 = y * 3   partial = sum(r2)
//! ```
//!
//! When a value is asked for, all deferred ones that it depends on are computed with it, as one [`Program`]. Those that cost more than
//! memory does are kept, as `y` is; the others remain deferred. A sweep that reads one computes it again, in its own blocks. The sum
//! itself is deferred too if it is tracked (a *fold*, `ops::reduce`): nothing that is computed here depends on one.

use smallvec::{SmallVec, smallvec};
use wengert_kernels::reduce;

use super::program::{Kernel, Program, Read};
use super::{BLOCK, Place, Row, entries, places_of, source_of};
use crate::anomaly;
use crate::element::FloatElement;
use crate::error::{Result, reserve_small};
use crate::ops::Op;
use crate::shape::Layout;
use crate::tape::arena::{Ref, Storage, lend_many};
use crate::tape::profile::{self, Phase, Work};
use crate::tape::{Meta, Tape};

/// Deferred values that are computed at once, at most: their blocks should fit into the second-level cache.
const MAX_NODES: usize = 16;
/// Costs from which a value is kept: to write and to read an element takes about as long as ten additions.
const KEPT_COST: u32 = 10;

/// Whether an operation whose result has the layout of `meta` is deferred. If so, operands of its shape stay deferred where they are, else
/// they are computed.
pub(super) fn defer(tape: &mut Tape, places: &[Place], meta: Ref<Meta>) -> Result<bool> {
    let layout = &tape.arena.get(meta).layout;
    let is_large = layout.rank() > 0 && layout.numel() > 0 && layout.numel() >= tape.defer_from();
    if !is_large || anomaly::is_anomaly_enabled() || entries(places).any(|index| tape.shows_gradient(index)) {
        entries(places).try_for_each(|index| tape.compute(index))?;
        return Ok(false);
    }
    let has_shape = |tape: &Tape, index| tape.layout(index).shape() == tape.arena.get(meta).layout.shape();
    let mut nodes = 1;
    for index in entries(places).filter(|&index| tape.entry(index).is_deferred()) {
        nodes += if has_shape(tape, index) { cone(tape, index).len() } else { 0 };
    }
    for index in entries(places) {
        if nodes > MAX_NODES || !has_shape(tape, index) {
            tape.compute(index)?;
        }
    }
    Ok(true)
}

/// The deferred entries that the value of entry `root` depends on, itself included, in the order of the tape.
fn cone(tape: &Tape, root: u32) -> SmallVec<[u32; MAX_NODES]> {
    let mut nodes: SmallVec<[u32; MAX_NODES]> = smallvec![root];
    let mut next = 0;
    while let Some(&node) = nodes.get(next) {
        for operand in tape.operands_of(tape.entry(node)) {
            if tape.entry(operand).is_deferred() && !nodes.contains(&operand) {
                nodes.push(operand);
            }
        }
        next += 1;
    }
    nodes.sort_unstable();
    nodes
}

/// Computes the value of the deferred elementwise entry `index`.
///
/// # Errors
/// There is no memory for it.
pub(crate) fn compute_deferred<E: FloatElement>(tape: &mut Tape, index: u32) -> Result<()> {
    run::<E>(tape, index, None)
}

/// The sum of all elements of the deferred entry `index`, which itself may remain deferred.
pub(crate) fn sum_deferred<E: FloatElement>(tape: &mut Tape, index: u32) -> Result<E> {
    sum_of_blocks(tape.layout(index).numel(), |partials| run::<E>(tape, index, Some(partials)))
}

/// The sum of `numel` elements, of which `run` writes the sum of each block.
pub(crate) fn sum_of_blocks<E: FloatElement>(numel: usize, run: impl FnOnce(&mut [E]) -> Result<()>) -> Result<E> {
    E::scratch(numel.div_ceil(BLOCK), |partials| {
        run(partials)?;
        let mut tree = reduce::Tree::<E, reduce::Sum>::new();
        partials.iter().for_each(|&partial| tree.push(partial));
        Ok(tree.finish())
    })
}

/// Computes entry `root` and what it depends on: its value, or, given room for one number per block, the sums of the value's blocks.
fn run<E: FloatElement>(tape: &mut Tape, root: u32, sums: Option<&mut [E]>) -> Result<()> {
    let numel = tape.layout(root).numel();
    let nodes = cone(tape, root);
    let is_kept = |tape: &Tape, node| row(tape, node).cost() >= KEPT_COST || (node == root && sums.is_none());
    let _span = profile::span(Phase::Forward, || {
        nodes.iter().map(|&node| work(tape, node, if is_kept(tape, node) { tape.bytes(node) } else { 0 }))
    });
    let mut kept = SmallVec::<[u32; 4]>::new();
    let mut blocks = SmallVec::<[Storage; 4]>::new();
    for &node in &nodes {
        if is_kept(tape, node) {
            kept.push(node);
            blocks.push(tape.arena.alloc_at::<E>(tape.level_of(node), numel, node)?.publish());
        }
    }
    lend_many(tape, &blocks, |outputs, tape| {
        let mut program = Program::new(outputs.len());
        let mut values = Values::kept(&kept);
        for &node in &kept {
            values.read(&mut program, tape, node)?;
        }
        match sums {
            Some(sums) => {
                let root = values.read(&mut program, tape, root)?;
                program.run_with_sums(numel, outputs, root, sums);
            }
            None => program.run(numel, outputs),
        }
        Ok(())
    })?;
    for (node, block) in kept.into_iter().zip(blocks) {
        tape.entry_mut(node).settle(block);
    }
    Ok(())
}

/// What computing entry `node` does, which writes so many bytes.
fn work(tape: &Tape, node: u32, written: usize) -> Work {
    let read = tape.operands_of(tape.entry(node)).filter(|&operand| !tape.entry(operand).is_deferred());
    let bytes = read.map(|operand| tape.bytes(operand)).sum::<usize>() + written;
    Work { op: row(tape, node).name, phase: Some(Phase::Forward), bytes, cost: row(tape, node).cost() }
}

/// What computing the fold of the deferred entry `operand` does, where neither is kept.
pub(crate) fn fold_works(tape: &Tape, fold: u32, operand: u32) -> SmallVec<[Work; 8]> {
    let sum = Work { op: tape.name(tape.entry(fold)), phase: Some(Phase::Forward), bytes: 0, cost: 1 };
    cone(tape, operand).iter().map(|&node| work(tape, node, 0)).chain([sum]).collect()
}

fn row(tape: &Tape, index: u32) -> &'static Row {
    let Op::Elementwise(op) = tape.entry(index).op else {
        unreachable!("what depends on deferred values and is deferred with them is elementwise")
    };
    op.row()
}

/// Values of deferred entries in a program, each computed once.
#[derive(Default)]
pub(crate) struct Values {
    computed: SmallVec<[(u32, usize); 8]>,
    /// Entries whose value goes to the output of that number.
    kept: SmallVec<[u32; 4]>,
}

impl Values {
    fn kept(entries: &[u32]) -> Self {
        Self { computed: SmallVec::new(), kept: SmallVec::from_slice(entries) }
    }

    /// How the program reads an operand of a result of `layout`'s shape.
    pub(super) fn place<'a, E: FloatElement>(
        &mut self,
        program: &mut Program<'a, E>,
        tape: &'a Tape,
        place: Place,
        layout: &Layout,
    ) -> Result<Read> {
        match place {
            Place::Entry(index) if tape.entry(index).is_deferred() => self.read(program, tape, index),
            _ => program.input(source_of(tape, place, layout)),
        }
    }

    /// How the program reads the deferred entry `index`, after the steps that compute it.
    pub fn read<'a, E: FloatElement>(
        &mut self,
        program: &mut Program<'a, E>,
        tape: &'a Tape,
        index: u32,
    ) -> Result<Read> {
        if let Some(&(_, slot)) = self.computed.iter().find(|&&(other, _)| other == index) {
            return Ok(Read::Slot(slot));
        }
        let (row, layout) = (row(tape, index), tape.layout(index));
        let mut operands = [Read::Unused; 5];
        for (operand, place) in operands.iter_mut().zip(places_of(tape, index, row.arity).into_iter().flatten()) {
            *operand = self.place(program, tape, place, layout)?;
        }
        let slot = self.kept.iter().position(|&other| other == index).unwrap_or_else(|| program.register());
        program.step(Kernel::Value(E::kernels(row).value), operands, row.cost(), (slot, false))?;
        reserve_small(&mut self.computed, 1)?;
        self.computed.push((index, slot));
        Ok(Read::Slot(slot))
    }
}
