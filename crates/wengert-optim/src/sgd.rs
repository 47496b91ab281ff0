//! Stochastic gradient descent.

use wengert::{FloatElement, Result, TensorBase};

use crate::buffers::Buffers;
use crate::formula::{Direction, Formula, pass};
use crate::optimizer::Optimizer;
use crate::options::{Algorithm, NOT_NEGATIVE, SWITCH, options, value_error};

/// Stochastic gradient descent, with PyTorch's reading of momentum.
///
/// ```text
/// g = grad + weight_decay · w
/// v = momentum · v + (1 - dampening) · g         at the first step: v = g
/// d = g + momentum · v  if nesterov, else  v     without momentum: d = g
/// w = w - lr · d
/// ```
///
/// Momentum: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Nesterov's as in Sutskever et al.,
/// "On the importance of initialization and momentum in deep learning", ICML 2013, with the rate outside of the velocity.
///
/// ```
/// use wengert::{scope, Tensor};
/// use wengert_optim::Sgd;
///
/// let w = Tensor::from_slice(&[3.0, -2.0], [2]).requires_grad_(true);
/// let mut sgd = Sgd::new([w], 0.1).momentum(0.5);
/// for _ in 0..60 {
///     scope(|| (w * w).sum().backward());
///     sgd.step();
///     sgd.zero_grad();
/// }
/// assert!(w.to_vec().iter().all(|w| w.abs() < 1e-6));
/// ```
pub type Sgd<E> = Optimizer<E, SgdOptions>;

options! {
    /// Options of [`Sgd`].
    SgdOptions for "SGD", momentum momentum;
    /// Learning rate, from 0 up. By default 1e-3.
    lr: f64 = 1e-3;
    /// Share of the velocity that a step keeps, from 0 up. By default 0: no velocity.
    momentum: f64 = 0.0, in NOT_NEGATIVE;
    /// Share of the gradient that does not enter the velocity, from 0 up. By default 0.
    dampening: f64 = 0.0, in NOT_NEGATIVE;
    /// Factor of an L2 penalty `weight_decay / 2 · |w|²`, from 0 up. By default 0.
    weight_decay: f64 = 0.0, in NOT_NEGATIVE;
    /// Look ahead along the velocity; needs a momentum and no dampening. By default off.
    nesterov: bool = false, in SWITCH;
    /// Climb instead of descending. By default off.
    maximize: bool = false, in SWITCH;
}

impl<E: FloatElement> Sgd<E> {
    /// Descends on `params` at learning rate `lr`; the other options have their defaults.
    ///
    /// # Panics
    /// With the errors of [`Optimizer::try_with`].
    #[track_caller]
    pub fn new(params: impl IntoIterator<Item = TensorBase<E>>, lr: f64) -> Self {
        Self::with(params, SgdOptions { lr, ..SgdOptions::default() })
    }
}

impl Algorithm for SgdOptions {
    const BUFFERS: &'static [&'static str] = &["momentum_buffer"];

    fn check_together(&self) -> Result<()> {
        if self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0) {
            return Err(value_error(format!(
                "SGD: nesterov needs a momentum and zero dampening, and they are {} and {}",
                self.momentum, self.dampening
            )));
        }
        Ok(())
    }

    fn update<E: FloatElement>(&self, buffers: &mut Buffers<E>, values: &mut [E], grad: &[E]) {
        let direction = Direction::new(self.maximize, self.weight_decay);
        let step = E::of(-self.lr);
        if self.momentum == 0.0 {
            return pass(Plain { direction, step }, values, grad, []);
        }
        // The velocity starts as the gradient itself, whatever the dampening.
        let (keep, add) = if buffers.is_new(0) { (0.0, 1.0) } else { (self.momentum, 1.0 - self.dampening) };
        let (keep, add, momentum) = (E::of(keep), E::of(add), E::of(self.momentum));
        let formula = Heavy { direction, step, keep, add, momentum, nesterov: self.nesterov };
        pass(formula, values, grad, buffers.get([0], grad.len(), E::of(0.0)));
    }
}

#[derive(Clone, Copy)]
struct Plain<E> {
    direction: Direction<E>,
    step: E,
}

impl<E: FloatElement> Formula<E, 0> for Plain<E> {
    #[inline(always)]
    fn at(self, value: E, grad: E, _: [E; 0]) -> (E, [E; 0]) {
        (value + self.step * self.direction.at(value, grad), [])
    }
}

#[derive(Clone, Copy)]
struct Heavy<E> {
    direction: Direction<E>,
    step: E,
    keep: E,
    add: E,
    momentum: E,
    nesterov: bool,
}

impl<E: FloatElement> Formula<E, 1> for Heavy<E> {
    #[inline(always)]
    fn at(self, value: E, grad: E, [velocity]: [E; 1]) -> (E, [E; 1]) {
        let grad = self.direction.at(value, grad);
        let velocity = velocity * self.keep + self.add * grad;
        let ahead = E::select(self.nesterov, grad + self.momentum * velocity, velocity);
        (value + self.step * ahead, [velocity])
    }
}
