//! The compact path of numbers: operands of rank 0 that are kept in their entries, a result that is too.
//!
//! Recording such an operation writes one entry and touches nothing else; a sweep over it adds numbers to numbers. Formulas
//! are the rows' own. Those made of basic operations, which IEEE 754 rounds exactly, have the same bits in any instance, so
//! they are inlined here; the others go through the row's kernel with slices of one element, as everywhere else.

use super::formula::{Formula, Vals};
use super::rows::formulas;
use super::{Elementwise, IntoOperand, Operand};
use crate::element::FloatElement;
use crate::ops::Op;
use crate::tape::{self, Entry, Flags, Handle, Numbers, Tape};
use crate::tensor::TensorBase;

/// Stamps the choice of the inlined instance: rows of one and of two operands whose value and products are basic operations,
/// and rows of one operand whose product alone is.
///
/// ```text
/// basic! { unary Neg; binary Add; products Exp; }
/// // match op { Elementwise::Add => formulas::Add::value(v), .., _ => value_by_kernel(..) }, and so on
/// ```
macro_rules! basic {
    (unary $($unary:ident)+; binary $($binary:ident)+; products $($product:ident)+;) => {
        /// Whether the row's value is made of basic operations; such rows have a derivative for every operand.
        #[inline(always)]
        const fn is_basic(op: Elementwise) -> bool {
            matches!(op, $(Elementwise::$unary)|+ | $(Elementwise::$binary)|+)
        }

        #[inline(always)]
        fn value<E: FloatElement>(op: Elementwise, a: E, b: E) -> E {
            let vals = Vals { g: a, a, b, c: a, y: a };
            match op {
                $(Elementwise::$unary => formulas::$unary::value(vals),)+
                $(Elementwise::$binary => formulas::$binary::value(vals),)+
                _ => value_by_kernel(op, a, b),
            }
        }

        /// The products of `g` with the Jacobian of `entry`, by operand; of use where one needs a gradient. `None` if it is no
        /// elementwise entry whose value and operands are numbers of type `E`, or waits for its gradient: the general path
        /// passes it.
        #[inline(always)]
        pub(crate) fn scalar_products<E: FloatElement>(numbers: &Numbers<'_>, entry: &Entry, g: E) -> Option<[Product<E>; 2]> {
            let Op::Elementwise(op) = entry.op else { return None };
            // One branch instead of two.
            if !entry.is_number::<E>() | entry.flags.has(Flags::LIST | Flags::SLOT) {
                return None;
            }
            // Each row by itself: one jump leads to all that it does.
            match op {
                $(Elementwise::$binary => {
                    let (a, need_a) = numbers.operand(entry.a, entry.flags.has(Flags::CONST_A))?;
                    let (b, need_b) = numbers.operand(entry.b, entry.flags.has(Flags::CONST_B))?;
                    let vals = Vals { g, a, b, c: a, y: entry.number() };
                    let (of_a, of_b) = (formulas::$binary::vjp::<0, E>(vals), formulas::$binary::vjp::<1, E>(vals));
                    Some([Product { value: of_a, need: need_a }, Product { value: of_b, need: need_b }])
                })+
                $(Elementwise::$unary => unary_product::<formulas::$unary, E>(numbers, entry, g),)+
                $(Elementwise::$product => unary_product::<formulas::$product, E>(numbers, entry, g),)+
                _ => products_by_kernel(numbers, entry, op, g),
            }
        }
    };
}
basic! {
    unary Neg Square Reciprocal Sqrt Abs;
    binary Add Sub Mul Div;
    products Exp Ln Log1p Tanh Sigmoid Atan;
}

#[inline(always)]
fn unary_product<F: Formula, E: FloatElement>(numbers: &Numbers<'_>, entry: &Entry, g: E) -> Option<[Product<E>; 2]> {
    let (a, need) = numbers.operand(entry.a, false)?;
    let value = F::vjp::<0, E>(Vals { g, a, b: a, c: a, y: entry.number() });
    Some([Product { value, need }, Product { value, need: false }])
}

/// What a sweep adds to an operand's adjoint, if that needs a gradient.
#[derive(Clone, Copy)]
pub(crate) struct Product<E> {
    pub value: E,
    pub need: bool,
}

#[inline(never)]
fn value_by_kernel<E: FloatElement>(op: Elementwise, a: E, b: E) -> E {
    let mut out = [E::default()];
    (E::kernels(op.row()).value)([&[a], &[b], &[a]], &mut out);
    out[0]
}

/// The products by the row's kernels, for any row of one or two operands.
#[inline(never)]
fn products_by_kernel<E: FloatElement>(
    numbers: &Numbers<'_>,
    entry: &Entry,
    op: Elementwise,
    g: E,
) -> Option<[Product<E>; 2]> {
    let row = op.row();
    let (a, need_a) = numbers.operand(entry.a, entry.flags.has(Flags::CONST_A))?;
    let (b, need_b) = match row.arity {
        1 => (a, false),
        2 => numbers.operand(entry.b, entry.flags.has(Flags::CONST_B))?,
        _ => return None,
    };
    let product = |k: usize, need: bool| {
        let mut out = [E::default()];
        if need {
            (E::kernels(row).vjp[k])([&[g], &[a], &[b], &[a], &[entry.number()]], &mut out);
        }
        Product { value: out[0], need }
    };
    Some([product(0, need_a), product(1, need_b)])
}

/// An operand about to be recorded, whose value is known without memory of its own.
#[derive(Clone, Copy)]
struct Number<E> {
    value: E,
    grad: bool,
    place: Place,
}

#[derive(Clone, Copy)]
enum Place {
    Entry(u32),
    Constant(f64),
}

impl<E: FloatElement> Number<E> {
    /// `None` if it is no such operand, or stale: the general path says so.
    #[inline(always)]
    fn of(tape: &Tape, operand: Operand<E>) -> Option<Self> {
        match operand {
            Operand::Number(number) => Some(Self { value: E::of(number), grad: false, place: Place::Constant(number) }),
            Operand::Tensor(tensor) => {
                let (index, entry) = tape.find(tensor.handle())?;
                if !entry.is_number::<E>() {
                    return None;
                }
                Some(Self { value: entry.number(), grad: entry.flags.has(Flags::GRAD), place: Place::Entry(index) })
            }
            Operand::Mask(_) => None,
        }
    }

    /// What stands for the operand in an entry, and the flag that says so if it is a number of its own; `None` if that takes new
    /// memory.
    #[inline(always)]
    fn place(self, tape: &mut Tape, constant: Flags) -> Option<(u32, Flags)> {
        match self.place {
            Place::Entry(index) => Some((index, Flags::default())),
            Place::Constant(number) => Some((tape.push_constant_quick(number)?, constant)),
        }
    }
}

/// Records a unary operation of a number; `None` if the operand is not one, or the general path has something to say.
#[inline]
pub(super) fn unary<E: FloatElement>(op: Elementwise, a: TensorBase<E>) -> Option<TensorBase<E>> {
    tape::with_free(move |tape| {
        let a = Number::of(tape, Operand::Tensor(a)).filter(|_| tape.has_room())?;
        let grad = tape.grad_enabled && a.grad;
        if grad && !is_basic(op) && !op.row().differentiable(0) {
            return None;
        }
        let y = value(op, a.value, a.value);
        let mut flags = Flags::default();
        flags.set(Flags::GRAD, grad);
        let (a, _) = a.place(tape, Flags::default())?;
        tape.push_number(Op::Elementwise(op), flags, a, 0, y).map(TensorBase::from_handle)
    })
}

/// As [`unary`], of two operands.
#[inline]
pub(super) fn binary<E, A, B>(op: Elementwise, a: A, b: B) -> Option<TensorBase<E>>
where
    E: FloatElement,
    A: IntoOperand<E>,
    B: IntoOperand<E>,
{
    tape::with_free(move |tape| {
        let (a, b) = (Number::of(tape, a.operand())?, Number::of(tape, b.operand())?);
        let grad = tape.grad_enabled && (a.grad || b.grad);
        if grad && !is_basic(op) && !(op.row().differentiable(0) && op.row().differentiable(1)) {
            return None;
        }
        push(tape, op, a, b, value(op, a.value, b.value), Tape::push_number)
    })
}

/// As [`binary`], of the row `F`, when no lines are noted; an instance of its own if operators are worth one. It calls nothing but
/// what is inlined, so that it keeps no registers of its caller's.
#[inline(always)]
pub(super) fn binary_of<F, E, A, B>(a: A, b: B) -> Option<TensorBase<E>>
where
    F: Formula,
    E: FloatElement,
    A: IntoOperand<E>,
    B: IntoOperand<E>,
{
    if const { !is_basic(F::OP) } {
        return binary(F::OP, a, b);
    }
    tape::with_free(move |tape| {
        let (a, b) = (Number::of(tape, a.operand())?, Number::of(tape, b.operand())?);
        let y = F::value(Vals { g: a.value, a: a.value, b: b.value, c: a.value, y: a.value });
        push(tape, F::OP, a, b, y, Tape::push_number_quick)
    })
}

#[inline(always)]
fn push<E: FloatElement>(
    tape: &mut Tape,
    op: Elementwise,
    a: Number<E>,
    b: Number<E>,
    y: E,
    append: impl FnOnce(&mut Tape, Op, Flags, u32, u32, E) -> Option<Handle>,
) -> Option<TensorBase<E>> {
    if !tape.has_room() {
        return None;
    }
    let mut flags = Flags::default();
    flags.set(Flags::GRAD, tape.grad_enabled & (a.grad | b.grad));
    let (a, const_a) = a.place(tape, Flags::CONST_A)?;
    let (b, const_b) = b.place(tape, Flags::CONST_B)?;
    append(tape, Op::Elementwise(op), flags | const_a | const_b, a, b, y).map(TensorBase::from_handle)
}
