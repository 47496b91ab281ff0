//! The gradients that a sweep was asked for, in the order in which it comes to them.

use std::ops::Range;

use super::sweep::{Adjoint, show_block};
use crate::element::DType;
use crate::error::{Result, filled, reserve};
use crate::tape::{Flags, Handle, Tape};

/// The entries whose gradients are wanted.
pub(super) struct Wanted {
    /// With the place in `found`, last entry first, as the sweep passes them.
    entries: Vec<(u32, usize)>,
    /// How many of them the sweep has passed.
    passed: usize,
    found: Vec<Adjoint>,
    /// Whether a wanted entry lies below or at each entry from the lowest wanted one on; made when a rule can save work by it.
    reach: Option<Vec<bool>>,
}

impl Wanted {
    pub fn new(tape: &mut Tape, handles: &[Handle]) -> Result<Self> {
        let mut entries = Vec::new();
        reserve(&mut entries, handles.len())?;
        for (place, &handle) in handles.iter().enumerate() {
            entries.push((tape.locate(handle)?, place));
        }
        entries.sort_unstable_by(|a, b| b.cmp(a));
        Ok(Self { entries, passed: 0, found: filled(Adjoint::None, handles.len())?, reach: None })
    }

    /// How many gradients are asked for.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Each wanted entry, its place in what was asked for, and what was found.
    pub fn found(&self) -> impl Iterator<Item = (u32, usize, &Adjoint)> {
        self.entries.iter().map(|&(entry, place)| (entry, place, &self.found[place]))
    }

    /// The places that wait for entry `index`, for [`Self::set`]; the sweep asks for each once, in its order.
    pub fn places(&mut self, index: u32) -> Range<usize> {
        let at = |place: usize| self.entries.get(place).map(|&(entry, _)| entry);
        let mut start = self.passed;
        while at(start).is_some_and(|entry| entry > index) {
            start += 1;
        }
        let mut end = start;
        while at(end) == Some(index) {
            end += 1;
        }
        self.passed = end;
        start..end
    }

    /// Notes the gradient that one of [`Self::places`] waits for.
    pub fn set(&mut self, place: usize, adjoint: Adjoint) {
        self.found[self.entries[place].1] = adjoint;
    }

    /// The next wanted entry below `end`.
    pub fn next(&self, end: u32) -> Option<u32> {
        self.entries[self.passed..].iter().map(|&(entry, _)| entry).find(|&entry| entry < end)
    }

    pub fn is_wanted(&self, index: u32) -> bool {
        self.entries.binary_search_by(|&(entry, _)| index.cmp(&entry)).is_ok()
    }

    /// The lowest wanted entry.
    #[inline]
    pub fn lowest(&self) -> u32 {
        self.entries.last().map_or(u32::MAX, |&(entry, _)| entry)
    }

    /// Notes which entries up to `top` have a wanted one below them, or are one, unless that was done before.
    pub fn reach(&mut self, tape: &Tape, top: u32) {
        if self.reach.is_none() {
            self.reach = Some(Vec::new());
            self.reach_on(tape, self.lowest(), top + 1);
        }
    }

    /// Notes it of the entries from `start` up to `end`, which may have been recorded anew behind those noted before.
    pub fn reach_on(&mut self, tape: &Tape, start: u32, end: u32) {
        let lowest = self.lowest();
        let Some(reach) = self.reach.as_mut().filter(|_| lowest <= start && start < end) else { return };
        reach.resize((start - lowest) as usize, false);
        reach.resize((end - lowest) as usize, false);
        for &(wanted, _) in self.entries.iter().filter(|(entry, _)| (start..end).contains(entry)) {
            reach[(wanted - lowest) as usize] = true;
        }
        for index in start..end {
            let below = |operand: u32| operand >= lowest && reach[(operand - lowest) as usize];
            if tape.entry(index).flags.has(Flags::GRAD) && tape.any_operand(index, below) {
                reach[(index - lowest) as usize] = true;
            }
        }
    }

    pub fn is_reached(&self, entry: u32) -> bool {
        let reach = self.reach.as_ref().expect("made before a rule runs");
        let place = entry.checked_sub(self.lowest());
        place.is_some_and(|place| reach.get(place as usize).is_some_and(|&reached| reached))
    }
}

/// A captured gradient as a tensor of the caller's scope.
#[inline]
pub(super) fn own_gradient(tape: &mut Tape, index: u32, adjoint: &Adjoint) -> Result<Option<Handle>> {
    let dtype = tape.entry(index).dtype();
    match *adjoint {
        Adjoint::None | Adjoint::Uniform(_) => Ok(None),
        Adjoint::Tensor(handle) => Ok(Some(handle)),
        Adjoint::Number(number) => tape.push_float(dtype, number).map(Some),
        Adjoint::Block(block) => {
            tape.arena.set_base(block, tape.len());
            let show = if dtype == DType::F32 { show_block::<f32> } else { show_block::<f64> };
            show(tape, index, block).map(Some)
        }
    }
}
