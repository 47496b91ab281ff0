//! Schedules without a memory.

use std::f64::consts::PI;

use wengert::Result;

use super::{Schedule, settings};
use crate::options::{SWITCH, check_range, value_error};

/// Multiplies the rate by `gamma` every `step_size` steps.
#[derive(Clone, Debug)]
pub struct StepLr {
    step_size: u64,
    gamma: f64,
}

impl StepLr {
    /// Every `step_size` steps, 1 or more, by 0.1.
    pub fn new(step_size: u64) -> Self {
        Self { step_size, gamma: 0.1 }
    }
}

settings! { StepLr:
    /// The factor. By default 0.1.
    gamma: f64,
}

impl Schedule for StepLr {
    fn first(&self, _: usize, lr: f64) -> f64 {
        lr
    }

    fn next(&self, step: u64, _: usize, lr: f64, _: f64) -> f64 {
        if step.is_multiple_of(self.step_size) { lr * self.gamma } else { lr }
    }

    fn check(&self, _: u64, _: usize) -> Result<()> {
        at_least_one("StepLR", "step_size", self.step_size)
    }
}

/// Multiplies the rate by `gamma` at each of some steps.
#[derive(Clone, Debug)]
pub struct MultiStepLr {
    milestones: Vec<u64>,
    gamma: f64,
}

impl MultiStepLr {
    /// At `milestones`, in any order, by 0.1; twice at one that is named twice.
    pub fn new(milestones: impl Into<Vec<u64>>) -> Self {
        Self { milestones: milestones.into(), gamma: 0.1 }
    }

    fn factor(&self, step: u64) -> f64 {
        let times = self.milestones.iter().filter(|&&milestone| milestone == step).count();
        self.gamma.powi(times as i32)
    }
}

settings! { MultiStepLr:
    /// The factor. By default 0.1.
    gamma: f64,
}

impl Schedule for MultiStepLr {
    fn first(&self, _: usize, lr: f64) -> f64 {
        lr * self.factor(0)
    }

    fn next(&self, step: u64, _: usize, lr: f64, _: f64) -> f64 {
        lr * self.factor(step)
    }
}

/// Multiplies the rate by a factor at every step.
#[derive(Clone, Debug)]
pub struct ExponentialLr {
    gamma: f64,
}

impl ExponentialLr {
    /// By `gamma`.
    pub fn new(gamma: f64) -> Self {
        Self { gamma }
    }
}

impl Schedule for ExponentialLr {
    fn first(&self, _: usize, lr: f64) -> f64 {
        lr
    }

    fn next(&self, _: u64, _: usize, lr: f64, _: f64) -> f64 {
        lr * self.gamma
    }
}

/// Lowers the rate along half a cosine wave: `eta_min + (initial - eta_min) · (1 + cos(π · step / t_max)) / 2`. After `t_max` steps
/// it rises again.
///
/// Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, equation 5; the restarts are left out.
#[derive(Clone, Debug)]
pub struct CosineAnnealingLr {
    t_max: u64,
    eta_min: f64,
}

impl CosineAnnealingLr {
    /// From the initial rate to 0 in `t_max` steps, 1 or more.
    pub fn new(t_max: u64) -> Self {
        Self { t_max, eta_min: 0.0 }
    }
}

settings! { CosineAnnealingLr:
    /// The lowest rate. By default 0.
    eta_min: f64,
}

impl Schedule for CosineAnnealingLr {
    fn first(&self, _: usize, lr: f64) -> f64 {
        lr
    }

    fn next(&self, step: u64, _: usize, lr: f64, initial: f64) -> f64 {
        let height = |step: u64| 1.0 + (PI * step as f64 / self.t_max as f64).cos();
        // After the lowest point the ratio of two heights says nothing.
        if (step - 1) % (2 * self.t_max) == self.t_max {
            return lr + (initial - self.eta_min) * (1.0 - (PI / self.t_max as f64).cos()) / 2.0;
        }
        height(step) / height(step - 1) * (lr - self.eta_min) + self.eta_min
    }

    fn check(&self, _: u64, _: usize) -> Result<()> {
        at_least_one("CosineAnnealingLR", "t_max", self.t_max)
    }
}

/// Multiplies the rate by a factor that changes linearly, then stays.
#[derive(Clone, Debug)]
pub struct LinearLr {
    start_factor: f64,
    end_factor: f64,
    total_iters: u64,
}

impl LinearLr {
    /// From `start_factor`, above 0, to 1 in `total_iters` steps. PyTorch's defaults are 1/3 and 5.
    pub fn new(start_factor: f64, total_iters: u64) -> Self {
        Self { start_factor, end_factor: 1.0, total_iters }
    }
}

settings! { LinearLr:
    /// The last factor, from 0 to 1. By default 1.
    end_factor: f64,
}

impl Schedule for LinearLr {
    fn first(&self, _: usize, lr: f64) -> f64 {
        lr * self.start_factor
    }

    fn next(&self, step: u64, _: usize, lr: f64, _: f64) -> f64 {
        if step > self.total_iters {
            return lr;
        }
        let slope = self.end_factor - self.start_factor;
        lr * (1.0 + slope / (self.total_iters as f64 * self.start_factor + (step - 1) as f64 * slope))
    }

    fn check(&self, _: u64, _: usize) -> Result<()> {
        check_range("LinearLR", "start_factor", self.start_factor, &(f64::MIN_POSITIVE..=1.0))?;
        check_range("LinearLR", "end_factor", self.end_factor, &SWITCH)
    }
}

/// One schedule after the other, each beginning anew from the initial rate.
///
/// ```
/// use wengert::Tensor;
/// use wengert_optim::{AdamW, CosineAnnealingLr, Schedule, SequentialLr};
///
/// let mut adam = AdamW::new([Tensor::ones([2])], 0.1);
/// // 10 steps of warm-up, then 90 along a cosine.
/// let mut schedule = SequentialLr::warm_up(0.01, 10, CosineAnnealingLr::new(90)).attach(&mut adam);
/// assert_eq!(adam.groups()[0].options.lr, 0.001);
/// (0..10).for_each(|_| schedule.step(&mut adam));
/// assert_eq!(adam.groups()[0].options.lr, 0.1);
/// (0..90).for_each(|_| schedule.step(&mut adam));
/// assert_eq!(adam.groups()[0].options.lr, 0.0);
/// ```
pub struct SequentialLr {
    schedules: Vec<Box<dyn Schedule>>,
    milestones: Vec<u64>,
}

impl SequentialLr {
    /// `schedules[k + 1]` takes over at step `milestones[k]`; milestones rise.
    pub fn new(schedules: Vec<Box<dyn Schedule>>, milestones: impl Into<Vec<u64>>) -> Self {
        Self { schedules, milestones: milestones.into() }
    }

    /// A linear warm-up from `start_factor` times the rate in `steps` steps, then `schedule`. Goyal et al., "Accurate, Large Minibatch
    /// SGD: Training ImageNet in 1 Hour", 2017, section 2.2.
    pub fn warm_up(start_factor: f64, steps: u64, schedule: impl Schedule + 'static) -> Self {
        Self::new(vec![Box::new(LinearLr::new(start_factor, steps)), Box::new(schedule)], [steps])
    }

    /// The schedule in charge after `step` steps, and the step at which it took over.
    fn at(&self, step: u64) -> (&dyn Schedule, u64) {
        let passed = self.milestones.partition_point(|&milestone| milestone <= step);
        (&*self.schedules[passed], passed.checked_sub(1).map_or(0, |last| self.milestones[last]))
    }
}

impl Schedule for SequentialLr {
    fn first(&self, group: usize, lr: f64) -> f64 {
        self.at(0).0.first(group, lr)
    }

    fn next(&self, step: u64, group: usize, lr: f64, initial: f64) -> f64 {
        match self.at(step) {
            (schedule, start) if start == step => schedule.first(group, initial),
            (schedule, start) => schedule.next(step - start, group, lr, initial),
        }
    }

    fn momentum(&self, step: u64, group: usize) -> Option<f64> {
        let (schedule, start) = self.at(step);
        schedule.momentum(step - start, group)
    }

    fn check(&self, step: u64, groups: usize) -> Result<()> {
        if self.schedules.len() != self.milestones.len() + 1 || !self.milestones.is_sorted() {
            return Err(value_error(format!(
                "SequentialLR: {} schedules need one milestone less, in rising order, and they are {:?}",
                self.schedules.len(),
                self.milestones
            )));
        }
        if step == 0 {
            self.schedules.iter().try_for_each(|schedule| schedule.check(0, groups))?;
        }
        let (schedule, start) = self.at(step);
        schedule.check(step - start, groups)
    }
}

fn at_least_one(schedule: &str, name: &str, number: u64) -> Result<()> {
    if number >= 1 { Ok(()) } else { Err(value_error(format!("{schedule}: {name} is 0, and must be at least 1"))) }
}
