//! Learning rates that change from step to step.
//!
//! A [`Schedule`] is a formula; [`Schedule::attach`] gives the [`Scheduler`] that counts steps and sets the rates of an optimiser's
//! groups. Rates are derived from the current ones where PyTorch does so, so that several schedulers may work on one optimiser, and
//! rates changed by hand stay changed.

mod cycle;
mod formulas;
mod plateau;

use wengert::{FloatElement, Result};

pub use self::cycle::OneCycleLr;
pub use self::formulas::{CosineAnnealingLr, ExponentialLr, LinearLr, MultiStepLr, SequentialLr, StepLr};
pub use self::plateau::{PlateauState, ReduceLrOnPlateau};
use crate::optimizer::{Optimizer, unwrap};
use crate::options::{Algorithm, value_error};

/// A formula for learning rates, of each group, by the number of steps.
pub trait Schedule {
    /// The rate of `group` before the first step, when it was `lr`.
    fn first(&self, group: usize, lr: f64) -> f64;

    /// The rate of `group` after `step` steps (1 or more), when it was `lr` after the one before, and `initial` before all of them.
    fn next(&self, step: u64, group: usize, lr: f64, initial: f64) -> f64;

    /// The momentum (of Adam: `beta1`) of `group` after `step` steps; `None` leaves it alone.
    fn momentum(&self, _step: u64, _group: usize) -> Option<f64> {
        None
    }

    /// Whether the formula holds after `step` steps of an optimiser with this many groups.
    ///
    /// # Errors
    /// It does not; the text says why.
    fn check(&self, _step: u64, _groups: usize) -> Result<()> {
        Ok(())
    }

    /// Sets the rates from before the first step, and gives what will set the others.
    ///
    /// # Panics
    /// With the errors of [`Schedule::try_attach`].
    #[track_caller]
    fn attach<E: FloatElement, A: Algorithm>(self, optimizer: &mut Optimizer<E, A>) -> Scheduler<Self>
    where
        Self: Sized,
    {
        unwrap(self.try_attach(optimizer))
    }

    /// Sets the rates from before the first step, and gives what will set the others.
    ///
    /// # Errors
    /// Numbers of the schedule out of their ranges, or for another number of groups; a schedule of momenta for an algorithm that
    /// has none.
    fn try_attach<E: FloatElement, A: Algorithm>(self, optimizer: &mut Optimizer<E, A>) -> Result<Scheduler<Self>>
    where
        Self: Sized,
    {
        let scheduler = Scheduler { schedule: self, steps: 0 };
        scheduler.apply(optimizer)?;
        Ok(scheduler)
    }

    /// A scheduler that has made `steps` steps, for an optimiser whose rates were loaded with its state.
    fn resume(self, steps: u64) -> Scheduler<Self>
    where
        Self: Sized,
    {
        Scheduler { schedule: self, steps }
    }
}

/// A schedule at work: by [`Schedule::attach`].
///
/// ```
/// use wengert::Tensor;
/// use wengert_optim::{Schedule, Sgd, StepLr};
///
/// let mut sgd = Sgd::new([Tensor::ones([2])], 0.5);
/// let mut schedule = StepLr::new(2).gamma(0.1).attach(&mut sgd);
/// let mut rates = vec![];
/// for _epoch in 0..5 {
///     rates.push(sgd.groups()[0].options.lr);
///     sgd.step();
///     schedule.step(&mut sgd);
/// }
/// assert_eq!(rates, [0.5, 0.5, 0.05, 0.05, 0.005000000000000001]);
/// ```
#[derive(Clone, Debug)]
pub struct Scheduler<S> {
    schedule: S,
    steps: u64,
}

impl<S: Schedule> Scheduler<S> {
    /// The steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Sets the rates for what follows: after the optimiser's step, or once per epoch.
    ///
    /// # Panics
    /// With the errors of [`Scheduler::try_step`].
    #[track_caller]
    pub fn step<E: FloatElement, A: Algorithm>(&mut self, optimizer: &mut Optimizer<E, A>) {
        unwrap(self.try_step(optimizer));
    }

    /// Sets the rates for what follows: after the optimiser's step, or once per epoch.
    ///
    /// # Errors
    /// The schedule has ended, or does not fit the optimiser's groups any more. Nothing is changed then.
    pub fn try_step<E: FloatElement, A: Algorithm>(&mut self, optimizer: &mut Optimizer<E, A>) -> Result<()> {
        self.steps += 1;
        self.apply(optimizer).inspect_err(|_| self.steps -= 1)
    }

    fn apply<E: FloatElement, A: Algorithm>(&self, optimizer: &mut Optimizer<E, A>) -> Result<()> {
        let groups = optimizer.groups_mut();
        self.schedule.check(self.steps, groups.len())?;
        for (k, group) in groups.iter_mut().enumerate() {
            if let Some(momentum) = self.schedule.momentum(self.steps, k) {
                let place = group.options.momentum_mut().ok_or_else(|| {
                    value_error(format!("a schedule of momenta: {} has no momentum; cycle the rate only", A::NAME))
                })?;
                *place = momentum;
            }
            let lr = *group.options.lr_mut();
            let initial = *group.initial_lr.get_or_insert(lr);
            *group.options.lr_mut() = match self.steps {
                0 => self.schedule.first(k, lr),
                step => self.schedule.next(step, k, lr, initial),
            };
        }
        Ok(())
    }
}

impl<S: Schedule + ?Sized> Schedule for Box<S> {
    fn first(&self, group: usize, lr: f64) -> f64 {
        (**self).first(group, lr)
    }
    fn next(&self, step: u64, group: usize, lr: f64, initial: f64) -> f64 {
        (**self).next(step, group, lr, initial)
    }
    fn momentum(&self, step: u64, group: usize) -> Option<f64> {
        (**self).momentum(step, group)
    }
    fn check(&self, step: u64, groups: usize) -> Result<()> {
        (**self).check(step, groups)
    }
}

/// One number for all groups, or one for each.
#[derive(Clone, Debug, PartialEq)]
pub struct PerGroup(Vec<f64>);

impl PerGroup {
    /// The number of `group`.
    ///
    /// # Panics
    /// If there are several numbers, and none for `group`.
    pub fn of(&self, group: usize) -> f64 {
        if self.0.len() == 1 { self.0[0] } else { self.0[group] }
    }

    /// # Errors
    /// There are several numbers, and not one per group.
    fn check(&self, schedule: &str, name: &str, groups: usize) -> Result<()> {
        if self.0.len() == 1 || self.0.len() == groups {
            return Ok(());
        }
        Err(value_error(format!("{schedule}: {name} has {} numbers for {groups} groups", self.0.len())))
    }
}

impl From<f64> for PerGroup {
    fn from(number: f64) -> Self {
        Self(vec![number])
    }
}

impl<const N: usize> From<[f64; N]> for PerGroup {
    fn from(numbers: [f64; N]) -> Self {
        Self(numbers.to_vec())
    }
}

impl From<Vec<f64>> for PerGroup {
    fn from(numbers: Vec<f64>) -> Self {
        Self(numbers)
    }
}

/// Stamps builder methods: `field: type` gives `fn field(self, field: type) -> Self`.
macro_rules! settings {
    ($schedule:ident: $($(#[$doc:meta])* $field:ident: $t:ty,)+) => {
        impl $schedule {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $field(mut self, $field: $t) -> Self {
                    self.$field = $field.into();
                    self
                }
            )+
        }
    };
}
use settings;
