//! Panics of the user's at every place of a program that can have one, long loops, and threads that come and go: no leak, no wrong value,
//! and the tape as it was.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use wengert::func::{grad, jacrev, jvp, vjp};
use wengert::{
    Context, Escape, Function, Result, Scope, ScopeExit, Tensor64, checkpoint, detect_anomaly, is_anomaly_enabled,
    is_grad_enabled, manual_seed, memory, no_grad, scope,
};

type T = Tensor64;

thread_local! {
    /// How many places are passed before one panics.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The payload of a panic that a test injects; it passes by the panic hook, which would print it.
struct Injected;

/// A place at which code of the user's may panic.
fn place<R>(value: R) -> R {
    match LEFT.get().checked_sub(1) {
        None => resume_unwind(Box::new(Injected)),
        Some(left) => LEFT.set(left),
    }
    value
}

/// `x * x` by a function of the user's that holds something to be dropped.
struct Square(Arc<()>);

impl Function<f64> for Square {
    type Inputs = T;
    type Outputs = T;
    type Saved = Kept;
    // What is saved takes no part in the derivative.
    const SAVES_CONSTANTS: bool = true;

    fn forward(&self, x: T) -> Result<(T, Kept)> {
        let y = place(x) * x;
        Ok((place(y), Kept(x + 0.0)))
    }

    fn backward(&self, cx: &Context<'_, f64, Self>, g: T) -> Result<Option<T>> {
        let x = place(cx.inputs()?);
        assert_eq!(cx.saved()?.0.shape(), x.shape());
        assert!(Arc::strong_count(&self.0) > 1);
        Ok(Some(place(g * x) * 2.0))
    }
}

/// A tensor whose escape may panic.
struct Kept(T);
impl Escape for Kept {
    fn escape(self, exit: &mut ScopeExit) -> Self {
        let moved = self.0.escape(exit);
        Self(place(moved))
    }
}

/// Operations, views, writes, scopes and modes, code of the user's of every kind, sweeps of every kind. What it computes.
fn program(w: T, held: &Arc<()>) -> Vec<f64> {
    let mut found = Vec::new();
    let values = (0..6).map(|i| place(f64::from(i) * 0.25));
    // A leaf of its own: a hook on an outer one would outlive the scope, as it should.
    let own = place(T::scalar(0.75).requires_grad_(true));
    let x = place(T::from_iter(values).reshape([2, 3])) * w * own;
    x.with_data(|data| place(data.len()));
    let y = place(x.tanh()) + Square(held.clone()).apply(x);
    place(y.select(0, 1)).mul_(place(2.0));
    let hook = place(y).register_hook(|g| place(Some(place(g) * 1.0)));
    let after = own.register_post_accumulate_grad_hook(|leaf| _ = place(leaf.grad().expect("just added").sum()));
    let z = checkpoint(|y: T| place(place(y.sin()) * y), y);
    let kept = scope(|| Kept(place(z.sum()))).0;
    found.push(place(no_grad(|| place(kept * 2.0))).item());
    let loss = place(detect_anomaly(|| place(z.square()).mean()));
    loss.backward();
    found.extend(place(w.grad().expect("backward was called")).to_vec());
    hook.remove();
    let again = checkpoint(|y: T| place(y.exp()), place(y * 0.1));
    place(again.sum()).backward_create_graph();
    after.remove();
    found.extend(place(w.grad().expect("twice").detach()).to_vec());
    w.zero_grad();
    let f = |x: T| place(place(x.cumsum(0)) * x).sum();
    let point = place(T::linspace(0.5, 1.5, 3));
    found.extend(grad(f, point).to_vec());
    found.extend(jvp(f, point, place(point)).1.to_vec());
    found.extend(jacrev(|x: T| place(Square(held.clone()).apply(x)), point).to_vec());
    let (value, pullback) = vjp(|x: T| place(x.exp()), point);
    found.extend(pullback.call(place(value)).to_vec());
    w.update(|w, _| place(w.len()));
    found
}

/// Runs the program in a scope; `None` if an injected panic ended it.
fn run(w: T, held: &Arc<()>) -> Option<Vec<f64>> {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _scope = Scope::enter();
        program(w, held)
    }));
    match caught {
        Ok(found) => Some(found),
        Err(payload) if payload.is::<Injected>() => None,
        Err(payload) => resume_unwind(payload),
    }
}

#[test]
fn a_panic_at_every_place_of_a_program_loses_nothing() {
    manual_seed(1);
    let held = Arc::new(());
    let w = T::new([0.5, -1.0, 1.5]).requires_grad_(true);
    let expected = run(w, &held).expect("no panic was injected");
    w.zero_grad();
    let before = memory::stats();
    let mut places = 0;
    loop {
        LEFT.set(places);
        let result = run(w, &held);
        LEFT.set(usize::MAX);
        w.zero_grad();
        let after = memory::stats();
        assert_eq!(
            (after.entries, after.used, after.depth),
            (before.entries, before.used, before.depth),
            "place {places}"
        );
        assert!(is_grad_enabled() && !is_anomaly_enabled(), "place {places}");
        assert_eq!(Arc::strong_count(&held), 1, "what the tape held is dropped, place {places}");
        assert_eq!(run(w, &held).as_ref(), Some(&expected), "after a panic at place {places}");
        w.zero_grad();
        if let Some(found) = result {
            assert_eq!(found, expected);
            break;
        }
        places += 1;
    }
    println!("covered: places of a program at which a panic was injected: {places}");
    assert!(places > 50, "{places}");
}

/// Bytes of this process in memory, where the system tells.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(text.split(' ').nth(1)?.parse::<usize>().ok()? * 4096)
}

/// Fails if the process has grown by more than other tests that run beside this one can explain.
fn assert_flat(before: Option<usize>) {
    if let (Some(before), Some(after)) = (before, resident()) {
        assert!(after < before + (256 << 20), "{before} bytes became {after}");
    }
}

#[test]
fn ten_thousand_steps_take_the_memory_of_a_few() {
    let held = Arc::new(());
    let w = T::new([0.5, -1.0, 1.5]).requires_grad_(true);
    let expected = run(w, &held).expect("no panic was injected");
    w.zero_grad();
    for _ in 0..20 {
        _ = run(w, &held);
        w.zero_grad();
    }
    let (before, bytes) = (memory::stats(), resident());
    for step in 0..10_000 {
        assert_eq!(run(w, &held).as_ref(), Some(&expected), "step {step}");
        w.zero_grad();
    }
    assert_eq!(memory::stats(), before);
    assert_eq!(Arc::strong_count(&held), 1);
    assert_flat(bytes);
}

#[test]
fn a_thousand_threads_come_and_go() {
    let held = Arc::new(());
    let round = || {
        let threads: Vec<_> = (0..10)
            .map(|k| {
                let held = held.clone();
                std::thread::spawn(move || {
                    let w = T::new([0.5, -1.0, 1.5]).requires_grad_(true);
                    let found = run(w, &held).expect("no panic was injected");
                    // Each second thread ends with entries, hooks and functions on its tape, and a scope open.
                    if k % 2 == 0 {
                        std::mem::forget(Scope::enter());
                        Square(held.clone())
                            .apply(w)
                            .register_hook(move |g| (Arc::strong_count(&held) > 0).then_some(g));
                    }
                    found
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
    };
    let expected = round();
    let bytes = resident();
    for _ in 0..100 {
        assert_eq!(round(), expected);
    }
    assert_eq!(Arc::strong_count(&held), 1, "a tape that ends with its thread drops what it holds");
    assert_flat(bytes);
}

/// Panics when it is dropped, with something that panics when it is dropped. Both have no size, as what can't be dropped is leaked.
struct Bomb;
impl Drop for Bomb {
    fn drop(&mut self) {
        resume_unwind(Box::new(Shell));
    }
}

struct Shell;
impl Drop for Shell {
    fn drop(&mut self) {
        resume_unwind(Box::new(Injected));
    }
}

#[test]
fn a_thread_may_end_with_destructors_whose_panics_panic() {
    let thread = std::thread::spawn(|| {
        let x = T::scalar(1.0).requires_grad_(true);
        for bomb in [Bomb, Bomb] {
            x.register_hook(move |_| {
                let _held = &bomb;
                None
            });
        }
    });
    thread.join().expect("what panics at its end is lost");
}
