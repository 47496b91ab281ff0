//! Steps allocate nothing and leave nothing on the tape.

#[path = "../../../wengert/tests/common/counting.rs"]
mod counting;

use counting::allocations;
use wengert::{Tensor, Tensor64, memory};
use wengert_optim::{
    Adagrad, Adam, AdamW, Algorithm, CosineAnnealingLr, Optimizer, RmsProp, Schedule, Sgd, clip_grad_norm,
};

/// Clips, steps and schedules 100 times after the second.
fn check<E: wengert::FloatElement, A: Algorithm>(mut optimizer: Optimizer<E, A>) {
    optimizer.params().for_each(|param| (param * param).sum().backward());
    let mut schedule = CosineAnnealingLr::new(1000).attach(&mut optimizer);
    let mut train = || {
        clip_grad_norm(optimizer.params(), 10.0);
        optimizer.step();
        schedule.step(&mut optimizer);
    };
    train();
    train();
    let before = memory::stats();
    let found = allocations(|| (0..100).for_each(|_| train()));
    assert_eq!(found, 0, "{} allocates", A::NAME);
    assert_eq!(memory::stats(), before, "{} leaves something on the tape", A::NAME);
}

#[test]
fn steps_allocate_nothing() {
    assert_ne!(allocations(|| drop(std::hint::black_box(vec![1]))), 0, "the allocator counts");
    // The second parameter is strided.
    let params = || {
        let turned = Tensor::randn([3, 50]).t();
        [Tensor::ones([70, 3]).requires_grad_(true), turned.requires_grad_(true)]
    };
    check(Sgd::new(params(), 0.1));
    check(Sgd::new(params(), 0.1).momentum(0.9).nesterov(true));
    check(Adam::new(params(), 0.1));
    check(Adam::new(params(), 0.1).amsgrad(true));
    check(AdamW::new([Tensor64::ones([9]).requires_grad_(true)], 0.1));
    check(RmsProp::new(params(), 0.1).centered(true).momentum(0.9));
    check(Adagrad::new(params(), 0.1));
}
