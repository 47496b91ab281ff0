//! One kernel on operands of the tape.

use smallvec::smallvec;
use wengert_kernels::{map, parallel};

use super::blocks::Source;
use super::program::{Kernel, Program, Read};
use super::{BLOCK, Place, source_of};
use crate::element::{DType, FloatElement};
use crate::error::Result;
use crate::shape::Layout;
use crate::tape::Tape;

/// A kernel, and what it reads of a result of `layout`'s shape.
pub(super) struct Call<'a, E> {
    pub kernel: Kernel<E>,
    /// Its time per element, an addition being 1.
    pub cost: u32,
    /// Operands that it does not read are `None`.
    pub places: [Option<Place>; 5],
    /// In place of the first operand.
    pub g: Option<&'a [E]>,
    pub layout: &'a Layout,
}

/// An operand that needs no packing.
#[derive(Clone, Copy)]
enum Plain<'a, E> {
    Unused,
    Slice(&'a [E]),
    Number(E),
}

impl<E: FloatElement> Call<'_, E> {
    /// `out = kernel(operands)`, or `out += kernel(operands)` with `add`.
    pub fn run(&self, tape: &Tape, out: &mut [E], add: bool) -> Result<()> {
        if out.len() <= BLOCK
            && let Some(operands) = self.plain(tape)
        {
            self.run_plain(operands, out, add);
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
            let first = sources.iter().find_map(Source::slice).expect("an operand that the formula reads");
            let slices = sources.map(|source| source.slice().unwrap_or(first));
            parallel::in_parts(out.len(), self.cost as usize, BLOCK, out, |range, out| {
                self.kernel.run(slices.map(|slice| &slice[range.clone()]), out);
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

    /// The operands, if none has to be packed.
    fn plain<'t>(&'t self, tape: &'t Tape) -> Option<[Plain<'t, E>; 5]> {
        let mut operands = [Plain::Unused; 5];
        for (operand, &place) in operands.iter_mut().zip(&self.places) {
            *operand = match place {
                None => continue,
                Some(Place::Number(number)) => Plain::Number(E::of(number)),
                Some(Place::Entry(index)) => {
                    let layout = tape.layout(index);
                    if tape.entry(index).dtype() == DType::Bool {
                        return None;
                    }
                    match layout.numel() {
                        n if n == self.layout.numel() && layout.is_contiguous() => Plain::Slice(&tape.data(index)[..n]),
                        1 => Plain::Number(tape.data(index)[0]),
                        _ => return None,
                    }
                }
            };
        }
        if let Some(g) = self.g {
            operands[0] = Plain::Slice(g);
        }
        Some(operands)
    }

    /// Runs the kernel on at most a block, with numbers spread next to each other in scratch memory.
    fn run_plain(&self, operands: [Plain<'_, E>; 5], out: &mut [E], add: bool) {
        let width = out.len();
        let is_number = |operand: &Plain<'_, E>| matches!(operand, Plain::Number(_));
        let numbers = operands.iter().filter(|operand| is_number(operand)).count();
        let run = |scratch: &mut [E]| {
            let (numbers, temporary) = scratch.split_at_mut(numbers * width);
            let mut spread = 0;
            for operand in &operands {
                if let Plain::Number(number) = operand {
                    numbers[spread..spread + width].fill(*number);
                    spread += width;
                }
            }
            let mut spread = numbers.chunks_exact(width.max(1));
            let slices = operands.map(|operand| match operand {
                Plain::Unused => None,
                Plain::Slice(slice) => Some(slice),
                Plain::Number(_) => Some(spread.next().unwrap_or(&[])),
            });
            let first = slices.iter().find_map(|&slice| slice).expect("an operand that the formula reads");
            let slices = slices.map(|slice| slice.unwrap_or(first));
            if add {
                self.kernel.run(slices, temporary);
                map::add_assign(temporary, out);
            } else {
                self.kernel.run(slices, out);
            }
        };
        E::scratch((numbers + usize::from(add)) * width, run);
    }
}
