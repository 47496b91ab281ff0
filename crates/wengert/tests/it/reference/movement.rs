//! Views and rearrangements.

use wengert::{FloatElement, TensorBase, cat, stack};

use super::{Call, Outputs, Value};

/// Operations that are one entry here and another in PyTorch: their `grad_fn` is not compared.
pub const OTHER_NAMES: &[&str] = &[];

/// A shape in which -1 stands for what is left of `numel`.
fn shape<E: FloatElement>(c: &Call<'_, E>, key: &str, numel: usize) -> Option<Vec<usize>> {
    let given = c.ints(key)?;
    let known: isize = given.iter().filter(|&&n| n >= 0).product();
    Some(given.iter().map(|&n| if n < 0 { numel / known as usize } else { n as usize }).collect())
}

/// The size of `expand`, where -1 keeps a length.
fn expanded<E: FloatElement>(c: &Call<'_, E>) -> Option<Vec<usize>> {
    let (given, own) = (c.ints("size")?, c.x().shape());
    let lead = given.len() - own.len();
    Some(given.iter().enumerate().map(|(d, &n)| if n < 0 { own[d - lead] } else { n as usize }).collect())
}

pub fn call<E: FloatElement>(c: &Call<'_, E>) -> Option<Outputs<E>> {
    let one = changed_shape(c).or_else(|| part(c)).or_else(|| joined(c));
    Some(vec![Value::Float(one?)])
}

/// Other shapes and orders of all elements.
fn changed_shape<E: FloatElement>(c: &Call<'_, E>) -> Option<TensorBase<E>> {
    Some(match c.op {
        "reshape" => c.x().reshape(&shape(c, "shape", c.x().numel())?),
        "flatten" => c.x().flatten(c.int("start_dim").unwrap_or(0), c.int("end_dim").unwrap_or(-1)),
        "unflatten" => {
            let dim = c.int("dim")?;
            c.x().unflatten(dim, &shape(c, "sizes", c.x().size(dim))?)
        }
        "squeeze" => match (c.int("dim"), c.ints("dim")) {
            (Some(dim), _) => c.x().squeeze_dims(dim),
            (None, Some(dims)) => c.x().squeeze_dims(&dims[..]),
            (None, None) => c.x().squeeze(),
        },
        "unsqueeze" => c.x().unsqueeze(c.int("dim")?),
        "transpose" => c.x().transpose(c.int("dim0")?, c.int("dim1")?),
        "t" => c.x().t(),
        "permute" => c.x().permute(c.ints("dims")?),
        "expand" => c.x().expand(&expanded(c)?),
        "broadcast_to" => c.x().broadcast_to(&expanded(c)?),
        _ => return None,
    })
}

/// Parts.
fn part<E: FloatElement>(c: &Call<'_, E>) -> Option<TensorBase<E>> {
    let dim = c.int("dim").unwrap_or(0);
    Some(match c.op {
        "slice" => {
            let (start, end) = (c.int("start").unwrap_or(0), c.int("end").unwrap_or(isize::MAX));
            c.x().slice(dim, start, end, c.int("step").unwrap_or(1) as usize)
        }
        "narrow" => {
            // PyTorch counts a negative start from the end.
            let (start, n) = (c.int("start")?, c.x().size(dim) as isize);
            c.x().narrow(dim, if start < 0 { start + n } else { start } as usize, c.int("length")? as usize)
        }
        "select" => c.x().select(dim, c.int("index")?),
        _ => return None,
    })
}

/// Several tensors as one.
fn joined<E: FloatElement>(c: &Call<'_, E>) -> Option<TensorBase<E>> {
    Some(match c.op {
        "cat" => cat(&c.tensors(), c.int("dim")?),
        "stack" => stack(&c.tensors(), c.int("dim")?),
        _ => return None,
    })
}
