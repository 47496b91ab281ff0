//! Losses.

use wengert::FloatElement;
use wengert::options::{
    BinaryCrossEntropy, BinaryCrossEntropyWithLogits, CrossEntropy, Huber, KlDiv, Nll, Reduction, SmoothL1, Target,
};

use super::{Call, Outputs, Value};

/// Operations that are one entry here and another in PyTorch: their `grad_fn` is not compared.
pub const OTHER_NAMES: &[&str] = &[];

pub fn call<E: FloatElement>(c: &Call<'_, E>) -> Option<Outputs<E>> {
    Some(vec![Value::Float(match c.op {
        "cross_entropy" => c.x().cross_entropy_with(target(c), cross_entropy(c)),
        "nll" => c.x().nll_loss_with(c.index("target"), nll(c)),
        _ => return pair(c),
    })])
}

/// Losses of a tensor and a target of its shape.
fn pair<E: FloatElement>(c: &Call<'_, E>) -> Option<Outputs<E>> {
    let (target, reduction) = (|| c.tensor("target").expect("a target"), reduction(c));
    Some(vec![Value::Float(match c.op {
        "mse" => c.x().mse_loss_with(target(), reduction),
        "l1" => c.x().l1_loss_with(target(), reduction),
        "smooth_l1" => {
            c.x().smooth_l1_loss_with(target(), SmoothL1 { beta: c.float("beta").unwrap_or(1.0), reduction })
        }
        "huber" => c.x().huber_loss_with(target(), Huber { delta: c.float("delta").unwrap_or(1.0), reduction }),
        "binary_cross_entropy" => {
            let weight = c.tensor("weight");
            c.x().binary_cross_entropy_with(target(), BinaryCrossEntropy { weight, reduction })
        }
        "binary_cross_entropy_with_logits" => {
            let (weight, pos_weight) = (c.tensor("weight"), c.tensor("pos_weight"));
            let options = BinaryCrossEntropyWithLogits { weight, pos_weight, reduction };
            c.x().binary_cross_entropy_with_logits_with(target(), options)
        }
        "kl_div" => c.x().kl_div_with(target(), KlDiv { log_target: c.flag("log_target"), reduction }),
        _ => return None,
    })])
}

fn reduction<E: FloatElement>(c: &Call<'_, E>) -> Reduction {
    match c.text("reduction") {
        Some("none") => Reduction::None,
        Some("sum") => Reduction::Sum,
        Some("batchmean") => Reduction::BatchMean,
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

fn nll<E: FloatElement>(c: &Call<'_, E>) -> Nll<E> {
    let CrossEntropy { weight, ignore_index, reduction, .. } = cross_entropy(c);
    Nll { weight, ignore_index, reduction }
}
