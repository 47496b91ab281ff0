//! Adagrad: steps scaled by the sum of all squared gradients.

use wengert::{FloatElement, TensorBase};

use crate::buffers::Buffers;
use crate::formula::{Direction, Formula, pass};
use crate::optimizer::Optimizer;
use crate::options::{Algorithm, NOT_NEGATIVE, SWITCH, options};

/// Adagrad: Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 12, 2011.
///
/// ```text
/// g = grad + weight_decay · w
/// s = s + g²                                     before the first step: s = initial_accumulator_value
/// w = w - lr / (1 + (t - 1) · lr_decay) · g / (√s + eps)
/// ```
///
/// ```
/// use wengert::{scope, Tensor};
/// use wengert_optim::Adagrad;
///
/// let w = Tensor::from_slice(&[3.0, -2.0], [2]).requires_grad_(true);
/// let mut adagrad = Adagrad::new([w], 1.0);
/// for _ in 0..60 {
///     scope(|| (w * w).sum().backward());
///     adagrad.step();
///     adagrad.zero_grad();
/// }
/// assert!(w.to_vec().iter().all(|w| w.abs() < 1e-3));
/// ```
pub type Adagrad<E> = Optimizer<E, AdagradOptions>;

options! {
    /// Options of [`Adagrad`].
    AdagradOptions for "Adagrad";
    /// Learning rate, from 0 up. By default 1e-2.
    lr: f64 = 1e-2;
    /// How the learning rate falls with the steps of a parameter, from 0 up. By default 0.
    lr_decay: f64 = 0.0, in NOT_NEGATIVE;
    /// Factor of an L2 penalty `weight_decay / 2 · |w|²`, from 0 up. By default 0.
    weight_decay: f64 = 0.0, in NOT_NEGATIVE;
    /// What the sums begin with, from 0 up. By default 0.
    initial_accumulator_value: f64 = 0.0, in NOT_NEGATIVE;
    /// Added to the denominator, from 0 up. By default 1e-10.
    eps: f64 = 1e-10, in NOT_NEGATIVE;
    /// Climb instead of descending. By default off.
    maximize: bool = false, in SWITCH;
}

impl<E: FloatElement> Adagrad<E> {
    /// Descends on `params` at learning rate `lr`; the other options have their defaults.
    ///
    /// # Panics
    /// With the errors of [`Optimizer::try_with`].
    #[track_caller]
    pub fn new(params: impl IntoIterator<Item = TensorBase<E>>, lr: f64) -> Self {
        Self::with(params, AdagradOptions { lr, ..AdagradOptions::default() })
    }
}

impl Algorithm for AdagradOptions {
    const BUFFERS: &'static [&'static str] = &["sum"];

    fn update<E: FloatElement>(&self, buffers: &mut Buffers<E>, values: &mut [E], grad: &[E]) {
        let lr = self.lr / (1.0 + (buffers.steps() - 1) as f64 * self.lr_decay);
        let direction = Direction::new(self.maximize, self.weight_decay);
        let formula = Summed { direction, step: E::of(-lr), eps: E::of(self.eps) };
        let sum = buffers.get([0], grad.len(), E::of(self.initial_accumulator_value));
        pass(formula, values, grad, sum);
    }
}

#[derive(Clone, Copy)]
struct Summed<E> {
    direction: Direction<E>,
    step: E,
    eps: E,
}

impl<E: FloatElement> Formula<E, 1> for Summed<E> {
    #[inline(always)]
    fn at(self, value: E, grad: E, [sum]: [E; 1]) -> (E, [E; 1]) {
        let grad = self.direction.at(value, grad);
        let sum = sum + grad * grad;
        (value + self.step * grad / (sum.sqrt() + self.eps), [sum])
    }
}
