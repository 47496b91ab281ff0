//! How far from PyTorch's a number may be, and where it is another on purpose.

use serde_json::Value as Json;

use super::replay::is_f32;

/// The largest error that rounding explains, unless [`WIDER`] says otherwise: that of a few operations in a row.
pub const STRICT: Tolerance = Tolerance { f64: 1e-12, f32: 4e-6 };

/// Largest errors, relative to the number expected, and where terms cancel also to those.
#[derive(Clone, Copy)]
pub struct Tolerance {
    pub f64: f64,
    pub f32: f64,
}

impl Tolerance {
    /// That of numbers of type `E`.
    pub fn of<E>(self) -> f64 {
        if size_of::<E>() == 4 { self.f32 } else { self.f64 }
    }
}

/// Operations that may be further away, and why.
pub const WIDER: &[(&str, Tolerance, &str)] = &[
    (
        "binary_cross_entropy",
        Tolerance { f64: 1e-10, ..STRICT },
        "PyTorch adds 1e-12 to the divisors of second derivatives",
    ),
    (
        "cumprod",
        Tolerance { f32: 1e-5, ..STRICT },
        "second derivatives are sums over all pairs of factors, most of which cancel",
    ),
    ("hardsigmoid", Tolerance { f64: 1e-8, ..STRICT }, "PyTorch rounds a sixth to `f32` in the derivative"),
    (
        "normalize",
        Tolerance { f64: 1e-11, f32: 3e-5 },
        "second derivatives of the norm of order a half are small and sums of large terms",
    ),
];

/// Operations that only move, choose, count or compare.
const EXACT: &str = "\
    abs all any argmax argmin argsort ceil chunk contiguous copy count_nonzero diag diagonal eq flatten flip floor \
    full_like ge gt is_finite is_nan le logical_and logical_not logical_or logical_xor lt movedim narrow ne neg \
    one_hot ones_like permute relu reshape roll round scatter select sign slice sort split squeeze t topk \
    transpose tril triu trunc unbind unflatten unsqueeze zeros_like";

/// The tolerance of an operation.
pub fn of(op: &str) -> Tolerance {
    if EXACT.split(' ').any(|exact| exact == op) {
        return Tolerance { f64: 0.0, f32: 0.0 };
    }
    WIDER.iter().find(|(own, ..)| *own == op).map_or(STRICT, |&(_, tolerance, _)| tolerance)
}

/// Where wengert has another number than PyTorch on purpose.
pub struct Different {
    pub op: &'static str,
    /// What differs: the beginning of the comparison's name.
    what: &'static str,
    /// In which cases of the operation.
    when: fn(&Json) -> bool,
    /// In words: when, what PyTorch has, and why it is another here.
    pub reason: &'static str,
}

/// All such places; the tests fail if one is none.
pub const DIFFERENT: &[Different] = &[
    Different {
        op: "norm",
        what: "second derivative",
        when: |case| case["entry"] == "linalg.norm[subgradients_at_zero]",
        reason: "at a vector of zeros the second derivative of a norm other than 1, 2 and infinity is 0, as the first is; PyTorch has NaN",
    },
    Different {
        op: "div",
        what: "",
        when: |case| is_f32(case) && case["entry"] == "__rdiv__" && case["tag"] == "edge",
        reason: "in `f32` PyTorch divides by 1e20 twice, and some quotients between have few digits",
    },
    Different {
        op: "layer_norm",
        what: "",
        when: |case| is_f32(case) && case["kwargs"]["normalized_shape"] == serde_json::json!([1]),
        reason: "over a single element the gradient is exactly 0; PyTorch has what rounding leaves of terms divided by the root of `eps`",
    },
];

impl Different {
    /// Whether this is a comparison that it is about.
    pub fn covers(&self, case: &Json, what: &str) -> bool {
        case["op"] == self.op && what.starts_with(self.what) && (self.when)(case)
    }
}
