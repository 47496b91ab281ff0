//! From the second step on, training allocates nothing, and what happens without memory: a binary of its own, because its allocator counts.

#[path = "common/counting.rs"]
mod counting;
#[path = "alloc/short.rs"]
mod short;

use counting::{allocations, live};
use wengert::{IndexTensor, Scope, Tensor, Tensor64, memory, no_grad, scope};
use wengert_optim::Adam;

/// Runs two steps, then 100 that must not allocate or reserve memory.
fn check(mut step: impl FnMut()) {
    step();
    step();
    let reserved = memory::stats().reserved;
    assert_eq!(allocations(|| (0..100).for_each(|_| step())), 0, "allocations in 100 steps");
    assert_eq!(memory::stats().reserved, reserved);
}

#[test]
fn the_allocator_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1]))), 1);
}

#[test]
fn trim_gives_back_what_the_tape_and_its_sweeps_keep() {
    memory::trim();
    let before = live();
    scope(|| {
        let w = Tensor64::scalar(1.0).requires_grad_(true);
        (0..100_000).fold(w, |x, _| x * w).backward();
    });
    let kept = live() - before;
    assert!(kept > 100_000 * 32, "{kept} bytes are kept for the next step");
    memory::trim();
    let left = live() - before;
    assert!(left < 100_000, "{left} bytes are left");
}

/// Leaves of a network of two layers.
fn parameters(sizes: [usize; 3]) -> [Tensor; 4] {
    let [a, b, c] = sizes;
    [Tensor::randn([a, b]), Tensor::zeros(b), Tensor::randn([b, c]), Tensor::zeros(c)].map(|w| w.requires_grad_(true))
}

#[test]
fn a_network_with_updates_by_hand() {
    let params @ [w1, b1, w2, b2] = parameters([8, 16, 2]);
    let (x, y) = (Tensor::randn([32, 8]), Tensor::randn([32, 2]));
    check(|| {
        let loss = scope(|| {
            let hidden = (x.matmul(w1) + b1).tanh();
            let error = hidden.matmul(w2) + b2 - y;
            let loss = (error * error).mean();
            loss.backward();
            loss.item()
        });
        assert!(loss.is_finite());
        no_grad(|| {
            for w in params {
                w.sub_(0.01 * w.grad().expect("backward was called"));
                w.zero_grad();
            }
        });
    });
}

#[test]
fn a_classifier_with_an_optimiser_and_tensors_that_leave_the_scope() {
    let params @ [w1, b1, w2, b2] = parameters([8, 16, 10]);
    let (x, labels) = (Tensor::randn([32, 8]), IndexTensor::randint(0, 10, 32));
    let mut optimiser = Adam::new(params, 1e-3);
    check(|| {
        let _step = Scope::enter();
        let (loss, logits) = scope(|| {
            let logits = (x.matmul(w1) + b1).relu().matmul(w2) + b2;
            let loss = logits.cross_entropy(labels);
            loss.backward();
            (loss, logits)
        });
        assert!(loss.is_finite().item() && logits.dim() == 2);
        optimiser.step();
        optimiser.zero_grad();
    });
}

#[test]
fn views_masks_and_writes_in_place() {
    let w = Tensor64::randn([6, 4]).requires_grad_(true);
    check(|| {
        scope(|| {
            let y = w.t().matmul(w) * 0.5;
            y.select(0, 1).mul_(2.0);
            let y = y.gt(0.0).where_(y.exp(), 1.0 - y);
            let z = y.reshape([2, 8]).slice(1, 0, 8, 2).permute([1, 0]).expand([3, 4, 2])
                + w.narrow(1, 0, 1).narrow(0, 0, 4);
            z.square().sum_dims([0, 2], true).clamp(-1e3, 1e3).sum().backward();
            w.grad().expect("backward was called").sum();
        });
        w.zero_grad();
    });
}

#[test]
fn gradients_of_gradients() {
    let w = Tensor64::randn(16).requires_grad_(true);
    check(|| {
        scope(|| {
            (w * w * w).sum().backward_create_graph();
            w.grad().expect("backward was called").square().sum().backward();
        });
        w.zero_grad();
    });
}

#[test]
fn scalars() {
    let (a, b) = (Tensor64::scalar(0.5).requires_grad_(true), Tensor64::scalar(0.25).requires_grad_(true));
    check(|| {
        scope(|| {
            let mut x = a;
            for _ in 0..1000 {
                x = (x * b + 1.0).sin();
            }
            x.backward();
        });
        a.zero_grad();
        b.zero_grad();
    });
}
