//! Products of an incoming derivative with a row's Jacobian: as kernels into blocks, or recorded.

use smallvec::SmallVec;

use super::blocks::{Source, fill};
use super::formula::{Needs, Row, Vals};
use super::program::{self, Kernel, Program, Read};
use super::{BLOCK, Elementwise, Place, places_of, source_of};
use crate::element::{DType, FloatElement};
use crate::error::Result;
use crate::ops::reduce;
use crate::tape::arena::{Storage, lend};
use crate::tape::{self, Flags, Handle, Tape};
use crate::tensor::TensorBase;

/// One operand's share of a sweep over an elementwise entry.
pub(crate) struct Product {
    /// The operand's entry.
    pub operand: u32,
    /// Which operand it is of the row.
    pub rule: usize,
}

/// The operands of entry `index` that need a gradient, after checking that the values it needs are unchanged.
pub(crate) fn products(tape: &Tape, index: u32, op: Elementwise) -> Result<SmallVec<[Product; 3]>> {
    let row = op.row();
    let places = places_of(tape, index, row.arity);
    let mut products = SmallVec::new();
    for (rule, (&place, needs)) in places.iter().zip(row.needs).enumerate() {
        let (Place::Entry(operand), Some(needs)) = (place, needs) else { continue };
        if !tape.entry(operand).flags.has(Flags::GRAD) {
            continue;
        }
        check_needed(tape, index, &places, needs)?;
        products.push(Product { operand, rule });
    }
    Ok(products)
}

/// Checks that the values which a product needs are what the entry saw.
fn check_needed(tape: &Tape, index: u32, places: &[Place], needs: Needs) -> Result<()> {
    for (k, &place) in places.iter().enumerate() {
        if let Place::Entry(read) = place
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
    let layout = *tape.layout(index);
    let whole = tape.layout(product.operand).shape() == layout.shape();
    if whole {
        return products_into::<E>(tape, index, row, product.rule, g, target, first);
    }
    let operand = *tape.layout(product.operand);
    let temporary = tape.arena.alloc::<E>(layout.numel(), 0)?.publish();
    products_into::<E>(tape, index, row, product.rule, g, temporary, true)?;
    reduce::sum_to::<E>(tape, temporary, layout.shape(), operand.shape(), target, first)
}

/// Writes or adds the full-size products to `target`.
fn products_into<E: FloatElement>(
    tape: &mut Tape,
    index: u32,
    row: &Row,
    rule: usize,
    g: Storage,
    target: Storage,
    first: bool,
) -> Result<()> {
    lend(tape, target, |out: &mut [E], tape| {
        let mut sources = product_sources(tape, index, row, rule);
        sources[0] = Source::Slice(tape.arena.read(g));
        program::apply(Kernel::Product(E::kernels(row).vjp[rule]), sources, out, !first);
    });
    Ok(())
}

/// Appends the vector-Jacobian product of entry `index` for one operand, whose incoming derivative is `g`, to a program: it stores to
/// `slot`, or adds.
pub(crate) fn append<'a, E: FloatElement>(
    program: &mut Program<'a, E>,
    tape: &'a Tape,
    index: u32,
    op: Elementwise,
    rule: usize,
    g: Read,
    (slot, add): (usize, bool),
) {
    let row = op.row();
    let mut operands = product_sources(tape, index, row, rule).map(|source| program.input(source));
    operands[0] = g;
    program.step(Kernel::Product(E::kernels(row).vjp[rule]), operands, slot, add);
}

/// What the product for one operand reads beside the incoming derivative, which comes first.
fn product_sources<'a, E: FloatElement>(tape: &'a Tape, index: u32, row: &Row, rule: usize) -> [Source<'a, E>; 5] {
    let layout = tape.layout(index);
    let needs = row.needs[rule].expect("a product of an operand that has a rule");
    let mut sources = [Source::Unused; 5];
    for (k, &place) in places_of(tape, index, row.arity).iter().enumerate() {
        if needs.operand(k) {
            sources[k + 1] = source_of(tape, place, layout);
        }
    }
    if needs.value() {
        sources[4] = source_of(tape, Place::Entry(index), layout);
    }
    sources
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
        for (k, &place) in places.iter().enumerate() {
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
    Ok((E::kernels(row).record[rule])(Vals { g, a, b, c, y }))
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
    for (rule, (&place, needs)) in places.iter().zip(row.needs).enumerate() {
        if let (Place::Entry(operand), Some(needs)) = (place, needs)
            && moves(operand)
        {
            check_needed(tape, index, &places, needs)?;
            products.push(Product { operand, rule });
        }
    }
    Ok(products)
}
