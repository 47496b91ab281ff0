//! A row of the table, as a type and as data.

use std::marker::PhantomData;
use std::ops::Range;

use wengert_kernels::Real;
use wengert_kernels::map::{Map3, Map5, map3, map5};

use super::Elementwise;
use super::cost::Cost;
use crate::element::FloatElement;
use crate::tape::Flags;
use crate::tensor::recorded::Recorded;

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
pub(crate) trait Formula: Copy + 'static {
    const OP: Elementwise;
    const NAME: &'static str;
    const GRAD_FN: &'static str;
    /// The name in print where the operand is a number.
    const WITH_NUMBER: &'static [(&'static str, &'static str)];
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
    pub(super) fn operand(self, k: usize) -> bool {
        self.0 >> k & 1 == 1
    }

    pub(super) fn value(self) -> bool {
        self.0 >> 3 & 1 == 1
    }
}

/// The rules of a row, `(of, needs)`, by operand; an operand without a rule has no derivative.
pub(super) const fn needs(rules: &[(&str, &[&str])]) -> [Option<Needs>; 3] {
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
    /// The name in print where the operand of that letter is a number.
    with_number: &'static [(&'static str, &'static str)],
    pub doc: &'static str,
    pub arity: usize,
    pub needs: [Option<Needs>; 3],
    /// Where the gradient is tested, an interval per operand.
    pub domain: &'static [Range<f64>],
    pub f32: Kernels<f32>,
    pub f64: Kernels<f64>,
    /// Of the value, and of the product for each operand.
    costs: fn() -> [Cost; 4],
}

impl Row {
    /// Whether operand `k` has a derivative.
    pub(crate) fn differentiable(&self, k: usize) -> bool {
        self.needs[k].is_some()
    }

    /// The name in print of an entry with these flags.
    pub(crate) fn grad_fn(&self, flags: Flags) -> &'static str {
        let is_number = |operand: &str| match operand {
            "a" => flags.has(Flags::CONST_A),
            _ => flags.has(Flags::CONST_B),
        };
        let with_number = self.with_number.iter().find(|(operand, _)| is_number(operand));
        with_number.map_or(self.grad_fn, |(_, name)| name)
    }

    /// The time that the value takes per element, an addition being 1.
    pub(super) fn cost(&self) -> u32 {
        (self.costs)()[0].0.max(1)
    }

    /// The same of the vector-Jacobian product for operand `rule`.
    pub(crate) fn product_cost(&self, rule: usize) -> u32 {
        (self.costs)()[rule + 1].0.max(1)
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
    pub(super) value: fn([&[E]; 3], &mut [E]),
    pub(super) vjp: [fn([&[E]; 5], &mut [E]); 3],
    pub(super) record: [fn(Vals<Recorded<E>>) -> Recorded<E>; 3],
}

/// Makes a row of its formula.
pub(super) const fn row<F: Formula>() -> Row {
    Row {
        op: F::OP,
        name: F::NAME,
        grad_fn: F::GRAD_FN,
        with_number: F::WITH_NUMBER,
        doc: F::DOC,
        arity: F::ARITY,
        needs: F::NEEDS,
        domain: F::DOMAIN,
        f32: kernels::<F, f32>(),
        f64: kernels::<F, f64>(),
        costs: || {
            let free = Cost(0);
            let v = Vals { g: free, a: free, b: free, c: free, y: free };
            [F::value(v), F::vjp::<0, _>(v), F::vjp::<1, _>(v), F::vjp::<2, _>(v)]
        },
    }
}

pub(super) const fn kernels<F: Formula, E: FloatElement>() -> Kernels<E> {
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
        record: [F::vjp::<0, Recorded<E>>, F::vjp::<1, Recorded<E>>, F::vjp::<2, Recorded<E>>],
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
