//! Products of an incoming derivative with a row's Jacobian: as kernels into blocks, or recorded.

use smallvec::SmallVec;

use super::blocks::{Source, fill};
use super::call::Call;
use super::deferred::Values;
use super::formula::{Needs, Row, Vals};
use super::program::{Kernel, Program, Read};
use super::{BLOCK, Elementwise, Place, places_of};
use crate::element::{DType, FloatElement};
use crate::error::Result;
use crate::ops::reduce;
use crate::tape::arena::{Storage, lend};
use crate::tape::{self, Flags, Handle, Tape};
use crate::tensor::TensorBase;
use crate::tensor::recorded::record_formula;

/// One operand's share of a sweep over an elementwise entry.
pub(crate) struct Product {
    /// The operand's entry.
    pub operand: u32,
    /// Which operand it is of the row.
    pub rule: usize,
}

/// The operands of entry `index` that need a gradient, after checking that the values it needs are unchanged.
pub(crate) fn products(tape: &Tape, index: u32, op: Elementwise) -> Result<SmallVec<[Product; 3]>> {
    moving(tape, index, op, |operand| tape.entry(operand).flags.has(Flags::GRAD))
}

/// Checks that the values which a product needs are what the entry saw.
fn check_needed(tape: &Tape, index: u32, places: [Option<Place>; 3], needs: Needs) -> Result<()> {
    for (k, place) in places.into_iter().enumerate() {
        if let Some(Place::Entry(read)) = place
            && needs.operand(k)
        {
            tape.check_unchanged(read, index)?;
        }
    }
    if needs.value() { tape.check_unchanged(index, index) } else { Ok(()) }
}

/// Adds the vector-Jacobian product of entry `index` with the contiguous `g` to the block `target` (stores, if `first`).
pub(crate) fn sweep<E: FloatElement>(
    tape: &mut Tape,
    index: u32,
    op: Elementwise,
    product: &Product,
    g: Storage,
    target: Storage,
    first: bool,
) -> Result<()> {
    let row = op.row();
    let places = &product_places(tape, index, row, product.rule);
    for place in places.iter().flatten() {
        if let &Place::Entry(read) = place {
            tape.compute(read)?;
        }
    }
    let is_whole = tape.same_shape(product.operand, index);
    let (block, stores) = match is_whole {
        true => (target, first),
        false => (tape.arena.alloc::<E>(tape.layout(index).numel(), 0)?.publish(), true),
    };
    lend(tape, block, |out: &mut [E], tape| {
        let (kernel, cost) = (Kernel::Product(E::kernels(row).vjp[product.rule]), row.product_cost(product.rule));
        let (g, layout) = (Some(tape.arena.read(g)), tape.layout(index));
        Call { kernel, cost, places, g, layout }.run(tape, out, !stores)
    })?;
    if is_whole {
        return Ok(());
    }
    let (layout, operand) = (*tape.layout(index), *tape.layout(product.operand));
    reduce::sum_to::<E>(tape, block, layout.shape(), operand.shape(), target, first)
}

/// Appends the vector-Jacobian product of entry `index` for one operand, whose incoming derivative is `g`, to a program: it stores to
/// `slot`, or adds.
pub(crate) fn append<'a, E: FloatElement>(
    (program, values): (&mut Program<'a, E>, &mut Values),
    tape: &'a Tape,
    index: u32,
    op: Elementwise,
    rule: usize,
    g: Read,
    target: (usize, bool),
) -> Result<()> {
    let (row, layout) = (op.row(), tape.layout(index));
    let mut operands = [g, Read::Unused, Read::Unused, Read::Unused, Read::Unused];
    for (operand, place) in operands.iter_mut().zip(product_places(tape, index, row, rule)) {
        if let Some(place) = place {
            *operand = values.place(program, tape, place, layout)?;
        }
    }
    program.step(Kernel::Product(E::kernels(row).vjp[rule]), operands, row.product_cost(rule), target)
}

/// What the product for one operand reads beside the incoming derivative, which comes first.
fn product_places(tape: &Tape, index: u32, row: &Row, rule: usize) -> [Option<Place>; 5] {
    let needs = row.needs[rule].expect("a product of an operand that has a rule");
    let [a, b, c] = places_of(tape, index, row.arity);
    let read = |k, place| if needs.operand(k) { place } else { None };
    [None, read(0, a), read(1, b), read(2, c), needs.value().then_some(Place::Entry(index))]
}

/// The derivative of entry `index` in direction `g` along operand `rule`, recorded; in forward mode, `g` is a tangent.
pub(crate) fn recorded<E: FloatElement>(
    index: u32,
    op: Elementwise,
    rule: usize,
    g: TensorBase<E>,
) -> Result<TensorBase<E>> {
    let row = op.row();
    let handles = tape::with(|tape| {
        let mut handles = [g.handle(); 4];
        let places = places_of(tape, index, row.arity);
        let needs = row.needs[rule].expect("a product of an operand that has a rule");
        for (k, place) in places.into_iter().flatten().enumerate() {
            if needs.operand(k) {
                handles[k] = handle_of::<E>(tape, place)?;
            }
        }
        if needs.value() {
            handles[3] = tape.handle(index);
        }
        Ok(handles)
    })?;
    let [a, b, c, y] = handles.map(TensorBase::from_handle);
    record_formula([g, a, b, c, y], |[g, a, b, c, y]| (E::kernels(row).record[rule])(Vals { g, a, b, c, y }))
}

/// An operand as a tensor of floats.
fn handle_of<E: FloatElement>(tape: &mut Tape, place: Place) -> Result<Handle> {
    let index = match place {
        Place::Number(number) => return tape.push_float(E::DTYPE, number),
        Place::Entry(index) if tape.entry(index).dtype() != DType::Bool => index,
        Place::Entry(mask) => {
            let layout = *tape.layout(mask);
            tape.push_leaf_of(layout.shape(), |tape, out: &mut [E]| {
                let source = Source::Mask(tape.data::<bool>(mask), layout);
                for (block, out) in out.chunks_mut(BLOCK).enumerate() {
                    fill(&source, block * BLOCK..block * BLOCK + out.len(), out);
                }
            })?
        }
    };
    Ok(tape.handle(index))
}

/// The operands of which `moves` is true, for tangents, after checking that the values needed are unchanged.
pub(crate) fn moving(
    tape: &Tape,
    index: u32,
    op: Elementwise,
    moves: impl Fn(u32) -> bool,
) -> Result<SmallVec<[Product; 3]>> {
    let row = op.row();
    let places = places_of(tape, index, row.arity);
    let mut products = SmallVec::new();
    for (rule, (place, needs)) in places.into_iter().zip(row.needs).enumerate() {
        if let (Some(Place::Entry(operand)), Some(needs)) = (place, needs)
            && moves(operand)
        {
            check_needed(tape, index, places, needs)?;
            products.push(Product { operand, rule });
        }
    }
    Ok(products)
}
