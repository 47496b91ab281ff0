//! A chain of 10,000,000 operations, forward and backward: nothing recurses.

use std::time::Instant;

use wengert::{Tensor64, memory, scope};

/// The derivatives of `x w w .. w`, with `ops` multiplications, at 1: by `x` it is 1, by `w` it is `ops`.
pub fn run(ops: usize) -> (f64, f64) {
    scope(|| {
        let leaf = || Tensor64::scalar(1.0).requires_grad_(true);
        let (x, w) = (leaf(), leaf());
        let start = Instant::now();
        let mut y = x;
        for _ in 0..ops {
            y *= w;
        }
        let (recorded, stats) = (start.elapsed(), memory::stats());
        y.backward();
        let swept = start.elapsed() - recorded;
        println!("{ops} operations: {recorded:.2?} forward, {swept:.2?} backward, {} MiB", stats.reserved >> 20);
        let gradient = |x: Tensor64| x.grad().expect("part of the chain").item();
        (gradient(x), gradient(w))
    })
}

fn main() {
    let (by_x, by_w) = run(10_000_000);
    println!("derivatives: {by_x} by x, {by_w} by w");
}
