//! Panics in user code, guards in any order, deep nesting: the tape stays usable and its modes are restored.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use wengert::{
    EnableGrad, ErrorKind, Escape, NoGrad, Scope, ScopeExit, Tensor, Tensor64, enable_grad, is_grad_enabled, jvp,
    memory, no_grad, scope,
};

use super::bad_input::panic_of;

/// An `Escape` that panics.
struct Panics(Tensor);
impl Escape for Panics {
    fn escape(self, exit: &mut ScopeExit) -> Self {
        _ = self.0.escape(exit);
        panic!("of the user")
    }
}

/// Code of a user that fails after it has recorded something.
fn fail(x: Tensor) -> Tensor {
    panic!("of the user, with {} elements", x.numel())
}

#[test]
fn a_panic_in_user_code_restores_the_scope_and_its_mode() {
    let w = Tensor::new([1.0, 2.0]).requires_grad_(true);
    w.sum().backward();
    type Row = (&'static str, fn(Tensor));
    let rows: &[Row] = &[
        ("scope", |w| _ = scope(|| fail(w * 2.0))),
        ("scopes", |w| scope(|| scope(|| _ = scope(|| fail(w * 2.0))))),
        ("no_grad", |w| _ = no_grad(|| fail(w * 2.0))),
        ("enable_grad in no_grad", |w| no_grad(|| _ = enable_grad(|| fail(w * 2.0)))),
        ("guards", |w| {
            let _guards = (Scope::enter(), NoGrad::enter(), EnableGrad::enter());
            fail(w * 2.0);
        }),
        ("jvp", |w| _ = jvp(|x| fail(x * 2.0), w, w.detach())),
        ("with_data", |w| w.with_data(|_| panic!("of the user"))),
        ("with_data of a view", |w| w.expand([3, 2]).with_data(|_| panic!("of the user"))),
        ("update", |w| _ = w.update(|_, _| panic!("of the user"))),
        ("with_grad", |w| _ = w.with_grad(|_| panic!("of the user"))),
        ("escape", |w| _ = scope(|| Panics(w * 2.0)).0),
        ("a constructor's iterator", |_| _ = Tensor::from_iter([1.0].into_iter().map(|_| panic!("of the user")))),
        ("a refused operation in a scope", |w| no_grad(|| _ = (w * 2.0, w + Tensor::zeros(3)))),
    ];
    for &(name, run) in rows {
        let (depth, gradient) = (memory::stats().depth, w.grad().map(|grad| grad.to_vec()));
        panic_of(|| run(w));
        assert!(is_grad_enabled(), "{name}");
        assert_eq!((memory::stats().depth, w.grad().map(|grad| grad.to_vec())), (depth, gradient), "{name}");
        let (y, slope) = scope(|| {
            let x = Tensor::new([3.0]).requires_grad_(true);
            (x * x).sum().backward();
            (w.sum().item(), x.grad().expect("backward was called").item())
        });
        assert_eq!((y, slope), (3.0, 6.0), "{name}");
    }
}

#[test]
fn the_tape_is_busy_while_its_elements_are_lent() {
    let w = Tensor::new([1.0, 2.0]).requires_grad_(true);
    let error = w.with_data(|_| w.try_add(1.0)).expect_err("an operation inside of `with_data`");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(
        error.to_string(),
        "the tape is in use: inside of `with_data`, no tensor operation can run; copy the elements out with `to_vec`"
    );
    let guard = Scope::enter();
    let (text, _) = panic_of(|| w.with_data(|_| drop(guard)));
    assert_eq!(text, error.to_string(), "a scope that could not end says so");
    assert_eq!((w + 1.0).to_vec(), [2.0, 3.0]);
}

#[test]
fn scopes_nest_a_thousand_deep() {
    fn descend(depth: usize, x: Tensor64) -> Tensor64 {
        if depth == 0 { x } else { scope(|| descend(depth - 1, x + 1.0)) }
    }
    let before = memory::stats();
    let y = scope(|| {
        let y = descend(1000, Tensor64::scalar(0.0));
        y.item()
    });
    assert_eq!(y, 1000.0);
    assert_eq!(memory::stats().entries, before.entries);
    let guards: Vec<Scope> = (0..1000).map(|_| Scope::enter()).collect();
    let x = Tensor64::scalar(2.0).requires_grad_(true);
    (x * x).backward();
    assert_eq!((x.grad().expect("backward was called").item(), memory::stats().depth), (4.0, before.depth + 1000));
    // Front to back: the first one ends all.
    drop(guards);
    assert_eq!(memory::stats().depth, before.depth);
}

#[test]
fn guards_end_their_own_scope_in_whatever_order_they_are_dropped() {
    let depth = || memory::stats().depth;
    let start = depth();
    let (outer, inner) = (Scope::enter(), NoGrad::enter());
    assert!(!is_grad_enabled());
    drop(outer);
    assert!(is_grad_enabled(), "ending the outer scope ends the inner one");
    assert_eq!(depth(), start);
    let younger = Scope::enter();
    let x = Tensor::scalar(1.0);
    drop(inner);
    assert!(x.is_alive(), "a guard whose scope has ended does not end a younger one");
    drop(younger);
    assert!(!x.is_alive());

    // Forgotten guards end with the scope around them.
    let (y, z) = scope(|| {
        let y = Tensor::scalar(2.0);
        std::mem::forget(NoGrad::enter());
        let z = Tensor::scalar(3.0);
        assert_eq!(depth(), start + 2);
        (y, z.item())
    });
    assert_eq!((y.item(), z, depth(), is_grad_enabled()), (2.0, 3.0, start, true));

    // A scope that was ended from inside, by an outer guard, gives plain values and refuses tensors.
    let guard = Scope::enter();
    let value = scope(move || {
        drop(guard);
        7
    });
    assert_eq!((value, depth()), (7, start));
    let guard = Scope::enter();
    let (text, _) = panic_of(|| {
        scope(move || {
            drop(guard);
            Tensor::scalar(1.0)
        });
    });
    assert!(text.starts_with("escape: the scope that ends must be the innermost one"), "{text}");
    assert_eq!(depth(), start);
}

/// An `Escape` that lets its tensor escape from a scope of its own, which ends before the tensor has moved.
struct Opens;
impl Escape for Opens {
    fn escape(self, exit: &mut ScopeExit) -> Self {
        scope(|| Tensor::scalar(1.0).escape(exit).item());
        self
    }
}

/// An `Escape` that ends the scope which its tensor moves to.
struct Ends(Option<Scope>, Tensor);
impl Escape for Ends {
    fn escape(mut self, exit: &mut ScopeExit) -> Self {
        let moved = self.1.escape(exit);
        self.0.take();
        Ends(None, moved)
    }
}

#[test]
fn an_escape_that_changes_the_scopes_is_refused() {
    let start = memory::stats().depth;
    let (text, _) = panic_of(|| _ = scope(|| Opens));
    assert!(text.starts_with("escape: the scope that ends must be the innermost one"), "{text}");
    let (text, _) = panic_of(|| {
        let parent = Scope::enter();
        scope(move || Ends(Some(parent), Tensor::scalar(1.0))).1.item();
    });
    assert!(text.contains("`Escape::escape` must not end scopes that it did not open"), "{text}");
    assert_eq!(memory::stats().depth, start);
    assert_eq!(scope(|| Tensor::scalar(2.0)).item(), 2.0);
}

#[test]
fn tensors_escape_in_every_container() {
    fn check<T: Escape>(wrap: impl FnOnce(Tensor) -> T, unwrap: impl FnOnce(T) -> Tensor) {
        let outer = Scope::enter();
        let x = unwrap(scope(|| wrap(Tensor::new([1.0, 2.0]) * 2.0)));
        let others = Tensor::zeros(100);
        assert_eq!((x.to_vec(), others.numel()), (vec![2.0, 4.0], 100));
        drop(outer);
        assert!(!x.is_alive());
    }
    check(|x| x, |x| x);
    check(|x| (x,), |(x,)| x);
    check(|x| (1, "a", x), |(_, _, x)| x);
    check(|x| (0u8, 1i64, 2.0f32, 'c', true, (), String::new(), x), |(.., x)| x);
    check(|x| [x, x + 1.0], |[x, _]| x);
    check(|x| vec![x], |x| x[0]);
    check(|x| VecDeque::from([x]), |x| x[0]);
    check(|x| HashMap::from([("x", x)]), |x| x["x"]);
    check(|x| BTreeMap::from([(Duration::ZERO, x)]), |x| x[&Duration::ZERO]);
    check(Box::new, |x| *x);
    check(Some, |x| x.expect("some"));
    check(Ok::<Tensor, wengert::Error>, |x| x.expect("ok"));
    check(Err::<std::io::Error, _>, |x| x.expect_err("err"));
    check(|x| vec![Some((Box::new([x]), x.shape()))], |x| x[0].as_ref().expect("some").0[0]);
}

#[test]
fn what_escapes_is_a_leaf_that_requires_a_gradient_if_it_was_one() {
    let outer = Tensor::scalar(5.0).requires_grad_(true);
    let (leaf, computed, same, view) = scope(|| {
        let leaf = Tensor::new([1.0, 2.0]).requires_grad_(true);
        (leaf, leaf * 2.0, outer, leaf.slice(0, 1, 2, 1))
    });
    assert!(leaf.requires_grad() && leaf.is_leaf() && leaf.grad().is_none());
    assert!(!computed.requires_grad() && computed.is_leaf() && !view.requires_grad());
    assert!(same.is(outer));
    assert_eq!((leaf.to_vec(), computed.to_vec(), view.to_vec()), (vec![1.0, 2.0], vec![2.0, 4.0], vec![2.0]));
    (leaf * computed).sum().backward();
    assert_eq!(leaf.grad().expect("backward was called").to_vec(), [2.0, 4.0]);
}

#[test]
fn a_gradient_with_a_history_and_one_without_add_up() {
    let w = Tensor64::scalar(3.0).requires_grad_(true);
    let gradient = || w.grad().expect("backward was called").item();
    (w * w).backward_create_graph();
    assert_eq!(gradient(), 6.0);
    (w * w).backward();
    assert_eq!(gradient(), 12.0);
    (w * w).backward_create_graph();
    assert_eq!(gradient(), 18.0);
}

#[test]
fn a_gradient_that_was_used_and_then_added_to_is_noticed() {
    for again in [Tensor64::backward as fn(Tensor64), Tensor64::backward_create_graph] {
        let w = Tensor64::scalar(3.0).requires_grad_(true);
        (w * w).backward();
        let g = w.grad().expect("backward was called");
        let z = g * w;
        again(w * w);
        assert_eq!(z.try_backward().expect_err("`g` is another value now").kind(), ErrorKind::InPlace);
    }
}

#[test]
fn a_sweep_that_fails_half_way_leaves_every_gradient_as_it_was() {
    let (v, w) = (Tensor64::scalar(2.0).requires_grad_(true), Tensor64::scalar(3.0).requires_grad_(true));
    (w * 5.0).backward();
    let spoilt = v * v;
    let z = w * w + spoilt * spoilt;
    no_grad(|| spoilt.zero_());
    assert_eq!(z.try_backward().expect_err("a value that is needed was overwritten").kind(), ErrorKind::InPlace);
    assert!(v.grad().is_none());
    assert_eq!(w.grad().expect("backward was called").item(), 5.0);
    (v * w).backward();
    assert_eq!((v.grad().expect("now").item(), w.grad().expect("more").item()), (3.0, 7.0));
}
