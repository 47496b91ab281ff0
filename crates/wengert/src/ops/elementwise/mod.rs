//! Elementwise operations: one flat kernel per formula over contiguous blocks, and nothing else.
//!
//! Recording broadcasts the operands' shapes; evaluation hands the formula's kernel whole slices where all operands are
//! contiguous, and else blocks of [`BLOCK`] elements, into which numbers are spread and strided or broadcast operands packed. The
//! sweep does the same with the vector-Jacobian products.

mod blocks;
mod call;
mod cost;
mod deferred;
mod formula;
mod methods;
mod product;
mod program;
mod rows;
mod scalar;

use smallvec::SmallVec;

pub(crate) use self::blocks::Source;
use self::call::Call;
pub(crate) use self::deferred::{Values, compute_deferred, fold_works, sum_deferred, sum_of_blocks};
pub(crate) use self::formula::Formula;
pub use self::formula::{Kernels, Row};
pub use self::methods::{pow, xlogy};
pub(crate) use self::product::{Product, append, moving, products, recorded, sweep};
use self::program::Kernel;
pub(crate) use self::program::{Program, Read};
pub use self::rows::Elementwise;
pub(crate) use self::rows::formulas;
pub(crate) use self::scalar::scalar_products;
use crate::element::{DType, Element, FloatElement};
use crate::error::{Result, error, unwrap};
use crate::ops::Op;
use crate::shape::{Layout, Shape, broadcast};
use crate::tape::arena::{Ref, RefList};
use crate::tape::profile::{self, Phase};
use crate::tape::{self, Entry, Flags, Meta, Tape, Value};
use crate::tensor::TensorBase;
use crate::trace;

/// Elements per block: a few operands of it fit into the first-level cache.
pub(crate) const BLOCK: usize = 1024;

impl Elementwise {
    pub(crate) fn row(self) -> &'static Row {
        &rows::ROWS[self as usize]
    }

    /// Every row of the table.
    pub(crate) fn rows() -> &'static [Row] {
        rows::ROWS
    }
}

/// An operand of an elementwise operation.
#[derive(Clone, Copy)]
pub enum Operand<E> {
    /// A tensor, which broadcasts.
    Tensor(TensorBase<E>),
    /// A number, which takes no place on the tape.
    Number(f64),
    /// A mask as numbers: 1 where it holds, else 0.
    #[doc(hidden)]
    Mask(TensorBase<bool>),
}

/// What can be an operand of an elementwise operation: a tensor of the same type, or a number.
pub trait IntoOperand<E>: Copy {
    /// The operand.
    fn operand(self) -> Operand<E>;
}

impl<E: Element> IntoOperand<E> for TensorBase<E> {
    fn operand(self) -> Operand<E> {
        Operand::Tensor(self)
    }
}
impl<E: Element> IntoOperand<E> for Operand<E> {
    fn operand(self) -> Self {
        self
    }
}
macro_rules! numbers {
    ($($t:ty)+) => { $(
        impl<E: FloatElement> IntoOperand<E> for $t {
            fn operand(self) -> Operand<E> {
                Operand::Number(self as f64)
            }
        }
    )+ };
}
numbers!(f32 f64 i32);

#[inline]
#[track_caller]
pub(crate) fn unary<E: FloatElement>(op: Elementwise, a: TensorBase<E>) -> Result<TensorBase<E>> {
    if !trace::is_on()
        && let Some(value) = scalar::unary(op, a)
    {
        return Ok(value);
    }
    general(op, &[Operand::Tensor(a)])
}

#[inline]
#[track_caller]
pub(crate) fn binary<E: FloatElement>(
    op: Elementwise,
    a: impl IntoOperand<E>,
    b: impl IntoOperand<E>,
) -> Result<TensorBase<E>> {
    if !trace::is_on()
        && let Some(value) = scalar::binary(op, a, b)
    {
        return Ok(value);
    }
    general(op, &[a.operand(), b.operand()])
}

/// The row `F` as an operator, which is worth an instance of its own; what is not a plain number is left to another function, so
/// that this one needs no stack.
///
/// # Panics
/// With the text of the error that [`binary`] returns.
#[inline]
#[track_caller]
pub(crate) fn operator<F: Formula, E: FloatElement>(a: impl IntoOperand<E>, b: impl IntoOperand<E>) -> TensorBase<E> {
    if !trace::is_on()
        && let Some(value) = scalar::binary_of::<F, E, _, _>(a, b)
    {
        return value;
    }
    general_operator(F::OP, a.operand(), b.operand())
}

#[inline(never)]
#[track_caller]
fn general_operator<E: FloatElement>(op: Elementwise, a: Operand<E>, b: Operand<E>) -> TensorBase<E> {
    unwrap(general(op, &[a, b]))
}

/// Records what is not a plain number, and all while lines are noted.
#[inline(never)]
#[track_caller]
fn general<E: FloatElement>(op: Elementwise, operands: &[Operand<E>]) -> Result<TensorBase<E>> {
    if trace::is_on() {
        let _line = trace::note();
        let number = match *operands {
            [Operand::Tensor(a)] => scalar::unary(op, a),
            [a, b] => scalar::binary(op, a, b),
            _ => None,
        };
        if let Some(number) = number {
            return Ok(number);
        }
    }
    record(op, operands)
}

#[track_caller]
pub(crate) fn ternary<E: FloatElement>(
    op: Elementwise,
    a: TensorBase<E>,
    b: impl IntoOperand<E>,
    c: impl IntoOperand<E>,
) -> Result<TensorBase<E>> {
    record(op, &[Operand::Tensor(a), b.operand(), c.operand()])
}

#[track_caller]
pub(crate) fn choose<E: FloatElement>(
    mask: TensorBase<bool>,
    yes: Operand<E>,
    no: Operand<E>,
) -> Result<TensorBase<E>> {
    if let (Operand::Number(_), Operand::Number(_)) = (yes, no) {
        return Err(error!(Value, "where_: one of the two choices must be a tensor, which tells the element type"));
    }
    record(Elementwise::Where, &[Operand::Mask(mask), yes, no])
}

/// An operand on the tape.
#[derive(Clone, Copy)]
enum Place {
    Entry(u32),
    Number(f64),
}

/// The entries among operands.
fn entries(places: &[Place]) -> impl Iterator<Item = u32> + Clone {
    places.iter().filter_map(|&place| if let Place::Entry(index) = place { Some(index) } else { None })
}

/// Evaluates and records an operation.
#[track_caller]
pub(crate) fn record<E: FloatElement>(op: Elementwise, operands: &[Operand<E>]) -> Result<TensorBase<E>> {
    let _line = trace::note();
    tape::with(|tape| {
        let mut places = [Place::Number(0.0); 3];
        for (place, operand) in places.iter_mut().zip(operands) {
            *place = match operand {
                Operand::Tensor(tensor) => Place::Entry(tape.locate(tensor.handle())?),
                Operand::Mask(mask) => Place::Entry(tape.locate(mask.handle())?),
                Operand::Number(number) => Place::Number(*number),
            };
        }
        let index = record_places::<E>(tape, op, &places[..operands.len()])?;
        Ok(TensorBase::from_handle(tape.handle(index)))
    })
}

fn record_places<E: FloatElement>(tape: &mut Tape, op: Elementwise, places: &[Place]) -> Result<u32> {
    let row = op.row();
    let meta = result_meta(tape, row.name, places)?;
    let grad = tape.grad_enabled && needs_gradient(tape, row, places)?;
    let defers = deferred::defer(tape, places, meta)?;
    let value = if defers { Value::Deferred } else { evaluate::<E>(tape, row, places, meta)? };
    let mut entry = Entry::new(tape.scope_id(), Op::Elementwise(op), Flags::default(), value, meta);
    entry.flags.set(Flags::GRAD, grad);
    place_operands(tape, &mut entry, places)?;
    if entry.flags.has(Flags::LIST) {
        // Numbers that became tensors took the index that the block was made for.
        if let Some(storage) = entry.block() {
            tape.arena.set_base(storage, tape.len());
        }
    }
    if defers {
        tape.reserve_deferred()?;
    }
    let index = tape.push(entry)?;
    if defers {
        tape.note_deferred(index);
    }
    Ok(index)
}

/// Whether an operand requires a gradient.
///
/// # Errors
/// One does whose derivative the row does not have, which would be lost silently.
fn needs_gradient(tape: &Tape, row: &Row, places: &[Place]) -> Result<bool> {
    let mut any = false;
    for (k, &place) in places.iter().enumerate() {
        if let Place::Entry(index) = place
            && tape.entry(index).flags.has(Flags::GRAD)
        {
            if !row.differentiable(k) {
                return Err(no_derivative_slow(row, k));
            }
            any = true;
        }
    }
    Ok(any)
}

#[cold]
fn no_derivative_slow(row: &Row, k: usize) -> crate::Error {
    error!(Grad, "{}: there is no derivative for operand {k}, which requires a gradient; `detach()` it", row.name)
}

/// Writes the operands into the entry: two fit, numbers lie in the tape's constants, more go to a list.
fn place_operands(tape: &mut Tape, entry: &mut Entry, places: &[Place]) -> Result<()> {
    match *places {
        [Place::Entry(a)] => entry.a = a,
        [Place::Entry(a), Place::Entry(b)] => (entry.a, entry.b) = (a, b),
        [Place::Entry(a), Place::Number(b)] => {
            (entry.a, entry.b) = (a, tape.push_constant(b)?);
            entry.flags.set(Flags::CONST_B, true);
        }
        [Place::Number(a), Place::Entry(b)] => {
            (entry.a, entry.b) = (tape.push_constant(a)?, b);
            entry.flags.set(Flags::CONST_A, true);
        }
        [Place::Entry(a), Place::Number(b), Place::Number(c)] => {
            (entry.a, entry.b) = (a, tape.push_constant(b)?);
            tape.push_constant(c)?;
            entry.flags.set(Flags::CONST_B, true);
        }
        _ => {
            let mut list = SmallVec::<[u32; 3]>::new();
            for &place in places {
                list.push(match place {
                    Place::Entry(index) => index,
                    // A number among three operands is rare; it becomes a tensor of rank 0.
                    Place::Number(number) => tape.push_float(entry.dtype(), number)?.index,
                });
            }
            let operands: RefList<u32> = tape.arena.put_list(&list)?;
            let layout = tape.arena.get(entry.meta).layout;
            entry.meta = tape.arena.put(Meta { operands, ..Meta::plain(layout) })?;
            entry.flags.set(Flags::LIST, true);
            entry.flags.set(Flags::CONST_B, matches!(places[places.len() - 1], Place::Number(_)));
        }
    }
    Ok(())
}

/// The result's meta, shared with an operand of the same shape where there is one.
fn result_meta(tape: &mut Tape, name: &str, places: &[Place]) -> Result<Ref<Meta>> {
    let meta_of = |index| tape.entry(index).meta;
    let first = entries(places).next().expect("an operand that is a tensor");
    if tape.layout(first).is_plain() && entries(places).all(|index| meta_of(index) == meta_of(first)) {
        return Ok(meta_of(first));
    }
    let of_shape = |tape: &Tape, shape: &[usize]| {
        let fits = |&index: &u32| tape.layout(index).is_plain() && tape.layout(index).shape() == shape;
        entries(places).find(fits).map(|index| tape.entry(index).meta)
    };
    let widest = entries(places).max_by_key(|&index| tape.layout(index).rank()).unwrap_or(first);
    let shape = tape.layout(widest).shape();
    let needs_no_broadcast = |index| matches!(tape.layout(index).shape(), dims if dims.is_empty() || dims == shape);
    if entries(places).all(needs_no_broadcast)
        && let Some(meta) = of_shape(tape, shape)
    {
        return Ok(meta);
    }
    let mut shape = Shape::of(tape.layout(first).shape());
    for index in entries(places).skip(1) {
        shape = broadcast(name, &shape, tape.layout(index).shape())?;
    }
    match of_shape(tape, &shape) {
        Some(meta) => Ok(meta),
        None => tape.arena.put(Meta::plain(Layout::contiguous(&shape))),
    }
}

/// Computes the value.
fn evaluate<E: FloatElement>(tape: &mut Tape, row: &Row, places: &[Place], meta: Ref<Meta>) -> Result<Value<E>> {
    let bytes = |tape: &Tape| {
        let result = tape.arena.get(meta).layout.numel() * size_of::<E>();
        entries(places).map(|index| tape.bytes(index)).sum::<usize>() + result
    };
    let _span = profile::span(Phase::Forward, || profile::whole(row.name, bytes(tape)));
    tape.evaluate_as(meta, |tape, out| {
        let (kernel, layout) = (Kernel::Value(E::kernels(row).value), &tape.arena.get(meta).layout);
        let place = |k: usize| places.get(k).copied();
        let places = &[place(0), place(1), place(2), None, None];
        Call { kernel, cost: row.cost(), places, g: None, layout }.run(tape, out, false)
    })
}

/// An operand that needs no packing.
enum Plain<'a, E> {
    /// All elements, in order.
    Slice(&'a [E]),
    /// One number for all.
    Number(E),
}

/// The elements of an operand of a result of `layout`'s shape, if they need no packing.
fn plain_of<'a, E: FloatElement>(tape: &'a Tape, place: Place, layout: &Layout) -> Option<Plain<'a, E>> {
    let index = match place {
        Place::Number(number) => return Some(Plain::Number(E::of(number))),
        Place::Entry(index) => index,
    };
    let own = tape.layout(index);
    if tape.entry(index).dtype() == DType::Bool {
        None
    } else if own.is_contiguous() && own.numel() == layout.numel() {
        Some(Plain::Slice(&tape.data(index)[..own.numel()]))
    } else if own.numel() == 1 {
        Some(Plain::Number(tape.data(index)[0]))
    } else {
        None
    }
}

/// How the elements of an operand are reached in a result of `layout`'s shape.
fn source_of<'a, E: FloatElement>(tape: &'a Tape, place: Place, layout: &Layout) -> Source<'a, E> {
    match (plain_of(tape, place, layout), place) {
        (Some(Plain::Slice(slice)), _) => Source::Slice(slice),
        (Some(Plain::Number(number)), _) => Source::Splat(number),
        (None, Place::Number(_)) => unreachable!("a number needs no packing"),
        (None, Place::Entry(index)) => {
            let own = tape.layout(index).broadcast_to(layout.shape());
            match tape.entry(index).dtype() {
                DType::Bool => Source::Mask(tape.data(index), own),
                _ => Source::Strided(tape.data(index), own),
            }
        }
    }
}

/// Where the operands of an elementwise entry are; those that it does not have are `None`.
fn places_of(tape: &Tape, index: u32, arity: usize) -> [Option<Place>; 3] {
    let entry = tape.entry(index);
    if entry.flags.has(Flags::LIST) {
        let list = tape.arena.get_list(tape.meta(index).operands);
        return std::array::from_fn(|k| list.get(k).map(|&index| Place::Entry(index)));
    }
    let place = |at, is_number| if is_number { Place::Number(tape.constant(at)) } else { Place::Entry(at) };
    let (const_a, const_b) = (entry.flags.has(Flags::CONST_A), entry.flags.has(Flags::CONST_B));
    let operand = |k: usize, at, is_number| if k < arity { Some(place(at, is_number)) } else { None };
    [operand(0, entry.a, const_a), operand(1, entry.b, const_b), operand(2, entry.b + 1, true)]
}
