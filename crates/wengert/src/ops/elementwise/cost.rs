//! What a formula costs, by running its text on costs.

use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

use wengert_kernels::Real;

/// The time of a formula per element, a vectorised addition in cache being 1: that of the longest chain of operations that depend on
/// each other. What is used several times counts once.
#[derive(Clone, Copy)]
pub(super) struct Cost(pub u32);

/// Of a division and a square root.
const ROOT: u32 = 4;
/// Of the elementary functions that take a dozen multiplications.
const FUNCTION: u32 = 12;
/// Of those that take several of them.
const LONG_FUNCTION: u32 = 30;

impl Cost {
    /// Of an operation that costs `more` on operands that cost this and `other`.
    fn then(self, other: Self, more: u32) -> Self {
        Self(self.0.max(other.0) + more)
    }
}

macro_rules! operators {
    ($($trait:ident $name:ident $more:expr;)+) => { $(
        impl $trait for Cost {
            type Output = Self;
            fn $name(self, other: Self) -> Self {
                self.then(other, $more)
            }
        }
    )+ };
}
operators! {
    Add add 1;
    Sub sub 1;
    Mul mul 1;
    Div div ROOT;
    BitAnd bitand 1;
    BitOr bitor 1;
}
impl Neg for Cost {
    type Output = Self;
    fn neg(self) -> Self {
        self.then(self, 1)
    }
}
impl Not for Cost {
    type Output = Self;
    fn not(self) -> Self {
        self.then(self, 1)
    }
}

macro_rules! unary {
    ($more:expr; $($name:ident)+) => { $(
        fn $name(self) -> Self {
            self.then(self, $more)
        }
    )+ };
}
macro_rules! binary {
    ($more:expr; $($name:ident)+) => { $(
        fn $name(self, other: Self) -> Self {
            self.then(other, $more)
        }
    )+ };
}

impl Real for Cost {
    type Mask = Self;

    fn of(_: f64) -> Self {
        Self(0)
    }
    fn select(mask: Self, yes: Self, no: Self) -> Self {
        mask.then(yes, 1).then(no, 0)
    }
    unary!(1; is_nan abs sign floor ceil round trunc);
    binary!(1; lt le eq minimum maximum);
    unary!(ROOT; sqrt);
    unary!(FUNCTION; exp exp2 expm1 ln log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sigmoid erf);
    unary!(LONG_FUNCTION; erfc);
    binary!(LONG_FUNCTION; fmod pow hypot atan2);
}
