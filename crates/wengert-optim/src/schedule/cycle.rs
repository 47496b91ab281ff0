//! One rise and fall of the rate, with the momentum against it.

use std::f64::consts::PI;

use wengert::Result;

use super::{PerGroup, Schedule, settings};
use crate::options::{FRACTION, NOT_NEGATIVE, SWITCH, check_range, value_error};

/// Raises the rate from `max_lr / div_factor` to `max_lr`, then lowers it far below where it began, while the momentum (of Adam:
/// `beta1`) falls and rises.
///
/// Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates", 2018; two phases by default,
/// as fast.ai and PyTorch do. The optimiser's own rate does not matter.
///
/// ```text
///    max_lr            .--.
///                    .'    '.                  phase 1 ends after pct_start · total_steps - 1 steps
///                   /        `-.
///    / div_factor  '            `--.
///    / final_div_factor              `----
///    step          0                     total_steps - 1
/// ```
///
/// ```
/// use wengert::Tensor;
/// use wengert_optim::{OneCycleLr, Schedule, Sgd};
///
/// let mut sgd = Sgd::new([Tensor::ones([2])], 0.1).momentum(0.9);
/// let mut schedule = OneCycleLr::new(1.0, 10).attach(&mut sgd);
/// (0..2).for_each(|_| schedule.step(&mut sgd));
/// let options = sgd.groups()[0].options;
/// assert_eq!((options.lr, options.momentum), (1.0, 0.85));
/// ```
#[derive(Clone, Debug)]
pub struct OneCycleLr {
    max_lr: PerGroup,
    total_steps: u64,
    pct_start: f64,
    linear: bool,
    cycle_momentum: bool,
    base_momentum: PerGroup,
    max_momentum: PerGroup,
    div_factor: f64,
    final_div_factor: f64,
    three_phase: bool,
}

impl OneCycleLr {
    /// A cycle of `total_steps` steps, 1 or more, up to `max_lr`: one number, or one for each group.
    pub fn new(max_lr: impl Into<PerGroup>, total_steps: u64) -> Self {
        Self {
            max_lr: max_lr.into(),
            total_steps,
            pct_start: 0.3,
            linear: false,
            cycle_momentum: true,
            base_momentum: 0.85.into(),
            max_momentum: 0.95.into(),
            div_factor: 25.0,
            final_div_factor: 1e4,
            three_phase: false,
        }
    }
}

settings! { OneCycleLr:
    /// Share of the steps in which the rate rises, from 0 to 1. By default 0.3.
    pct_start: f64,
    /// Change along straight lines instead of half cosine waves. By default off.
    linear: bool,
    /// Change the momentum too. By default on; off for an algorithm that has none.
    cycle_momentum: bool,
    /// The lowest momentum, from 0 to less than 1: one number, or one for each group. By default 0.85.
    base_momentum: impl Into<PerGroup>,
    /// The highest momentum, from 0 to less than 1: one number, or one for each group. By default 0.95.
    max_momentum: impl Into<PerGroup>,
    /// How far the first rate lies below the highest one, above 0. By default 25.
    div_factor: f64,
    /// How far the last rate lies below the first one, above 0. By default 1e4.
    final_div_factor: f64,
    /// Fall to the first rate as fast as the rate rose, then to the last one. By default off.
    three_phase: bool,
}

/// Where a phase begins or ends.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Initial,
    Max,
    Min,
}

impl OneCycleLr {
    /// The levels at both ends of the phase of `step`, and how much of it has passed, 0 to 1.
    fn phase(&self, step: u64) -> (Level, Level, f64) {
        let (total, step) = (self.total_steps as f64, step as f64);
        let top = self.pct_start * total - 1.0;
        let last = total - 1.0;
        let (start, end, from, to) = if step <= top {
            (0.0, top, Level::Initial, Level::Max)
        } else if !self.three_phase {
            (top, last, Level::Max, Level::Min)
        } else if step <= 2.0 * top {
            (top, 2.0 * top, Level::Max, Level::Initial)
        } else {
            (2.0 * top, last, Level::Initial, Level::Min)
        };
        // A phase of no length is over; PyTorch lets the step after the last one overshoot.
        let passed = if end > start { ((step - start) / (end - start)).min(1.0) } else { 1.0 };
        (from, to, passed)
    }

    fn anneal(&self, from: f64, to: f64, passed: f64) -> f64 {
        if self.linear {
            return (to - from) * passed + from;
        }
        to + (from - to) / 2.0 * ((PI * passed).cos() + 1.0)
    }

    fn rate(&self, step: u64, group: usize) -> f64 {
        let max = self.max_lr.of(group);
        let level = |level| match level {
            Level::Initial => max / self.div_factor,
            Level::Max => max,
            Level::Min => max / self.div_factor / self.final_div_factor,
        };
        let (from, to, passed) = self.phase(step);
        self.anneal(level(from), level(to), passed)
    }
}

impl Schedule for OneCycleLr {
    fn first(&self, group: usize, _: f64) -> f64 {
        self.rate(0, group)
    }

    fn next(&self, step: u64, group: usize, _: f64, _: f64) -> f64 {
        self.rate(step, group)
    }

    fn momentum(&self, step: u64, group: usize) -> Option<f64> {
        if !self.cycle_momentum {
            return None;
        }
        let (base, max) = (self.base_momentum.of(group), self.max_momentum.of(group));
        let level = |level| if level == Level::Max { base } else { max };
        let (from, to, passed) = self.phase(step);
        Some(self.anneal(level(from), level(to), passed))
    }

    fn check(&self, step: u64, groups: usize) -> Result<()> {
        const NAME: &str = "OneCycleLR";
        if step > self.total_steps || self.total_steps == 0 {
            return Err(value_error(format!("{NAME}: step {step} of a schedule of {} steps", self.total_steps)));
        }
        self.max_lr.check(NAME, "max_lr", groups)?;
        self.base_momentum.check(NAME, "base_momentum", groups)?;
        self.max_momentum.check(NAME, "max_momentum", groups)?;
        check_range(NAME, "pct_start", self.pct_start, &SWITCH)?;
        check_range(NAME, "div_factor", self.div_factor, &(f64::MIN_POSITIVE..f64::INFINITY))?;
        check_range(NAME, "final_div_factor", self.final_div_factor, &(f64::MIN_POSITIVE..f64::INFINITY))?;
        for group in 0..groups {
            check_range(NAME, "max_lr", self.max_lr.of(group), &NOT_NEGATIVE)?;
            check_range(NAME, "base_momentum", self.base_momentum.of(group), &FRACTION)?;
            check_range(NAME, "max_momentum", self.max_momentum.of(group), &FRACTION)?;
        }
        Ok(())
    }
}
