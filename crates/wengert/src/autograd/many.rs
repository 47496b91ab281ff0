//! Sweeps with many adjoints, or many tangents, at once: Jacobians.
//!
//! ```text
//! an entry of shape [a, b]     its k adjoints: one tensor [k, a, b]
//! z = x * y                    x̄ += z̄ * y        y of shape [a, b] broadcasts along the leading dimension
//! z = x.matmul(w)              x̄ += z̄ wᵀ         one product of [k a, n] rows
//! anything else                row by row through its ordinary rule, and stacked
//! ```
//!
//! So what is the same for all rows (slopes, factors, the walk along the tape) is done once, and kernels see k times as much. Adjoints
//! and tangents are tensors here, recorded if the current mode is to record, so that Jacobians can be differentiated.
//!
//! Elementwise rules are the same as for one adjoint, because dimensions align from the last. A structured operation may have a
//! rule of its own ([`crate::ops::Derivative::backward_many`]), which must give what the ordinary one gives row by row.

use smallvec::SmallVec;

use super::forward::Forward;
use super::rule::{Backward, Row, attrs, saved};
use super::sweep::Adjoint;
use super::wanted::Wanted;
use crate::custom;
use crate::element::{DType, Element, FloatElement};
use crate::error::{Result, error, filled};
use crate::ops::movement::cat::try_stack;
use crate::ops::{Op, elementwise};
use crate::shape::{MAX_RANK, Shape};
use crate::tape::{self, Flags, Handle};
use crate::tensor::TensorBase;

/// `shape` with a leading dimension of length `count`.
///
/// # Errors
/// It has the highest rank already.
fn lead(count: usize, shape: &[usize]) -> Result<Shape> {
    if shape.len() == MAX_RANK {
        return Err(error!(
            Shape,
            "jacobian: a tensor of shape {shape:?} has no room for a leading dimension of seeds; use `chunk: Some(1)`, which \
             needs none"
        ));
    }
    Ok(std::iter::once(count).chain(shape.iter().copied()).collect())
}

fn shape_of(index: u32) -> Result<Shape> {
    tape::with(|tape| Ok(Shape::of(tape.layout(index).shape())))
}

/// Evaluates `$body` with the float type `$E` of entry `$index`.
macro_rules! typed {
    ($index:expr, $E:ident => $body:expr) => {{
        let index = $index;
        match tape::with(|tape| Ok(tape.entry(index).dtype()))? {
            DType::F32 => {
                type $E = f32;
                $body
            }
            _ => {
                type $E = f64;
                $body
            }
        }
    }};
}

/// Row `row` of many adjoints or tangents of entry `index`.
fn row_of(index: u32, many: Handle, row: usize) -> Result<Handle> {
    typed!(index, E => Ok(TensorBase::<E>::from_handle(many).try_select(0, row as isize)?.handle()))
}

/// Rows, zeros where there is none, as one tensor; `None` if there is none at all.
fn stacked<E: FloatElement>(index: u32, rows: &[Option<Handle>]) -> Result<Option<Handle>> {
    if rows.iter().all(Option::is_none) {
        return Ok(None);
    }
    let zeros = TensorBase::<E>::try_zeros(shape_of(index)?)?;
    let rows: Vec<_> = rows.iter().map(|row| row.map_or(zeros, TensorBase::from_handle)).collect();
    Ok(Some(try_stack(&rows, 0)?.handle()))
}

/// What the rule of a structured operation sees that passes many adjoints at once.
pub(crate) struct BackwardMany<'a, E> {
    count: usize,
    index: u32,
    g: TensorBase<E>,
    operands: &'a [u32],
    needs: SmallVec<[bool; 4]>,
    found: SmallVec<[Option<Handle>; 4]>,
}

impl<E: FloatElement> BackwardMany<'_, E> {
    /// The gradients with respect to the value: of its shape, with a leading dimension.
    pub fn grads(&self) -> TensorBase<E> {
        self.g
    }

    /// The operation's attributes.
    pub fn attrs<A: Copy + 'static>(&self) -> Result<A> {
        attrs(self.index)
    }

    /// How many operands there are.
    pub fn len(&self) -> usize {
        self.operands.len()
    }

    /// Whether operand `k` takes gradients.
    pub fn needs(&self, k: usize) -> bool {
        self.needs[k]
    }

    /// Operand `k`.
    pub fn operand<T: Element>(&self, k: usize) -> Result<TensorBase<T>> {
        saved(self.operands[k], self.index)
    }

    /// The value.
    pub fn value(&self) -> Result<TensorBase<E>> {
        saved(self.index, self.index)
    }

    /// The shape of operand `k`.
    pub fn shape(&self, k: usize) -> Result<Shape> {
        shape_of(self.operands[k])
    }

    /// The shape of operand `k` with the leading dimension.
    pub fn shape_many(&self, k: usize) -> Result<Shape> {
        lead(self.count, &self.shape(k)?)
    }

    /// Adds `value`, of operand `k`'s shape with the leading dimension, to that operand's gradients.
    pub fn add<F: FloatElement>(&mut self, k: usize, value: TensorBase<F>) -> Result<()> {
        add::<F>(&mut self.found[k], value)
    }

    /// As [`Self::add`], of the sums over the dimensions that broadcasting has repeated operand `k` along.
    pub fn add_summed(&mut self, k: usize, full: TensorBase<E>) -> Result<()> {
        let summed = sum_to(full, self.count, &self.shape(k)?)?;
        self.add(k, summed)
    }
}

/// Adds `value` to the sum of tensors at `place`.
pub(super) fn add<E: FloatElement>(place: &mut Option<Handle>, value: TensorBase<E>) -> Result<()> {
    *place = Some(match *place {
        Some(before) => TensorBase::from_handle(before).try_add(value)?.handle(),
        None => value.handle(),
    });
    Ok(())
}

/// The sums that undo broadcasting from `[count, *shape]`, of the shape `[count, *shape]`.
fn sum_to<E: FloatElement>(full: TensorBase<E>, count: usize, shape: &[usize]) -> Result<TensorBase<E>> {
    let many = lead(count, shape)?;
    if full.try_shape()? == many {
        return Ok(full);
    }
    full.try_sum_to(beside(count, shape, full.try_shape()?.len() - 1))?.try_reshape(many)
}

/// `[count, 1, .., 1, *shape]` with `rank` dimensions after the first, as broadcasting aligns it.
fn beside(count: usize, shape: &[usize], rank: usize) -> Shape {
    let ones = std::iter::repeat_n(1, rank - shape.len());
    std::iter::once(count).chain(ones).chain(shape.iter().copied()).collect()
}

/// The gradients of `wanted` for `count` seeds: `roots` are entries with their seeds, of their shapes with a leading dimension of
/// that length. `None` where no path leads; paths end before entry `start`.
pub(crate) fn capture_many(
    roots: &[(Handle, Handle)],
    wanted: &[Handle],
    count: usize,
    start: u32,
) -> Result<SmallVec<[Option<Handle>; 4]>> {
    let mut wanted = tape::with(|tape| Wanted::new(tape, wanted))?;
    let mut ends = SmallVec::<[(u32, Handle); 4]>::new();
    for &(root, seeds) in roots {
        ends.push((tape::with(|tape| tape.locate(root))?, seeds));
    }
    let low = wanted.lowest();
    let mut found = SmallVec::from_elem(None, wanted.len());
    let Some(top) = ends.iter().map(|&(index, _)| index).max().filter(|&top| top >= low) else { return Ok(found) };
    tape::with(|tape| {
        wanted.reach(tape, top);
        Ok(())
    })?;
    let mut sweep = Sweep { count, low, wanted, adjoints: filled(None, (top - low + 1) as usize)? };
    for (index, seeds) in ends {
        if sweep.wanted.is_reached(index) {
            typed!(index, E => sweep.add(index, TensorBase::<E>::from_handle(seeds))?);
        }
    }
    for index in (low..=top).rev() {
        let Some(adjoints) = sweep.adjoints[(index - low) as usize].take() else { continue };
        for place in sweep.wanted.places(index) {
            sweep.wanted.set(place, Adjoint::Tensor(adjoints));
        }
        if index >= start {
            typed!(index, E => sweep.pass(index, TensorBase::<E>::from_handle(adjoints))?);
        }
    }
    for (_, place, adjoint) in sweep.wanted.found() {
        if let Adjoint::Tensor(adjoints) = *adjoint {
            found[place] = Some(adjoints);
        }
    }
    Ok(found)
}

/// A reverse sweep with many adjoints.
struct Sweep {
    count: usize,
    wanted: Wanted,
    /// By entry from `low`, the lowest wanted one, on.
    low: u32,
    adjoints: Vec<Option<Handle>>,
}

impl Sweep {
    fn needs(&self, operand: u32) -> Result<bool> {
        Ok(self.wanted.is_reached(operand) && tape::with(|tape| Ok(tape.entry(operand).flags.has(Flags::GRAD)))?)
    }

    fn add<E: FloatElement>(&mut self, index: u32, value: TensorBase<E>) -> Result<()> {
        add(&mut self.adjoints[(index - self.low) as usize], value)
    }

    fn pass<E: FloatElement>(&mut self, index: u32, g: TensorBase<E>) -> Result<()> {
        match tape::with(|tape| Ok(tape.entry(index).op))? {
            Op::Leaf => Ok(()),
            Op::Elementwise(op) => {
                for product in tape::with(|tape| elementwise::products(tape, index, op))? {
                    if self.needs(product.operand)? {
                        let full = elementwise::recorded(index, op, product.rule, g)?.stretched(&g.try_shape()?)?;
                        self.add(product.operand, sum_to(full, self.count, &shape_of(product.operand)?)?)?;
                    }
                }
                Ok(())
            }
            op => self.pass_structured(index, op, g),
        }
    }

    fn pass_structured<E: FloatElement>(&mut self, index: u32, op: Op, g: TensorBase<E>) -> Result<()> {
        let operands = tape::with(|tape| Ok(tape.operands(index)))?;
        let needs = operands.iter().map(|&x| self.needs(x)).collect::<Result<SmallVec<[bool; 4]>>>()?;
        if !needs.contains(&true) {
            return Ok(());
        }
        let found = SmallVec::from_elem(None, operands.len());
        let mut cx = BackwardMany { count: self.count, index, g, operands: &operands, needs, found };
        let done = match op {
            Op::Structured(op) => op.backward_many(&mut cx)?,
            _ => false,
        };
        if !done {
            row_by_row(op, &mut cx)?;
        }
        let BackwardMany { found, needs, .. } = cx;
        for (k, found) in found.into_iter().enumerate() {
            // Rules of one operand may give what nobody needs.
            if let Some(found) = found.filter(|_| needs[k]) {
                typed!(operands[k], F => self.add(operands[k], TensorBase::<F>::from_handle(found))?);
            }
        }
        Ok(())
    }
}

/// Passes many adjoints by the ordinary rule.
fn row_by_row<E: FloatElement>(op: Op, cx: &mut BackwardMany<'_, E>) -> Result<()> {
    let recorded = crate::is_grad_enabled();
    let mut rows: SmallVec<[Vec<Option<Handle>>; 4]> = SmallVec::from_elem(Vec::new(), cx.operands.len());
    for row in 0..cx.count {
        let g = cx.g.try_select(0, row as isize)?;
        let mut taken = Row::new(&cx.needs, recorded);
        let mut one = Backward::of_row(&mut taken, cx.index, g)?;
        match op {
            Op::Structured(op) => op.backward(&mut one)?,
            _ => custom::backward(&mut one)?,
        }
        rows.iter_mut().zip(taken.found).for_each(|(rows, found)| rows.push(found));
    }
    for (k, rows) in rows.iter().enumerate() {
        if cx.needs[k] {
            let index = cx.operands[k];
            cx.found[k] = typed!(index, F => stacked::<F>(index, rows)?);
        }
    }
    Ok(())
}

/// What the rule of a structured operation sees that passes many tangents at once.
pub(crate) struct ForwardMany<'a, E> {
    count: usize,
    one: &'a Forward<E>,
}

impl<E: FloatElement> ForwardMany<'_, E> {
    /// The operation's attributes.
    pub fn attrs<A: Copy + 'static>(&self) -> Result<A> {
        self.one.attrs()
    }

    /// How many operands there are.
    pub fn len(&self) -> usize {
        self.one.len()
    }

    /// Operand `k`.
    pub fn operand<T: Element>(&self, k: usize) -> Result<TensorBase<T>> {
        self.one.operand(k)
    }

    /// The value.
    pub fn value(&self) -> Result<TensorBase<E>> {
        self.one.value()
    }

    /// The value's shape with the leading dimension.
    pub fn value_shape_many(&self) -> Result<Shape> {
        lead(self.count, &self.one.value_shape()?)
    }

    /// The tangents of operand `k`, of its shape with a leading dimension, or `None` if it does not depend on the primals.
    pub fn tangents(&self, k: usize) -> Option<TensorBase<E>> {
        self.one.tangent(k)
    }

    /// As [`Self::tangents`], for an operand of another float type.
    pub fn tangents_of<F: FloatElement>(&self, k: usize) -> Option<TensorBase<F>> {
        self.one.tangent_of(k)
    }

    /// As [`Self::tangents`], zeros if there are none.
    pub fn tangents_or_zeros(&self, k: usize) -> Result<TensorBase<E>> {
        match self.tangents(k) {
            Some(tangents) => Ok(tangents),
            None => TensorBase::try_zeros(lead(self.count, &shape_of(self.one.place().1[k])?)?),
        }
    }

    /// The tangents of operand `k` with dimensions of 1 after the leading one, so that they broadcast like the operand against
    /// tensors of rank `rank`.
    pub fn tangents_beside(&self, k: usize, rank: usize) -> Option<Result<TensorBase<E>>> {
        let tangents = self.tangents(k)?;
        Some(shape_of(self.one.place().1[k]).and_then(|own| tangents.try_reshape(beside(self.count, &own, rank))))
    }

    /// The sum of the terms, of which there is one.
    pub fn sum(&self, terms: impl IntoIterator<Item = Result<TensorBase<E>>>) -> Result<TensorBase<E>> {
        let mut total = None;
        for term in terms {
            add(&mut total, term?)?;
        }
        match total {
            Some(total) => Ok(TensorBase::from_handle(total)),
            None => TensorBase::try_zeros(self.value_shape_many()?),
        }
    }
}

/// The `count` tangents of an entry whose operands have some.
pub(super) fn tangents_of<E: FloatElement>(one: &Forward<E>, op: Op, count: usize) -> Result<Option<TensorBase<E>>> {
    let (index, operands) = one.place();
    let cx = ForwardMany { count, one };
    if let Op::Elementwise(op) = op {
        let shape = cx.value_shape_many()?;
        let mut total = None;
        for (k, product) in one.moving(op)? {
            let along = cx.tangents_beside(k, shape.len() - 1).expect("an operand that moves")?;
            add(&mut total, elementwise::recorded(index, op, product, along)?.stretched(&shape)?)?;
        }
        return Ok(total.map(TensorBase::from_handle));
    }
    if let Op::Structured(op) = op
        && let Some(tangents) = op.tangent_many(&cx)?
    {
        return Ok(Some(tangents));
    }
    let mut rows = Vec::with_capacity(count);
    for row in 0..count {
        let mut single = one.clone();
        for (k, tangent) in single.tangents.iter_mut().enumerate() {
            if let Some(tangent) = tangent {
                *tangent = row_of(operands[k], *tangent, row)?;
            }
        }
        let tangent = match op {
            Op::Structured(op) => op.tangent(&single)?,
            _ => custom::tangent(&single)?,
        };
        rows.push(Some(tangent.handle()));
    }
    Ok(stacked::<E>(index, &rows)?.map(TensorBase::from_handle))
}
