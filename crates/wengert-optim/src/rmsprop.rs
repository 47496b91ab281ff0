//! RMSprop: steps scaled by a running average of the squared gradient.

use wengert::{FloatElement, TensorBase};

use crate::buffers::Buffers;
use crate::formula::{Direction, Formula, pass};
use crate::optimizer::Optimizer;
use crate::options::{Algorithm, FRACTION, NOT_NEGATIVE, SWITCH, options};

/// RMSprop: Tieleman and Hinton, "Neural Networks for Machine Learning", lecture 6.5, 2012.
///
/// ```text
/// g = grad + weight_decay · w
/// v = alpha · v + (1 - alpha) · g²
/// d = g / (√v + eps)
/// b = momentum · b + d                           without momentum: b = d
/// w = w - lr · b
/// ```
///
/// `centered` takes the variance `v - m²` with `m = alpha · m + (1 - alpha) · g` in the place of `v`: Graves, "Generating Sequences
/// With Recurrent Neural Networks", 2013, section 4.2.
///
/// ```
/// use wengert::{scope, Tensor};
/// use wengert_optim::RmsProp;
///
/// let w = Tensor::from_slice(&[3.0, -2.0], [2]).requires_grad_(true);
/// let mut rmsprop = RmsProp::new([w], 0.01).centered(true);
/// for _ in 0..600 {
///     scope(|| (w * w).sum().backward());
///     rmsprop.step();
///     rmsprop.zero_grad();
/// }
/// assert!(w.to_vec().iter().all(|w| w.abs() < 0.1));
/// ```
pub type RmsProp<E> = Optimizer<E, RmsPropOptions>;

options! {
    /// Options of [`RmsProp`].
    RmsPropOptions for "RMSprop", momentum momentum;
    /// Learning rate, from 0 up. By default 1e-2.
    lr: f64 = 1e-2;
    /// Share of the average of squared gradients that a step keeps, from 0 to less than 1. By default 0.99.
    alpha: f64 = 0.99, in FRACTION;
    /// Added to the denominator, from 0 up. By default 1e-8.
    eps: f64 = 1e-8, in NOT_NEGATIVE;
    /// Factor of an L2 penalty `weight_decay / 2 · |w|²`, from 0 up. By default 0.
    weight_decay: f64 = 0.0, in NOT_NEGATIVE;
    /// Share of the velocity that a step keeps, from 0 up. By default 0: no velocity.
    momentum: f64 = 0.0, in NOT_NEGATIVE;
    /// Divide by the standard deviation of the gradient instead of its root mean square. By default off.
    centered: bool = false, in SWITCH;
    /// Climb instead of descending. By default off.
    maximize: bool = false, in SWITCH;
}

impl<E: FloatElement> RmsProp<E> {
    /// Descends on `params` at learning rate `lr`; the other options have their defaults.
    ///
    /// # Panics
    /// With the errors of [`Optimizer::try_with`].
    #[track_caller]
    pub fn new(params: impl IntoIterator<Item = TensorBase<E>>, lr: f64) -> Self {
        Self::with(params, RmsPropOptions { lr, ..RmsPropOptions::default() })
    }
}

const SQUARE: usize = 0;
const MEAN: usize = 1;
const VELOCITY: usize = 2;

impl Algorithm for RmsPropOptions {
    const BUFFERS: &'static [&'static str] = &["square_avg", "grad_avg", "momentum_buffer"];

    fn update<E: FloatElement>(&self, buffers: &mut Buffers<E>, values: &mut [E], grad: &[E]) {
        let (n, zero) = (grad.len(), E::of(0.0));
        let scaled = Scaled {
            direction: Direction::new(self.maximize, self.weight_decay),
            alpha: E::of(self.alpha),
            add: E::of(1.0 - self.alpha),
            keep: E::of(1.0) - E::of(1.0 - self.alpha),
            is_far: E::of(1.0 - self.alpha) >= E::of(0.5),
            eps: E::of(self.eps),
            step: E::of(-self.lr),
            momentum: E::of(self.momentum),
        };
        match (self.centered, self.momentum > 0.0) {
            (false, false) => pass(Raw(scaled), values, grad, buffers.get([SQUARE], n, zero)),
            (true, false) => pass(Centered(scaled), values, grad, buffers.get([SQUARE, MEAN], n, zero)),
            (false, true) => pass(Raw(scaled), values, grad, buffers.get([SQUARE, VELOCITY], n, zero)),
            (true, true) => pass(Centered(scaled), values, grad, buffers.get([SQUARE, MEAN, VELOCITY], n, zero)),
        }
    }
}

/// The numbers of one step.
#[derive(Clone, Copy)]
struct Scaled<E> {
    direction: Direction<E>,
    alpha: E,
    add: E,
    keep: E,
    /// The average of gradients moves at least half of the way to the gradient, and is reckoned from there, as by PyTorch's `lerp`.
    is_far: bool,
    eps: E,
    step: E,
    momentum: E,
}

impl<E: FloatElement> Scaled<E> {
    #[inline(always)]
    fn square(self, grad: E, square: E) -> E {
        square * self.alpha + self.add * grad * grad
    }

    #[inline(always)]
    fn moved(self, value: E, grad: E, scale: E) -> E {
        value + self.step * grad / (scale + self.eps)
    }

    #[inline(always)]
    fn moved_along(self, value: E, grad: E, scale: E, velocity: E) -> (E, E) {
        let velocity = velocity * self.momentum + grad / (scale + self.eps);
        (value + self.step * velocity, velocity)
    }
}

/// Scaled by the root mean square.
#[derive(Clone, Copy)]
struct Raw<E>(Scaled<E>);

impl<E: FloatElement> Formula<E, 1> for Raw<E> {
    #[inline(always)]
    fn at(self, value: E, grad: E, [square]: [E; 1]) -> (E, [E; 1]) {
        let grad = self.0.direction.at(value, grad);
        let square = self.0.square(grad, square);
        (self.0.moved(value, grad, square.sqrt()), [square])
    }
}

impl<E: FloatElement> Formula<E, 2> for Raw<E> {
    #[inline(always)]
    fn at(self, value: E, grad: E, [square, velocity]: [E; 2]) -> (E, [E; 2]) {
        let grad = self.0.direction.at(value, grad);
        let square = self.0.square(grad, square);
        let (value, velocity) = self.0.moved_along(value, grad, square.sqrt(), velocity);
        (value, [square, velocity])
    }
}

/// Scaled by the standard deviation.
#[derive(Clone, Copy)]
struct Centered<E>(Scaled<E>);

impl<E: FloatElement> Centered<E> {
    /// The gradient, its average, the average of its square, and its standard deviation.
    #[inline(always)]
    fn deviation(self, value: E, grad: E, square: E, mean: E) -> (E, E, E, E) {
        let scaled = self.0;
        let grad = scaled.direction.at(value, grad);
        let square = scaled.square(grad, square);
        let way = grad - mean;
        let mean = E::select(scaled.is_far, grad - way * scaled.keep, mean + scaled.add * way);
        (grad, square, mean, (square - mean * mean).sqrt())
    }
}

impl<E: FloatElement> Formula<E, 2> for Centered<E> {
    #[inline(always)]
    fn at(self, value: E, grad: E, [square, mean]: [E; 2]) -> (E, [E; 2]) {
        let (grad, square, mean, scale) = self.deviation(value, grad, square, mean);
        (self.0.moved(value, grad, scale), [square, mean])
    }
}

impl<E: FloatElement> Formula<E, 3> for Centered<E> {
    #[inline(always)]
    fn at(self, value: E, grad: E, [square, mean, velocity]: [E; 3]) -> (E, [E; 3]) {
        let (grad, square, mean, scale) = self.deviation(value, grad, square, mean);
        let (value, velocity) = self.0.moved_along(value, grad, scale, velocity);
        (value, [square, mean, velocity])
    }
}
