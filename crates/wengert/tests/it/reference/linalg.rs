//! Products.

use wengert::{FloatElement, einsum};

use super::{Call, Outputs, Value};

/// Operations that are one entry here and another in PyTorch: their `grad_fn` is not compared.
pub const OTHER_NAMES: &[&str] = &["einsum", "matmul"];

pub fn call<E: FloatElement>(c: &Call<'_, E>) -> Option<Outputs<E>> {
    Some(vec![Value::Float(match c.op {
        "matmul" => c.x().matmul(c.tensor("other")?),
        "dot" => c.x().dot(c.tensor("tensor")?),
        "outer" => c.x().outer(c.tensor("vec2")?),
        "bmm" => c.x().bmm(c.tensor("mat2")?),
        "einsum" => einsum(c.text("equation")?, &c.tensors()),
        "linear" => c.x().linear(c.tensor("weight")?, c.tensor("bias")),
        _ => return None,
    })])
}
