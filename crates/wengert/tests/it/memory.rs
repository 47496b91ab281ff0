//! How much the tape holds: flat in loops, deep without recursion, limited by a budget.

use wengert::{ErrorKind, Tensor, Tensor64, memory, no_grad, scope};

#[allow(dead_code, reason = "the example's `main`")]
#[path = "../../examples/long_chain.rs"]
mod long_chain;

#[test]
fn a_chain_of_a_million_operations_is_differentiated() {
    // The example runs ten million.
    assert_eq!(long_chain::run(1_000_000), (1.0, 1e6));
}

#[test]
fn a_loop_that_only_computes_is_flat_with_parameters_that_are_tracked() {
    let w = Tensor::randn([16, 16]).requires_grad_(true);
    let x = Tensor::randn([4, 16]);
    let step = |mode: fn(Tensor, Tensor) -> f32| {
        (0..10).for_each(|_| _ = mode(x, w));
        let before = memory::stats();
        (0..2000).for_each(|_| _ = mode(x, w));
        assert_eq!(memory::stats(), before);
    };
    step(|x, w| no_grad(|| x.matmul(w).tanh().sum().item()));
    step(|x, w| scope(|| x.matmul(w).tanh().sum().item()));
}

#[test]
fn gradients_that_are_looked_at_and_forgotten_take_no_memory_of_the_outer_scope() {
    let w = Tensor::randn(8).requires_grad_(true);
    let step = || {
        scope(|| {
            (w * w).sum().backward();
            assert_eq!(w.grad().expect("backward was called").numel(), 8);
        });
        w.zero_grad();
    };
    step();
    let before = memory::stats();
    (0..1000).for_each(|_| step());
    assert_eq!(memory::stats(), before);
}

#[test]
fn a_tape_that_only_grows_meets_its_budget_and_recovers() {
    let w = Tensor64::ones(100).requires_grad_(true);
    memory::set_budget(Some(1 << 20));
    let mut x = w;
    let error = loop {
        match x.try_mul(w) {
            Ok(next) => x = next,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Memory);
    let text = error.to_string();
    assert!(text.starts_with("the tape: ") && text.contains("would exceed its budget of 1048576 ("), "{text}");
    assert!(text.ends_with("are reserved); wrap the step in `scope` so that its memory is reused"), "{text}");
    let full = memory::stats();
    assert!(full.reserved <= 1 << 20 && full.used <= full.reserved, "{full:?}");
    // A backward that does not fit is refused as a whole, too.
    memory::set_budget(Some(full.reserved));
    let refused = x.try_sum_dims((), false).and_then(|sum| sum.try_backward());
    if let Err(error) = refused {
        assert_eq!(error.kind(), ErrorKind::Memory);
        assert!(w.grad().is_none());
    }
    memory::set_budget(None);
    w.zero_grad();
    scope(|| x.sum().backward());
    assert!(w.grad().expect("the limit was lifted").to_vec()[0] > 100.0);
}

#[test]
fn a_loop_in_a_scope_stays_within_the_budget_that_it_needs() {
    let w = Tensor64::ones(100).requires_grad_(true);
    let step = || scope(|| (0..10).fold(w, |x, _| x * w).sum().backward());
    step();
    step();
    memory::set_budget(Some(memory::stats().reserved));
    (0..100).for_each(|_| step());
    memory::set_budget(None);
}

#[test]
fn the_entries_count_and_memory_of_closed_scopes_can_be_given_back() {
    let before = memory::stats();
    scope(|| {
        let x = Tensor::zeros(1 << 16);
        let inner = memory::stats();
        assert_eq!((inner.entries, inner.depth), (before.entries + 1, before.depth + 1));
        assert!(inner.used >= before.used + (4 << 16) && inner.reserved >= inner.used, "{inner:?}");
        (0..5000).for_each(|_| _ = x.narrow(0, 0, 1));
    });
    let after = memory::stats();
    assert_eq!((after.entries, after.used, after.depth), (before.entries, before.used, before.depth));
    assert!(after.high_water >= before.used + (4 << 16), "{after:?}");
    memory::trim();
    let trimmed = memory::stats();
    assert!(trimmed.reserved + (4 << 16) <= after.reserved && trimmed.high_water < after.high_water, "{trimmed:?}");
}
