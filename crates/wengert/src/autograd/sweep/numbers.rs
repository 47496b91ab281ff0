//! The part of a plain sweep that passes numbers: entries of rank 0 that keep their value, on operands that do.
//!
//! Their adjoints are numbers in the list of adjoints, not blocks, and a run of them is passed in one loop.

use super::{Adjoint, Lists, Purpose, Sweep};
use crate::element::{DType, FloatElement};
use crate::error::{Result, reserve};
use crate::ops::{Op, elementwise};
use crate::tape::arena::{Storage, lend};
use crate::tape::profile::{self, Phase};
use crate::tape::{Filling, Flags, Tape, When};

impl Sweep {
    /// Passes the entries below `end`, down to `start`, as long as they are numbers; gives the end of those that are left, the last of
    /// which the general path passes.
    pub(super) fn pass_numbers(&mut self, tape: &mut Tape, start: u32, mut end: u32) -> Result<u32> {
        while end > start.max(self.lowest) {
            let top = tape.entry(end - 1);
            let (dtype, is_leaf) = (top.dtype(), top.op == Op::Leaf);
            match (self.lists.adjoints[end as usize - 1], dtype) {
                (Adjoint::None, _) => end -= 1,
                (Adjoint::Number(g), _) if is_leaf => {
                    let delivered = match dtype {
                        DType::F32 => self.deliver_number::<f32>(tape, end - 1, g)?,
                        _ => self.deliver_number::<f64>(tape, end - 1, g)?,
                    };
                    if !delivered {
                        break;
                    }
                    end -= 1;
                    self.lists.adjoints[end as usize] = Adjoint::None;
                }
                (Adjoint::Number(_), _) => {
                    let before = end;
                    end = match dtype {
                        DType::F32 => self.pass_run::<f32>(tape, start, end),
                        _ => self.pass_run::<f64>(tape, start, end),
                    };
                    if end == before {
                        break;
                    }
                }
                _ => break,
            }
        }
        Ok(end)
    }

    /// Passes a run of elementwise entries below `end` that are numbers of type `E` and so are their operands; gives its end.
    #[inline(never)]
    fn pass_run<E: FloatElement>(&mut self, tape: &Tape, mut start: u32, mut end: u32) -> u32 {
        if let Purpose::Capture(wanted) = &self.purpose {
            start = wanted.next(end).map_or(start, |wanted| start.max(wanted + 1));
        }
        let is_number = matches!(tape.entry(end - 1).op, Op::Elementwise(_));
        let _span = if is_number { profile::span(Phase::Backward, || profile::whole("numbers", 0)) } else { None };
        let Lists { adjoints, free, .. } = &mut self.lists;
        // Slices of one length, so that an operand's place is checked once for both.
        let (numbers, adjoints) = (tape.numbers(end), &mut adjoints[..end as usize]);
        let mut lowest = self.lowest;
        while end > start {
            let index = end - 1;
            match adjoints[index as usize] {
                Adjoint::None if index < lowest => break,
                Adjoint::None => {}
                Adjoint::Number(g) => {
                    let entry = &numbers.entries[index as usize];
                    let Some([of_a, of_b]) = elementwise::scalar_products(&numbers, entry, E::of(g)) else { break };
                    if of_a.need {
                        lowest = lowest.min(entry.a);
                        add_number(tape, adjoints, free, entry.a, of_a.value);
                    }
                    if of_b.need {
                        lowest = lowest.min(entry.b);
                        add_number(tape, adjoints, free, entry.b, of_b.value);
                    }
                    adjoints[index as usize] = Adjoint::None;
                }
                _ => break,
            }
            end = index;
        }
        self.lowest = lowest;
        end
    }

    /// Hands the complete adjoint of a leaf that is a number to whoever waits for it; `false`, and nothing is done, if a hook does
    /// too.
    fn deliver_number<E: FloatElement>(&mut self, tape: &mut Tape, index: u32, g: f64) -> Result<bool> {
        if tape.entry(index).flags.has(Flags::SLOT) && tape.has_hooks(index, When::Complete) {
            return Ok(false);
        }
        if index >= self.inner {
            return Ok(true);
        }
        if let Purpose::Capture(wanted) = &mut self.purpose {
            for place in wanted.places(index) {
                wanted.set(place, Adjoint::Number(g));
            }
            return Ok(true);
        }
        let slot = tape.slot_or_new(index)?;
        // Made here, where the sweep can still fail.
        let storage = tape.slot_storage::<E>(slot)?;
        if tape.slot(slot).state == Filling::Empty {
            reserve(&mut self.lists.filling, 1)?;
            lend(tape, storage, |out: &mut [E], _| out[0] = E::of(g));
            tape.slot_mut(slot).state = Filling::Partial;
            tape.slot_mut(slot).filler = self.level;
            self.lists.filling.push(index);
        } else {
            // Also to what the sweep around this one has begun to fill.
            reserve(&mut self.lists.shares, 1)?;
            self.lists.shares.push((index, Adjoint::Number(g)));
        }
        Ok(true)
    }
}

/// Adds a number to the adjoint of an entry that is one.
#[inline(always)]
pub(super) fn add_number<E: FloatElement>(
    tape: &Tape,
    adjoints: &mut [Adjoint],
    free: &mut Vec<(DType, usize, Storage)>,
    operand: u32,
    value: E,
) {
    let adjoint = &mut adjoints[operand as usize];
    match adjoint {
        Adjoint::Number(before) => *before = (E::of(*before) + value).into(),
        Adjoint::Block(block) => *adjoint = Adjoint::Number((absorb_slow::<E>(tape, free, *block) + value).into()),
        _ => *adjoint = Adjoint::Number(value.into()),
    }
}

/// The number in a block, which is free again.
#[cold]
fn absorb_slow<E: FloatElement>(tape: &Tape, free: &mut Vec<(DType, usize, Storage)>, block: Storage) -> E {
    free.push((E::DTYPE, 1, block));
    tape.arena.read(block)[0]
}
