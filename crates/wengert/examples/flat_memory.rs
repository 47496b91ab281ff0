//! 10,000 training steps with flat memory: what each step records is forgotten at the end of its `scope`.
//!
//! Prints the loss, the bytes that the tape has reserved, and the process's resident memory (on Linux) every 1,000 steps.

use wengert::{Tensor, manual_seed, memory, no_grad, scope};

/// What is known after a step.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Counted from 1.
    pub step: usize,
    /// Before the step.
    pub loss: f32,
    /// Bytes that the tape has reserved.
    pub reserved: usize,
    /// Bytes of the process in memory, where the system tells.
    pub resident: Option<usize>,
}

/// The second column of `/proc/self/statm`, in pages of 4,096 bytes; `None` where there is none.
fn resident() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(4096 * statm.split_whitespace().nth(1)?.parse::<usize>().ok()?)
}

/// Fits a network to a sine, and calls `report` every 1,000 steps.
pub fn run(steps: usize, mut report: impl FnMut(Progress)) {
    manual_seed(7);
    let x = Tensor::linspace(-3.0, 3.0, 32).reshape([32, 1]);
    let y = x.sin();
    let leaf = |w: Tensor| w.detach().requires_grad_(true);
    let params @ [w1, b1, w2, b2] = [
        leaf(Tensor::randn([1, 16])),
        leaf(Tensor::zeros(16)),
        leaf(Tensor::randn([16, 1]) * 0.25),
        leaf(Tensor::zeros(1)),
    ];
    for step in 1..=steps {
        let loss = scope(|| {
            let error = (x.matmul(w1) + b1).tanh().matmul(w2) + b2 - y;
            let loss = (error * error).mean();
            loss.backward();
            loss.item()
        });
        no_grad(|| {
            for w in params {
                w.sub_(0.05 * w.grad().expect("backward was called"));
                w.zero_grad();
            }
        });
        if step % 1000 == 0 {
            report(Progress { step, loss, reserved: memory::stats().reserved, resident: resident() });
        }
    }
}

fn main() {
    println!("  step      loss  reserved by the tape  resident memory");
    run(10_000, |Progress { step, loss, reserved, resident }| {
        let resident = resident.map_or("unknown".to_string(), |bytes| format!("{} KiB", bytes >> 10));
        println!("{step:>6}  {loss:.6}  {:>16} KiB  {resident:>15}", reserved >> 10);
    });
}
