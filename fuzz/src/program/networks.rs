//! Operations of networks, with options of all kinds.

use wengert::options::{
    AvgPool, BatchNorm, BinaryCrossEntropy, BinaryCrossEntropyWithLogits, Conv1d, Conv2d, CrossEntropy, Huber, KlDiv,
    LayerNorm, MaxPool, Nll, Reduction, SmoothL1, Target,
};
use wengert::{Result, TensorBase};

use super::{Float, Values};
use crate::bytes::Bytes;

fn reduction(bytes: &mut Bytes<'_>) -> Reduction {
    bytes.pick(&[Reduction::Mean, Reduction::Sum, Reduction::None, Reduction::BatchMean])
}

fn pair(bytes: &mut Bytes<'_>) -> [usize; 2] {
    [bytes.length(), bytes.length()]
}

/// A tensor of rank `rank` with short sides, so that it fits windows.
fn plane<E: Float>(bytes: &mut Bytes<'_>, rank: usize) -> Result<TensorBase<E>> {
    let shape: Vec<usize> = (0..rank).map(|_| 1 + bytes.below(4)).collect();
    TensorBase::try_linspace(-1.0, 1.5, shape.iter().product())?.try_reshape(&shape)?.try_detach()
}

pub fn networks<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values) {
    let y = match bytes.below(4) {
        0 => windows(bytes, values),
        1 => norms(bytes, values),
        _ => losses(bytes, values),
    };
    values.keep::<E>(y);
}

fn windows<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values) -> Result<TensorBase<E>> {
    let bias = bytes.flag().then(|| values.float(bytes));
    let own = bytes.flag();
    let mut x = |bytes: &mut Bytes<'_>, rank| if own { plane(bytes, rank) } else { Ok(values.float(bytes)) };
    Ok(match bytes.below(5) {
        0 => {
            let (x, w) = (x(bytes, 4)?, plane(bytes, 4)?);
            let (stride, padding, dilation, groups) = (pair(bytes), pair(bytes), pair(bytes), bytes.length());
            x.try_conv2d(w, Conv2d { bias, stride, padding, dilation, groups })?
        }
        1 => {
            let (x, w) = (x(bytes, 3)?, plane(bytes, 3)?);
            let (stride, padding, dilation) = (bytes.length(), bytes.length(), bytes.length());
            x.try_conv1d(w, Conv1d { bias, stride, padding, dilation, groups: bytes.length() })?
        }
        2 => {
            let (stride, padding) = (bytes.flag().then(|| pair(bytes)), pair(bytes));
            let dilation = bytes.flag().then(|| pair(bytes));
            x(bytes, 4)?
                .try_max_pool2d_with(pair(bytes), MaxPool { stride, padding, dilation, ceil_mode: bytes.flag() })?
        }
        3 => {
            let (stride, padding) = (bytes.flag().then(|| pair(bytes)), pair(bytes));
            let (count_include_pad, divisor) = (bytes.flag(), bytes.flag().then(|| bytes.number()));
            let ceil_mode = bytes.flag();
            let options = AvgPool { ceil_mode, stride, padding, count_include_pad, divisor_override: divisor };
            x(bytes, 4)?.try_avg_pool2d_with(pair(bytes), options)?
        }
        _ => {
            let (y, index) = x(bytes, 3)?.try_max_pool2d_with_indices(pair(bytes), MaxPool::default())?;
            values.keep_index(Ok(index));
            y
        }
    })
}

fn norms<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values) -> Result<TensorBase<E>> {
    let x = values.float(bytes);
    let mut some = |bytes: &mut Bytes<'_>| bytes.flag().then(|| values.float(bytes));
    let (weight, bias) = (some(bytes), some(bytes));
    if bytes.flag() {
        return x.try_layer_norm(&bytes.small_shape(), LayerNorm { weight, bias, eps: bytes.number() });
    }
    let (running_mean, running_var, training) = (some(bytes), some(bytes), bytes.flag());
    let (momentum, eps) = (bytes.number(), bytes.number());
    x.try_batch_norm(BatchNorm { running_mean, running_var, weight, bias, training, momentum, eps })
}

fn losses<E: Float>(bytes: &mut Bytes<'_>, values: &mut Values) -> Result<TensorBase<E>> {
    let (x, y): (TensorBase<E>, TensorBase<E>) = (values.float(bytes), values.float(bytes));
    let (labels, reduction) = (values.index(bytes), reduction(bytes));
    let mut some = |bytes: &mut Bytes<'_>| bytes.flag().then(|| values.float(bytes));
    let (weight, pos_weight) = (some(bytes), some(bytes));
    let ignore_index = bytes.dim() as i64;
    match bytes.below(10) {
        0 => x.try_nll_loss_with(labels, Nll { weight, ignore_index, reduction }),
        1 => {
            let label_smoothing = bytes.number();
            let target = if bytes.flag() { Target::Classes(labels) } else { Target::Probabilities(y) };
            x.try_cross_entropy_with(target, CrossEntropy { weight, ignore_index, label_smoothing, reduction })
        }
        2 => x.try_mse_loss_with(y, reduction),
        3 => x.try_l1_loss_with(y, reduction),
        4 => x.try_smooth_l1_loss_with(y, SmoothL1 { beta: bytes.number(), reduction }),
        5 => x.try_huber_loss_with(y, Huber { delta: bytes.number(), reduction }),
        6 => x.try_binary_cross_entropy_with(y, BinaryCrossEntropy { weight, reduction }),
        7 => x.try_binary_cross_entropy_with_logits_with(
            y,
            BinaryCrossEntropyWithLogits { weight, pos_weight, reduction },
        ),
        8 => x.try_kl_div_with(y, KlDiv { log_target: bytes.flag(), reduction }),
        _ => x.try_softmax(bytes.dim())?.try_cross_entropy(labels),
    }
}
