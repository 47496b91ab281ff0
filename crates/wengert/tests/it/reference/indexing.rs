//! Gathering, scattering, masking, sorting.

use wengert::{FloatElement, Source};

use super::{Call, Outputs, Value};

/// Operations that are one entry here and another in PyTorch: their `grad_fn` is not compared.
pub const OTHER_NAMES: &[&str] = &[];

/// The tensor of that name, or else the number.
fn source<E: FloatElement>(c: &Call<'_, E>, tensor: &str, number: &str) -> Option<Source<E>> {
    Some(match c.tensor(tensor) {
        Some(tensor) => Source::Tensor(tensor),
        None => Source::Number(E::of(c.float(number)?)),
    })
}

pub fn call<E: FloatElement>(c: &Call<'_, E>) -> Option<Outputs<E>> {
    let along = c.int("dim").unwrap_or(-1);
    Some(vec![match c.op {
        "gather" => Value::Float(c.x().gather(along, c.index("index"))),
        "scatter" => Value::Float(c.x().scatter(along, c.index("index"), source(c, "src", "value")?)),
        "scatter_add" => Value::Float(c.x().scatter_add(along, c.index("index"), c.tensor("src")?)),
        "index_select" => Value::Float(c.x().index_select(along, c.index("index"))),
        "index_add" => {
            let alpha = c.float("alpha").unwrap_or(1.0);
            Value::Float(c.x().index_add(along, c.index("index"), c.tensor("source")?, alpha))
        }
        "index_put" => Value::Float(c.x().index_put(&c.indices(), c.tensor("values")?, c.flag("accumulate"))),
        "masked_fill" => Value::Float(c.x().masked_fill(c.mask("mask")?, source(c, "value", "value")?)),
        "masked_select" => Value::Float(c.x().masked_select(c.mask("mask")?)),
        "take_along_dim" => Value::Float(c.x().take_along_dim(c.index("indices"), c.int("dim"))),
        "argsort" => Value::Index(c.x().argsort(along, c.flag("descending"))),
        "one_hot" => {
            let classes = usize::try_from(c.int("num_classes")?).ok();
            Value::Index(c.index("input").one_hot(classes))
        }
        "embedding" => Value::Float(c.index("input").embedding(c.tensor("weight")?, c.int("padding_idx"))),
        "sort" | "topk" => {
            let (values, positions) = match c.op {
                "sort" => c.x().sort(along, c.flag("descending")),
                _ => c.x().topk(c.int("k")? as usize, along, !c.has("largest") || c.flag("largest")),
            };
            return Some(vec![Value::Float(values), Value::Index(positions)]);
        }
        _ => return None,
    }])
}
