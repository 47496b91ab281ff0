//! Views and rearrangements.

use wengert::{FloatElement, PadMode, TensorBase, cat, stack};

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
    if let Some(parts) = parts(c) {
        return Some(parts.into_iter().map(Value::Float).collect());
    }
    let one = changed_shape(c).or_else(|| part(c)).or_else(|| joined(c)).or_else(|| copied(c));
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
        "movedim" => c.x().movedim(&c.ints("source")?[..], &c.ints("destination")?[..]),
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
        "cat" => cat(&c.tensors(), c.int("dim").unwrap_or(0)),
        "stack" => stack(&c.tensors(), c.int("dim")?),
        _ => return None,
    })
}

/// Several parts.
fn parts<E: FloatElement>(c: &Call<'_, E>) -> Option<Vec<TensorBase<E>>> {
    let dim = c.int("dim").unwrap_or(0);
    let sizes = "split_size_or_sections";
    Some(match c.op {
        "split" => match c.int(sizes) {
            Some(size) => c.x().split(size as usize, dim),
            None => c.x().split(&c.sizes(sizes)?[..], dim),
        },
        "chunk" => c.x().chunk(c.int("chunks")? as usize, dim),
        "unbind" => c.x().unbind(dim),
        _ => return None,
    })
}

/// Copies with the elements at other places.
fn copied<E: FloatElement>(c: &Call<'_, E>) -> Option<TensorBase<E>> {
    let diagonal = c.int("diagonal").unwrap_or(0);
    Some(match c.op {
        "contiguous" => c.x().contiguous(),
        "copy" => c.x().copy(),
        "zeros_like" => c.x().zeros_like(),
        "ones_like" => c.x().ones_like(),
        "full_like" => c.x().full_like(E::of(c.float("fill_value")?)),
        "repeat" => c.x().repeat(&c.sizes("repeats")?),
        "flip" => c.x().flip(&c.ints("dims")?[..]),
        "roll" => c.x().roll(&c.ints("shifts")?[..], &c.ints("dims").unwrap_or_default()[..]),
        "tril" => c.x().tril(diagonal),
        "triu" => c.x().triu(diagonal),
        "diag" => c.x().diag(diagonal),
        "diagonal" => {
            let (dim1, dim2) = (c.int("dim1").unwrap_or(0), c.int("dim2").unwrap_or(1));
            c.x().diagonal(c.int("offset").unwrap_or(0), dim1, dim2)
        }
        "pad" => {
            let mode = match c.text("mode") {
                Some("reflect") => PadMode::Reflect,
                Some("replicate") => PadMode::Replicate,
                Some("circular") => PadMode::Circular,
                _ => PadMode::Constant(E::of(c.float("value").unwrap_or(0.0))),
            };
            c.x().pad(&c.ints("pad")?[..], mode)
        }
        _ => return None,
    })
}
