//! Reductions, cumulative operations.

use wengert::FloatElement;

use super::{Call, Outputs, Value};

/// Operations that are one entry here and another in PyTorch: their `grad_fn` is not compared.
pub const OTHER_NAMES: &[&str] = &[];

pub fn call<E: FloatElement>(c: &Call<'_, E>) -> Option<Outputs<E>> {
    if !matches!(c.op, "any" | "all") {
        return floats(c);
    }
    let any = c.op == "any";
    let value = match (c.mask("input"), c.ints("dim")) {
        (Some(mask), None) if any => mask.any(),
        (Some(mask), None) => mask.all(),
        (Some(mask), Some(dims)) if any => mask.any_dims(&dims[..], c.flag("keepdim")),
        (Some(mask), Some(dims)) => mask.all_dims(&dims[..], c.flag("keepdim")),
        (None, None) if any => c.x().any(),
        (None, None) => c.x().all(),
        (None, Some(dims)) if any => c.x().any_dims(&dims[..], c.flag("keepdim")),
        (None, Some(dims)) => c.x().all_dims(&dims[..], c.flag("keepdim")),
    };
    Some(vec![Value::Mask(value)])
}

fn floats<E: FloatElement>(c: &Call<'_, E>) -> Option<Outputs<E>> {
    let (dims, keepdim) = (c.ints("dim").unwrap_or_default(), c.flag("keepdim"));
    let dim = dims.first().copied();
    let correction = c.int("correction").map_or(1, |n| n as usize);
    let one = match c.op {
        "sum" => dim.map_or_else(|| c.x().sum(), |_| c.x().sum_dims(&dims[..], keepdim)),
        "mean" => dim.map_or_else(|| c.x().mean(), |_| c.x().mean_dims(&dims[..], keepdim)),
        "prod" => dim.map_or_else(|| c.x().prod(), |dim| c.x().prod_dims(dim, keepdim)),
        "amax" => c.x().amax(&dims[..], keepdim),
        "amin" => c.x().amin(&dims[..], keepdim),
        "var" => c.x().var_dims(&dims[..], correction, keepdim),
        "std" => c.x().std_dims(&dims[..], correction, keepdim),
        "norm" => c.x().norm_dims(c.float("p").unwrap_or(2.0), &dims[..], keepdim),
        "sum_to" => c.x().sum_to(&c.sizes("size")?),
        "logsumexp" => c.x().logsumexp(&dims[..], keepdim),
        "cumsum" => c.x().cumsum(dim?),
        "cumprod" => c.x().cumprod(dim?),
        "count_nonzero" => {
            let count = dim.map_or_else(|| c.x().count_nonzero(), |_| c.x().count_nonzero_dims(&dims[..], keepdim));
            return Some(vec![Value::Index(count)]);
        }
        "argmax" | "argmin" => {
            let index = match (c.op, dim) {
                ("argmax", None) => c.x().argmax(),
                ("argmax", Some(dim)) => c.x().argmax_dim(dim, keepdim),
                (_, None) => c.x().argmin(),
                (_, Some(dim)) => c.x().argmin_dim(dim, keepdim),
            };
            return Some(vec![Value::Index(index)]);
        }
        "max" | "min" => {
            let (value, index) = match (c.op, dim) {
                ("max", None) => return Some(vec![Value::Float(c.x().max())]),
                ("min", None) => return Some(vec![Value::Float(c.x().min())]),
                ("max", Some(dim)) => c.x().max_dim(dim, keepdim),
                (_, Some(dim)) => c.x().min_dim(dim, keepdim),
                _ => return None,
            };
            return Some(vec![Value::Float(value), Value::Index(index)]);
        }
        _ => return None,
    };
    Some(vec![Value::Float(one)])
}
