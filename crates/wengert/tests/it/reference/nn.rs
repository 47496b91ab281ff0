//! Layers of networks.

use wengert::FloatElement;

use super::{Call, Outputs, Value};

/// Operations that are one entry here and another in PyTorch: their `grad_fn` is not compared.
pub const OTHER_NAMES: &[&str] = &[];

pub fn call<E: FloatElement>(c: &Call<'_, E>) -> Option<Outputs<E>> {
    Some(vec![Value::Float(match c.op {
        "softmax" => c.x().softmax(c.int("dim")?),
        "log_softmax" => c.x().log_softmax(c.int("dim")?),
        _ => return None,
    })])
}
