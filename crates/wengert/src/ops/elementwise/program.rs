//! Straight-line programs of elementwise kernels, run block by block.
//!
//! ```text
//! inputs    x  g          elements in memory, numbers, masks, broadcast operands: packed where they are no plain slice
//! slots     w' | r0 r1    the outputs: memory that is written; then registers: one block each, in cache
//! steps     r0 = tanh'(g, y)    r1 = r0 * 2    w' += r1
//! ```
//!
//! All steps run over one block of [`BLOCK`] elements before the next block is begun, so that what passes from step to step stays in
//! the first-level cache. Blocks are shared by threads.
//!
//! Invariant: a step computes each element by the same kernel, and adds in the same order, as a loop over all elements would, so
//! that the bits do not depend on the blocks.

use std::ops::Range;

use smallvec::{Array, SmallVec};
use wengert_kernels::{map, parallel, reduce};

use super::BLOCK;
use super::blocks::{Source, fill};
use crate::element::FloatElement;
use crate::error::{self, Result, reserve_small};

/// What a step reads.
#[derive(Clone, Copy)]
pub(crate) enum Read {
    /// The kernel does not read it.
    Unused,
    Input(usize),
    Slot(usize),
}

/// A row's kernel for its value, or for one of its vector-Jacobian products.
#[derive(Clone, Copy)]
pub(crate) enum Kernel<E> {
    Value(fn([&[E]; 3], &mut [E])),
    Product(fn([&[E]; 5], &mut [E])),
}

/// One kernel on one block.
#[derive(Clone, Copy)]
struct Step<E> {
    kernel: Kernel<E>,
    operands: [Read; 5],
    /// The slot that is written.
    slot: usize,
    /// Whether the result is added to what the slot has.
    add: bool,
}

/// The steps, and what they read. A slot below `outputs` is an output, the others are registers.
pub(crate) struct Program<'a, E> {
    inputs: SmallVec<[Source<'a, E>; 8]>,
    steps: SmallVec<[Step<E>; 8]>,
    outputs: usize,
    registers: usize,
    /// Of all steps, per element.
    cost: u32,
    /// Registers whose contents are not read any more.
    free: SmallVec<[usize; 8]>,
}

/// Outputs, one length each.
type Outputs<'a, E> = SmallVec<[&'a mut [E]; 4]>;

/// The part of all outputs, and of the sums of blocks, that one thread writes.
struct Share<'o, 's, E> {
    outputs: Outputs<'o, E>,
    sums: &'s mut [E],
}

impl<E: Send> parallel::Part for Share<'_, '_, E> {
    fn split_at(self, at: usize) -> (Self, Self) {
        let (mut head, mut tail): (Outputs<'_, E>, Outputs<'_, E>) =
            (room(self.outputs.len()), room(self.outputs.len()));
        for output in self.outputs {
            let (before, behind) = output.split_at_mut(at);
            head.push(before);
            tail.push(behind);
        }
        let (head_sums, tail_sums) = self.sums.split_at_mut(self.sums.len().min(at / BLOCK));
        (Self { outputs: head, sums: head_sums }, Self { outputs: tail, sums: tail_sums })
    }
}

impl<'a, E: FloatElement> Program<'a, E> {
    /// A program without steps, which writes so many outputs.
    pub fn new(outputs: usize) -> Self {
        Self { inputs: SmallVec::new(), steps: SmallVec::new(), outputs, registers: 0, cost: 0, free: SmallVec::new() }
    }

    /// A register, with arbitrary contents.
    pub fn register(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.registers += 1;
            self.outputs + self.registers - 1
        })
    }

    /// Lets the register be used again by later steps. Nothing happens to an output.
    pub fn release(&mut self, slot: usize) {
        if slot >= self.outputs {
            self.free.push(slot);
        }
    }

    /// Has the program read a source.
    pub fn input(&mut self, source: Source<'a, E>) -> Result<Read> {
        if matches!(source, Source::Unused) {
            return Ok(Read::Unused);
        }
        reserve_small(&mut self.inputs, 1)?;
        self.inputs.push(source);
        Ok(Read::Input(self.inputs.len() - 1))
    }

    /// Appends a step that takes `cost` additions' time per element, and stores to `slot`, or adds.
    pub fn step(
        &mut self,
        kernel: Kernel<E>,
        operands: [Read; 5],
        cost: u32,
        (slot, add): (usize, bool),
    ) -> Result<()> {
        reserve_small(&mut self.steps, 1)?;
        self.cost += cost;
        self.steps.push(Step { kernel, operands, slot, add });
        Ok(())
    }

    /// Runs the steps over `numel` elements.
    pub fn run(&self, numel: usize, outputs: Outputs<'_, E>) {
        self.run_with_sums(numel, outputs, Read::Unused, &mut []);
    }

    /// As [`Self::run`]; and writes the sum of each block of the slot `summed` to `sums`.
    pub fn run_with_sums(&self, numel: usize, outputs: Outputs<'_, E>, summed: Read, sums: &mut [E]) {
        debug_assert_eq!(outputs.len(), self.outputs);
        debug_assert!(outputs.iter().all(|output| output.len() == numel), "outputs of one length");
        parallel::in_parts(numel, self.cost as usize, BLOCK, Share { outputs, sums }, |range, share| {
            self.run_range(range, share, summed);
        });
    }

    /// Runs the steps over the elements `range`, whose outputs these are.
    fn run_range(&self, range: Range<usize>, Share { mut outputs, sums }: Share<'_, '_, E>, summed: Read) {
        let packed = self.inputs.iter().filter(|input| input.slice().is_none()).count();
        let adds = usize::from(self.steps.iter().any(|step| step.add));
        let memory = packed + self.registers + adds;
        let width = range.len().min(BLOCK);
        E::scratch(memory * width, |scratch| {
            let mut blocks = scratch.chunks_exact_mut(width.max(1));
            let buffer_of = |input: &Source<'_, E>| if input.slice().is_some() { None } else { blocks.next() };
            let mut buffers: SmallVec<[Option<&mut [E]>; 16]> = room(self.inputs.len());
            buffers.extend(self.inputs.iter().map(buffer_of));
            let mut temporary = if adds > 0 { blocks.next() } else { None };
            let mut registers: SmallVec<[&mut [E]; 16]> = room(blocks.len());
            registers.extend(blocks);
            for (buffer, input) in buffers.iter_mut().zip(&self.inputs) {
                if let (Some(buffer), Source::Splat(number)) = (buffer, input) {
                    map::fill(*number, buffer);
                }
            }
            for start in range.clone().step_by(width.max(1)) {
                let block = start..range.end.min(start + width);
                for (buffer, input) in buffers.iter_mut().zip(&self.inputs) {
                    if let Some(buffer) = buffer {
                        fill(input, block.clone(), &mut buffer[..block.len()]);
                    }
                }
                let mut inputs: SmallVec<[&[E]; 16]> = room(self.inputs.len());
                inputs.extend(self.inputs.iter().zip(&buffers).map(|(input, buffer)| match (input.slice(), buffer) {
                    (Some(slice), _) => &slice[block.clone()],
                    (None, Some(buffer)) => &buffer[..block.len()],
                    (None, None) => unreachable!("what is no slice is packed"),
                }));
                let local = block.start - range.start..block.end - range.start;
                let mut slots: SmallVec<[&mut [E]; 20]> = room(outputs.len() + registers.len());
                slots.extend(outputs.iter_mut().map(|output| &mut output[local.clone()]));
                slots.extend(registers.iter_mut().map(|register| &mut register[..block.len()]));
                self.run_block(&inputs, &mut slots, temporary.as_deref_mut().map(|sum| &mut sum[..block.len()]));
                if let Read::Slot(slot) = summed {
                    sums[local.start / BLOCK] = reduce::sum(slots[slot]);
                }
            }
        });
    }

    /// Runs the steps over one block.
    fn run_block(&self, inputs: &[&[E]], slots: &mut [&mut [E]], mut temporary: Option<&mut [E]>) {
        for step in &self.steps {
            // Taken out for as long as it is written, so that the others can be read.
            let out = std::mem::take(&mut slots[step.slot]);
            let read = |operand: Read| match operand {
                Read::Unused => None,
                Read::Input(place) => Some(inputs[place]),
                Read::Slot(slot) => Some(&*slots[slot]),
            };
            let operands = step.operands.map(read);
            match (&mut temporary, step.add) {
                (Some(temporary), true) => {
                    step.kernel.run(operands, temporary);
                    map::add_assign(temporary, out);
                }
                _ => step.kernel.run(operands, out),
            }
            slots[step.slot] = out;
        }
    }
}

/// A list for `len` values.
///
/// # Panics
/// If there is no memory for it: a loop has no other way to say so.
#[inline]
fn room<A: Array>(len: usize) -> SmallVec<A> {
    let mut list = SmallVec::new();
    error::unwrap(reserve_small(&mut list, len));
    list
}

impl<E> Kernel<E> {
    /// Computes every element of `out` from operands of the same length; those that the kernel does not read can be `None`.
    #[inline]
    pub fn run(self, operands: [Option<&[E]>; 5], out: &mut [E]) {
        let first = operands.iter().find_map(|&operand| operand).expect("an operand that the formula reads");
        let operand = |k: usize| operands[k].unwrap_or(first);
        match self {
            Self::Value(kernel) => kernel([operand(0), operand(1), operand(2)], out),
            Self::Product(kernel) => kernel([operand(0), operand(1), operand(2), operand(3), operand(4)], out),
        }
    }
}
