//! Losses of pairs of elements, a prediction `x` and a target `t`, reduced: each one entry.
//!
//! A loss is a value and its slopes along `x` and `t`, generic over [`Real`]: with floats they are the kernels, with tensors the
//! recorded derivatives, whose own derivatives follow from their operations.

use smallvec::SmallVec;
use wengert_kernels::Real;
use wengert_kernels::map::{Map5, map5};
use wengert_kernels::reduce::{self, Tree};

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, compute_leaf, record};
use super::{Reduction, check_reduction};
use crate::autograd::{Backward, Forward};
use crate::element::FloatElement;
use crate::error::{Result, error};
use crate::shape::{Layout, Shape};
use crate::tape::Handle;
use crate::tensor::TensorBase;
use crate::tensor::recorded::record_formula;

/// The formulas of a loss, of the prediction `x`, the target `t` and the weight `p` of positive targets.
trait Formula: Copy {
    fn value<R: Real>(self, x: R, t: R, p: R) -> R;
    /// The derivative along `x`.
    fn dx<R: Real>(self, x: R, t: R, p: R) -> R;
    /// The derivative along `t`.
    fn dt<R: Real>(self, x: R, t: R, p: R) -> R;
}

/// `ln(1 + e^-x)` without overflow.
#[inline(always)]
fn softplus_of_negative<R: Real>(x: R) -> R {
    (-x).maximum(R::of(0.0)) + (-x.abs()).exp().log1p()
}

/// A number that logarithms of probabilities are kept above, as PyTorch does.
const LOWEST_LOG: f64 = -100.0;
/// A number that the variance of a probability is kept above, single-precision as PyTorch's.
const LOWEST_VARIANCE: f64 = 1e-12f32 as f64;

macro_rules! losses {
    ($(
        $(#[$doc:meta])*
        $name:ident $({ $($field:ident: $ty:ty),+ })? ($x:ident, $t:ident, $p:ident) = $value:expr;
        dx: $dx:expr;
        dt: $dt:expr;
    )+) => {
        /// Which loss.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub(crate) enum Kind { $(
            $(#[$doc])*
            $name $({ $($field: $ty),+ })?
        ),+ }

        mod formulas {
            use super::*;
            $(
                #[derive(Clone, Copy)]
                pub struct $name { $($(pub $field: $ty),+)? }

                #[allow(unused_variables)]
                impl Formula for $name {
                    #[inline(always)]
                    fn value<R: Real>(self, $x: R, $t: R, $p: R) -> R {
                        $(let Self { $($field),+ } = self;)?
                        $value
                    }
                    #[inline(always)]
                    fn dx<R: Real>(self, $x: R, $t: R, $p: R) -> R {
                        $(let Self { $($field),+ } = self;)?
                        $dx
                    }
                    #[inline(always)]
                    fn dt<R: Real>(self, $x: R, $t: R, $p: R) -> R {
                        $(let Self { $($field),+ } = self;)?
                        $dt
                    }
                }
            )+
        }

        impl Kind {
            /// Hands the formulas to `visitor`.
            fn visit<V: Visitor>(self, visitor: V) -> V::Output {
                match self { $(
                    Self::$name $({ $($field),+ })? => visitor.visit(formulas::$name { $($($field),+)? })
                ),+ }
            }
        }
    };
}
losses! {
    /// The square of the difference.
    Mse(x, t, p) = (x - t) * (x - t);
    dx: R::of(2.0) * (x - t);
    dt: R::of(2.0) * (t - x);

    /// The absolute difference.
    L1(x, t, p) = (x - t).abs();
    dx: (x - t).sign();
    dt: (t - x).sign();

    /// Girshick 2015, "Fast R-CNN", equation 3, with the parabola below `beta`.
    SmoothL1 { beta: f64 }(x, t, p) = {
        let z = (x - t).abs();
        R::select(z.lt(R::of(beta)), R::of(0.5 / beta) * z * z, z - R::of(0.5 * beta))
    };
    dx: R::select((x - t).abs().lt(R::of(beta)), R::of(1.0 / beta) * (x - t), (x - t).sign());
    dt: R::select((x - t).abs().lt(R::of(beta)), R::of(1.0 / beta) * (t - x), (t - x).sign());

    /// Huber 1964, "Robust Estimation of a Location Parameter", section 2.
    Huber { delta: f64 }(x, t, p) = {
        let z = (x - t).abs();
        R::select(z.le(R::of(delta)), R::of(0.5) * z * z, R::of(delta) * (z - R::of(0.5 * delta)))
    };
    dx: R::select((x - t).abs().le(R::of(delta)), x - t, R::of(delta) * (x - t).sign());
    dt: R::select((x - t).abs().le(R::of(delta)), t - x, R::of(delta) * (t - x).sign());

    /// `-(t ln x + (1 - t) ln(1 - x))`.
    Binary(x, t, p) = {
        let (yes, no) = (x.ln().maximum(R::of(LOWEST_LOG)), (-x).log1p().maximum(R::of(LOWEST_LOG)));
        (t - R::of(1.0)) * no - t * yes
    };
    dx: (x - t) / ((R::of(1.0) - x) * x).maximum(R::of(LOWEST_VARIANCE));
    dt: (-x).log1p().maximum(R::of(LOWEST_LOG)) - x.ln().maximum(R::of(LOWEST_LOG));

    /// As `Binary` of `sigmoid(x)`; the positive term is weighed by `p` if `weighed`.
    BinaryLogits { weighed: bool }(x, t, p) = {
        let both = if weighed { R::of(1.0) + (p - R::of(1.0)) * t } else { R::of(1.0) };
        (R::of(1.0) - t) * x + both * softplus_of_negative(x)
    };
    dx: {
        if weighed {
            (R::of(1.0) - t) - (R::of(1.0) + (p - R::of(1.0)) * t) * (-x).sigmoid()
        } else {
            x.sigmoid() - t
        }
    };
    dt: if weighed { (p - R::of(1.0)) * softplus_of_negative(x) - x } else { -x };

    /// `t (ln t - x)` for a logarithm `x`.
    Divergence(x, t, p) = R::select(t.eq(R::of(0.0)), R::of(0.0), t * t.ln()) - t * x;
    dx: -t;
    dt: t.ln() + R::of(1.0) - x;

    /// `e^t (t - x)` for logarithms `x` and `t`.
    LogDivergence(x, t, p) = t.exp() * (t - x);
    dx: -t.exp();
    dt: t.exp() * (t - x + R::of(1.0));
}

/// What is done with formulas of a type that a [`Kind`] tells.
trait Visitor {
    type Output;
    fn visit<F: Formula>(self, formula: F) -> Self::Output;
}

/// Which of the two operands that have derivatives.
#[derive(Clone, Copy, PartialEq)]
enum Along {
    X,
    T,
}

/// Losses of a range of elements.
struct Values<'a, E> {
    operands: &'a Operands<'a, E>,
    first: usize,
    out: &'a mut [E],
}

/// Slopes of all elements, each times the gradient of its loss.
struct Slopes<'a, E> {
    operands: &'a Operands<'a, E>,
    along: Along,
    /// One per loss, or one for all.
    g: &'a [E],
    scale: E,
    out: &'a mut [E],
}

/// The operands of a loss as slices; one that there is not is another one.
struct Operands<'a, E> {
    x: &'a [E],
    t: &'a [E],
    w: &'a [E],
    p: &'a [E],
    weighted: bool,
}

impl<'a, E: FloatElement> Operands<'a, E> {
    fn of(rule: &Rule, inputs: &[Input<'a>]) -> Self {
        let at = |k: usize, there: bool| inputs[if there { k } else { 0 }].slice();
        let (x, t, w) = (at(0, true), at(1, true), at(2, rule.weighted));
        let p = at(2 + usize::from(rule.weighted), rule.kind == Kind::BinaryLogits { weighed: true });
        Self { x, t, w, p, weighted: rule.weighted }
    }
}

#[derive(Clone, Copy)]
struct Value<F> {
    formula: F,
    weighted: bool,
}
impl<F: Formula, E: Real> Map5<E> for Value<F> {
    #[inline(always)]
    fn at(self, _: E, x: E, t: E, p: E, w: E) -> E {
        let value = self.formula.value(x, t, p);
        if self.weighted { value * w } else { value }
    }
}

#[derive(Clone, Copy)]
struct Slope<F, E> {
    formula: F,
    along: Along,
    weighted: bool,
    /// The gradient of every loss, if it is one for all.
    shared: Option<E>,
}
impl<F: Formula, E: Real> Map5<E> for Slope<F, E> {
    #[inline(always)]
    fn at(self, g: E, x: E, t: E, p: E, w: E) -> E {
        let slope = match self.along {
            Along::X => self.formula.dx(x, t, p),
            Along::T => self.formula.dt(x, t, p),
        };
        let slope = if self.weighted { slope * w } else { slope };
        slope * self.shared.unwrap_or(g)
    }
}

impl<E: FloatElement> Visitor for Values<'_, E> {
    type Output = ();
    fn visit<F: Formula>(self, formula: F) {
        let Operands { x, t, w, p, weighted } = *self.operands;
        let range = self.first..self.first + self.out.len();
        let [x, t, w, p] = [x, t, w, p].map(|slice| &slice[range.clone()]);
        map5(Value { formula, weighted }, x, x, t, p, w, self.out);
    }
}

impl<E: FloatElement> Visitor for Slopes<'_, E> {
    type Output = ();
    fn visit<F: Formula>(self, formula: F) {
        let Operands { x, t, w, p, weighted } = *self.operands;
        let each = self.g.len() == x.len() && self.scale == E::of(1.0);
        let shared = if each { None } else { Some(self.g[0] * self.scale) };
        let g = if each { self.g } else { x };
        map5(Slope { formula, along: self.along, weighted, shared }, g, x, t, p, w, self.out);
    }
}

/// Slopes as tensors.
struct Recorded<E> {
    along: Along,
    x: TensorBase<E>,
    t: TensorBase<E>,
    p: TensorBase<E>,
}

impl<E: FloatElement> Visitor for Recorded<E> {
    type Output = Result<TensorBase<E>>;
    fn visit<F: Formula>(self, formula: F) -> Result<TensorBase<E>> {
        record_formula([self.x, self.t, self.p], |[x, t, p]| match self.along {
            Along::X => formula.dx(x, t, p),
            Along::T => formula.dt(x, t, p),
        })
    }
}

/// The loss of operands `x`, `t`, and, if there are, a weight per element and the weight of positive targets.
pub(crate) struct PairLoss;

/// How it is made.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    kind: Kind,
    weighted: bool,
    reduction: Reduction,
}

impl Rule {
    /// What the sum of losses is divided by.
    fn divisor(&self, shape: &[usize]) -> f64 {
        match self.reduction {
            Reduction::None | Reduction::Sum => 1.0,
            Reduction::Mean => shape.iter().product::<usize>() as f64,
            Reduction::BatchMean => shape.first().copied().unwrap_or(1) as f64,
        }
    }

    /// The slopes of the losses along one operand, weighted, in recorded operations.
    fn slopes<E: FloatElement>(
        &self,
        along: Along,
        operand: impl Fn(usize) -> Result<TensorBase<E>>,
    ) -> Result<TensorBase<E>> {
        let weighed = self.kind == Kind::BinaryLogits { weighed: true };
        let p = if weighed { operand(2 + usize::from(self.weighted))? } else { TensorBase::try_scalar(E::of(1.0))? };
        let slopes = self.kind.visit(Recorded { along, x: operand(0)?, t: operand(1)?, p })?;
        if self.weighted { slopes.try_mul(operand(2)?) } else { Ok(slopes) }
    }
}

impl Operation for PairLoss {
    const OP: Structured = Structured::PairLoss;
    const NAME: &'static str = "loss";
    const GRAD_FN: &'static str = "MseLossBackward0";
    type Attrs = Rule;

    fn grad_fn(rule: &Rule) -> &'static str {
        match (rule.kind, rule.reduction) {
            (Kind::Mse, _) => "MseLossBackward0",
            (Kind::SmoothL1 { .. }, _) => "SmoothL1LossBackward0",
            (Kind::Huber { .. }, _) => "HuberLossBackward0",
            (Kind::Binary, _) => "BinaryCrossEntropyBackward0",
            (Kind::BinaryLogits { .. }, _) => "BinaryCrossEntropyWithLogitsBackward0",
            (_, Reduction::Mean) => "MeanBackward0",
            (_, Reduction::Sum) => "SumBackward0",
            (_, Reduction::BatchMean) => "DivBackward0",
            (Kind::L1, Reduction::None) => "AbsBackward0",
            (Kind::Divergence, Reduction::None) => "SubBackward0",
            (Kind::LogDivergence, Reduction::None) => "MulBackward0",
        }
    }

    fn cases() -> Vec<Case> {
        const PAIR: &[&[usize]] = &[&[2, 3], &[2, 3]];
        vec![
            Case::new("mse", PAIR, |x| x[0].mse_loss(x[1])),
            Case::new("mse of each", PAIR, |x| x[0].mse_loss_with(x[1], Reduction::None)),
            Case::new("l1", PAIR, |x| x[0].l1_loss_with(x[1], Reduction::Sum)),
            Case::new("smooth l1", PAIR, |x| x[0].smooth_l1_loss(x[1])),
            Case::new("huber", PAIR, |x| x[0].huber_loss(x[1])),
            Case::on("binary", PAIR, 0.1..0.9, |x| x[0].binary_cross_entropy(x[1])),
            Case::on("weighted binary with logits", PAIR, 0.1..0.9, |x| {
                let (weight, pos_weight) =
                    (Some(TensorBase::new([0.5, 2.0, 1.5])), Some(TensorBase::new([3.0, 0.2, 1.0])));
                let options = super::losses::BinaryCrossEntropyWithLogits { weight, pos_weight, ..Default::default() };
                x[0].binary_cross_entropy_with_logits_with(x[1], options)
            }),
            Case::new("binary with logits", PAIR, |x| x[0].binary_cross_entropy_with_logits(x[1])),
            Case::on("divergence", PAIR, 0.1..0.9, |x| x[0].kl_div(x[1])),
            Case::new("divergence of logarithms", PAIR, |x| {
                let options = super::losses::KlDiv { log_target: true, reduction: Reduction::BatchMean };
                x[0].kl_div_with(x[1], options)
            }),
        ]
    }
}

impl<E: FloatElement> Compute<E> for PairLoss {
    fn output(inputs: &[&Layout], rule: &Rule) -> Result<Shape> {
        Ok(if rule.reduction == Reduction::None { Shape::of(inputs[0].shape()) } else { Shape::default() })
    }

    fn forward(inputs: &[Input<'_>], rule: &Rule, out: &mut [E]) {
        let operands = &Operands::of(rule, inputs);
        if rule.reduction == Reduction::None {
            return rule.kind.visit(Values { operands, first: 0, out });
        }
        let mut block = [E::of(0.0); reduce::BLOCK];
        let mut tree = Tree::<E, reduce::Sum>::new();
        for first in (0..operands.x.len()).step_by(block.len()) {
            let block = &mut block[..(operands.x.len() - first).min(reduce::BLOCK)];
            rule.kind.visit(Values { operands, first, out: block });
            tree.push(reduce::sum(block));
        }
        out[0] = tree.finish() / E::of(rule.divisor(inputs[0].layout.shape()));
    }
}

impl<E: FloatElement> Derivative<E> for PairLoss {
    fn backward(cx: &mut Backward<'_, E>, rule: &Rule) -> Result<()> {
        let (g, shape) = (cx.grad(), cx.shape(0)?);
        let scale = 1.0 / rule.divisor(&shape);
        for (k, along) in [(0, Along::X), (1, Along::T)] {
            if !cx.needs(k) {
                continue;
            }
            let slopes = if cx.is_recorded() {
                rule.slopes(along, |k| cx.operand::<E>(k))?.try_mul(g.try_mul(scale)?)?
            } else {
                let mut operands: SmallVec<[Handle; 5]> = SmallVec::new();
                for k in 0..cx.len() {
                    operands.push(cx.operand::<E>(k)?.handle());
                }
                operands.push(g.try_contiguous()?.handle());
                compute_leaf(&operands, &shape, |inputs, out| {
                    let (g, inputs) = inputs.split_last().expect("the gradient");
                    let (operands, scale) = (&Operands::of(rule, inputs), E::of(scale));
                    if !out.is_empty() {
                        rule.kind.visit(Slopes { operands, along, g: g.slice(), scale, out });
                    }
                    Ok(())
                })?
            };
            cx.add(k, slopes)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, rule: &Rule) -> Result<TensorBase<E>> {
        let of = |k: usize, along: Along| {
            cx.tangent(k).map(|d| {
                let terms = rule.slopes(along, |k| cx.operand::<E>(k))?.try_mul(d)?;
                match rule.reduction {
                    Reduction::None => Ok(terms),
                    _ => terms.try_sum()?.try_div(rule.divisor(&terms.try_shape()?)),
                }
            })
        };
        cx.sum(of(0, Along::X).into_iter().chain(of(1, Along::T)))
    }
}

/// What a loss is called with.
pub(super) struct Call<E: FloatElement> {
    pub op: &'static str,
    pub kind: Kind,
    pub weight: Option<TensorBase<E>>,
    pub pos_weight: Option<TensorBase<E>>,
    pub reduction: Reduction,
}

/// Records the loss of predictions and targets of one shape.
pub(super) fn pair_loss<E: FloatElement>(x: TensorBase<E>, t: TensorBase<E>, call: Call<E>) -> Result<TensorBase<E>> {
    let (shape, target) = (x.try_shape()?, t.try_shape()?);
    let op = call.op;
    if shape != target {
        return Err(error!(
            Shape,
            "{op}: predictions of shape {shape:?} and targets of shape {target:?} differ; `reshape` or `broadcast_to` one"
        ));
    }
    let is_divergence = matches!(call.kind, Kind::Divergence | Kind::LogDivergence);
    if !is_divergence {
        check_reduction(op, call.reduction)?;
    }
    let mut operands =
        SmallVec::<[Handle; 4]>::from_slice(&[x.try_contiguous()?.handle(), t.try_contiguous()?.handle()]);
    for weight in [call.weight, call.pos_weight].into_iter().flatten() {
        if weight.try_requires_grad()? && crate::is_grad_enabled() {
            return Err(error!(Grad, "{op}: weights have no derivative; `detach()` them"));
        }
        operands.push(weight.try_expand(&shape)?.try_contiguous()?.handle());
    }
    record::<PairLoss, E>(
        &operands,
        Rule { kind: call.kind, weighted: call.weight.is_some(), reduction: call.reduction },
    )
}
