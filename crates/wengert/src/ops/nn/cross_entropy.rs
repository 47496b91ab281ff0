//! The cross-entropy of logits and labels or probabilities, as one entry.
//!
//! What the forward pass finds out about each line of logits (its maximum, the logarithm of its sum, the divisor of the mean) is
//! kept in a leaf beside the entry, so that the backward pass is one exponential per logit.

use smallvec::SmallVec;
use wengert_kernels::cross_entropy as kernels;
use wengert_kernels::reduce::{self, Tree};
use wengert_kernels::softmax::log_sum_exp;

use super::super::reduce::around;
use super::super::{Case, Compute, Derivative, Input, Operation, Structured, compute_leaf, record};
use super::softmax::softmax_backward;
use super::{Reduction, check_fraction, check_reduction};
use crate::autograd::{Backward, Forward};
use crate::element::FloatElement;
use crate::error::{Result, error, twins};
use crate::shape::{Layout, Shape};
use crate::tape::Handle;
use crate::tensor::{IndexTensor, TensorBase};

/// How [`TensorBase::cross_entropy_with`] weighs and reduces.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy<E: FloatElement> {
    /// A weight per class; has no derivative.
    pub weight: Option<TensorBase<E>>,
    /// Positions with this label have no loss and do not count in the mean. For labels only.
    pub ignore_index: i64,
    /// The share, 0 to 1, of what is wanted that is spread evenly over all classes.
    pub label_smoothing: f64,
    /// How the losses become the result.
    pub reduction: Reduction,
}

impl<E: FloatElement> Default for CrossEntropy<E> {
    fn default() -> Self {
        Self { weight: None, ignore_index: -100, label_smoothing: 0.0, reduction: Reduction::Mean }
    }
}

/// What logits should have said.
#[derive(Clone, Copy, Debug)]
pub enum Target<E: FloatElement> {
    /// A class per position: the logits' shape without the dimension of the classes.
    Classes(IndexTensor),
    /// A probability per class and position: the logits' shape.
    Probabilities(TensorBase<E>),
}

/// What can be the target of a cross-entropy: an [`IndexTensor`] of classes or a tensor of probabilities.
pub trait IntoTarget<E: FloatElement> {
    /// The target.
    fn into_target(self) -> Target<E>;
}

impl<E: FloatElement> IntoTarget<E> for IndexTensor {
    fn into_target(self) -> Target<E> {
        Target::Classes(self)
    }
}
impl<E: FloatElement> IntoTarget<E> for TensorBase<E> {
    fn into_target(self) -> Target<E> {
        Target::Probabilities(self)
    }
}
impl<E: FloatElement> IntoTarget<E> for Target<E> {
    fn into_target(self) -> Target<E> {
        self
    }
}

/// The loss, of the logits, the target, [`statistics`], and the weight of each class if there is one.
pub(crate) struct Loss;

/// The gradient of the logits, of that of the loss and the operands of [`Loss`].
pub(crate) struct LossBackward;

/// How the loss is made.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    /// The logits' rank and their dimensions around that of the classes.
    rank: usize,
    dims: [usize; 3],
    /// Labels are classes, else probabilities.
    classes: bool,
    weighted: bool,
    ignored: i64,
    smoothing: f64,
    reduction: Reduction,
}

impl Rule {
    /// The dimension of the classes.
    fn dim(&self) -> usize {
        self.rank.min(2).saturating_sub(1)
    }

    fn lines(&self) -> usize {
        self.dims[0] * self.dims[2]
    }

    /// The operands of a loss as its kernels want them.
    fn kernel<'a, E: FloatElement>(&self, operands: &[Input<'a>]) -> kernels::CrossEntropy<'a, E> {
        let (max, rest) = operands[2].slice().split_at(self.lines());
        kernels::CrossEntropy {
            x: operands[0].slice(),
            dims: self.dims,
            max,
            log: &rest[..self.lines()],
            target: match self.classes {
                true => kernels::Target::Classes { labels: operands[1].slice(), ignored: self.ignored },
                false => kernels::Target::Probabilities(operands[1].slice()),
            },
            weight: self.weighted.then(|| operands[3].slice()),
            smoothing: E::of(self.smoothing),
        }
    }

    /// `losses`, one per line, with the dimensions of the logits without that of the classes; or with it, as 1.
    fn of_lines<E: FloatElement>(
        &self,
        losses: TensorBase<E>,
        logits: &[usize],
        keepdim: bool,
    ) -> Result<TensorBase<E>> {
        let shape = logits.iter().enumerate().filter(|&(d, _)| keepdim || d != self.dim());
        losses.try_reshape(shape.map(|(d, &n)| if d == self.dim() { 1 } else { n }).collect::<Shape>())
    }
}

/// What the losses are divided by: 1, the number of lines, or the sum of their labels' weights.
fn divisor<E: FloatElement>(rule: &Rule, target: &Input<'_>, weight: Option<&[E]>) -> f64 {
    match rule.reduction {
        Reduction::None | Reduction::Sum => 1.0,
        _ if !rule.classes => rule.lines() as f64,
        _ => {
            let labels = target.slice::<i64>().iter().filter(|&&label| label != rule.ignored);
            labels.map(|&label| weight.map_or(1.0, |weight| weight[label as usize].into())).sum()
        }
    }
}

/// A leaf of the maximum of each line, the logarithm of each line's sum of exponentials, and the divisor.
///
/// # Errors
/// A label is no class.
fn statistics<E: FloatElement>(operands: &[Handle], rule: &Rule) -> Result<TensorBase<E>> {
    let lines = rule.lines();
    compute_leaf(operands, &[2 * lines + 1], |inputs, out: &mut [E]| {
        if rule.classes {
            check_labels("cross_entropy", inputs[1].slice(), rule.dims[1], rule.ignored)?;
        }
        let weight = inputs.get(2).map(|weight| weight.slice::<E>());
        let (max, rest) = out.split_at_mut(lines);
        log_sum_exp(inputs[0].slice(), rule.dims, max, &mut rest[..lines]);
        rest[lines] = E::of(divisor(rule, &inputs[1], weight));
        Ok(())
    })
}

/// Checks that every label is a class or the ignored one.
pub(super) fn check_labels(op: &str, labels: &[i64], classes: usize, ignored: i64) -> Result<()> {
    let wrong = |&label: &i64| label != ignored && !(0..classes as i64).contains(&label);
    match labels.iter().position(wrong) {
        None => Ok(()),
        Some(place) => Err(error!(
            Index,
            "{op}: label {} at position {place} is out of range for {classes} classes; expected 0 to {}, or ignore_index \
             ({ignored})",
            labels[place],
            classes as i64 - 1
        )),
    }
}

impl Operation for Loss {
    const OP: Structured = Structured::CrossEntropy;
    const NAME: &'static str = "cross_entropy";
    const GRAD_FN: &'static str = "NllLossBackward0";
    type Attrs = Rule;

    fn grad_fn(rule: &Rule) -> &'static str {
        match rule {
            Rule { classes: false, reduction: Reduction::Mean, .. } => "DivBackward1",
            Rule { classes: false, .. } => "NegBackward0",
            Rule { smoothing, .. } if *smoothing > 0.0 => "AddBackward0",
            Rule { rank: 0..=2, .. } => "NllLossBackward0",
            Rule { rank: 4, .. } => "NllLoss2DBackward0",
            Rule { reduction: Reduction::None, .. } => "ViewBackward0",
            _ => "NllLoss2DBackward0",
        }
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("labels", &[&[4, 3]], |x| x[0].cross_entropy(IndexTensor::new([2, 0, 2, 1]))),
            Case::new("smoothed, weighed, ignoring", &[&[4, 3]], |x| {
                let weight = Some(TensorBase::new([0.5, 2.0, 1.25]));
                let options = CrossEntropy { weight, label_smoothing: 0.2, ignore_index: 2, ..Default::default() };
                x[0].cross_entropy_with(IndexTensor::new([2, 0, 0, 1]), options)
            }),
            Case::new("planes, each loss", &[&[2, 3, 2]], |x| {
                let options = CrossEntropy { label_smoothing: 0.1, reduction: Reduction::None, ..Default::default() };
                x[0].cross_entropy_with(IndexTensor::new([[2, 0], [1, -100]]), options)
            }),
            Case::new("probabilities", &[&[2, 3, 2], &[2, 3, 2]], |x| x[0].cross_entropy(x[1])),
            Case::new("weighed probabilities, each loss", &[&[2, 3], &[2, 3]], |x| {
                let weight = Some(TensorBase::new([0.5, 2.0, 1.25]));
                let reduction = Reduction::None;
                let options = CrossEntropy { weight, label_smoothing: 0.2, reduction, ..Default::default() };
                x[0].cross_entropy_with(x[1], options)
            }),
            Case::new("one line", &[&[3]], |x| x[0].cross_entropy(IndexTensor::scalar(1))),
        ]
    }
}

impl<E: FloatElement> Compute<E> for Loss {
    fn output(inputs: &[&Layout], rule: &Rule) -> Result<Shape> {
        let classes = |d: usize| d == rule.dim();
        Ok(match rule.reduction {
            Reduction::None => {
                let shape = inputs[0].shape().iter().enumerate();
                shape.filter(|&(d, _)| !classes(d)).map(|(_, &n)| n).collect()
            }
            _ => Shape::default(),
        })
    }

    fn forward(inputs: &[Input<'_>], rule: &Rule, out: &mut [E]) {
        let loss = rule.kernel::<E>(inputs);
        if rule.reduction == Reduction::None {
            return loss.losses(0, out);
        }
        let mut tree = Tree::<E, reduce::Sum>::new();
        E::scratch(rule.lines().min(reduce::BLOCK), |block| {
            for first in (0..rule.lines()).step_by(reduce::BLOCK) {
                let block = &mut block[..(rule.lines() - first).min(reduce::BLOCK)];
                loss.losses(first, block);
                tree.push(reduce::sum(block));
            }
        });
        out[0] = tree.finish() / inputs[2].slice::<E>()[2 * rule.lines()];
    }
}

impl Operation for LossBackward {
    const OP: Structured = Structured::CrossEntropyBackward;
    const NAME: &'static str = "cross_entropy_backward";
    const GRAD_FN: &'static str = "CrossEntropyBackwardBackward0";
    type Attrs = Rule;

    fn cases() -> Vec<Case> {
        fn gradient(
            g: TensorBase<f64>,
            x: TensorBase<f64>,
            target: Target<f64>,
            options: CrossEntropy<f64>,
        ) -> TensorBase<f64> {
            let (operands, rule) = prepare(x, target, options).expect("operands that fit");
            let operands: SmallVec<[Handle; 5]> = [g.handle()].into_iter().chain(operands).collect();
            record::<LossBackward, f64>(&operands, rule).expect("operands that fit")
        }
        vec![
            Case::new("labels", &[&[], &[4, 3]], |x| {
                let target = Target::Classes(IndexTensor::new([2, 0, -100, 1]));
                gradient(x[0], x[1], target, CrossEntropy { label_smoothing: 0.1, ..Default::default() })
            }),
            Case::new("each loss's", &[&[2, 2], &[2, 3, 2]], |x| {
                let target = Target::Classes(IndexTensor::new([[2, 0], [-100, 1]]));
                gradient(x[0], x[1], target, CrossEntropy { reduction: Reduction::None, ..Default::default() })
            }),
            Case::new("probabilities", &[&[], &[2, 3], &[2, 3]], |x| {
                let weight = Some(TensorBase::new([0.5, 2.0, 1.25]));
                let options = CrossEntropy { weight, label_smoothing: 0.2, ..Default::default() };
                gradient(x[0], x[1], Target::Probabilities(x[2]), options)
            }),
        ]
    }
}

impl<E: FloatElement> Compute<E> for LossBackward {
    fn output(inputs: &[&Layout], _: &Rule) -> Result<Shape> {
        Ok(Shape::of(inputs[1].shape()))
    }

    fn forward(inputs: &[Input<'_>], rule: &Rule, out: &mut [E]) {
        let scale = E::of(1.0) / inputs[3].slice::<E>()[2 * rule.lines()];
        rule.kernel::<E>(&inputs[1..]).gradient(inputs[0].slice(), scale, out);
    }
}

/// The quantities that derivatives are made of, as tensors of the logits' shape or broadcasting to it.
struct Parts<E> {
    rule: Rule,
    x: TensorBase<E>,
    /// The classes' wanted shares, which depend on wanted probabilities.
    q: TensorBase<E>,
    /// By what the gradient of a wanted share is multiplied for that of a wanted probability.
    kept: TensorBase<E>,
    /// `1 / divisor`.
    scale: f64,
}

impl<E: FloatElement> Parts<E> {
    /// Of the operands from number `first` on.
    fn of(rule: Rule, operand: impl Fn(usize) -> Result<Handle>) -> Result<Self> {
        let handles = (0..3 + usize::from(rule.weighted)).map(operand).collect::<Result<SmallVec<[Handle; 4]>>>()?;
        let x = TensorBase::<E>::from_handle(handles[0]);
        let divisor: f64 = TensorBase::<E>::from_handle(handles[2]).try_select(0, -1)?.try_item()?.into();
        let logits = x.try_shape()?;
        let mut along: SmallVec<[usize; 8]> = logits.iter().map(|_| 1).collect();
        along[rule.dim()] = rule.dims[1];
        let kept = match handles.get(3) {
            Some(&weight) => {
                TensorBase::<E>::from_handle(weight).try_mul(1.0 - rule.smoothing)?.try_reshape(&along[..])?
            }
            None => TensorBase::try_scalar(E::of(1.0 - rule.smoothing))?,
        };
        let q = if rule.classes {
            compute_leaf(&handles, &logits, |inputs, out| {
                rule.kernel::<E>(inputs).shares(out);
                Ok(())
            })?
        } else {
            let share = rule.smoothing / rule.dims[1] as f64;
            let spread = match handles.get(3) {
                Some(&weight) => TensorBase::<E>::from_handle(weight).try_mul(share)?.try_reshape(&along[..])?,
                None => TensorBase::try_scalar(E::of(share))?,
            };
            TensorBase::<E>::from_handle(handles[1]).try_mul(kept)?.try_add(spread)?
        };
        Ok(Self { rule, x, q, kept, scale: 1.0 / divisor })
    }

    /// The sum over the classes, which are kept as a dimension of 1.
    fn sum(&self, x: TensorBase<E>) -> Result<TensorBase<E>> {
        x.try_sum_dims(self.rule.dim() as isize, true)
    }

    fn p(&self) -> Result<TensorBase<E>> {
        self.x.try_softmax(self.rule.dim() as isize)
    }

    /// The gradient of the result as one of each line's loss, broadcasting to the logits.
    fn spread(&self, g: TensorBase<E>) -> Result<TensorBase<E>> {
        match self.rule.reduction {
            Reduction::None => self.rule.of_lines(g, &self.x.try_shape()?, true),
            _ => g.try_mul(self.scale),
        }
    }

    /// The adjoint of [`Self::spread`]: sums a tensor of the logits' shape to one of the result's.
    fn collect(&self, x: TensorBase<E>) -> Result<TensorBase<E>> {
        match self.rule.reduction {
            Reduction::None => x.try_sum_dims(self.rule.dim() as isize, false),
            _ => x.try_sum()?.try_mul(self.scale),
        }
    }

    /// The gradient of a line's loss by its logits: `p Σ q - q`.
    fn residual(&self) -> Result<TensorBase<E>> {
        self.p()?.try_mul(self.sum(self.q)?)?.try_sub(self.q)
    }

    /// The gradient of a line's loss by its wanted probabilities.
    fn surprise(&self) -> Result<TensorBase<E>> {
        self.x.try_log_softmax(self.rule.dim() as isize)?.try_mul(self.kept)?.try_neg()
    }
}

impl<E: FloatElement> Derivative<E> for Loss {
    fn backward(cx: &mut Backward<'_, E>, rule: &Rule) -> Result<()> {
        if cx.needs(0) {
            let mut operands: SmallVec<[Handle; 5]> = SmallVec::new();
            operands.push(cx.grad().try_contiguous()?.handle());
            for k in 0..cx.len() {
                operands.push(cx.operand::<E>(k)?.handle());
            }
            cx.add(0, record::<LossBackward, E>(&operands, *rule)?)?;
        }
        if !rule.classes && cx.needs(1) {
            let parts = Parts::<E>::of(*rule, |k| Ok(cx.operand::<E>(k)?.handle()))?;
            cx.add(1, parts.spread(cx.grad())?.try_mul(parts.surprise()?)?)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, rule: &Rule) -> Result<TensorBase<E>> {
        let parts = Parts::<E>::of(*rule, |k| Ok(cx.operand::<E>(k)?.handle()))?;
        let of_x = cx.tangent(0).map(|dx| parts.collect(parts.residual()?.try_mul(dx)?));
        let target = if rule.classes { None } else { cx.tangent(1) };
        let of_t = target.map(|dt| parts.collect(parts.surprise()?.try_mul(dt)?));
        cx.sum(of_x.into_iter().chain(of_t))
    }
}

impl<E: FloatElement> Derivative<E> for LossBackward {
    fn backward(cx: &mut Backward<'_, E>, rule: &Rule) -> Result<()> {
        let h = cx.grad();
        let parts = Parts::<E>::of(*rule, |k| Ok(cx.operand::<E>(k + 1)?.handle()))?;
        let spread = parts.spread(cx.operand::<E>(0)?)?;
        if cx.needs(0) {
            cx.add(0, parts.collect(parts.residual()?.try_mul(h)?)?)?;
        }
        if cx.needs(1) {
            let factor = spread.try_mul(parts.sum(parts.q)?)?;
            cx.add(1, softmax_backward(h.try_mul(factor)?, parts.p()?, rule.dim())?)?;
        }
        if !rule.classes && cx.needs(2) {
            let along = parts.sum(h.try_mul(parts.p()?)?)?.try_sub(h)?;
            cx.add(2, spread.try_mul(along)?.try_mul(parts.kept)?)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, rule: &Rule) -> Result<TensorBase<E>> {
        let parts = Parts::<E>::of(*rule, |k| Ok(cx.operand::<E>(k + 1)?.handle()))?;
        let spread = parts.spread(cx.operand::<E>(0)?)?;
        let of_g = cx.tangent(0).map(|dg| parts.spread(dg)?.try_mul(parts.residual()?));
        let of_x = cx.tangent(1).map(|dx| {
            let factor = spread.try_mul(parts.sum(parts.q)?)?;
            softmax_backward(dx, parts.p()?, rule.dim())?.try_mul(factor)
        });
        let target = if rule.classes { None } else { cx.tangent(2) };
        let of_t = target.map(|dt| {
            let dq = dt.try_mul(parts.kept)?;
            parts.p()?.try_mul(parts.sum(dq)?)?.try_sub(dq)?.try_mul(spread)
        });
        cx.sum(of_g.into_iter().chain(of_x).chain(of_t))
    }
}

/// The operands and the rule of a [`Loss`].
fn prepare<E: FloatElement>(
    logits: TensorBase<E>,
    target: Target<E>,
    options: CrossEntropy<E>,
) -> Result<(SmallVec<[Handle; 4]>, Rule)> {
    check_fraction("cross_entropy", "label_smoothing", options.label_smoothing)?;
    check_reduction("cross_entropy", options.reduction)?;
    let x = logits.try_contiguous()?;
    let shape = x.try_shape()?;
    if shape.is_empty() {
        return Err(error!(Shape, "cross_entropy: logits of shape [] have no dimension of classes; give them one"));
    }
    let classes = matches!(target, Target::Classes(_));
    let dim = usize::from(shape.len() > 1);
    let rule = Rule {
        rank: shape.len(),
        dims: around(&shape, dim, dim),
        classes,
        weighted: options.weight.is_some(),
        ignored: options.ignore_index,
        smoothing: options.label_smoothing,
        reduction: options.reduction,
    };
    let (target, found) = match target {
        Target::Classes(labels) => (labels.try_contiguous()?.handle(), labels.try_shape()?),
        Target::Probabilities(target) => (target.try_contiguous()?.handle(), target.try_shape()?),
    };
    let expected: Shape = shape.iter().enumerate().filter(|&(d, _)| d != dim || !classes).map(|(_, &n)| n).collect();
    if found != expected {
        let kind = if classes { "labels" } else { "probabilities" };
        return Err(error!(
            Shape,
            "cross_entropy: {kind} of shape {found:?} do not fit logits of shape {shape:?}; expected {expected:?}"
        ));
    }
    let mut operands: SmallVec<[Handle; 4]> = SmallVec::from_slice(&[x.handle(), target]);
    let weight = options.weight.map(|weight| check_weight("cross_entropy", weight, rule.dims[1])).transpose()?;
    operands.extend(weight);
    operands.insert(2, statistics::<E>(&operands, &rule)?.handle());
    Ok((operands, rule))
}

/// The weights of `classes` classes.
///
/// # Errors
/// They have another shape, or ask for a derivative, which they do not have.
pub(super) fn check_weight<E: FloatElement>(op: &str, weight: TensorBase<E>, classes: usize) -> Result<Handle> {
    if weight.try_shape()? != [classes] {
        return Err(error!(
            Shape,
            "{op}: the weight has shape {:?}; expected [{classes}], one per class",
            weight.shape()
        ));
    }
    if weight.try_requires_grad()? && crate::is_grad_enabled() {
        return Err(error!(Grad, "{op}: class weights have no derivative; `detach()` them"));
    }
    Ok(weight.try_contiguous()?.handle())
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The mean of `-ln softmax(x)` at the wanted classes: the loss of a classifier whose logits are `x`.
        ///
        /// Classes are dimension 1 of `x`, or its only one. `target` is an [`IndexTensor`] of classes, of `x`'s shape without the
        /// classes, or a tensor of probabilities, of `x`'s shape. A label of -100 is ignored.
        ///
        /// ```
        /// # use wengert::{IndexTensor, Tensor64};
        /// let logits = Tensor64::new([[2.0, 0.0], [0.0, 0.0]]).requires_grad_(true);
        /// let loss = logits.cross_entropy(IndexTensor::new([0, 1]));
        /// loss.backward();
        /// println!("{loss} {}", logits.grad().unwrap());
        /// ```
        pub fn cross_entropy | try_cross_entropy<T: IntoTarget<E>>(self, target: T) -> TensorBase<E> {
            self.try_cross_entropy_with(target, CrossEntropy::default())
        }

        /// [`Self::cross_entropy`] with class weights, label smoothing (Szegedy et al. 2016, "Rethinking the Inception
        /// Architecture", section 7), an ignored label, and the reduction.
        pub fn cross_entropy_with | try_cross_entropy_with<T: IntoTarget<E>>(self, target: T, options: CrossEntropy<E>)
            -> TensorBase<E>
        {
            let (operands, rule) = prepare(self, target.into_target(), options)?;
            record::<Loss, E>(&operands, rule)
        }
    }
}
