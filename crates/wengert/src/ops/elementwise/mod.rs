//! Elementwise operations: one flat kernel per formula over contiguous blocks, and nothing else.
//!
//! Recording broadcasts the operands' shapes; evaluation hands the formula's kernel whole slices where all operands are
//! contiguous, and else blocks of [`BLOCK`] elements, into which numbers are spread and strided or broadcast operands packed. The
//! sweep does the same with the vector-Jacobian products.

mod blocks;
mod rows;

use std::marker::PhantomData;
use std::ops::Range;

use smallvec::SmallVec;
use wengert_kernels::map::{Map3, Map5, map3, map5};
use wengert_kernels::{Real, map};

use self::blocks::{Source, for_blocks, for_short_blocks};
pub use self::rows::{Elementwise, pow, xlogy};
use crate::element::{DType, Element, FloatElement};
use crate::error::{Result, error};
use crate::ops::{Op, reduce};
use crate::shape::{Layout, Shape, broadcast};
use crate::tape::arena::{RefList, Storage, lend};
use crate::tape::{self, Entry, Flags, Handle, Meta, Tape};
use crate::tensor::TensorBase;

/// Elements per block: a few operands of it fit into the first-level cache.
pub(crate) const BLOCK: usize = 1024;

/// What a formula sees: the incoming derivative, the operands, and the value.
#[derive(Clone, Copy)]
#[doc(hidden)]
pub struct Vals<R> {
    pub g: R,
    pub a: R,
    pub b: R,
    pub c: R,
    pub y: R,
}

/// One row of the table, as a type.
trait Formula: Copy + 'static {
    const OP: Elementwise;
    const NAME: &'static str;
    const GRAD_FN: &'static str;
    const DOC: &'static str;
    const ARITY: usize;
    const NEEDS: [Option<Needs>; 3];
    const DOMAIN: &'static [Range<f64>];
    fn value<R: Real>(v: Vals<R>) -> R;
    /// The vector-Jacobian product for operand `K`.
    fn vjp<const K: usize, R: Real>(v: Vals<R>) -> R;
}

/// Which of `a b c y` a vector-Jacobian product reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub struct Needs(u8);

impl Needs {
    fn operand(self, k: usize) -> bool {
        self.0 >> k & 1 == 1
    }

    fn value(self) -> bool {
        self.0 >> 3 & 1 == 1
    }
}

/// The rules of a row, `(of, needs)`, by operand; an operand without a rule has no derivative.
const fn needs(rules: &[(&str, &[&str])]) -> [Option<Needs>; 3] {
    let mut found = [None; 3];
    let mut i = 0;
    while i < rules.len() {
        let (of, names) = rules[i];
        let (mut bits, mut j) = (0, 0);
        while j < names.len() {
            bits |= match names[j].as_bytes()[0] {
                b'a' => 1,
                b'b' => 2,
                b'c' => 4,
                b'y' => 8,
                b'g' => 0,
                _ => panic!("a product reads g, a, b, c and y"),
            };
            j += 1;
        }
        found[(of.as_bytes()[1] - b'a') as usize] = Some(Needs(bits));
        i += 1;
    }
    found
}

/// One row of the table, as data.
#[doc(hidden)]
pub struct Row {
    pub op: Elementwise,
    pub name: &'static str,
    pub grad_fn: &'static str,
    pub doc: &'static str,
    pub arity: usize,
    pub needs: [Option<Needs>; 3],
    /// Where the gradient is tested, an interval per operand.
    pub domain: &'static [Range<f64>],
    pub f32: Kernels<f32>,
    pub f64: Kernels<f64>,
}

impl Row {
    /// Whether operand `k` has a derivative.
    pub(crate) fn differentiable(&self, k: usize) -> bool {
        self.needs[k].is_some()
    }

    /// Whether a derivative reads the first operand.
    pub(crate) fn reads_first(&self) -> bool {
        self.needs.iter().flatten().any(|needs| needs.operand(0))
    }
}

/// The instances of one row for one element type.
#[doc(hidden)]
#[allow(clippy::type_complexity)]
pub struct Kernels<E: 'static> {
    value: fn([&[E]; 3], &mut [E]),
    vjp: [fn([&[E]; 5], &mut [E]); 3],
    record: [fn(Vals<TensorBase<E>>) -> TensorBase<E>; 3],
}

/// Makes a row of its formula.
const fn row<F: Formula>() -> Row {
    Row {
        op: F::OP,
        name: F::NAME,
        grad_fn: F::GRAD_FN,
        doc: F::DOC,
        arity: F::ARITY,
        needs: F::NEEDS,
        domain: F::DOMAIN,
        f32: kernels::<F, f32>(),
        f64: kernels::<F, f64>(),
    }
}

const fn kernels<F: Formula, E: FloatElement>() -> Kernels<E> {
    Kernels {
        value: |[a, b, c], out| map3(Value::<F>(PhantomData), a, b, c, out),
        vjp: [
            |[g, a, b, c, y], out| map5(Vjp::<F, 0>(PhantomData), g, a, b, c, y, out),
            if F::ARITY > 1 {
                |[g, a, b, c, y], out| map5(Vjp::<F, 1>(PhantomData), g, a, b, c, y, out)
            } else {
                |_, _| unreachable!("an operand that the row does not have")
            },
            if F::ARITY > 2 {
                |[g, a, b, c, y], out| map5(Vjp::<F, 2>(PhantomData), g, a, b, c, y, out)
            } else {
                |_, _| unreachable!("an operand that the row does not have")
            },
        ],
        record: [F::vjp::<0, TensorBase<E>>, F::vjp::<1, TensorBase<E>>, F::vjp::<2, TensorBase<E>>],
    }
}

#[derive(Clone, Copy)]
struct Value<F>(PhantomData<F>);
impl<F: Formula, E: Real> Map3<E> for Value<F> {
    #[inline(always)]
    fn at(self, a: E, b: E, c: E) -> E {
        F::value(Vals { g: a, a, b, c, y: a })
    }
}

#[derive(Clone, Copy)]
struct Vjp<F, const K: usize>(PhantomData<F>);
impl<F: Formula, const K: usize, E: Real> Map5<E> for Vjp<F, K> {
    #[inline(always)]
    fn at(self, g: E, a: E, b: E, c: E, y: E) -> E {
        F::vjp::<K, E>(Vals { g, a, b, c, y })
    }
}

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
pub trait IntoOperand<E> {
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

pub(crate) fn unary<E: FloatElement>(op: Elementwise, a: TensorBase<E>) -> Result<TensorBase<E>> {
    record(op, &[Operand::Tensor(a)])
}

pub(crate) fn binary<E: FloatElement>(
    op: Elementwise,
    a: impl IntoOperand<E>,
    b: impl IntoOperand<E>,
) -> Result<TensorBase<E>> {
    record(op, &[a.operand(), b.operand()])
}

pub(crate) fn ternary<E: FloatElement>(
    op: Elementwise,
    a: TensorBase<E>,
    b: impl IntoOperand<E>,
    c: impl IntoOperand<E>,
) -> Result<TensorBase<E>> {
    record(op, &[Operand::Tensor(a), b.operand(), c.operand()])
}

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

/// Evaluates and records an operation.
pub(crate) fn record<E: FloatElement>(op: Elementwise, operands: &[Operand<E>]) -> Result<TensorBase<E>> {
    tape::with(|tape| {
        let mut places = SmallVec::<[Place; 3]>::new();
        for operand in operands {
            places.push(match operand {
                Operand::Tensor(tensor) => Place::Entry(tape.resolve(tensor.handle())?),
                Operand::Mask(mask) => Place::Entry(tape.resolve(mask.handle())?),
                Operand::Number(number) => Place::Number(*number),
            });
        }
        let index = record_places::<E>(tape, op, &places)?;
        Ok(TensorBase::from_handle(tape.handle(index)))
    })
}

fn record_places<E: FloatElement>(tape: &mut Tape, op: Elementwise, places: &[Place]) -> Result<u32> {
    let row = op.row();
    let shared = result_meta(tape, row.name, places)?;
    let layout = shared.layout;
    let storage = evaluate::<E>(tape, row, places, &layout)?;
    let grad = tape.grad_enabled
        && places.iter().zip(row.needs).any(|(&place, rule)| match place {
            Place::Entry(i) => rule.is_some() && tape.entry(i).flags.has(Flags::GRAD),
            Place::Number(_) => false,
        });
    let mut entry = Entry {
        scope: tape.scope_id(),
        op: Op::Elementwise(op),
        dtype: E::DTYPE,
        flags: Flags::default(),
        a: 0,
        b: 0,
        storage,
        meta: shared.place,
    };
    entry.flags.set(Flags::GRAD, grad);
    place_operands(tape, &mut entry, places, &layout)?;
    tape.push(entry)
}

/// Writes the operands into the entry: two fit, numbers lie in the tape's constants, more go to a list.
fn place_operands(tape: &mut Tape, entry: &mut Entry, places: &[Place], layout: &Layout) -> Result<()> {
    match *places {
        [Place::Entry(a)] => entry.a = a,
        [Place::Entry(a), Place::Entry(b)] => (entry.a, entry.b) = (a, b),
        [Place::Entry(a), Place::Number(b)] => {
            (entry.a, entry.b) = (a, tape.push_constant(b));
            entry.flags.set(Flags::CONST_B, true);
        }
        [Place::Number(a), Place::Entry(b)] => {
            (entry.a, entry.b) = (tape.push_constant(a), b);
            entry.flags.set(Flags::CONST_A, true);
        }
        [Place::Entry(a), Place::Number(b), Place::Number(c)] => {
            (entry.a, entry.b) = (a, tape.push_constant(b));
            tape.push_constant(c);
            entry.flags.set(Flags::CONST_B, true);
        }
        _ => {
            let mut list = SmallVec::<[u32; 3]>::new();
            for &place in places {
                list.push(match place {
                    Place::Entry(index) => index,
                    // A number among three operands is rare; it becomes a tensor of rank 0.
                    Place::Number(number) => push_number(tape, entry.dtype, number)?,
                });
            }
            let operands: RefList<u32> = tape.arena.put_list(&list)?;
            entry.meta = tape.arena.put(Meta { operands, ..Meta::plain(*layout) })?;
            entry.flags.set(Flags::LIST, true);
        }
    }
    Ok(())
}

fn push_number(tape: &mut Tape, dtype: DType, number: f64) -> Result<u32> {
    match dtype {
        DType::F32 => tape.push_leaf(&[], |out: &mut [f32]| out[0] = number as f32),
        _ => tape.push_leaf(&[], |out: &mut [f64]| out[0] = number),
    }
}

/// The result's layout, shared with an operand of the same shape where there is one.
struct SharedMeta {
    layout: Layout,
    place: crate::tape::arena::Ref<Meta>,
}

fn result_meta(tape: &Tape, name: &str, places: &[Place]) -> Result<SharedMeta> {
    let entries = || places.iter().filter_map(|&place| if let Place::Entry(i) = place { Some(i) } else { None });
    let mut shape: Option<Shape> = None;
    for index in entries() {
        let dims = tape.layout(index).shape();
        match &shape {
            None => shape = Some(dims.iter().copied().collect()),
            Some(first) if first[..] == *dims => {}
            Some(first) => shape = Some(broadcast(name, first, dims)?),
        }
    }
    let shape = shape.expect("an operand that is a tensor");
    for index in entries() {
        let entry = tape.entry(index);
        let layout = tape.layout(index);
        if layout.is_contiguous() && layout.offset() == 0 && layout.shape() == &shape[..] {
            return Ok(SharedMeta { layout: *layout, place: entry.meta });
        }
    }
    let layout = Layout::contiguous(&shape);
    Ok(SharedMeta { layout, place: tape.arena.put(Meta::plain(layout))? })
}

/// Computes the value.
fn evaluate<E: FloatElement>(tape: &mut Tape, row: &Row, places: &[Place], layout: &Layout) -> Result<Storage> {
    let kernel = E::kernels(row).value;
    let mut fresh = tape.alloc::<E>(layout.numel())?;
    let tape = &*tape;
    let mut sources = [Source::Unused; 3];
    for (source, &place) in sources.iter_mut().zip(places) {
        *source = source_of(tape, place, layout);
    }
    let out = fresh.slice();
    for_blocks(&tape.arena, sources, layout.numel(), |range, operands| kernel(operands, &mut out[range]))?;
    Ok(fresh.publish())
}

/// How the elements of an operand are reached in a result of `layout`'s shape.
fn source_of<'a, E: FloatElement>(tape: &'a Tape, place: Place, layout: &Layout) -> Source<'a, E> {
    match place {
        Place::Number(number) => Source::Splat(E::of(number)),
        Place::Entry(index) => {
            let own = tape.layout(index);
            if tape.entry(index).dtype == DType::Bool {
                return Source::Mask(tape.data::<bool>(index), own.broadcast_to(layout.shape()));
            }
            let data = tape.data::<E>(index);
            if own.is_contiguous() && own.numel() == layout.numel() {
                Source::Slice(&data[..own.numel()])
            } else if own.numel() == 1 {
                Source::Splat(data[0])
            } else {
                Source::Strided(data, own.broadcast_to(layout.shape()))
            }
        }
    }
}

/// Where the operands of an elementwise entry are.
fn places_of(tape: &Tape, index: u32, arity: usize) -> SmallVec<[Place; 3]> {
    let entry = tape.entry(index);
    if entry.flags.has(Flags::LIST) {
        let list = tape.arena.get_list(tape.meta(index).operands);
        return list.iter().map(|&index| Place::Entry(index)).collect();
    }
    let (const_a, const_b) = (entry.flags.has(Flags::CONST_A), entry.flags.has(Flags::CONST_B));
    (0..arity as u32)
        .map(|k| match k {
            0 if const_a => Place::Number(tape.constant(entry.a)),
            0 => Place::Entry(entry.a),
            _ if const_b => Place::Number(tape.constant(entry.b + k - 1)),
            _ => Place::Entry(entry.b),
        })
        .collect()
}

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
        for (k, &place) in places.iter().enumerate() {
            if let Place::Entry(read) = place
                && needs.operand(k)
            {
                tape.check_unchanged(read, index)?;
            }
        }
        if needs.value() {
            tape.check_unchanged(index, index)?;
        }
        products.push(Product { operand, rule });
    }
    Ok(products)
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
    lend(
        tape,
        |tape| &tape.arena,
        target,
        |out: &mut [E], tape| {
            let layout = *tape.layout(index);
            let kernel = E::kernels(row).vjp[rule];
            let sources = product_sources(tape, index, row, rule, g);
            if first {
                return for_blocks(&tape.arena, sources, layout.numel(), |range, values| {
                    kernel(values, &mut out[range])
                });
            }
            let mut block = tape.arena.alloc::<E>(layout.numel().min(BLOCK), u32::MAX)?;
            let block = block.slice();
            for_short_blocks(&tape.arena, sources, layout.numel(), |range, values| {
                let part = &mut block[..range.len()];
                kernel(values, part);
                map::add_assign(part, &mut out[range]);
            })
        },
    )
}

/// What the product with `g` for one operand reads.
fn product_sources<'a, E: FloatElement>(
    tape: &'a Tape,
    index: u32,
    row: &Row,
    rule: usize,
    g: Storage,
) -> [Source<'a, E>; 5] {
    let layout = tape.layout(index);
    let needs = row.needs[rule].expect("a product of an operand that has a rule");
    let mut sources = [Source::Unused; 5];
    sources[0] = Source::Slice(tape.arena.read(g));
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
        Place::Number(number) => push_number(tape, E::DTYPE, number)?,
        Place::Entry(index) if tape.entry(index).dtype != DType::Bool => index,
        Place::Entry(mask) => {
            let layout = *tape.layout(mask);
            let mut values = vec![E::of(0.0); layout.numel()];
            let mut blocks = vec![false; layout.numel()];
            wengert_kernels::strided::pack(tape.data::<bool>(mask), layout.shape(), layout.strides(), 0, &mut blocks);
            for (value, &holds) in values.iter_mut().zip(&blocks) {
                *value = E::of(f64::from(u8::from(holds)));
            }
            tape.push_leaf(layout.shape(), |out: &mut [E]| out.copy_from_slice(&values))?
        }
    };
    Ok(tape.handle(index))
}

/// All operands that are tensors with a rule, for tangents.
pub(crate) fn differentiable(tape: &Tape, index: u32, op: Elementwise) -> SmallVec<[Product; 3]> {
    let row = op.row();
    let places = places_of(tape, index, row.arity);
    let with_rule = places.iter().zip(row.needs).enumerate();
    with_rule
        .filter_map(|(rule, (&place, needs))| match (place, needs) {
            (Place::Entry(operand), Some(_)) => Some(Product { operand, rule }),
            _ => None,
        })
        .collect()
}
