//! Products.

use wengert::FloatElement;

use super::{Call, Outputs, Value};

/// Operations that are one entry here and another in PyTorch: their `grad_fn` is not compared.
pub const OTHER_NAMES: &[&str] = &["matmul"];

pub fn call<E: FloatElement>(c: &Call<'_, E>) -> Option<Outputs<E>> {
    Some(vec![Value::Float(match c.op {
        "matmul" => c.x().matmul(c.tensor("other")?),
        "linear" => c.x().linear(c.tensor("weight")?, c.tensor("bias")),
        _ => return None,
    })])
}
