//! The training step of any network.

use wengert::{Tensor, scope};
use wengert_optim::{Algorithm, Optimizer};

use super::{CHECKED_STEPS, Program, Results};
use crate::arrays::Array;

/// The learning rate of every network: small, so that thousands of steps stay harmless.
pub const RATE: f64 = 1e-3;

/// A program whose step is the gradient of `loss` and one of the optimiser's steps.
pub fn train<A: Algorithm + 'static>(
    mut optimizer: Optimizer<f32, A>,
    loss: impl Fn() -> Tensor + Clone + 'static,
) -> Program {
    let (mut checked, checked_loss) = (optimizer.clone(), loss.clone());
    let check = move || {
        let parameters: Vec<Tensor> = checked.params().collect();
        let value = scope(|| {
            let value = checked_loss();
            value.backward();
            value.item()
        });
        let gradient = |p: &Tensor| Array::of(p.grad().expect("every parameter is used"));
        let gradients = [Array::scalar(value)].into_iter().chain(parameters.iter().map(gradient)).collect();
        checked.zero_grad();
        for _ in 0..CHECKED_STEPS {
            step(&mut checked, &checked_loss);
        }
        Results { gradients, parameters: parameters.into_iter().map(Array::of).collect() }
    };
    Program { step: Box::new(move || step(&mut optimizer, &loss)), check: Box::new(check) }
}

fn step<A: Algorithm>(optimizer: &mut Optimizer<f32, A>, loss: &impl Fn() -> Tensor) {
    scope(|| loss().backward());
    optimizer.step();
    optimizer.zero_grad();
}
