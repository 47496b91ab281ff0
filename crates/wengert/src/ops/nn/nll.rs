//! The negative log likelihood of labels, as one entry.

use smallvec::SmallVec;
use wengert_kernels::nll as kernels;

use super::super::reduce::around;
use super::super::{Case, Compute, Derivative, Input, Operation, Structured, compute_leaf, record};
use super::cross_entropy::{check_labels, check_weight};
use super::{Reduction, check_reduction};
use crate::autograd::{Backward, Forward};
use crate::element::FloatElement;
use crate::error::{Result, error, twins};
use crate::shape::{Layout, Shape};
use crate::tape::Handle;
use crate::tensor::{IndexTensor, TensorBase};

/// How [`TensorBase::nll_loss_with`] weighs and reduces.
#[derive(Clone, Copy, Debug)]
pub struct Nll<E: FloatElement> {
    /// A weight per class; has no derivative.
    pub weight: Option<TensorBase<E>>,
    /// Positions with this label have no loss and do not count in the mean.
    pub ignore_index: i64,
    /// How the losses become the result.
    pub reduction: Reduction,
}

impl<E: FloatElement> Default for Nll<E> {
    fn default() -> Self {
        Self { weight: None, ignore_index: -100, reduction: Reduction::Mean }
    }
}

/// The loss of operand 0, linear in it, with a factor per position (minus the label's weight), the divisor
/// behind them, and the labels.
pub(crate) struct NllLoss;

/// The adjoint of [`NllLoss`].
pub(crate) struct NllBackward;

/// The sizes.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    /// The shape of the logarithms.
    x: Layout,
    /// Their dimensions around that of the classes.
    dims: [usize; 3],
    ignored: i64,
    /// One loss per position, else their sum.
    each: bool,
}

impl Rule {
    fn dim(&self) -> usize {
        self.x.rank().min(2) - 1
    }

    fn losses(&self) -> Shape {
        let shape = self.x.shape().iter().enumerate();
        if self.each { shape.filter(|&(d, _)| d != self.dim()).map(|(_, &n)| n).collect() } else { Shape::default() }
    }

    fn picks<'a, E: FloatElement>(&self, factors: &Input<'a>, labels: &Input<'a>) -> kernels::Picks<'a, E> {
        let (&divisor, factors) = factors.slice().split_last().expect("the divisor comes last");
        kernels::Picks { dims: self.dims, labels: labels.slice(), ignored: self.ignored, factors, divisor }
    }
}

impl Operation for NllLoss {
    const OP: Structured = Structured::NllLoss;
    const NAME: &'static str = "nll_loss";
    const GRAD_FN: &'static str = "NllLossBackward0";
    type Attrs = Rule;

    fn grad_fn(rule: &Rule) -> &'static str {
        match (rule.x.rank(), rule.each) {
            (0..=2, _) => "NllLossBackward0",
            (4, _) | (_, false) => "NllLoss2DBackward0",
            _ => "ViewBackward0",
        }
    }

    fn cases() -> Vec<Case> {
        vec![
            Case::new("labels", &[&[4, 3]], |x| x[0].nll_loss(IndexTensor::new([2, 0, -100, 1]))),
            Case::new("weighed planes, each loss", &[&[2, 3, 2]], |x| {
                let weight = Some(TensorBase::new([0.5, 2.0, 1.25]));
                let options = Nll { weight, reduction: Reduction::None, ..Default::default() };
                x[0].nll_loss_with(IndexTensor::new([[2, 0], [1, 2]]), options)
            }),
        ]
    }
}

impl<E: FloatElement> Compute<E> for NllLoss {
    fn output(_: &[&Layout], rule: &Rule) -> Result<Shape> {
        Ok(rule.losses())
    }

    fn forward(inputs: &[Input<'_>], rule: &Rule, out: &mut [E]) {
        let picks = rule.picks(&inputs[1], &inputs[2]);
        match rule.each {
            true => picks.pick(inputs[0].slice(), 0, out),
            false => out[0] = picks.total(inputs[0].slice()),
        }
    }
}

impl Operation for NllBackward {
    const OP: Structured = Structured::NllBackward;
    const NAME: &'static str = "nll_loss_backward";
    const GRAD_FN: &'static str = "NllLossBackwardBackward0";
    type Attrs = Rule;

    fn cases() -> Vec<Case> {
        vec![Case::new("of each loss", &[&[2, 2]], |g| {
            let labels = IndexTensor::new([[2, 0], [1, -100]]);
            let options = Nll { reduction: Reduction::None, ..Default::default() };
            let (operands, rule) =
                prepare(TensorBase::<f64>::zeros([2, 3, 2]), labels, options).expect("shapes that fit");
            record::<NllBackward, f64>(&[g[0].handle(), operands[1], operands[2]], rule).expect("shapes that fit")
        })]
    }
}

impl<E: FloatElement> Compute<E> for NllBackward {
    fn output(_: &[&Layout], rule: &Rule) -> Result<Shape> {
        Ok(Shape::of(rule.x.shape()))
    }

    fn forward(inputs: &[Input<'_>], rule: &Rule, out: &mut [E]) {
        rule.picks(&inputs[1], &inputs[2]).put_back(inputs[0].slice(), out);
    }
}

/// Stamps the derivatives of a linear operation, with its adjoint; operands 1 and 2 are the same.
macro_rules! linear {
    ($($rule:ident $adjoint:ident;)+) => { $(
        impl<E: FloatElement> Derivative<E> for $rule {
            fn backward(cx: &mut Backward<'_, E>, rule: &Rule) -> Result<()> {
                let (factors, labels) = (cx.operand::<E>(1)?, cx.operand::<i64>(2)?);
                let operands = [cx.grad().try_contiguous()?.handle(), factors.handle(), labels.handle()];
                cx.add(0, record::<$adjoint, E>(&operands, *rule)?)
            }

            fn tangent(cx: &Forward<E>, rule: &Rule) -> Result<TensorBase<E>> {
                let (factors, labels) = (cx.operand::<E>(1)?, cx.operand::<i64>(2)?);
                let operands = [cx.tangent_or_zeros(0)?.try_contiguous()?.handle(), factors.handle(), labels.handle()];
                record::<$rule, E>(&operands, *rule)
            }
        }
    )+ };
}
linear! {
    NllLoss NllBackward;
    NllBackward NllLoss;
}

/// The operands and the rule of a [`NllLoss`].
fn prepare<E: FloatElement>(
    x: TensorBase<E>,
    labels: IndexTensor,
    options: Nll<E>,
) -> Result<(SmallVec<[Handle; 3]>, Rule)> {
    check_reduction("nll_loss", options.reduction)?;
    let (x, labels) = (x.try_contiguous()?, labels.try_contiguous()?);
    let (shape, found) = (x.try_shape()?, labels.try_shape()?);
    if shape.is_empty() {
        return Err(error!(Shape, "nll_loss: a tensor of shape [] has no dimension of classes; give it one"));
    }
    let dim = usize::from(shape.len() > 1);
    let each = options.reduction == Reduction::None;
    let dims = around(&shape, dim, dim);
    let rule = Rule { x: Layout::contiguous(&shape), dims, ignored: options.ignore_index, each };
    let expected = Rule { each: true, ..rule }.losses();
    if found != expected {
        return Err(error!(
            Shape,
            "nll_loss: labels of shape {found:?} do not fit logarithms of shape {shape:?}; expected {expected:?}"
        ));
    }
    let weight = options.weight.map(|weight| check_weight("nll_loss", weight, dims[1])).transpose()?;
    let inputs: SmallVec<[Handle; 2]> = [labels.handle()].into_iter().chain(weight).collect();
    let factors = compute_leaf(&inputs, &[dims[0] * dims[2] + 1], |inputs, out: &mut [E]| {
        let labels = inputs[0].slice();
        check_labels("nll_loss", labels, dims[1], rule.ignored)?;
        let weight = inputs.get(1).map(|weight| weight.slice::<E>());
        let weights = labels.iter().map(|&label| match weight {
            _ if label == rule.ignored => E::of(0.0),
            Some(weight) => weight[label as usize],
            None => E::of(1.0),
        });
        let total: f64 = weights.clone().map(Into::<f64>::into).sum();
        let (divisor, factors) = out.split_last_mut().expect("the divisor comes last");
        *divisor = E::of(if options.reduction == Reduction::Mean { total } else { 1.0 });
        factors.iter_mut().zip(weights).for_each(|(factor, weight)| *factor = -weight);
        Ok(())
    })?;
    Ok((SmallVec::from_slice(&[x.handle(), factors.handle(), labels.handle()]), rule))
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The mean of `-x` at the labels' classes, for logarithms `x` of probabilities such as [`Self::log_softmax`] gives.
        ///
        /// Classes are dimension 1, or the only one; `labels` has this tensor's shape without it. A label of -100 is ignored.
        pub fn nll_loss | try_nll_loss(self, labels: IndexTensor) -> TensorBase<E> {
            self.try_nll_loss_with(labels, Nll::default())
        }

        /// [`Self::nll_loss`] with class weights, which the mean is divided by, an ignored label, and the reduction.
        pub fn nll_loss_with | try_nll_loss_with(self, labels: IndexTensor, options: Nll<E>) -> TensorBase<E> {
            let (operands, rule) = prepare(self, labels, options)?;
            record::<NllLoss, E>(&operands, rule)
        }
    }
}
