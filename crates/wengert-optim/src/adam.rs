//! Adam and AdamW: steps scaled by running averages of the gradient and its square.

use wengert::{FloatElement, TensorBase};

use crate::buffers::Buffers;
use crate::formula::{Direction, Formula, pass};
use crate::optimizer::Optimizer;
use crate::options::{Algorithm, FRACTION, NOT_NEGATIVE, SWITCH, options};

/// Adam: Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1.
///
/// ```text
/// g = grad + weight_decay · w
/// m = beta1 · m + (1 - beta1) · g        v = beta2 · v + (1 - beta2) · g²
/// w = w - lr · m / (1 - beta1^t) / (√v / √(1 - beta2^t) + eps)
/// ```
///
/// `amsgrad` puts the largest `v` so far in its place: Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond", ICLR 2018.
///
/// ```
/// use wengert::{scope, Tensor};
/// use wengert_optim::Adam;
///
/// let w = Tensor::from_slice(&[3.0, -2.0], [2]).requires_grad_(true);
/// let mut adam = Adam::new([w], 0.1);
/// for _ in 0..300 {
///     scope(|| (w * w).sum().backward());
///     adam.step();
///     adam.zero_grad();
/// }
/// assert!(w.to_vec().iter().all(|w| w.abs() < 1e-3));
/// ```
pub type Adam<E> = Optimizer<E, AdamOptions>;

/// AdamW: Adam with weight decay that does not pass through the averages. Loshchilov and Hutter, "Decoupled Weight Decay
/// Regularization", ICLR 2019, algorithm 2.
///
/// As [`Adam`] with `g = grad`, after `w = w - lr · weight_decay · w`.
///
/// ```
/// use wengert::Tensor;
/// use wengert_optim::AdamW;
///
/// let (w, b) = (Tensor::randn([4, 3]).requires_grad_(true), Tensor::zeros([4]).requires_grad_(true));
/// let mut adam = AdamW::new([w], 1e-3).betas(0.9, 0.95).weight_decay(0.1).group([b], |options| options.weight_decay = 0.0);
/// # (w.sum() + b.sum()).backward();
/// adam.step();
/// ```
pub type AdamW<E> = Optimizer<E, AdamWOptions>;

/// Stamps the options of both.
macro_rules! adam_options {
    ($optimizer:ident, $options:ident, $name:literal, $decay:literal, $decay_doc:literal) => {
        options! {
            #[doc = concat!("Options of [`", stringify!($optimizer), "`].")]
            $options for $name, momentum beta1;
            /// Learning rate, from 0 up. By default 1e-3.
            lr: f64 = 1e-3;
            /// Share of the average of gradients that a step keeps, from 0 to less than 1. By default 0.9.
            beta1: f64 = 0.9, in FRACTION;
            /// Share of the average of squared gradients that a step keeps, from 0 to less than 1. By default 0.999.
            beta2: f64 = 0.999, in FRACTION;
            /// Added to the denominator, from 0 up. By default 1e-8.
            eps: f64 = 1e-8, in NOT_NEGATIVE;
            #[doc = $decay_doc]
            weight_decay: f64 = $decay, in NOT_NEGATIVE;
            /// Divide by the largest average of squares so far. By default off.
            amsgrad: bool = false, in SWITCH;
            /// Climb instead of descending. By default off.
            maximize: bool = false, in SWITCH;
        }

        impl<E: FloatElement> $optimizer<E> {
            /// Descends on `params` at learning rate `lr`; the other options have their defaults.
            ///
            /// # Panics
            /// With the errors of [`Optimizer::try_with`].
            #[track_caller]
            pub fn new(params: impl IntoIterator<Item = TensorBase<E>>, lr: f64) -> Self {
                Self::with(params, $options { lr, ..$options::default() })
            }

            /// [`Self::beta1`] and [`Self::beta2`] at once.
            ///
            /// # Panics
            /// If one does not lie in 0 .. 1.
            #[track_caller]
            #[must_use]
            pub fn betas(self, beta1: f64, beta2: f64) -> Self {
                self.beta1(beta1).beta2(beta2)
            }
        }
    };
}
adam_options!(
    Adam,
    AdamOptions,
    "Adam",
    0.0,
    "Factor of an L2 penalty `weight_decay / 2 · |w|²`, from 0 up. By default 0."
);
adam_options!(
    AdamW,
    AdamWOptions,
    "AdamW",
    0.01,
    "Share of the parameter that a step takes away, times the learning rate; from 0 up. By default 0.01."
);

const BUFFERS: &[&str] = &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"];

impl Algorithm for AdamOptions {
    const BUFFERS: &'static [&'static str] = BUFFERS;

    fn update<E: FloatElement>(&self, buffers: &mut Buffers<E>, values: &mut [E], grad: &[E]) {
        let moments = Moments {
            direction: Direction::new(self.maximize, self.weight_decay),
            shrink: E::of(1.0),
            ..Moments::new(self, buffers.steps())
        };
        moments.pass(self.amsgrad, buffers, values, grad);
    }
}

impl Algorithm for AdamWOptions {
    const BUFFERS: &'static [&'static str] = BUFFERS;

    fn update<E: FloatElement>(&self, buffers: &mut Buffers<E>, values: &mut [E], grad: &[E]) {
        let Self { lr, beta1, beta2, eps, weight_decay, amsgrad, maximize } = *self;
        let common = AdamOptions { lr, beta1, beta2, eps, weight_decay, amsgrad, maximize };
        let moments = Moments {
            direction: Direction::new(maximize, 0.0),
            shrink: E::of(1.0 - lr * weight_decay),
            ..Moments::new(&common, buffers.steps())
        };
        moments.pass(amsgrad, buffers, values, grad);
    }
}

/// The numbers of one step of either algorithm.
#[derive(Clone, Copy)]
struct Moments<E> {
    direction: Direction<E>,
    /// What remains of the parameter after decoupled weight decay.
    shrink: E,
    keep1: E,
    add1: E,
    /// The average of gradients moves at least half of the way to the gradient, and is reckoned from there, as by PyTorch's `lerp`.
    is_far: bool,
    beta2: E,
    add2: E,
    eps: E,
    step: E,
    scale: E,
}

impl<E: FloatElement> Moments<E> {
    /// Without weight decay.
    fn new(options: &AdamOptions, steps: u64) -> Self {
        let (beta1, beta2, t) = (options.beta1, options.beta2, steps as f64);
        Self {
            direction: Direction::new(options.maximize, 0.0),
            shrink: E::of(1.0),
            keep1: E::of(1.0) - E::of(1.0 - beta1),
            add1: E::of(1.0 - beta1),
            is_far: E::of(1.0 - beta1) >= E::of(0.5),
            beta2: E::of(beta2),
            add2: E::of(1.0 - beta2),
            eps: E::of(options.eps),
            step: E::of(-(options.lr / (1.0 - beta1.powf(t)))),
            scale: E::of((1.0 - beta2.powf(t)).sqrt()),
        }
    }

    fn pass(self, amsgrad: bool, buffers: &mut Buffers<E>, values: &mut [E], grad: &[E]) {
        let (n, zero) = (grad.len(), E::of(0.0));
        if amsgrad {
            pass(Largest(self), values, grad, buffers.get([0, 1, 2], n, zero));
        } else {
            pass(self, values, grad, buffers.get([0, 1], n, zero));
        }
    }

    /// The new averages of the gradient and its square.
    #[inline(always)]
    fn average(self, grad: E, mean: E, square: E) -> (E, E) {
        let way = grad - mean;
        let mean = E::select(self.is_far, grad - way * self.keep1, mean + self.add1 * way);
        (mean, square * self.beta2 + self.add2 * grad * grad)
    }

    #[inline(always)]
    fn moved(self, value: E, mean: E, square: E) -> E {
        value + self.step * mean / (square.sqrt() / self.scale + self.eps)
    }
}

impl<E: FloatElement> Formula<E, 2> for Moments<E> {
    #[inline(always)]
    fn at(self, value: E, grad: E, [mean, square]: [E; 2]) -> (E, [E; 2]) {
        let grad = self.direction.at(value, grad);
        let (mean, square) = self.average(grad, mean, square);
        (self.moved(value * self.shrink, mean, square), [mean, square])
    }
}

/// The AMSGrad variant.
#[derive(Clone, Copy)]
struct Largest<E>(Moments<E>);

impl<E: FloatElement> Formula<E, 3> for Largest<E> {
    #[inline(always)]
    fn at(self, value: E, grad: E, [mean, square, largest]: [E; 3]) -> (E, [E; 3]) {
        let grad = self.0.direction.at(value, grad);
        let (mean, square) = self.0.average(grad, mean, square);
        let largest = largest.maximum(square);
        (self.0.moved(value * self.0.shrink, mean, largest), [mean, square, largest])
    }
}
