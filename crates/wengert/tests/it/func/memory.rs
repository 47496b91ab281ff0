//! What transforms leave on the tape: nothing, or what has to be differentiated on.

use wengert::func::{grad, jvp, linearize, vjp};
use wengert::{Tensor64, memory, scope};

use super::{INNER, point};

#[test]
fn a_transform_leaves_its_results_only() {
    let x = point();
    for &(name, inner) in INNER {
        let before = memory::stats();
        let g = grad(|x| inner(x).sum(), x);
        let after = memory::stats();
        assert_eq!((after.entries, after.depth), (before.entries + 1, before.depth), "{name}");
        let _ = jvp(inner, g, x);
        // The value and its tangent.
        assert_eq!(memory::stats().entries, after.entries + 2, "{name}");
    }
}

#[test]
fn memory_is_flat_when_scopes_become_part_of_others() {
    let w = point().requires_grad_(true);
    let step = || {
        scope(|| {
            let mut total = Tensor64::scalar(0.0);
            for _ in 0..5 {
                total += grad(|x| grad(|y| (w * x * y).sin().sum(), x).square().sum(), point()).sum();
                let (_, pullback) = vjp(|x| x * w, point());
                let (_, pushforward) = linearize(|x| x * w, pullback.call(w));
                total += pushforward.call(w).sum();
            }
            total.backward();
        });
        memory::stats()
    };
    // Memory of scopes goes from hand to hand, until every piece is as large as the largest need for one.
    (0..50).for_each(|_| _ = step());
    let first = step();
    for _ in 0..100 {
        assert_eq!(step(), first);
    }
    memory::trim();
    assert!(memory::stats().reserved < first.reserved);
    step();
}
