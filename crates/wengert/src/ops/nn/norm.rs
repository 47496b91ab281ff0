//! Layer and batch normalisation, each one entry.
//!
//! Both subtract a mean and divide by a deviation over some dimensions, then multiply and add along others:
//!
//! ```text
//! z = (x - mean) r      r = 1 / √(var + eps)       y = z w + b
//! dx = r (u - mean(u) - z mean(u z))    with u = g w       dw = Σ g z       db = Σ g
//! ```
//!
//! A batch normalisation in evaluation takes mean and variance from elsewhere, and its `dx` is `r u`. The means and `r` lie in
//! a leaf beside the entry. A plain sweep runs fused kernels; a recorded one, the formulas above in ordinary operations.

use smallvec::SmallVec;
use wengert_kernels::norm as kernels;

use super::super::{Case, Compute, Derivative, Input, Operation, Structured, compute_leaf, record};
use crate::autograd::{Backward, Forward};
use crate::element::FloatElement;
use crate::error::{Result, error, twins};
use crate::shape::{DimSet, IntoShape, Layout, Shape, shape_of};
use crate::tape::{self, Handle};
use crate::tensor::TensorBase;

/// What [`TensorBase::layer_norm`] multiplies by and adds.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm<E: FloatElement> {
    /// A factor per element of the normalised shape.
    pub weight: Option<TensorBase<E>>,
    /// A number per element of the normalised shape, which is added.
    pub bias: Option<TensorBase<E>>,
    /// What is added to the variance.
    pub eps: f64,
}

impl<E: FloatElement> Default for LayerNorm<E> {
    fn default() -> Self {
        Self { weight: None, bias: None, eps: 1e-5 }
    }
}

/// What [`TensorBase::batch_norm`] normalises by, multiplies by and adds; tensors have one element per channel.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<E: FloatElement> {
    /// The running mean: what evaluation normalises by, and training updates in place.
    pub running_mean: Option<TensorBase<E>>,
    /// The running variance, likewise.
    pub running_var: Option<TensorBase<E>>,
    /// A factor per channel.
    pub weight: Option<TensorBase<E>>,
    /// A number per channel, which is added.
    pub bias: Option<TensorBase<E>>,
    /// Whether to normalise by the batch.
    pub training: bool,
    /// The share of the batch in the updated statistics.
    pub momentum: f64,
    /// What is added to the variance.
    pub eps: f64,
}

impl<E: FloatElement> Default for BatchNorm<E> {
    fn default() -> Self {
        let (running_mean, running_var, weight, bias) = (None, None, None, None);
        Self { running_mean, running_var, weight, bias, training: false, momentum: 0.1, eps: 1e-5 }
    }
}

/// The normalisation of rows: operands `x`, statistics, and the weight and the bias, if there are.
pub(crate) struct NormRows;

/// The normalisation of channels: operands as for [`NormRows`].
pub(crate) struct NormChannels;

/// How it normalises.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    /// Dimensions of `x` around the channels, for rows `[rows, n, 1]`.
    dims: [usize; 3],
    /// What means are taken over.
    over: DimSet,
    /// The weight's shape with a length of 1 for every dimension of `x` that it is the same along.
    along: Layout,
    weighted: bool,
    biased: bool,
    /// Whether mean and variance are those of `x`.
    own: bool,
    eps: f64,
}

impl Rule {
    /// Where the bias is among the operands.
    fn bias_at(&self) -> usize {
        2 + usize::from(self.weighted)
    }

    fn affine<'a, E: FloatElement>(&self, inputs: &[Input<'a>]) -> kernels::Affine<'a, E> {
        kernels::Affine {
            weight: self.weighted.then(|| inputs[2].slice()),
            bias: self.biased.then(|| inputs[self.bias_at()].slice()),
        }
    }

    /// The means of `x`, which broadcast to it.
    fn mean<E: FloatElement>(&self, x: TensorBase<E>) -> Result<TensorBase<E>> {
        x.try_mean_dims(self.over, true)
    }

    /// `(z, r)` in recorded operations.
    fn normalised<E: FloatElement>(&self, x: TensorBase<E>, statistics: TensorBase<E>) -> Result<[TensorBase<E>; 2]> {
        if self.own {
            let centred = x.try_sub(self.mean(x)?)?;
            let r = self.mean(centred.try_square()?)?.try_add(self.eps)?.try_rsqrt()?;
            return Ok([centred.try_mul(r)?, r]);
        }
        let line = |k: isize| statistics.try_select(0, k)?.try_reshape(self.along.shape());
        let (mean, r) = (line(0)?, line(1)?);
        Ok([x.try_sub(mean)?.try_mul(r)?, r])
    }

    /// What `u`, of `x`'s shape, becomes on the way through the normalisation or its adjoint, which are the same.
    fn project<E: FloatElement>(&self, u: TensorBase<E>, [z, r]: [TensorBase<E>; 2]) -> Result<TensorBase<E>> {
        if !self.own {
            return u.try_mul(r);
        }
        let along = z.try_mul(self.mean(u.try_mul(z)?)?)?;
        u.try_sub(self.mean(u)?)?.try_sub(along)?.try_mul(r)
    }

    /// `u w`, or `u` without a weight.
    fn weigh<E: FloatElement>(&self, u: TensorBase<E>, weight: Option<TensorBase<E>>) -> Result<TensorBase<E>> {
        match weight {
            Some(weight) => u.try_mul(weight.try_reshape(self.along.shape())?),
            None => Ok(u),
        }
    }

    /// The sum of `u`, of `x`'s shape, over the dimensions that the weight is the same along, in the weight's shape.
    fn collect<E: FloatElement>(&self, u: TensorBase<E>, shape: &[usize]) -> Result<TensorBase<E>> {
        u.try_sum_to(self.along.shape())?.try_reshape(shape)
    }

    /// The gradients in recorded operations.
    fn backward_recorded<E: FloatElement>(&self, cx: &mut Backward<'_, E>) -> Result<()> {
        let (g, x) = (cx.grad(), cx.operand::<E>(0)?);
        let parts = self.normalised(x, cx.operand(1)?)?;
        if cx.needs(0) {
            let weight = if self.weighted { Some(cx.operand(2)?) } else { None };
            cx.add(0, self.project(self.weigh(g, weight)?, parts)?)?;
        }
        if self.weighted && cx.needs(2) {
            cx.add(2, self.collect(g.try_mul(parts[0])?, &cx.shape(2)?)?)?;
        }
        let k = self.bias_at();
        if self.biased && cx.needs(k) {
            cx.add(k, self.collect(g, &cx.shape(k)?)?)?;
        }
        Ok(())
    }

    fn tangent<E: FloatElement>(&self, cx: &Forward<E>) -> Result<TensorBase<E>> {
        let parts = self.normalised(cx.operand(0)?, cx.operand(1)?)?;
        let weight = if self.weighted { Some(cx.operand(2)?) } else { None };
        let of_x = cx.tangent(0).map(|dx| self.weigh(self.project(dx, parts)?, weight));
        let spread = |d: TensorBase<E>| d.try_reshape(self.along.shape());
        let of_w = if self.weighted { cx.tangent(2) } else { None };
        let of_w = of_w.map(|dw| parts[0].try_mul(spread(dw)?));
        let of_b = if self.biased { cx.tangent(self.bias_at()) } else { None };
        let of_b = of_b.map(|db| spread(db)?.try_expand(cx.value_shape()?));
        cx.sum(of_x.into_iter().chain(of_w).chain(of_b))
    }
}

impl Operation for NormRows {
    const OP: Structured = Structured::NormRows;
    const NAME: &'static str = "layer_norm";
    const GRAD_FN: &'static str = "NativeLayerNormBackward0";
    type Attrs = Rule;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("rows", &[&[3, 4]], |x| x[0].layer_norm(4, LayerNorm::default())),
            Case::new("two dimensions, weight and bias", &[&[2, 3, 2], &[3, 2], &[3, 2]], |x| {
                x[0].layer_norm([3, 2], LayerNorm { weight: Some(x[1]), bias: Some(x[2]), eps: 0.1 })
            }),
        ]
    }
}

impl<E: FloatElement> Compute<E> for NormRows {
    fn output(inputs: &[&Layout], _: &Rule) -> Result<Shape> {
        Ok(Shape::of(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], rule: &Rule, out: &mut [E]) {
        let [rows, n, _] = rule.dims;
        kernels::rows(inputs[0].slice(), [rows, n], inputs[1].slice(), rule.affine(inputs), out);
    }
}

impl<E: FloatElement> Derivative<E> for NormRows {
    fn backward(cx: &mut Backward<'_, E>, rule: &Rule) -> Result<()> {
        if cx.is_recorded() {
            return rule.backward_recorded(cx);
        }
        let [rows, n, _] = rule.dims;
        let g = cx.grad().try_contiguous()?;
        let operands = [g.handle(), cx.operand::<E>(0)?.handle(), cx.operand::<E>(1)?.handle()];
        if cx.needs(0) {
            let weight = if rule.weighted { Some(cx.operand::<E>(2)?.handle()) } else { None };
            let operands: SmallVec<[Handle; 4]> = operands.into_iter().chain(weight).collect();
            let dx = compute_leaf(&operands, &cx.shape(0)?, |inputs, out: &mut [E]| {
                let [g, x, statistics] = [0, 1, 2].map(|k| inputs[k].slice());
                kernels::rows_input(g, x, [rows, n], statistics, inputs.get(3).map(|w| w.slice()), out);
                Ok(())
            })?;
            cx.add(0, dx)?;
        }
        if rule.weighted && cx.needs(2) {
            let dw = compute_leaf(&operands, &cx.shape(2)?, |inputs, out: &mut [E]| {
                kernels::rows_weight(inputs[0].slice(), inputs[1].slice(), [rows, n], inputs[2].slice(), out);
                Ok(())
            })?;
            cx.add(2, dw)?;
        }
        let k = rule.bias_at();
        if rule.biased && cx.needs(k) {
            cx.add(k, rule.collect(g, &cx.shape(k)?)?)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, rule: &Rule) -> Result<TensorBase<E>> {
        rule.tangent(cx)
    }
}

impl Operation for NormChannels {
    const OP: Structured = Structured::NormChannels;
    const NAME: &'static str = "batch_norm";
    const GRAD_FN: &'static str = "NativeBatchNormBackward0";
    type Attrs = Rule;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("training", &[&[4, 3]], |x| x[0].batch_norm(BatchNorm { training: true, ..Default::default() })),
            Case::new("training on planes, weight and bias", &[&[2, 3, 2, 2], &[3], &[3]], |x| {
                let (weight, bias) = (Some(x[1]), Some(x[2]));
                x[0].batch_norm(BatchNorm { weight, bias, training: true, eps: 0.1, ..Default::default() })
            }),
            Case::new("evaluation", &[&[2, 3, 2], &[3], &[3]], |x| {
                let running_mean = Some(TensorBase::new([0.5, -0.3, 0.1]));
                let running_var = Some(TensorBase::new([0.5, 1.3, 0.9]));
                let (weight, bias) = (Some(x[1]), Some(x[2]));
                x[0].batch_norm(BatchNorm { running_mean, running_var, weight, bias, ..Default::default() })
            }),
        ]
    }
}

impl<E: FloatElement> Compute<E> for NormChannels {
    fn output(inputs: &[&Layout], _: &Rule) -> Result<Shape> {
        Ok(Shape::of(inputs[0].shape()))
    }

    fn forward(inputs: &[Input<'_>], rule: &Rule, out: &mut [E]) {
        kernels::channels(inputs[0].slice(), rule.dims, inputs[1].slice(), rule.affine(inputs), out);
    }
}

impl<E: FloatElement> Derivative<E> for NormChannels {
    fn backward(cx: &mut Backward<'_, E>, rule: &Rule) -> Result<()> {
        if cx.is_recorded() {
            return rule.backward_recorded(cx);
        }
        let g = cx.grad().try_contiguous()?;
        let (x, statistics) = (cx.operand::<E>(0)?, cx.operand::<E>(1)?);
        // The sums of `g` and of `g z` over each channel are the gradients of the bias and the weight.
        let operands = [g.handle(), x.handle(), statistics.handle()];
        let sums = compute_leaf(&operands, &[2, rule.dims[1]], |inputs, out: &mut [E]| {
            kernels::channel_sums(inputs[0].slice(), inputs[1].slice(), rule.dims, inputs[2].slice(), out);
            Ok(())
        })?;
        if cx.needs(0) {
            let weight = if rule.weighted { Some(cx.operand::<E>(2)?.handle()) } else { None };
            let operands: SmallVec<[Handle; 5]> = operands.into_iter().chain([sums.handle()]).chain(weight).collect();
            let dx = compute_leaf(&operands, &cx.shape(0)?, |inputs, out: &mut [E]| {
                let [g, x, statistics, sums] = [0, 1, 2, 3].map(|k| inputs[k].slice());
                let sums = rule.own.then_some(sums);
                let weight = inputs.get(4).map(|weight| weight.slice());
                kernels::channels_input(g, x, rule.dims, statistics, sums, weight, out);
                Ok(())
            })?;
            cx.add(0, dx)?;
        }
        if rule.weighted && cx.needs(2) {
            cx.add(2, sums.try_select(0, 1)?)?;
        }
        if rule.biased && cx.needs(rule.bias_at()) {
            cx.add(rule.bias_at(), sums.try_select(0, 0)?)?;
        }
        Ok(())
    }

    fn tangent(cx: &Forward<E>, rule: &Rule) -> Result<TensorBase<E>> {
        rule.tangent(cx)
    }
}

/// Appends a factor or summand, checked for its shape.
fn push<E: FloatElement>(
    op: &str,
    what: &str,
    operands: &mut SmallVec<[Handle; 4]>,
    x: Option<TensorBase<E>>,
    shape: &[usize],
) -> Result<()> {
    if let Some(x) = x {
        if x.try_shape()?[..] != *shape {
            return Err(error!(Shape, "{op}: the {what} has shape {:?}; expected {shape:?}", x.shape()));
        }
        operands.push(x.try_contiguous()?.handle());
    }
    Ok(())
}

/// The leaf of each channel's mean, `r` and unbiased variance; running statistics take their share of them.
fn batch_statistics<E: FloatElement>(
    x: TensorBase<E>,
    dims: [usize; 3],
    options: &BatchNorm<E>,
) -> Result<TensorBase<E>> {
    let [outer, channels, inner] = dims;
    if outer * inner <= 1 {
        return Err(error!(
            Shape,
            "batch_norm: training needs more than one value per channel, and shape {:?} has {}",
            x.shape(),
            outer * inner
        ));
    }
    let statistics = compute_leaf(&[x.handle()], &[3, channels], |inputs, out: &mut [E]| {
        kernels::channel_statistics(inputs[0].slice(), dims, E::of(options.eps), out);
        Ok(())
    })?;
    let _no_grad = tape::NoGrad::enter();
    for (running, k) in [(options.running_mean, 0), (options.running_var, 2)] {
        if let Some(running) = running {
            let fresh = statistics.try_select(0, k)?;
            running.try_copy_(running.try_lerp(fresh, options.momentum)?)?;
        }
    }
    Ok(statistics)
}

/// The leaf of each channel's mean and `r` from running statistics.
fn running_statistics<E: FloatElement>(channels: usize, options: &BatchNorm<E>) -> Result<TensorBase<E>> {
    let (Some(mean), Some(var)) = (options.running_mean, options.running_var) else {
        return Err(error!(Value, "batch_norm: evaluation needs `running_mean` and `running_var`; or set `training`"));
    };
    let operands = [mean.try_contiguous()?.handle(), var.try_contiguous()?.handle()];
    compute_leaf(&operands, &[2, channels], |inputs, out: &mut [E]| {
        let (mean, r) = out.split_at_mut(channels);
        mean.copy_from_slice(inputs[0].slice());
        for (r, &var) in r.iter_mut().zip(inputs[1].slice::<E>()) {
            *r = E::of(1.0) / wengert_kernels::Real::sqrt(var + E::of(options.eps));
        }
        Ok(())
    })
}

twins! {
    impl[E: FloatElement] TensorBase<E> {
        /// The elements minus their mean and divided by `√(var + eps)`, over the last dimensions, which have `normalized_shape`; then
        /// times a weight and plus a bias of that shape (Ba, Kiros and Hinton 2016, "Layer Normalization").
        pub fn layer_norm | try_layer_norm<S: IntoShape>(self, normalized_shape: S, options: LayerNorm<E>) -> TensorBase<E> {
            let (x, tail) = (self.try_contiguous()?, shape_of("layer_norm", normalized_shape)?);
            let shape = x.try_shape()?;
            let lead = match shape.len().checked_sub(tail.len()) {
                Some(lead) if shape[lead..] == tail[..] && !tail.is_empty() => lead,
                _ => {
                    return Err(error!(
                        Shape,
                        "layer_norm: a normalised shape of {tail:?} does not end shape {shape:?}; expected its last dimensions"
                    ));
                }
            };
            let (rows, n) = (shape[..lead].iter().product::<usize>(), tail.numel());
            let along: Shape = shape.iter().enumerate().map(|(d, &n)| if d < lead { 1 } else { n }).collect();
            let rule = Rule {
                dims: [rows, n, 1],
                over: DimSet::range(lead, shape.len() - 1),
                along: Layout::contiguous(&along),
                weighted: options.weight.is_some(),
                biased: options.bias.is_some(),
                own: true,
                eps: options.eps,
            };
            let statistics = compute_leaf(&[x.handle()], &[2, rows], |inputs, out: &mut [E]| {
                kernels::row_statistics(inputs[0].slice(), [rows, n], E::of(rule.eps), out);
                Ok(())
            })?;
            let mut operands = SmallVec::from_slice(&[x.handle(), statistics.handle()]);
            push("layer_norm", "weight", &mut operands, options.weight, &tail)?;
            push("layer_norm", "bias", &mut operands, options.bias, &tail)?;
            record::<NormRows, E>(&operands, rule)
        }

        /// Each channel's elements, along dimension 1, minus their mean and divided by `√(var + eps)`; then times a weight and plus a
        /// bias per channel (Ioffe and Szegedy 2015, "Batch Normalization").
        ///
        /// In training, mean and variance are the batch's, and running ones are updated in place: `running += momentum (batch -
        /// running)`, with the unbiased variance. Else they are the running ones.
        pub fn batch_norm | try_batch_norm(self, options: BatchNorm<E>) -> TensorBase<E> {
            let x = self.try_contiguous()?;
            let shape = x.try_shape()?;
            let &[outer, channels, ref rest @ ..] = &shape[..] else {
                return Err(error!(Shape, "batch_norm: shape {shape:?} has no channels; expected [batch, channels, ..]"));
            };
            let BatchNorm { running_mean, running_var, weight, bias, .. } = options;
            for (running, what) in [(running_mean, "running mean"), (running_var, "running variance")] {
                push("batch_norm", what, &mut SmallVec::new(), running, &[channels])?;
            }
            let mut affine = SmallVec::new();
            push("batch_norm", "weight", &mut affine, weight, &[channels])?;
            push("batch_norm", "bias", &mut affine, bias, &[channels])?;
            let rule = Rule {
                dims: [outer, channels, rest.iter().product()],
                over: DimSet::of((0..shape.len()).filter(|&d| d != 1)),
                along: Layout::contiguous(&shape.iter().enumerate().map(|(d, &n)| if d == 1 { n } else { 1 }).collect::<Shape>()),
                weighted: weight.is_some(),
                biased: bias.is_some(),
                own: options.training,
                eps: options.eps,
            };
            let statistics = match options.training {
                true => batch_statistics(x, rule.dims, &options)?,
                false => running_statistics(channels, &options)?,
            };
            let operands: SmallVec<[Handle; 4]> = [x.handle(), statistics.handle()].into_iter().chain(affine).collect();
            record::<NormChannels, E>(&operands, rule)
        }
    }
}
