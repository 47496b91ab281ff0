//! Hooks: what they see, what they may do, when they end.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use wengert::{
    DetectAnomaly, ErrorKind, GradOptions, Hook, Scope, Tensor, Tensor64, checkpoint, enable_grad, grad, grad_with,
    is_grad_enabled, memory, no_grad, scope,
};

/// A list that hooks write to.
type Log = Rc<RefCell<Vec<(&'static str, Vec<f64>)>>>;

fn logging(log: &Log, name: &'static str, factor: Option<f64>) -> impl Fn(Tensor64) -> Option<Tensor64> + 'static {
    let log = Rc::clone(log);
    move |g| {
        log.borrow_mut().push((name, g.to_vec()));
        factor.map(|factor| g * factor)
    }
}

/// A leaf [1, 2], three times it, and the sum of squares of that; hooks multiply the leaf's gradient by 10, the other's by 2.
fn program(log: &Log) -> [Tensor64; 3] {
    let x = Tensor64::new([1.0, 2.0]).requires_grad_(true);
    let y = x * 3.0;
    x.register_hook(logging(log, "x", Some(10.0)));
    y.register_hook(logging(log, "y", Some(2.0)));
    [x, y, (y * y).sum()]
}

/// The numbers are those of PyTorch 2.15.
#[test]
fn replaces_gradients_in_every_mode() {
    let expected = [("y", vec![6.0, 12.0]), ("x", vec![36.0, 72.0])];
    let log = Log::default();
    let check = |what: &str| assert_eq!(log.take(), expected, "{what}");
    let [x, y, z] = program(&log);
    y.retain_grad();
    z.backward();
    check("backward");
    assert_eq!(x.grad().unwrap().to_vec(), [360.0, 720.0]);
    assert_eq!(y.grad().unwrap().to_vec(), [12.0, 24.0], "a retained gradient is that after the hooks");
    z.backward();
    check("again");
    assert_eq!(x.grad().unwrap().to_vec(), [720.0, 1440.0]);
    assert_eq!(grad(z, &[x])[0].to_vec(), [360.0, 720.0]);
    check("grad");
    assert_eq!(grad(z, &[y])[0].to_vec(), [12.0, 24.0]);
    assert_eq!(log.take(), expected[..1]);
    let options = GradOptions { create_graph: true, ..Default::default() };
    let first = grad_with(z, &[x], None, options).unwrap()[0].unwrap();
    check("create_graph");
    assert_eq!(first.to_vec(), [360.0, 720.0]);
    // d/dx of 10 * 3 * (2 * 2 * 3 x): the replacements are recorded. The hook on y runs again below the sum.
    log.take();
    assert_eq!(grad(first.sum(), &[x])[0].to_vec(), [2.0 * 10.0 * 360.0; 2]);
}

#[test]
fn run_in_order_of_registration_until_removed() {
    let log = Log::default();
    let x = Tensor64::scalar(1.0).requires_grad_(true);
    let hooks: Vec<Hook> =
        ["a", "b", "c"].into_iter().map(|name| x.register_hook(logging(&log, name, Some(2.0)))).collect();
    let run = || {
        x.zero_grad();
        (x * 1.0).backward();
        (log.take(), x.grad().unwrap().item())
    };
    let seen = |names: &[&'static str]| -> Vec<(&'static str, Vec<f64>)> {
        names.iter().enumerate().map(|(k, &name)| (name, vec![f64::powi(2.0, k as i32)])).collect()
    };
    assert_eq!(run(), (seen(&["a", "b", "c"]), 8.0));
    assert!(wengert::tape::dump().contains("grad, has gradient, 3 hooks"));
    hooks[1].remove();
    hooks[1].remove();
    assert_eq!(run(), (seen(&["a", "c"]), 4.0));
    let inner = scope(|| (x * 2.0).register_hook(|_| None));
    inner.remove();
    hooks[0].remove();
    hooks[2].remove();
    assert_eq!(run(), (vec![], 1.0));
}

#[test]
fn a_hook_may_remove_itself_and_add_others() {
    let (x, count) = (Tensor::scalar(1.0).requires_grad_(true), Rc::new(Cell::new(0)));
    let own = Rc::new(Cell::new(None::<Hook>));
    let hook = x.register_hook({
        let (own, count) = (Rc::clone(&own), Rc::clone(&count));
        move |_| {
            own.get().unwrap().remove();
            count.set(count.get() + 1);
            let count = Rc::clone(&count);
            x.register_hook(move |g| {
                count.set(count.get() + 10);
                Some(g * 3.0)
            });
            None
        }
    });
    own.set(Some(hook));
    (x * 2.0).backward();
    assert_eq!((count.get(), x.grad().unwrap().item()), (1, 2.0), "hooks that are added run from the next sweep on");
    (x * 2.0).backward();
    assert_eq!((count.get(), x.grad().unwrap().item()), (11, 8.0));
}

/// Gradients, and what hooks compute of them, live in the scope that the sweep was called from.
#[test]
fn what_a_hook_keeps_lives_on() {
    for (plain, modes) in [(true, [false, false]), (false, [true, true])] {
        scope(|| {
            let kept = Rc::new(RefCell::new(Vec::new()));
            let x = Tensor::new([[1.0, 2.0], [3.0, 4.0]]).requires_grad_(true);
            let y = x.matmul(x).t();
            for tensor in [x, y] {
                let kept = Rc::clone(&kept);
                tensor.register_hook(move |g| {
                    kept.borrow_mut().push((
                        g,
                        (g * 2.0).sum(),
                        scope(|| g + 1.0),
                        [g.requires_grad(), is_grad_enabled()],
                    ));
                    None
                });
            }
            let before = memory::stats();
            let loss = (y * y).sum();
            match plain {
                true => loss.backward(),
                false => loss.backward_create_graph(),
            }
            assert_eq!(memory::stats().depth, before.depth);
            let expected: Vec<Vec<f32>> = vec![(y * 2.0).to_vec(), x.grad().unwrap().to_vec()];
            let filler = Tensor::zeros([64, 64]) + 1.0;
            assert_eq!(kept.borrow().len(), 2);
            for (&(g, sum, more, found), expected) in kept.borrow().iter().zip(&expected) {
                assert_eq!(g.to_vec(), *expected);
                assert_eq!(sum.item(), 2.0 * expected.iter().sum::<f32>());
                assert_eq!(more.to_vec(), expected.iter().map(|g| g + 1.0).collect::<Vec<_>>());
                assert_eq!(found, modes, "derivatives are recorded with create_graph, as in PyTorch");
            }
            assert_eq!(filler.sum().item(), 4096.0);
        });
    }
}

#[test]
fn a_hook_may_differentiate() {
    let gradients = |hooked: bool| {
        scope(|| {
            let w = Tensor::new([[0.5, -1.0], [2.0, 0.25]]).requires_grad_(true);
            let x = Tensor::new([[1.0, 2.0], [3.0, 4.0]]).requires_grad_(true);
            let h = x.matmul(w).tanh();
            let loss = (h.matmul(w) * w).sum() + h.sum();
            if hooked {
                h.register_hook(move |g| {
                    enable_grad(|| {
                        let again = (w * w).sum();
                        assert_eq!(grad(again, &[w])[0].to_vec(), (w * 2.0).to_vec());
                        again.backward();
                        assert_eq!(
                            w.grad().unwrap().to_vec(),
                            (w * 2.0).to_vec(),
                            "at once, and without the outer sweep's share"
                        );
                    });
                    let same = g * 1.0;
                    std::mem::forget(Scope::enter());
                    Some(same)
                });
            }
            loss.backward();
            if !hooked {
                (w * w).sum().backward();
            }
            (w.grad().unwrap().to_vec(), x.grad().unwrap().to_vec())
        })
    };
    let (hooked, plain) = (gradients(true), gradients(false));
    assert_eq!(hooked.1, plain.1);
    hooked.0.iter().zip(&plain.0).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{hooked:?} {plain:?}"));
}

/// A hook that does nothing changes no bit, whatever it is attached to.
#[test]
fn an_idle_hook_changes_nothing() {
    let gradients = |hooked: usize| {
        scope(|| {
            let leaf = |k: usize| {
                let values: Vec<f32> = (0..6).map(|i| ((i + 7 * k) as f32 * 0.618).fract()).collect();
                Tensor::from_slice(&values, [2, 3]).requires_grad_(true)
            };
            let (a, b, s) = (leaf(0), leaf(1), Tensor::scalar(0.7).requires_grad_(true));
            let c = (a * b).sin() + a.exp() * s;
            let d = c.t().matmul(a + b).softmax(1);
            let loss = (d.sum_dims(0, false) * s.exp() * s).sum() + (a / (b + 2.0)).square().mean() + c.mean() * s;
            let all = [a, b, s, c, d, loss];
            for &tensor in all.iter().take(hooked) {
                tensor.register_hook(idle);
            }
            loss.backward();
            [a, b, s].map(|x| x.grad().unwrap().to_vec())
        })
    };
    fn idle(g: Tensor) -> Option<Tensor> {
        (g.numel() != 1).then_some(g)
    }
    let plain = gradients(0);
    for hooked in 1..=6 {
        assert_eq!(gradients(hooked), plain, "{hooked} hooks");
    }
}

#[test]
fn after_accumulation() {
    type Seen = (char, Vec<f32>, bool);
    let log: Rc<RefCell<Vec<Seen>>> = Rc::default();
    let (a, b) = (Tensor::scalar(1.0).requires_grad_(true), Tensor::scalar(1.0).requires_grad_(true));
    for (name, leaf, other) in [('a', a, b), ('b', b, a)] {
        let log = Rc::clone(&log);
        leaf.register_post_accumulate_grad_hook(move |w| {
            assert!(w.is(leaf));
            log.borrow_mut().push((name, w.grad().unwrap().to_vec(), other.grad().is_some()));
        });
    }
    scope(|| (a * 2.0 + b * 3.0).backward());
    assert_eq!(log.take(), [('b', vec![3.0], true), ('a', vec![2.0], true)]);
    scope(|| (a * 2.0).backward_create_graph());
    assert_eq!(log.take(), [('a', vec![4.0], true)]);
    scope(|| (a * 2.0).backward_with(Tensor::scalar(0.5)));
    assert_eq!(log.take(), [('a', vec![5.0], true)]);
    scope(|| grad(a * b, &[a, b])[0].item());
    assert_eq!(log.take(), [], "grad accumulates nothing");

    // An optimiser's step in backward.
    let w = Tensor::new([4.0, -8.0]).requires_grad_(true);
    w.register_post_accumulate_grad_hook(|w| {
        no_grad(|| w.sub_(w.grad().unwrap() * 0.25).shape());
        w.zero_grad();
    });
    for _ in 0..2 {
        scope(|| (w * w).sum().backward());
    }
    assert_eq!((w.to_vec(), w.grad().is_none()), (vec![1.0, -2.0], true));
}

#[test]
fn before_and_after_a_write_in_place() {
    let log = Log::default();
    let a = Tensor64::ones(2).requires_grad_(true);
    let b = a * 2.0;
    b.register_hook(logging(&log, "old", None));
    b.mul_(3.0);
    b.register_hook(logging(&log, "new", None));
    (b * 5.0).sum().backward();
    assert_eq!(log.take(), [("new", vec![5.0; 2]), ("old", vec![15.0; 2])]);
}

#[test]
fn refusals() {
    let (x, y) = (Tensor::ones(2), Tensor::ones(2).requires_grad_(true) * 2.0);
    let mut stale = x;
    scope(|| stale = Tensor::ones(2).requires_grad_(true));
    let errors = [
        (
            x.try_register_hook(|_| None),
            ErrorKind::Grad,
            "register_hook: the tensor of shape [2] does not require a gradient",
        ),
        (stale.try_register_hook(|_| None), ErrorKind::Stale, "is not on this thread's tape"),
        (
            x.try_register_post_accumulate_grad_hook(drop),
            ErrorKind::Grad,
            "register_post_accumulate_grad_hook: the tensor of shape [2] does not require a gradient",
        ),
        (
            y.try_register_post_accumulate_grad_hook(drop),
            ErrorKind::Grad,
            "the tensor of shape [2] was computed by `mul`, and gradients accumulate in leaves; use `register_hook`",
        ),
    ];
    for (result, kind, text) in errors {
        let error = result.unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(text), "{error}");
    }
}

/// What goes wrong in a hook fails the sweep: gradients are as before, and the tape is usable.
#[test]
fn failures() {
    type Run = fn(Tensor) -> Option<Tensor>;
    let failures: &[(Run, &str)] = &[
        (
            |_| Some(Tensor::ones(3)),
            "register_hook: a hook on a tensor of shape [2] returned a gradient of shape [3]; they must be equal",
        ),
        (|g| Some(g.sum()), "returned a gradient of shape []"),
        (
            |g| {
                let mut stale = g;
                scope(|| stale = g * 2.0);
                Some(stale)
            },
            "is not on this thread's tape",
        ),
        (|_| panic!("mine"), "mine"),
        (
            |g| {
                let _inner = (Scope::enter(), Scope::enter());
                g.matmul(Tensor::ones([5, 5])).backward();
                None
            },
            "matmul",
        ),
        (
            |g| {
                let _mode = DetectAnomaly::enter();
                Some((g - g).ln())
            },
            "`ln` produced -inf",
        ),
    ];
    for &(run, expected) in failures {
        for outer in [false, true] {
            scope(|| {
                let w = Tensor::new([1.0, 2.0]).requires_grad_(true);
                let u = Tensor::new([1.0, 2.0]).requires_grad_(true);
                (w * 7.0).sum().backward();
                let y = w * u;
                let hook = y.register_hook(run);
                let loss = (y * u).sum();
                let (entries, depth) = (memory::stats().entries, memory::stats().depth);
                let failed =
                    catch_unwind(AssertUnwindSafe(
                        || if outer { loss.backward() } else { loss.backward_create_graph() },
                    ));
                let payload = failed.unwrap_err();
                let text = payload
                    .downcast_ref::<String>()
                    .cloned()
                    .unwrap_or_else(|| (*payload.downcast_ref::<&str>().expect("a text")).to_owned());
                assert!(text.contains(expected), "{text}");
                assert_eq!((w.grad().unwrap().to_vec(), u.grad().is_none()), (vec![7.0, 7.0], true));
                assert_eq!(memory::stats().depth, depth);
                assert!(memory::stats().entries <= entries + 40);
                hook.remove();
                loss.backward();
                assert_eq!(u.grad().unwrap().to_vec(), (w * u * 2.0).to_vec());
            });
        }
    }
    let _mode = DetectAnomaly::enter();
    let x = Tensor::ones(2).requires_grad_(true);
    x.sin().register_hook(|_| Some(Tensor::new([1.0, f32::NAN])));
    let y = x.sin();
    y.register_hook(|_| Some(Tensor::new([1.0, f32::NAN])));
    let error = y.sum().try_backward().unwrap_err().to_string();
    assert!(error.contains("a hook on the result of `sin` returned NaN at element [1] of shape [2]"), "{error}");
}

#[test]
fn a_hook_that_ends_the_scope_of_its_sweep() {
    let x = Tensor::ones(2).requires_grad_(true);
    let guard = Rc::new(Cell::new(Some(Scope::enter())));
    let y = x * 2.0;
    y.register_hook(move |_| {
        drop(guard.take());
        None
    });
    let error = y.sum().try_backward().unwrap_err();
    assert!(
        error.to_string().contains("register_hook: the function ended a scope that was open when it was called"),
        "{error}"
    );
    assert!(x.grad().is_none() && !y.is_alive());
    scope(|| (x * x).sum().backward());
    assert_eq!(x.grad().unwrap().to_vec(), [2.0, 2.0]);
}

/// Counts its drops, and uses the tape meanwhile.
struct Guard(Rc<Cell<usize>>);
impl Drop for Guard {
    fn drop(&mut self) {
        // The tape is gone when the thread ends.
        let one = Tensor::try_ones(1).map_or(1.0, |one| one.sum().item());
        self.0.set(self.0.get() + one as usize);
    }
}

#[test]
fn in_a_checkpoint() {
    let (x, log) = (Tensor64::new([1.0, 2.0]).requires_grad_(true), Log::default());
    let inside = Rc::clone(&log);
    let y = checkpoint(
        move |x: Tensor64| {
            let h = x * x;
            h.register_hook(logging(&inside, "inside", Some(10.0)));
            h.sin() * x
        },
        x,
    );
    y.register_hook(logging(&log, "outside", Some(2.0)));
    x.register_hook(logging(&log, "leaf", None));
    (y * y).sum().backward();
    let expected: Vec<[f64; 3]> = [1.0_f64, 2.0]
        .into_iter()
        .map(|x| {
            let y = (x * x).sin() * x;
            let inner = 2.0 * 2.0 * y * (x * x).cos() * x;
            [2.0 * y, inner, 10.0 * inner * 2.0 * x + 4.0 * y * (x * x).sin()]
        })
        .collect();
    for (k, (name, seen)) in log.take().into_iter().enumerate() {
        assert_eq!(name, ["outside", "inside", "leaf"][k]);
        seen.iter().zip(&expected).for_each(|(seen, expected)| assert!((seen - expected[k]).abs() < 1e-12, "{name}"));
    }
}

/// As in PyTorch, which passes only what leads to a tensor that was asked for.
#[test]
fn grad_runs_no_hook_of_what_leads_elsewhere() {
    let count = Rc::new(Cell::new(0));
    let [x, y] = [2.0, 3.0].map(|value| Tensor64::new([value, 1.0]).requires_grad_(true));
    let seen = Rc::clone(&count);
    let product = move |(a, b): (Tensor64, Tensor64)| {
        let (h, seen) = (a * 2.0, Rc::clone(&seen));
        h.register_hook(move |_| {
            seen.set(seen.get() + 1);
            None
        });
        h * b
    };
    assert_eq!(grad(product((y, x)).sum(), &[x])[0].to_vec(), [6.0, 2.0]);
    assert_eq!(count.take(), 0);
    assert_eq!(grad(product((x, y)).sum(), &[x])[0].to_vec(), [6.0, 2.0]);
    assert_eq!(count.take(), 1);
    // The second is swept first, and its entries lie where those of the first then do.
    let sum = checkpoint(product.clone(), (y, x)) + checkpoint(product, (x, y));
    assert_eq!(grad(sum.sum(), &[x])[0].to_vec(), [12.0, 4.0]);
    assert_eq!(count.take(), 1);
}

#[test]
fn hooks_end_with_their_tensor() {
    let drops = Rc::new(Cell::new(0));
    let hook_on = |x: Tensor| {
        let guard = Guard(Rc::clone(&drops));
        x.register_hook(move |_| {
            let _ = &guard;
            None
        })
    };
    let x = Tensor::ones(2).requires_grad_(true);
    let own = hook_on(x);
    scope(|| {
        let y = x * 2.0;
        hook_on(y);
        hook_on(y);
        hook_on(x);
        assert_eq!(drops.get(), 0);
    });
    assert_eq!(drops.get(), 2);
    own.remove();
    assert_eq!(drops.get(), 3);
    let thrown = catch_unwind(AssertUnwindSafe(|| {
        scope(|| {
            hook_on(x * 2.0);
            assert!(drops.get() > 3, "out of the scope");
        })
    }));
    assert!(thrown.is_err());
    assert_eq!(drops.get(), 4);
    // Those of the thread's outermost scope end with the thread, without a tape.
    std::thread::spawn(|| {
        let y = Tensor::ones(2).requires_grad_(true);
        let guard = Guard(Rc::new(Cell::new(0)));
        y.register_hook(move |_| {
            let _ = &guard;
            None
        });
    })
    .join()
    .unwrap();
}

#[test]
fn memory_is_flat() {
    let w = Tensor::randn([8, 8]).requires_grad_(true);
    let norm = Rc::new(Cell::new(0.0));
    w.register_hook({
        let norm = Rc::clone(&norm);
        move |g| {
            norm.set(scope(|| g.square().sum().item()));
            Some(g * 0.5)
        }
    });
    let step = || {
        scope(|| {
            let h = w.matmul(w).tanh();
            h.register_hook(|g| Some(g.clamp(-1.0, 1.0)));
            h.sum().backward();
        });
        memory::stats()
    };
    step();
    let (second, last) = (step(), (0..100).fold(memory::stats(), |_, _| step()));
    assert_eq!((second.entries, second.used, second.reserved), (last.entries, last.used, last.reserved));
    assert!(norm.get() > 0.0);
}
