//! Layers of networks.

use wengert::FloatElement;
use wengert::options::{AvgPool, BatchNorm, Conv1d, Conv2d, LayerNorm, MaxPool};

use super::{Call, Outputs, Value};

/// Operations that are one entry here and another in PyTorch: their `grad_fn` is not compared.
pub const OTHER_NAMES: &[&str] = &[];

pub fn call<E: FloatElement>(c: &Call<'_, E>) -> Option<Outputs<E>> {
    Some(vec![Value::Float(match c.op {
        "softmax" => c.x().softmax(c.int("dim")?),
        "log_softmax" => c.x().log_softmax(c.int("dim")?),
        "max_pool2d" if c.flag("return_indices") => {
            let (y, places) = c.x().max_pool2d_with_indices(pair(c, "kernel_size")?, max_pool(c));
            return Some(vec![Value::Float(y), Value::Index(places)]);
        }
        "conv1d" => c.x().conv1d(c.tensor("weight")?, conv1d(c)),
        "conv2d" => c.x().conv2d(c.tensor("weight")?, conv2d(c)),
        "max_pool2d" => c.x().max_pool2d_with(pair(c, "kernel_size")?, max_pool(c)),
        "avg_pool2d" => c.x().avg_pool2d_with(pair(c, "kernel_size")?, avg_pool(c)),
        "layer_norm" => {
            let options =
                LayerNorm { weight: c.tensor("weight"), bias: c.tensor("bias"), eps: c.float("eps").unwrap_or(1e-5) };
            c.x().layer_norm(&c.sizes("normalized_shape")?, options)
        }
        "batch_norm" => return Some(batch_norm(c)),
        "dropout" => {
            let training = !c.has("training") || c.flag("training");
            c.x().dropout(c.float("p").unwrap_or(0.5), training)
        }
        _ => return None,
    })])
}

/// One number for both, or two; `None` if there is neither.
fn pair<E: FloatElement>(c: &Call<'_, E>, key: &str) -> Option<[usize; 2]> {
    // PyTorch writes "no zeros" as a word.
    let sizes = if c.text(key) == Some("valid") { vec![0] } else { c.sizes(key)? };
    Some([*sizes.first()?, *sizes.last()?])
}

fn conv1d<E: FloatElement>(c: &Call<'_, E>) -> Conv1d<E> {
    let number = |key: &str, default: usize| pair(c, key).map_or(default, |[n, _]| n);
    Conv1d {
        bias: c.tensor("bias"),
        stride: number("stride", 1),
        padding: number("padding", 0),
        dilation: number("dilation", 1),
        groups: number("groups", 1),
    }
}

fn conv2d<E: FloatElement>(c: &Call<'_, E>) -> Conv2d<E> {
    Conv2d {
        bias: c.tensor("bias"),
        stride: pair(c, "stride").unwrap_or([1; 2]),
        padding: pair(c, "padding").unwrap_or([0; 2]),
        dilation: pair(c, "dilation").unwrap_or([1; 2]),
        groups: c.int("groups").map_or(1, |n| n as usize),
    }
}

fn max_pool<E: FloatElement>(c: &Call<'_, E>) -> MaxPool {
    let padding = pair(c, "padding").unwrap_or([0; 2]);
    MaxPool { stride: pair(c, "stride"), padding, dilation: pair(c, "dilation"), ceil_mode: c.flag("ceil_mode") }
}

fn avg_pool<E: FloatElement>(c: &Call<'_, E>) -> AvgPool {
    AvgPool {
        stride: pair(c, "stride"),
        padding: pair(c, "padding").unwrap_or([0; 2]),
        ceil_mode: c.flag("ceil_mode"),
        count_include_pad: !c.has("count_include_pad") || c.flag("count_include_pad"),
        divisor_override: c.float("divisor_override"),
    }
}

/// The normalised tensor, and what the running statistics have become; the inputs are left alone.
fn batch_norm<E: FloatElement>(c: &Call<'_, E>) -> Outputs<E> {
    let copy = |name: &str| c.tensor(name).map(|running| running.copy());
    let options = BatchNorm {
        running_mean: copy("running_mean"),
        running_var: copy("running_var"),
        weight: c.tensor("weight"),
        bias: c.tensor("bias"),
        training: c.flag("training"),
        momentum: c.float("momentum").unwrap_or(0.1),
        eps: c.float("eps").unwrap_or(1e-5),
    };
    let y = c.x().batch_norm(options);
    let outputs = [Some(y), options.running_mean, options.running_var].into_iter().flatten();
    outputs.map(Value::Float).collect()
}
