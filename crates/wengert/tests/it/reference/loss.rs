//! Losses.

use wengert::FloatElement;
use wengert::options::{CrossEntropy, Reduction, Target};

use super::{Call, Outputs, Value};

/// Operations that are one entry here and another in PyTorch: their `grad_fn` is not compared.
pub const OTHER_NAMES: &[&str] = &[];

pub fn call<E: FloatElement>(c: &Call<'_, E>) -> Option<Outputs<E>> {
    Some(vec![Value::Float(match c.op {
        "cross_entropy" => c.x().cross_entropy_with(target(c), cross_entropy(c)),
        _ => return None,
    })])
}

fn reduction<E: FloatElement>(c: &Call<'_, E>) -> Reduction {
    match c.text("reduction") {
        Some("none") => Reduction::None,
        Some("sum") => Reduction::Sum,
        _ => Reduction::Mean,
    }
}

fn target<E: FloatElement>(c: &Call<'_, E>) -> Target<E> {
    c.tensor("target").map_or_else(|| Target::Classes(c.index("target")), Target::Probabilities)
}

fn cross_entropy<E: FloatElement>(c: &Call<'_, E>) -> CrossEntropy<E> {
    CrossEntropy {
        weight: c.tensor("weight"),
        ignore_index: c.int("ignore_index").map_or(-100, |label| label as i64),
        label_smoothing: c.float("label_smoothing").unwrap_or(0.0),
        reduction: reduction(c),
    }
}
