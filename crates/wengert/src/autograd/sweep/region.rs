//! The part of a plain sweep that passes several elementwise entries at once, block by block.
//!
//! ```text
//! entries    x | a = x * x   b = a + 2   y = tanh(b) | sum(y)       the region: y, b, a
//! adjoints   x'| a'          b'          y'          |              a' and b' are blocks of a program, never in memory
//! ```
//!
//! A region begins at an entry whose adjoint is complete and goes on towards the tape's begin: an entry that gets its adjoint from
//! the region belongs to it too if it is elementwise, of the same shape, and nobody waits for its gradient. The first entry
//! that has an adjoint and does not belong ends the region, as those below may get theirs from it; a leaf does not. What
//! flows out of the region goes to leaves' slots and to adjoints in memory.
//!
//! If the sum of a node's elements is deferred, as a loss often is, the region computes it too, in the same pass.
//!
//! Invariant: products are computed by the same kernels and added in the same order as one entry at a time.

use smallvec::SmallVec;

use super::{Adjoint, Purpose, Sweep, work};
use crate::anomaly;
use crate::element::{DType, FloatElement};
use crate::error::{Result, reserve_small};
use crate::ops::elementwise::{self, Elementwise, Product, Program, Read, Source, Values};
use crate::ops::{Op, settle_fold};
use crate::tape::arena::{Storage, lend_many};
use crate::tape::profile::{self, Phase};
use crate::tape::{Flags, Tape};

/// Entries of one region at most: their registers should fit into the second-level cache.
const MAX_NODES: usize = 24;
/// Elements from which a program is built, two blocks, if values are not deferred from fewer on.
const MIN_NUMEL: usize = 2048;

/// An entry of a region, last one first.
struct Node {
    index: u32,
    op: Elementwise,
    products: SmallVec<[Product; 3]>,
    adjoint: Place,
}

/// Where the adjoint of a node is.
#[derive(Clone, Copy)]
enum Place {
    /// In the same number for all elements.
    Uniform(f64),
    /// In memory, complete.
    Block(Storage),
    /// In a register, or in memory and added to: the slot, once it was stored to.
    Slot(Option<usize>),
}

/// What flows out of a region.
struct Exit {
    entry: u32,
    storage: Storage,
    /// Whether nothing is there yet.
    first: bool,
}

struct Region {
    nodes: SmallVec<[Node; 8]>,
    exits: SmallVec<[Exit; 4]>,
}

impl Sweep {
    /// Passes entry `top` and what belongs to its region: it alone if it has few elements. `false`, and nothing is done, if it is better passed alone.
    pub(super) fn pass_region(&mut self, tape: &mut Tape, start: u32, top: u32) -> Result<bool> {
        let layout = tape.layout(top);
        // Anomaly mode looks at each entry's products.
        if self.recorded || self.boundary.is_some() || layout.shape().is_empty() || anomaly::is_on() {
            return Ok(false);
        }
        let is_small = layout.numel() < MIN_NUMEL.min(tape.defer_from());
        match (tape.entry(top).dtype(), is_small) {
            (DType::F32, true) => self.pass_alone::<f32>(tape, top),
            (DType::F32, false) => self.pass_region_of::<f32>(tape, start, top),
            (_, true) => self.pass_alone::<f64>(tape, top),
            (_, false) => self.pass_region_of::<f64>(tape, start, top),
        }
    }

    /// Passes entry `top`, of few elements, if it could belong to a region.
    fn pass_alone<E: FloatElement>(&mut self, tape: &mut Tape, top: u32) -> Result<bool> {
        if let Purpose::Capture(wanted) = &mut self.purpose {
            wanted.reach(tape, top);
        }
        let Some((op, products)) = self.node::<E>(tape, top, top)? else { return Ok(false) };
        let g = match self.lists.adjoints[top as usize] {
            Adjoint::Block(block) => block,
            Adjoint::Uniform(number) => self.block_of(tape, top, E::of(number))?,
            _ => unreachable!("a region begins at an entry with an adjoint of several elements"),
        };
        let _span = profile::span(Phase::Backward, || [work(tape, top, 1)]);
        for product in &products {
            let (target, first) = self.target::<E>(tape, product.operand)?;
            elementwise::sweep::<E>(tape, top, op, product, g, target, first)?;
        }
        self.lists.adjoints[top as usize] = Adjoint::None;
        self.lists.free(E::DTYPE, tape.layout(top).numel(), g);
        Ok(true)
    }

    fn pass_region_of<E: FloatElement>(&mut self, tape: &mut Tape, start: u32, top: u32) -> Result<bool> {
        if let Purpose::Capture(wanted) = &mut self.purpose {
            wanted.reach(tape, top);
        }
        let Some(mut region) = self.gather::<E>(tape, start, top)? else { return Ok(false) };
        self.prepare::<E>(tape, &mut region)?;
        let fold = tape.deferred_fold(|operand| region.nodes.iter().any(|node| node.index == operand));
        let _span = profile::span(Phase::Backward, || {
            let cost = |node: &Node| node.products.iter().map(|product| node.op.row().product_cost(product.rule)).sum();
            let passed = region.nodes.iter().map(|node| work(tape, node.index, cost(node)));
            let folded = fold.map(|(fold, operand)| elementwise::fold_works(tape, fold, operand));
            passed.chain(folded.into_iter().flatten()).collect::<Vec<_>>()
        });
        let outputs: SmallVec<[Storage; 4]> = region.exits.iter().map(|exit| exit.storage).collect();
        let numel = tape.layout(top).numel();
        let sum = lend_many(tape, &outputs, |outputs, tape| {
            let (mut program, mut values) = region.program::<E>(tape)?;
            let Some((_, operand)) = fold else {
                program.run(numel, outputs);
                return Ok(None);
            };
            let operand = values.read(&mut program, tape, operand)?;
            let sum = elementwise::sum_of_blocks(numel, |sums| {
                program.run_with_sums(numel, outputs, operand, sums);
                Ok(())
            });
            sum.map(Some)
        })?;
        if let (Some((fold, _)), Some(sum)) = (fold, sum) {
            settle_fold::<E>(tape, fold, sum);
        }
        for node in &region.nodes {
            let adjoint = std::mem::replace(&mut self.lists.adjoints[node.index as usize], Adjoint::None);
            if let Adjoint::Block(block) = adjoint {
                self.lists.free(E::DTYPE, numel, block);
            }
        }
        Ok(true)
    }

    /// The entries of the region that begins at `top`; `None` if there are too few.
    fn gather<E: FloatElement>(&mut self, tape: &Tape, start: u32, top: u32) -> Result<Option<Region>> {
        let mut nodes = SmallVec::<[Node; 8]>::new();
        // Entries that the region adds to and that were not met yet.
        let mut open = SmallVec::<[u32; 16]>::new();
        for index in (start..=top).rev() {
            if (index < top && open.is_empty()) || nodes.len() == MAX_NODES {
                break;
            }
            let fed = open.iter().position(|&other| other == index).map(|place| open.swap_remove(place));
            let before = self.lists.adjoints[index as usize];
            if (fed.is_none() && matches!(before, Adjoint::None)) || tape.entry(index).op == Op::Leaf {
                continue;
            }
            let Some((op, products)) = self.node::<E>(tape, index, top)? else { break };
            for product in &products {
                if !open.contains(&product.operand) {
                    reserve_small(&mut open, 1)?;
                    open.push(product.operand);
                }
            }
            let adjoint = match before {
                Adjoint::Block(block) if fed.is_none() => Place::Block(block),
                Adjoint::Uniform(number) if fed.is_none() => Place::Uniform(number),
                _ => Place::Slot(None),
            };
            reserve_small(&mut nodes, 1)?;
            nodes.push(Node { index, op, products, adjoint });
        }
        let is_worth = nodes.len() > 1 || matches!(nodes.first(), Some(Node { adjoint: Place::Uniform(_), .. }));
        Ok(is_worth.then_some(Region { nodes, exits: SmallVec::new() }))
    }

    /// What entry `index` computes and adds to, if it can belong to the region of `top`.
    fn node<E: FloatElement>(
        &self,
        tape: &Tape,
        index: u32,
        top: u32,
    ) -> Result<Option<(Elementwise, SmallVec<[Product; 3]>)>> {
        let entry = tape.entry(index);
        let Op::Elementwise(op) = entry.op else { return Ok(None) };
        let is_wanted = matches!(&self.purpose, Purpose::Capture(wanted) if wanted.is_wanted(index));
        let is_plain = entry.dtype() == E::DTYPE && tape.layout(index).is_plain();
        if !is_plain || !tape.same_shape(index, top) || entry.flags.has(Flags::SLOT) || is_wanted {
            return Ok(None);
        }
        let mut products = elementwise::products(tape, index, op)?;
        products.retain(|product| self.needs(tape, product.operand));
        let is_whole = products.iter().all(|product| tape.same_shape(product.operand, top));
        Ok(is_whole.then_some((op, products)))
    }

    /// Finds the memory that the region writes to.
    fn prepare<E: FloatElement>(&mut self, tape: &mut Tape, region: &mut Region) -> Result<()> {
        let Region { nodes, exits } = region;
        for node in nodes.iter() {
            for &Product { operand, .. } in &node.products {
                let is_node = nodes.iter().any(|node| node.index == operand);
                // A node that has an adjoint from elsewhere is added to there.
                let is_exit = !is_node || !matches!(self.lists.adjoints[operand as usize], Adjoint::None);
                if is_exit && !exits.iter().any(|exit| exit.entry == operand) {
                    let (storage, first) = self.target::<E>(tape, operand)?;
                    reserve_small(exits, 1)?;
                    exits.push(Exit { entry: operand, storage, first });
                }
            }
        }
        Ok(())
    }
}

impl Region {
    /// The products of all nodes, and the deferred values that they read.
    fn program<'a, E: FloatElement>(&mut self, tape: &'a Tape) -> Result<(Program<'a, E>, Values)> {
        let Self { nodes, exits } = self;
        let (mut program, mut values) = (Program::new(exits.len()), Values::default());
        for place in 0..nodes.len() {
            let (passed, rest) = nodes.split_at_mut(place + 1);
            let Node { index, op, products, adjoint } = &passed[place];
            let g = match *adjoint {
                Place::Uniform(number) => program.input(Source::Splat(E::of(number)))?,
                Place::Block(block) => program.input(Source::Slice(tape.arena.read(block)))?,
                Place::Slot(slot) => {
                    Read::Slot(slot.expect("an entry that the region adds to comes after those that add"))
                }
            };
            for product in products {
                let exit = exits.iter_mut().enumerate().find(|(_, exit)| exit.entry == product.operand);
                let node = rest.iter_mut().find(|node| node.index == product.operand);
                let target = match (exit, node) {
                    (Some((slot, exit)), node) => {
                        if let Some(node) = node {
                            node.adjoint = Place::Slot(Some(slot));
                        }
                        (slot, !std::mem::replace(&mut exit.first, false))
                    }
                    (None, Some(Node { adjoint: Place::Slot(Some(slot)), .. })) => (*slot, true),
                    (None, Some(node)) => {
                        let slot = program.register();
                        node.adjoint = Place::Slot(Some(slot));
                        (slot, false)
                    }
                    (None, None) => unreachable!("an operand is a node or an exit"),
                };
                elementwise::append((&mut program, &mut values), tape, *index, *op, product.rule, g, target)?;
            }
            if let Read::Slot(slot) = g {
                program.release(slot);
            }
        }
        Ok((program, values))
    }
}
