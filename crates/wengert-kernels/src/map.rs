//! Formulas applied over slices.
//!
//! A formula is a zero-sized or small `Copy` value that implements [`Map3`] or [`Map5`], so that every formula gets its own
//! vectorised loop. A formula of fewer operands ignores the rest, and its loop does not load them. Slices of one call have one
//! length; broadcast and strided operands are packed by the caller.

use crate::simd::{self, Kernel};

/// A formula of one operand.
pub trait Map1<E>: Copy {
    /// The formula; mark the implementation `#[inline(always)]`.
    fn at(self, a: E) -> E;
}

/// A formula of two operands: what a reduction takes of each pair of elements.
pub trait Map2<E>: Copy {
    /// The formula; mark the implementation `#[inline(always)]`.
    fn at(self, a: E, b: E) -> E;
}

/// A formula of up to three operands: the value of an elementwise operation.
pub trait Map3<E>: Copy {
    /// The formula; mark the implementation `#[inline(always)]`.
    fn at(self, a: E, b: E, c: E) -> E;
}

/// A formula of up to five operands: a vector-Jacobian product of the incoming `g`, the operands, and the value `y`.
pub trait Map5<E>: Copy {
    /// The formula; mark the implementation `#[inline(always)]`.
    fn at(self, g: E, a: E, b: E, c: E, y: E) -> E;
}

macro_rules! map {
    ($(#[$doc:meta])* $name:ident, $loop:ident, $formula:ident, $($operand:ident)+) => {
        $(#[$doc])*
        ///
        /// # Panics
        /// If the slices differ in length.
        #[inline]
        pub fn $name<E: Copy, F: $formula<E>>(formula: F, $($operand: &[E],)+ out: &mut [E]) {
            $(assert_eq!($operand.len(), out.len(), "slices of one length");)+
            simd::run($loop { formula, $($operand,)+ out });
        }

        struct $loop<'a, E, F> {
            formula: F,
            $($operand: &'a [E],)+
            out: &'a mut [E],
        }

        impl<E: Copy, F: $formula<E>> Kernel for $loop<'_, E, F> {
            type Output = ();
            #[inline(always)]
            fn run(self) {
                // The parameters, unlike the fields, say that `out` overlaps nothing: tables that a formula reads can be
                // gathered.
                #[inline(always)]
                fn body<E: Copy, F: $formula<E>>(formula: F, $($operand: &[E],)+ out: &mut [E]) {
                    let n = out.len();
                    $(let $operand = &$operand[..n];)+
                    for i in 0..n {
                        out[i] = formula.at($($operand[i]),+);
                    }
                }
                body(self.formula, $(self.$operand,)+ self.out)
            }
        }
    };
}

map!(
    /// `out[i] = formula(a[i])`.
    map1, Loop1, Map1, a
);
map!(
    /// `out[i] = formula(a[i], b[i], c[i])`.
    map3, Loop3, Map3, a b c
);
map!(
    /// `out[i] = formula(g[i], a[i], b[i], c[i], y[i])`.
    map5, Loop5, Map5, g a b c y
);

/// `out[i] = value`.
pub fn fill<E: Copy>(value: E, out: &mut [E]) {
    simd::run(Fill { value, out });
}

struct Fill<'a, E> {
    value: E,
    out: &'a mut [E],
}

impl<E: Copy> Kernel for Fill<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.out.fill(self.value);
    }
}

/// `out[i] += a[i]`.
///
/// # Panics
/// If the slices differ in length.
pub fn add_assign<E: Copy + std::ops::Add<Output = E>>(a: &[E], out: &mut [E]) {
    assert_eq!(a.len(), out.len(), "slices of one length");
    simd::run(AddAssign { a, out });
}

struct AddAssign<'a, E> {
    a: &'a [E],
    out: &'a mut [E],
}

impl<E: Copy + std::ops::Add<Output = E>> Kernel for AddAssign<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (out, &a) in self.out.iter_mut().zip(self.a) {
            *out = *out + a;
        }
    }
}
