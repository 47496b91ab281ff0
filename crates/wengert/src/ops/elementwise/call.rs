//! One kernel on operands of the tape.

use smallvec::{SmallVec, smallvec};
use wengert_kernels::{map, parallel};

use super::blocks::Source;
use super::program::{Kernel, Program, Read};
use super::{BLOCK, Place, Plain, plain_of, source_of};
use crate::element::FloatElement;
use crate::error::Result;
use crate::shape::Layout;
use crate::tape::Tape;

/// A kernel, and what it reads of a result of `layout`'s shape.
pub(super) struct Call<'a, E> {
    pub kernel: Kernel<E>,
    /// Its time per element, an addition being 1.
    pub cost: u32,
    /// Operands that it does not read are `None`.
    pub places: &'a [Option<Place>; 5],
    /// In place of the first operand.
    pub g: Option<&'a [E]>,
    pub layout: &'a Layout,
}

impl<E: FloatElement> Call<'_, E> {
    /// `out = kernel(operands)`, or `out += kernel(operands)` with `add`.
    pub fn run(&self, tape: &Tape, out: &mut [E], add: bool) -> Result<()> {
        if out.len() <= BLOCK && self.run_plain(tape, out, add) {
            return Ok(());
        }
        let mut sources = self.places.map(|place| match place {
            Some(place) => source_of(tape, place, self.layout),
            None => Source::Unused,
        });
        if let Some(g) = self.g {
            sources[0] = Source::Slice(g);
        }
        if !add && sources.iter().all(|source| matches!(source, Source::Slice(_) | Source::Unused)) {
            let slices = sources.map(|source| source.slice());
            parallel::in_parts(out.len(), self.cost as usize, BLOCK, out, |range, out| {
                self.kernel.run(slices.map(|slice| slice.map(|slice| &slice[range.clone()])), out);
            });
            return Ok(());
        }
        let (mut program, mut operands) = (Program::new(1), [Read::Unused; 5]);
        for (operand, source) in operands.iter_mut().zip(sources) {
            *operand = program.input(source)?;
        }
        program.step(self.kernel, operands, self.cost, (0, add))?;
        program.run(out.len(), smallvec![out]);
        Ok(())
    }

    /// Runs the kernel on at most a block; `false`, and nothing is done, if an operand has to be packed.
    fn run_plain(&self, tape: &Tape, out: &mut [E], add: bool) -> bool {
        let mut slices = [self.g, None, None, None, None];
        let mut numbers = SmallVec::<[(usize, E); 5]>::new();
        for (k, &place) in self.places.iter().enumerate() {
            let Some(place) = place else { continue };
            match plain_of(tape, place, self.layout) {
                Some(Plain::Slice(slice)) => slices[k] = Some(slice),
                Some(Plain::Number(number)) => numbers.push((k, number)),
                None => return false,
            }
        }
        if numbers.is_empty() && !add {
            self.kernel.run(slices, out);
            return true;
        }
        let width = out.len();
        E::scratch((numbers.len() + usize::from(add)) * width, |scratch| {
            let (temporary, spread) = scratch.split_at_mut(if add { width } else { 0 });
            let mut slices = slices;
            for (&(k, number), block) in numbers.iter().zip(spread.chunks_exact_mut(width.max(1))) {
                map::fill(number, block);
                slices[k] = Some(&*block);
            }
            if add {
                self.kernel.run(slices, temporary);
                map::add_assign(temporary, out);
            } else {
                self.kernel.run(slices, out);
            }
        });
        true
    }
}
