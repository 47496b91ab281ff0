//! Gradients kept within bounds.

use wengert::{Error, ErrorKind, FloatElement, Result, TensorBase};
use wengert_kernels::map::{Map1, map1};
use wengert_kernels::reduce;
use wengert_kernels::simd::{self, Kernel};

use crate::optimizer::unwrap;
use crate::options::{NOT_NEGATIVE, check_range};

/// Scales the gradients of `params` so that their 2-norm, as one vector, is not above `max_norm`; the norm from before. Parameters
/// without a gradient are passed over.
///
/// Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, section 3.2. The factor is
/// PyTorch's, `max_norm / (norm + 1e-6)`. [`ClipNorm`] has other norms, and refuses what is not finite.
///
/// ```
/// use wengert::Tensor;
/// use wengert_optim::clip_grad_norm;
///
/// let w = Tensor::from_slice(&[3.0, 4.0], [2]).requires_grad_(true);
/// (w * w / 2.0).sum().backward();
/// assert_eq!(clip_grad_norm([w], 1.0), 5.0);
/// assert!((w.grad().unwrap().to_vec()[0] - 0.6).abs() < 1e-6);
/// ```
///
/// # Panics
/// With the errors of [`ClipNorm::try_clip`].
#[track_caller]
pub fn clip_grad_norm<E: FloatElement, P>(params: P, max_norm: f64) -> E
where
    P: IntoIterator<Item = TensorBase<E>, IntoIter: Clone>,
{
    ClipNorm::new(max_norm).clip(params)
}

/// Limits every element of the gradients of `params` to `-clip_value ..= clip_value`; NaN stays.
///
/// ```
/// use wengert::Tensor;
/// use wengert_optim::clip_grad_value;
///
/// let w = Tensor::from_slice(&[3.0, -0.5], [2]).requires_grad_(true);
/// (w * w).sum().backward();
/// clip_grad_value([w], 2.0);
/// assert_eq!(w.grad().unwrap().to_vec(), [2.0, -1.0]);
/// ```
///
/// # Panics
/// With the errors of [`try_clip_grad_value`].
#[track_caller]
pub fn clip_grad_value<E: FloatElement>(params: impl IntoIterator<Item = TensorBase<E>>, clip_value: f64) {
    unwrap(try_clip_grad_value(params, clip_value));
}

/// [`clip_grad_value`], with the error returned.
///
/// # Errors
/// A parameter that is stale; a bound that is negative or not finite.
pub fn try_clip_grad_value<E: FloatElement>(
    params: impl IntoIterator<Item = TensorBase<E>>,
    clip_value: f64,
) -> Result<()> {
    check_range("clip_grad_value", "clip_value", clip_value, &NOT_NEGATIVE)?;
    let bound = E::of(clip_value);
    for param in params {
        param.try_with_grad_mut(|grad| simd::run(Limit { bound, grad }))?;
    }
    Ok(())
}

/// [`clip_grad_norm`] with options.
///
/// ```
/// use wengert::{ErrorKind, Tensor};
/// use wengert_optim::ClipNorm;
///
/// let w = Tensor::from_slice(&[1.0, f32::INFINITY], [2]).requires_grad_(true);
/// (w * w).sum().backward();
/// let clip = ClipNorm::new(1.0).norm_type(f64::INFINITY).error_if_nonfinite(true);
/// assert_eq!(clip.try_clip([w]).unwrap_err().kind(), ErrorKind::Value);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ClipNorm {
    max_norm: f64,
    norm_type: f64,
    error_if_nonfinite: bool,
}

impl ClipNorm {
    /// To a 2-norm of at most `max_norm`, from 0 up.
    pub fn new(max_norm: f64) -> Self {
        Self { max_norm, norm_type: 2.0, error_if_nonfinite: false }
    }

    /// The `p` of the p-norm, above 0; infinity for the largest absolute value. By default 2.
    #[must_use]
    pub fn norm_type(self, norm_type: f64) -> Self {
        Self { norm_type, ..self }
    }

    /// Refuse a norm that is infinite or NaN. By default off: such a norm makes the gradients 0 or NaN.
    #[must_use]
    pub fn error_if_nonfinite(self, error_if_nonfinite: bool) -> Self {
        Self { error_if_nonfinite, ..self }
    }

    /// Scales the gradients of `params`; the norm from before.
    ///
    /// # Panics
    /// With the errors of [`ClipNorm::try_clip`].
    #[track_caller]
    pub fn clip<E: FloatElement, P>(self, params: P) -> E
    where
        P: IntoIterator<Item = TensorBase<E>, IntoIter: Clone>,
    {
        unwrap(self.try_clip(params))
    }

    /// Scales the gradients of `params`; the norm from before.
    ///
    /// # Errors
    /// A parameter that is stale; a bound that is negative or not finite; a `norm_type` that is not above 0; with
    /// [`Self::error_if_nonfinite`], a norm that is not finite. Nothing is changed then.
    pub fn try_clip<E: FloatElement, P>(self, params: P) -> Result<E>
    where
        P: IntoIterator<Item = TensorBase<E>, IntoIter: Clone>,
    {
        check_range("clip_grad_norm", "max_norm", self.max_norm, &NOT_NEGATIVE)?;
        check_range("clip_grad_norm", "norm_type", self.norm_type, &(f64::MIN_POSITIVE..=f64::INFINITY))?;
        let params = params.into_iter();
        let mut norms = Norms { p: self.norm_type, total: 0.0 };
        for param in params.clone() {
            param.try_with_grad(|grad| norms.push(norm(grad, self.norm_type).into()))?;
        }
        let total = E::of(norms.total());
        if self.error_if_nonfinite && !total.into().is_finite() {
            return Err(Error::new(
                ErrorKind::Value,
                format!(
                    "clip_grad_norm: the total norm of order {} is {}, so the gradients can't be clipped; look for what \
                     overflows, or leave `error_if_nonfinite` off",
                    self.norm_type,
                    total.into()
                ),
            ));
        }
        let factor = (E::of(1.0) / (total + E::of(1e-6)) * E::of(self.max_norm)).minimum(E::of(1.0));
        if factor != E::of(1.0) {
            for param in params {
                param.try_with_grad_mut(|grad| simd::run(Scale { factor, grad }))?;
            }
        }
        Ok(total)
    }
}

/// The norm of several vectors joined, from the norm of each.
struct Norms {
    p: f64,
    /// The sum of p-th powers, or the largest norm.
    total: f64,
}

impl Norms {
    fn push(&mut self, norm: f64) {
        self.total = if self.p == f64::INFINITY {
            wengert_kernels::Real::maximum(self.total, norm)
        } else {
            self.total + norm.powf(self.p)
        };
    }

    fn total(&self) -> f64 {
        if self.p == f64::INFINITY { self.total } else { self.total.powf(1.0 / self.p) }
    }
}

/// The p-norm of one vector, `p` above 0.
fn norm<E: FloatElement>(x: &[E], p: f64) -> E {
    if p == 2.0 {
        return reduce::sum_squares(x).sqrt();
    }
    let mut tree = reduce::Tree::<E, reduce::Sum>::new();
    let mut largest = E::of(0.0);
    let mut powers = [E::of(0.0); reduce::BLOCK];
    for block in x.chunks(reduce::BLOCK) {
        let powers = &mut powers[..block.len()];
        map1(AbsPower { p: E::of(p), is_plain: p == 1.0 || p == f64::INFINITY }, block, powers);
        if p == f64::INFINITY {
            largest = largest.maximum(reduce::max(powers));
        } else {
            tree.push(reduce::sum(powers));
        }
    }
    match p {
        f64::INFINITY => largest,
        1.0 => tree.finish(),
        _ => tree.finish().pow(E::of(1.0 / p)),
    }
}

/// `|x|^p`, or `|x|`.
#[derive(Clone, Copy)]
struct AbsPower<E> {
    p: E,
    is_plain: bool,
}

impl<E: FloatElement> Map1<E> for AbsPower<E> {
    #[inline(always)]
    fn at(self, x: E) -> E {
        let x = x.abs();
        if self.is_plain { x } else { x.pow(self.p) }
    }
}

/// `grad · factor`, in place.
struct Scale<'a, E> {
    factor: E,
    grad: &'a mut [E],
}

impl<E: FloatElement> Kernel for Scale<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for grad in self.grad {
            *grad *= self.factor;
        }
    }
}

/// `grad` limited to `-bound ..= bound`, in place.
struct Limit<'a, E> {
    bound: E,
    grad: &'a mut [E],
}

impl<E: FloatElement> Kernel for Limit<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for grad in self.grad {
            *grad = grad.maximum(-self.bound).minimum(self.bound);
        }
    }
}
