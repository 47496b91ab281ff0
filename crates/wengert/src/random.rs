//! The thread's random generator.

use std::cell::RefCell;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

thread_local! {
    static GENERATOR: RefCell<Pcg64Mcg> = RefCell::new(Pcg64Mcg::seed_from_u64(DEFAULT_SEED));
}

/// The seed that a thread begins with, so that programs repeat.
const DEFAULT_SEED: u64 = 0;

/// Seeds this thread's generator: the same seed gives the same random tensors, on every machine. Each thread begins as if
/// seeded with 0.
pub fn manual_seed(seed: u64) {
    GENERATOR.with(|generator| *generator.borrow_mut() = Pcg64Mcg::seed_from_u64(seed));
}

/// Runs `f` with the thread's generator.
pub(crate) fn with<R>(f: impl FnOnce(&mut Pcg64Mcg) -> R) -> R {
    GENERATOR.with(|generator| f(&mut generator.borrow_mut()))
}

/// A number from 0 up to but not including 1.
pub(crate) fn uniform(generator: &mut Pcg64Mcg) -> f64 {
    generator.random::<f64>()
}

/// Two independent numbers from the standard normal distribution (Box and Muller 1958, "A Note on the Generation of Random
/// Normal Deviates").
pub(crate) fn normal_pair(generator: &mut Pcg64Mcg) -> (f64, f64) {
    let radius = (-2.0 * (1.0 - uniform(generator)).ln()).sqrt();
    let angle = std::f64::consts::TAU * uniform(generator);
    (radius * angle.cos(), radius * angle.sin())
}

/// An integer from `low` up to but not including `high`.
pub(crate) fn integer(generator: &mut Pcg64Mcg, low: i64, high: i64) -> i64 {
    generator.random_range(low..high)
}

/// Where a generator stands.
pub(crate) type State = Pcg64Mcg;

/// Where this thread's generator stands.
pub(crate) fn state() -> State {
    with(|generator| generator.clone())
}

/// While it lives, this thread's generator repeats what it gave from `state` on; then it goes on as if it had not.
pub(crate) struct Replay {
    after: State,
}

impl Replay {
    pub fn from(state: State) -> Self {
        Self { after: with(|generator| std::mem::replace(generator, state)) }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        with(|generator| std::mem::swap(generator, &mut self.after));
    }
}
