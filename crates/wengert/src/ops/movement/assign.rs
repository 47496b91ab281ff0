//! In-place writes, and the entry that records one: the tensor's next version.

use super::super::{Case, Derivative, Op, Operation, Structured};
use super::strided::as_strided;
use crate::autograd::{Backward, Forward};
use crate::element::{DType, Element, FloatElement};
use crate::error::{Result, error};
use crate::shape::Layout;
use crate::tape::arena::Storage;
use crate::tape::{self, Entry, Flags, Meta, Tape, Value};
use crate::tensor::{Tensor64, TensorBase};

/// A tensor after some of its elements were overwritten: operand 0 is the version before, operand 1 what was written.
pub(crate) struct Assign;

/// Where the written elements lie in the tensor.
#[derive(Clone, Copy)]
pub(crate) struct Written {
    place: Layout,
}

/// Writes to `target` what `compute` makes of it, and records that if derivatives flow.
///
/// # Errors
/// The value does not broadcast to the target; the target is a leaf that requires a gradient, is broadcast, or would get
/// a history that ends before it does.
pub(crate) fn assign<E: Element>(
    op: &str,
    target: TensorBase<E>,
    compute: impl FnOnce(TensorBase<E>) -> Result<TensorBase<E>>,
) -> Result<TensorBase<E>> {
    tape::with(|tape| {
        let index = tape.resolve(target.handle())?;
        check_target(tape, op, index)
    })?;
    let shape = target.try_shape()?;
    let value = compute(target)?;
    if crate::shape::broadcast(op, &shape, &value.try_shape()?)? != shape {
        return Err(error!(
            Shape,
            "{op}: the result of shape {:?} does not fit into the tensor of shape {shape:?} that it is written to; \
             use the out-of-place form",
            value.shape()
        ));
    }
    let value = value.stretched(&shape)?;
    tape::with(|tape| {
        let (to, from) = (tape.resolve(target.handle())?, tape.resolve(value.handle())?);
        let tracked =
            tape.grad_enabled && (tape.entry(to).flags.has(Flags::GRAD) || tape.entry(from).flags.has(Flags::GRAD));
        if tracked {
            check_history(tape, op, to)?;
        }
        // Everything that can fail comes before the write, which can't be undone.
        let version = if tracked { Some(version::<E>(tape, to, from)?) } else { None };
        let values = values::<E>(tape, to, from)?;
        let storage = tape.block(to)?;
        tape.compute_readers(storage)?;
        tape.reserve_write()?;
        write::<E>(tape, to, storage, values);
        if let Some(version) = version {
            let base = tape.arena.base(storage);
            let latest = tape.push(version)?;
            tape.replace(base, latest);
        }
        Ok(())
    })?;
    Ok(target)
}

/// # Errors
/// Several elements of the layout lie at one place, so that they can't be written one by one.
pub(crate) fn check_overlap(op: &str, layout: &Layout) -> Result<()> {
    let overlaps = layout.shape().iter().zip(layout.strides()).any(|(&n, &stride)| n > 1 && stride == 0);
    if !overlaps {
        return Ok(());
    }
    Err(error!(
        InPlace,
        "{op}: several elements of the written-to tensor of shape {:?} refer to one place in memory; call `contiguous()` \
         before writing",
        layout.shape()
    ))
}

fn check_target(tape: &Tape, op: &str, index: u32) -> Result<()> {
    check_overlap(op, tape.layout(index))?;
    let base = tape.base(index);
    let is_tracked_leaf = |i: u32| tape.entry(i).op == Op::Leaf && tape.entry(i).flags.has(Flags::GRAD);
    let owner = if base < tape.len() { base } else { index };
    if tape.grad_enabled && (is_tracked_leaf(index) || is_tracked_leaf(owner)) {
        let what = if is_tracked_leaf(index) { "a leaf" } else { "a view of a leaf" };
        return Err(error!(
            InPlace,
            "{op}: the tensor of shape {:?} is {what} that requires a gradient; change it in place inside of `no_grad`",
            tape.layout(index).shape()
        ));
    }
    Ok(())
}

/// A version lives in the innermost scope, so the tensor must too, or it would lose its history and keep its new value.
fn check_history(tape: &Tape, op: &str, index: u32) -> Result<()> {
    let base = tape.base(index);
    if tape.is_innermost(base) {
        return Ok(());
    }
    Err(error!(
        InPlace,
        "{op}: a tensor of an outer scope is being given a history that ends with this scope; write `detach()`ed values, do \
         it inside of `no_grad`, or in the scope that made the tensor"
    ))
}

/// The elements of entry `from`, to be written to entry `to`, copied out because they may share its memory.
fn values<E: Element>(tape: &Tape, to: u32, from: u32) -> Result<Storage> {
    let layout = *tape.layout(from);
    debug_assert_eq!(layout.shape(), tape.layout(to).shape(), "the value was expanded to the target's shape");
    let mut fresh = tape.arena.alloc::<E>(layout.numel(), u32::MAX)?;
    wengert_kernels::strided::pack(tape.data::<E>(from), layout.shape(), layout.strides(), 0, fresh.slice());
    Ok(fresh.publish())
}

/// Writes the block `values` to the elements of entry `to`, which lie in the block `storage`.
fn write<E: Element>(tape: &mut Tape, to: u32, storage: Storage, values: Storage) {
    let place = *tape.layout(to);
    if place.numel() == 0 {
        return;
    }
    tape::arena::lend(tape, storage, |out: &mut [E], tape| {
        let part = &mut out[place.offset()..];
        let values = tape.arena.read::<E>(values);
        wengert_kernels::strided::unpack(part, place.shape(), place.strides(), values);
    });
    tape.stamp(storage);
}

/// The version of `to`'s tensor that will hold after the write, to be appended.
fn version<E: Element>(tape: &mut Tape, to: u32, from: u32) -> Result<Entry> {
    let storage = tape.block(to)?;
    let base = tape.arena.base(storage);
    let place = *tape.layout(to);
    let before = tape.resolve(tape.handle(base))?;
    let layout = *tape.layout(base);
    let operands = tape.arena.put_list(&[before, from])?;
    let attrs = Some(tape.arena.put_erased(Written { place })?);
    let meta = tape.arena.put(Meta { layout, operands, attrs })?;
    let flags = Flags::GRAD | Flags::LIST | Flags::SHARES;
    let (scope, op) = (tape.scope_id(), Op::Structured(Structured::Assign));
    tape.reserve()?;
    let entry = Entry::new(scope, op, flags, Value::<E>::Block(storage), meta);
    Ok(entry.on(before, from))
}

impl Operation for Assign {
    const OP: Structured = Structured::Assign;
    const NAME: &'static str = "copy_";
    const GRAD_FN: &'static str = "CopySlices";
    type Attrs = Written;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("the whole tensor", &[&[2, 3], &[3]], |x| (x[0] * 2.0).copy_(x[1] * x[1])),
            Case::new("through a view", &[&[2, 3], &[2]], |x| {
                let y: Tensor64 = x[0] * x[0];
                y.select(1, 1).mul_(x[1]);
                y * y
            }),
        ]
    }
}

impl<E: FloatElement> Derivative<E> for Assign {
    fn backward(cx: &mut Backward<'_, E>, attrs: &Written) -> Result<()> {
        let g = cx.grad();
        if cx.needs(1) {
            cx.add(1, as_strided(g, attrs.place)?)?;
        }
        if cx.needs(0) && attrs.place.numel() < g.numel() {
            let kept = mask::<E>(&cx.shape(0)?, &attrs.place)?.try_where_(0.0, g)?;
            cx.add(0, kept)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, attrs: &Written) -> Result<TensorBase<E>> {
        let shape = cx.value_shape()?;
        let (before, written) = (cx.tangent_or_zeros(0)?, cx.tangent_or_zeros(1)?);
        let put = super::strided::from_strided(written, &shape, attrs.place)?;
        mask::<E>(&shape, &attrs.place)?.try_where_(put, before)
    }
}

/// Which elements of a contiguous tensor of `shape` lie at the places of `layout`.
fn mask<E: FloatElement>(shape: &[usize], layout: &Layout) -> Result<TensorBase<bool>> {
    debug_assert!(matches!(E::DTYPE, DType::F32 | DType::F64));
    tape::with(|tape| {
        let index = tape.push_leaf(shape, |out: &mut [bool]| {
            out.fill(false);
            if layout.numel() > 0 {
                let part = &mut out[layout.offset()..];
                wengert_kernels::strided::fill(part, layout.shape(), layout.strides(), true);
            }
        })?;
        Ok(TensorBase::from_handle(tape.handle(index)))
    })
}
