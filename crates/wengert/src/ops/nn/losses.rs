//! The losses of pairs of elements as methods.

use super::Reduction;
use super::pointwise::{Call, Kind, pair_loss};
use crate::element::FloatElement;
use crate::error::{Result, error, twins};
use crate::tensor::TensorBase;

/// How [`TensorBase::smooth_l1_loss_with`] bends and reduces.
#[derive(Clone, Copy, Debug)]
pub struct SmoothL1 {
    /// Differences below this are squared; 0 or more.
    pub beta: f64,
    /// How the losses become the result.
    pub reduction: Reduction,
}

impl Default for SmoothL1 {
    fn default() -> Self {
        Self { beta: 1.0, reduction: Reduction::Mean }
    }
}

/// How [`TensorBase::huber_loss_with`] bends and reduces.
#[derive(Clone, Copy, Debug)]
pub struct Huber {
    /// Differences up to this are squared; above 0.
    pub delta: f64,
    /// How the losses become the result.
    pub reduction: Reduction,
}

impl Default for Huber {
    fn default() -> Self {
        Self { delta: 1.0, reduction: Reduction::Mean }
    }
}

/// How [`TensorBase::binary_cross_entropy_with`] weighs and reduces.
#[derive(Clone, Copy, Debug)]
pub struct BinaryCrossEntropy<E: FloatElement> {
    /// A weight per loss, which broadcasts; has no derivative.
    pub weight: Option<TensorBase<E>>,
    /// How the losses become the result.
    pub reduction: Reduction,
}

impl<E: FloatElement> Default for BinaryCrossEntropy<E> {
    fn default() -> Self {
        Self { weight: None, reduction: Reduction::Mean }
    }
}

/// How [`TensorBase::binary_cross_entropy_with_logits_with`] weighs and reduces.
#[derive(Clone, Copy, Debug)]
pub struct BinaryCrossEntropyWithLogits<E: FloatElement> {
    /// A weight per loss, which broadcasts; has no derivative.
    pub weight: Option<TensorBase<E>>,
    /// A weight for the part of each loss that comes from a positive target, which broadcasts; has no derivative.
    pub pos_weight: Option<TensorBase<E>>,
    /// How the losses become the result.
    pub reduction: Reduction,
}

impl<E: FloatElement> Default for BinaryCrossEntropyWithLogits<E> {
    fn default() -> Self {
        Self { weight: None, pos_weight: None, reduction: Reduction::Mean }
    }
}

/// How [`TensorBase::kl_div_with`] reads its target and reduces.
#[derive(Clone, Copy, Debug, Default)]
pub struct KlDiv {
    /// Whether the target holds logarithms too.
    pub log_target: bool,
    /// How the losses become the result; [`Reduction::BatchMean`] is the divergence's definition.
    pub reduction: Reduction,
}

/// A call without weights.
fn plain<E: FloatElement>(op: &'static str, kind: Kind, reduction: Reduction) -> Call<E> {
    Call { op, kind, weight: None, pos_weight: None, reduction }
}

/// Checks that predictions are probabilities.
fn check_probabilities<E: FloatElement>(op: &str, x: TensorBase<E>) -> Result<()> {
    let x = x.try_contiguous()?;
    let wrong = |x: &E| !(0.0..=1.0).contains(&Into::<f64>::into(*x));
    let found = crate::tape::with(|tape| {
        let index = tape.resolve(x.handle())?;
        Ok(tape.data::<E>(index)[..tape.layout(index).numel()].iter().copied().find(wrong))
    })?;
    match found {
        None => Ok(()),
        Some(x) => Err(error!(
            Value,
            "{op}: the prediction {x:?} is no probability; expected 0 to 1, or use `binary_cross_entropy_with_logits`"
        )),
    }
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The mean of the squared differences from `target`, of the same shape.
        pub fn mse_loss | try_mse_loss(self, target: TensorBase<E>) -> TensorBase<E> {
            self.try_mse_loss_with(target, Reduction::Mean)
        }

        /// [`Self::mse_loss`] with another reduction.
        pub fn mse_loss_with | try_mse_loss_with(self, target: TensorBase<E>, reduction: Reduction) -> TensorBase<E> {
            pair_loss(self, target, plain("mse_loss", Kind::Mse, reduction))
        }

        /// The mean of the absolute differences from `target`, of the same shape. Its derivative where they are equal is 0.
        pub fn l1_loss | try_l1_loss(self, target: TensorBase<E>) -> TensorBase<E> {
            self.try_l1_loss_with(target, Reduction::Mean)
        }

        /// [`Self::l1_loss`] with another reduction.
        pub fn l1_loss_with | try_l1_loss_with(self, target: TensorBase<E>, reduction: Reduction) -> TensorBase<E> {
            pair_loss(self, target, plain("l1_loss", Kind::L1, reduction))
        }

        /// The mean of `d² / 2` where the difference `d` is below 1 and `|d| - 1/2` elsewhere (Girshick 2015, "Fast R-CNN",
        /// equation 3).
        pub fn smooth_l1_loss | try_smooth_l1_loss(self, target: TensorBase<E>) -> TensorBase<E> {
            self.try_smooth_l1_loss_with(target, SmoothL1::default())
        }

        /// [`Self::smooth_l1_loss`] with `d² / (2 beta)` below `beta` and `|d| - beta / 2` elsewhere, and another reduction.
        pub fn smooth_l1_loss_with | try_smooth_l1_loss_with(self, target: TensorBase<E>, options: SmoothL1) -> TensorBase<E> {
            let SmoothL1 { beta, reduction } = options;
            let kind = match beta {
                0.0 => Kind::L1,
                _ if beta > 0.0 => Kind::SmoothL1 { beta },
                _ => return Err(error!(Value, "smooth_l1_loss: beta is {beta}; expected 0 or more")),
            };
            pair_loss(self, target, plain("smooth_l1_loss", kind, reduction))
        }

        /// The mean of `d² / 2` where the difference `d` is up to 1 and `|d| - 1/2` elsewhere (Huber 1964, "Robust Estimation of a
        /// Location Parameter").
        pub fn huber_loss | try_huber_loss(self, target: TensorBase<E>) -> TensorBase<E> {
            self.try_huber_loss_with(target, Huber::default())
        }

        /// [`Self::huber_loss`] with `delta (|d| - delta / 2)` above `delta`, and another reduction.
        pub fn huber_loss_with | try_huber_loss_with(self, target: TensorBase<E>, options: Huber) -> TensorBase<E> {
            let Huber { delta, reduction } = options;
            if delta.is_nan() || delta <= 0.0 {
                return Err(error!(Value, "huber_loss: delta is {delta}; expected a number above 0"));
            }
            pair_loss(self, target, plain("huber_loss", Kind::Huber { delta }, reduction))
        }

        /// The mean of `-(t ln x + (1 - t) ln(1 - x))` for probabilities `x` and targets `t` of the same shape; logarithms are
        /// kept above -100. [`Self::binary_cross_entropy_with_logits`] is more accurate.
        pub fn binary_cross_entropy | try_binary_cross_entropy(self, target: TensorBase<E>) -> TensorBase<E> {
            self.try_binary_cross_entropy_with(target, BinaryCrossEntropy::default())
        }

        /// [`Self::binary_cross_entropy`] with a weight per loss and another reduction.
        pub fn binary_cross_entropy_with | try_binary_cross_entropy_with(
            self,
            target: TensorBase<E>,
            options: BinaryCrossEntropy<E>,
        ) -> TensorBase<E> {
            let (op, BinaryCrossEntropy { weight, reduction }) = ("binary_cross_entropy", options);
            check_probabilities(op, self)?;
            pair_loss(self, target, Call { weight, ..plain(op, Kind::Binary, reduction) })
        }

        /// [`Self::binary_cross_entropy`] of `sigmoid(x)`, without its rounding and overflow.
        pub fn binary_cross_entropy_with_logits | try_binary_cross_entropy_with_logits(self, target: TensorBase<E>)
            -> TensorBase<E>
        {
            self.try_binary_cross_entropy_with_logits_with(target, BinaryCrossEntropyWithLogits::default())
        }

        /// [`Self::binary_cross_entropy_with_logits`] with weights and another reduction.
        pub fn binary_cross_entropy_with_logits_with | try_binary_cross_entropy_with_logits_with(
            self,
            target: TensorBase<E>,
            options: BinaryCrossEntropyWithLogits<E>,
        ) -> TensorBase<E> {
            let BinaryCrossEntropyWithLogits { weight, pos_weight, reduction } = options;
            let kind = Kind::BinaryLogits { weighed: pos_weight.is_some() };
            let call = plain("binary_cross_entropy_with_logits", kind, reduction);
            pair_loss(self, target, Call { weight, pos_weight, ..call })
        }

        /// The mean over all elements of `t (ln t - x)`, for logarithms `x` of probabilities and targets `t` of the same shape
        /// (Kullback and Leibler 1951, "On Information and Sufficiency"). The divergence of distributions along the last
        /// dimensions is [`Self::kl_div_with`] and [`Reduction::BatchMean`].
        pub fn kl_div | try_kl_div(self, target: TensorBase<E>) -> TensorBase<E> {
            self.try_kl_div_with(target, KlDiv::default())
        }

        /// [`Self::kl_div`] of a target of logarithms, or with another reduction.
        pub fn kl_div_with | try_kl_div_with(self, target: TensorBase<E>, options: KlDiv) -> TensorBase<E> {
            let kind = if options.log_target { Kind::LogDivergence } else { Kind::Divergence };
            pair_loss(self, target, plain("kl_div", kind, options.reduction))
        }
    }
}
