//! Rates that fall when a measure stops improving.

use wengert::{FloatElement, Result};

use super::{PerGroup, settings};
use crate::optimizer::{Optimizer, unwrap};
use crate::options::{Algorithm, check_range};

/// Multiplies the rates by `factor` when a measure, such as the validation loss, has not improved for `patience` steps.
///
/// NaN is no improvement.
///
/// ```
/// use wengert::Tensor;
/// use wengert_optim::{ReduceLrOnPlateau, Sgd};
///
/// let mut sgd = Sgd::new([Tensor::ones([2])], 0.5);
/// let mut plateau = ReduceLrOnPlateau::new().patience(1).factor(0.5);
/// for validation_loss in [3.0, 2.0, 2.0, 2.1] {
///     plateau.step(&mut sgd, validation_loss);
/// }
/// assert_eq!(sgd.groups()[0].options.lr, 0.25);
/// ```
#[derive(Clone, Debug)]
pub struct ReduceLrOnPlateau {
    maximize: bool,
    factor: f64,
    patience: u64,
    threshold: f64,
    absolute: bool,
    cooldown: u64,
    min_lr: PerGroup,
    eps: f64,
    state: PlateauState,
}

/// What [`ReduceLrOnPlateau`] remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlateauState {
    /// The best measure so far.
    pub best: Option<f64>,
    /// Steps since the last improvement.
    pub bad_steps: u64,
    /// Steps that remain before bad ones count again.
    pub cooldown: u64,
}

impl Default for ReduceLrOnPlateau {
    fn default() -> Self {
        Self::new()
    }
}

impl ReduceLrOnPlateau {
    /// With PyTorch's defaults.
    pub fn new() -> Self {
        Self {
            maximize: false,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            absolute: false,
            cooldown: 0,
            min_lr: 0.0.into(),
            eps: 1e-8,
            state: PlateauState::default(),
        }
    }
}

settings! { ReduceLrOnPlateau:
    /// Larger measures are better. By default off: smaller ones are.
    maximize: bool,
    /// The factor, from 0 to less than 1. By default 0.1.
    factor: f64,
    /// Steps without an improvement that are let pass. By default 10.
    patience: u64,
    /// The least improvement that counts. By default 1e-4.
    threshold: f64,
    /// The threshold is a difference. By default it is a share of the best measure.
    absolute: bool,
    /// Steps after a reduction in which bad ones do not count. By default 0.
    cooldown: u64,
    /// The lowest rate: one number, or one for each group. By default 0.
    min_lr: impl Into<PerGroup>,
    /// Changes of the rate not larger than this are not made. By default 1e-8.
    eps: f64,
}

impl ReduceLrOnPlateau {
    /// Notes a measure, and reduces the rates if it is time to.
    ///
    /// # Panics
    /// With the errors of [`ReduceLrOnPlateau::try_step`].
    #[track_caller]
    pub fn step<E: FloatElement, A: Algorithm>(&mut self, optimizer: &mut Optimizer<E, A>, measure: f64) {
        unwrap(self.try_step(optimizer, measure));
    }

    /// Notes a measure, and reduces the rates if it is time to.
    ///
    /// # Errors
    /// A factor out of its range, or minimal rates for another number of groups. Nothing is changed then.
    pub fn try_step<E: FloatElement, A: Algorithm>(
        &mut self,
        optimizer: &mut Optimizer<E, A>,
        measure: f64,
    ) -> Result<()> {
        const NAME: &str = "ReduceLROnPlateau";
        check_range(NAME, "factor", self.factor, &(0.0..1.0))?;
        self.min_lr.check(NAME, "min_lr", optimizer.groups().len())?;
        if self.is_better(measure) {
            self.state = PlateauState { best: Some(measure), bad_steps: 0, ..self.state };
        } else {
            self.state.bad_steps += 1;
        }
        if self.state.cooldown > 0 {
            self.state = PlateauState { cooldown: self.state.cooldown - 1, bad_steps: 0, ..self.state };
        }
        if self.state.bad_steps > self.patience {
            self.reduce(optimizer);
            self.state = PlateauState { cooldown: self.cooldown, bad_steps: 0, ..self.state };
        }
        Ok(())
    }

    fn is_better(&self, measure: f64) -> bool {
        let best = self.state.best.unwrap_or(if self.maximize { f64::NEG_INFINITY } else { f64::INFINITY });
        match (self.maximize, self.absolute) {
            (false, false) => measure < best * (1.0 - self.threshold),
            (false, true) => measure < best - self.threshold,
            (true, false) => measure > best * (1.0 + self.threshold),
            (true, true) => measure > best + self.threshold,
        }
    }

    fn reduce<E: FloatElement, A: Algorithm>(&self, optimizer: &mut Optimizer<E, A>) {
        for (k, group) in optimizer.groups_mut().iter_mut().enumerate() {
            let lr = group.options.lr_mut();
            let reduced = (*lr * self.factor).max(self.min_lr.of(k));
            if *lr - reduced > self.eps {
                *lr = reduced;
            }
        }
    }

    /// What it remembers, to be saved.
    pub fn state(&self) -> PlateauState {
        self.state
    }

    /// Goes on from what was saved.
    pub fn load_state(&mut self, state: PlateauState) {
        self.state = state;
    }
}
