//! Functions with derivatives of their own: against the same maths in ordinary operations, in every mode; and what goes wrong.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use wengert::func::{hessian, jacfwd, jacrev};
use wengert::{
    Context, Error, ErrorKind, FloatElement, Function, GradOptions, IndexTensor, NoGrad, Result, Scope, Tensor,
    Tensor64, TensorBase, checkpoint, enable_grad, grad, grad_with, jvp, memory, no_grad, scope,
};
use wengert_check::{GradCheck, gradgradcheck};

type T = Tensor64;

/// x·e^y and x + 3y, with derivatives from the inputs.
struct Pair;

impl Function<f64> for Pair {
    type Inputs = [T; 2];
    type Outputs = (T, T);
    type Saved = ();

    fn forward(&self, [x, y]: [T; 2]) -> Result<((T, T), ())> {
        Ok(((x * y.exp(), x + y * 3.0), ()))
    }

    fn backward(&self, cx: &Context<'_, f64, Self>, (g, h): (T, T)) -> Result<[Option<T>; 2]> {
        let [x, y] = cx.inputs()?;
        let e = y.exp();
        Ok([Some(g * e + h), cx.needs_grad(1).then(|| g * x * e + h * 3.0)])
    }
}

/// e^(scale·x), with the derivative from the output, a tangent rule, and plain data.
struct Exponential {
    scale: f64,
}

impl<E: FloatElement> Function<E> for Exponential {
    type Inputs = TensorBase<E>;
    type Outputs = TensorBase<E>;
    type Saved = (TensorBase<E>, f64);

    fn forward(&self, x: TensorBase<E>) -> Result<(TensorBase<E>, Self::Saved)> {
        let y = x.mul(self.scale).exp();
        Ok((y, (y, self.scale)))
    }

    fn backward(&self, cx: &Context<'_, E, Self>, g: TensorBase<E>) -> Result<Option<TensorBase<E>>> {
        let (y, scale) = cx.saved()?;
        Ok(Some((g * *y).mul(*scale)))
    }

    fn tangent(&self, cx: &Context<'_, E, Self>, t: Option<TensorBase<E>>) -> Result<TensorBase<E>> {
        Ok((t.expect("the only input has one") * cx.outputs()?).mul(self.scale))
    }
}

/// The rows of a matrix at captured positions, by indexing; any number of matrices.
struct Rows {
    places: IndexTensor,
}

impl Function<f64> for Rows {
    type Inputs = Vec<T>;
    type Outputs = Vec<T>;
    type Saved = Vec<usize>;

    fn forward(&self, x: Vec<T>) -> Result<(Vec<T>, Vec<usize>)> {
        let lengths = x.iter().map(|x| x.size(0)).collect();
        Ok((x.iter().map(|x| x.index_select(0, self.places)).collect(), lengths))
    }

    fn backward(&self, cx: &Context<'_, f64, Self>, g: Vec<T>) -> Result<Vec<Option<T>>> {
        let lengths = cx.saved()?;
        let put = |(g, &n): (T, &usize)| Some(Tensor64::zeros([n, g.size(1)]).index_add(0, self.places, g, 1.0));
        Ok(g.into_iter().zip(lengths).map(put).collect())
    }
}

/// A function of the inputs, as a custom one and in ordinary operations.
struct Alike {
    name: &'static str,
    shapes: &'static [&'static [usize]],
    custom: fn(&[T]) -> T,
    ordinary: fn(&[T]) -> T,
}

fn alike() -> Vec<Alike> {
    let all: &[&[usize]] = &[&[2, 3], &[2, 3]];
    vec![
        Alike {
            name: "two outputs",
            shapes: all,
            custom: |x| {
                let (a, b) = Pair.apply([x[0], x[1]]);
                (a * b).tanh()
            },
            ordinary: |x| (x[0] * x[1].exp() * (x[0] + x[1] * 3.0)).tanh(),
        },
        Alike {
            name: "one of two outputs",
            shapes: all,
            custom: |x| Pair.apply([x[0], x[1]]).0,
            ordinary: |x| x[0] * x[1].exp(),
        },
        Alike {
            name: "one tensor as both inputs",
            shapes: &[&[3]],
            custom: |x| Pair.apply([x[0], x[0]]).0,
            ordinary: |x| x[0] * x[0].exp(),
        },
        Alike {
            name: "a saved output",
            shapes: &[&[2, 2]],
            custom: |x| Exponential { scale: -0.5 }.apply(x[0].t()).square(),
            ordinary: |x| (x[0].t() * -0.5).exp().square(),
        },
        Alike {
            name: "numbers",
            shapes: &[&[], &[]],
            custom: |x| {
                let (a, b) = Pair.apply([x[0], x[1]]);
                Exponential { scale: 0.3 }.apply(a) + b
            },
            ordinary: |x| (x[0] * x[1].exp() * 0.3).exp() + x[0] + x[1] * 3.0,
        },
        Alike {
            name: "several tensors, and indices",
            shapes: &[&[3, 2], &[2, 1]],
            custom: |x| {
                let places = IndexTensor::new([1, 0, 1]);
                let y = Rows { places }.apply(vec![x[0], x[1]]);
                y[0] * y[1] * y[0]
            },
            ordinary: |x| {
                let places = IndexTensor::new([1, 0, 1]);
                let y = x[0].index_select(0, places);
                y * x[1].index_select(0, places) * y
            },
        },
        Alike {
            name: "no elements",
            shapes: &[&[0, 2], &[0, 2]],
            custom: |x| Pair.apply([x[0], x[1]]).1,
            ordinary: |x| x[0] + x[1] * 3.0,
        },
    ]
}

fn operands(case: &Alike, from: f64) -> Vec<T> {
    let of = |(k, shape): (usize, &&[usize])| {
        let count: usize = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|i| from + ((i + 7 * k) as f64 * 0.618).fract()).collect();
        Tensor64::from_slice(&values, *shape)
    };
    case.shapes.iter().enumerate().map(of).collect()
}

fn assert_close(what: &str, got: &[T], expected: &[T]) {
    for (got, expected) in got.iter().zip(expected) {
        assert_eq!(got.shape(), expected.shape(), "{what}");
        for (g, e) in got.to_vec().into_iter().zip(expected.to_vec()) {
            assert!((g - e).abs() <= 1e-13 * (1.0 + e.abs()), "{what}: {g} should be {e}");
        }
    }
}

/// Value, gradients, gradients of the gradients, and a tangent that is differentiated in turn.
fn everything(f: fn(&[T]) -> T, x: &[T], along: &[T]) -> Vec<T> {
    let x: Vec<T> = x.iter().map(|x| x.copy().requires_grad_(true)).collect();
    let y = f(&x);
    let again = GradOptions { create_graph: true, allow_unused: true };
    let mut found = vec![y];
    let filled = |grads: Vec<Option<T>>| -> Vec<T> {
        grads.iter().zip(&x).map(|(g, x)| g.unwrap_or_else(|| x.zeros_like())).collect()
    };
    let mut order = (y * (y + 1.0)).sum();
    for _ in 0..3 {
        let grads = filled(grad_with(order, &x, None, again).unwrap());
        found.extend(&grads);
        order = grads.iter().map(|g| (*g * *g).sum()).reduce(|a, b| a + b).unwrap();
        if !order.requires_grad() {
            break;
        }
    }
    let (y, dy) = jvp(|x: Vec<T>| f(&x), x.clone(), along.to_vec());
    found.extend([y, dy]);
    found.extend(filled(match dy.requires_grad() {
        true => grad_with(dy.sum(), &x, None, again).unwrap(),
        false => vec![None; x.len()],
    }));
    found
}

#[test]
fn custom_functions_agree_with_ordinary_operations_in_every_mode() {
    for case in alike() {
        scope(|| {
            let (x, along) = (operands(&case, 0.2), operands(&case, -0.7));
            let (custom, ordinary) = (everything(case.custom, &x, &along), everything(case.ordinary, &x, &along));
            assert_eq!(custom.len(), ordinary.len(), "{}", case.name);
            assert_close(case.name, &custom, &ordinary);
            let tracked = x.iter().map(|x| x.detach().requires_grad_(true)).collect();
            gradgradcheck(|x: Vec<T>| (case.custom)(&x), tracked)
                .unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
        });
    }
}

#[test]
fn a_function_is_one_entry_with_the_types_name() {
    let x = Tensor::new([1.0, 2.0]).requires_grad_(true);
    let before = memory::stats().entries;
    let y = Exponential { scale: 2.0 }.apply(x);
    assert_eq!(memory::stats().entries, before + 1);
    assert_eq!(y.grad_fn(), Some("ExponentialBackward"));
    assert!(y.to_string().ends_with("grad_fn=<ExponentialBackward>)"), "{y}");
    let (a, b) = Pair.apply([T::ones([2]).requires_grad_(true), T::ones([2])]);
    assert_eq!((a.grad_fn(), b.grad_fn()), (Some("PairBackward"), Some("PairBackward")));
    // Without anything to differentiate, nothing is kept.
    assert_eq!(Exponential { scale: 1.0 }.apply(x.detach()).grad_fn(), None);
    let y = no_grad(|| Exponential { scale: 0.0 }.apply(x));
    assert_eq!((y.requires_grad(), y.to_vec()), (false, vec![1.0, 1.0]));
    assert!(!Exponential { scale: 1.0 }.apply(x).detach().requires_grad());
}

/// Passes its input on, and counts the destructors of its nodes.
struct Counted {
    dropped: Rc<RefCell<Vec<usize>>>,
    number: usize,
    /// What the destructor does beside counting.
    at_end: fn(),
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.dropped.borrow_mut().push(self.number);
        (self.at_end)();
    }
}

impl Function<f64> for Counted {
    type Inputs = T;
    type Outputs = T;
    type Saved = ();

    fn forward(&self, x: T) -> Result<(T, ())> {
        Ok((x, ()))
    }

    fn backward(&self, _: &Context<'_, f64, Self>, g: T) -> Result<Option<T>> {
        Ok(Some(g))
    }
}

#[test]
fn an_input_that_is_returned_becomes_a_tensor_of_its_own() {
    let x = T::new([1.0, 2.0]).requires_grad_(true);
    let y = Counted { dropped: Rc::default(), number: 0, at_end: || () }.apply(x);
    no_grad(|| x.zero_());
    assert_eq!((y.to_vec(), x.is(y)), (vec![1.0, 2.0], false));
}

#[test]
fn nodes_are_dropped_with_their_scope_the_last_first() {
    let dropped = Rc::new(RefCell::new(Vec::new()));
    // The destructor may use the tape.
    let counted = |number, at_end| Counted { dropped: dropped.clone(), number, at_end };
    let x = T::scalar(1.0).requires_grad_(true);
    let outer = Scope::enter();
    let y = counted(0, || assert_eq!((T::ones([2]) * 2.0).sum().item(), 4.0)).apply(x);
    scope(|| {
        let z = (1..4).fold(y, |y, number| counted(number, || ()).apply(y));
        z.backward();
        assert!(dropped.borrow().is_empty());
    });
    assert_eq!(*dropped.borrow(), [3, 2, 1]);
    y.backward();
    assert_eq!(x.grad().unwrap().item(), 2.0);
    drop(outer);
    assert_eq!(*dropped.borrow(), [3, 2, 1, 0]);
    // What was not recorded goes at once.
    counted(4, || ()).apply(x.detach());
    assert_eq!(dropped.borrow().len(), 5);
}

#[test]
fn a_destructor_that_panics_does_so_once_and_spoils_nothing() {
    let dropped = Rc::new(RefCell::new(Vec::new()));
    let x = T::scalar(1.0).requires_grad_(true);
    let run = |end: fn()| {
        catch_unwind(AssertUnwindSafe(|| {
            scope(|| {
                for number in 0..3 {
                    Counted { dropped: dropped.clone(), number, at_end: || panic!("destructor") }.apply(x);
                }
                end();
            })
        }))
    };
    let (before, text) = (memory::stats(), |panic: Box<dyn std::any::Any + Send>| *panic.downcast::<&str>().unwrap());
    assert_eq!(text(run(|| ()).unwrap_err()), "destructor");
    // A panic under way stays the one that is seen.
    assert_eq!(text(run(|| panic!("scope")).unwrap_err()), "scope");
    assert_eq!(*dropped.borrow(), [2, 1, 0, 2, 1, 0]);
    let after = memory::stats();
    assert_eq!((after.entries, after.depth), (before.entries, before.depth));
    (x * 3.0).backward();
    assert_eq!(x.grad().unwrap().item(), 3.0);
}

#[test]
fn a_thread_may_end_with_nodes_whose_destructors_use_its_tape() {
    std::thread::spawn(|| {
        let x = T::scalar(1.0).requires_grad_(true);
        let at_end = || assert!(T::try_ones([3]).is_err());
        Counted { dropped: Rc::default(), number: 0, at_end }.apply(x);
    })
    .join()
    .unwrap();
}

#[test]
fn ten_thousand_steps_take_the_memory_of_one() {
    let x = Tensor::linspace(-1.0, 1.0, 100).requires_grad_(true);
    let step = || {
        scope(|| Exponential { scale: 0.5 }.apply(x).sum().backward());
        x.zero_grad();
        memory::stats()
    };
    let [.., first] = [step(), step(), step()];
    (0..10_000).for_each(|_| assert_eq!(step(), first));
}

/// What a test's function does in `forward` and `backward`.
#[derive(Clone)]
struct Script {
    forward: fn(T) -> T,
    backward: Rc<dyn Fn(T, T) -> Option<T>>,
}

impl Script {
    fn new(backward: impl Fn(T, T) -> Option<T> + 'static) -> Self {
        Self { forward: |x| x * 2.0, backward: Rc::new(backward) }
    }
}

impl Function<f64> for Script {
    type Inputs = T;
    type Outputs = T;
    type Saved = ();

    fn forward(&self, x: T) -> Result<(T, ())> {
        Ok(((self.forward)(x), ()))
    }

    fn backward(&self, cx: &Context<'_, f64, Self>, g: T) -> Result<Option<T>> {
        Ok((self.backward)(cx.inputs()?, g))
    }
}

#[test]
fn backward_may_use_the_whole_library() {
    let w = T::new([3.0, -1.0]).requires_grad_(true);
    let backward = move |x: T, g: T| {
        // The derivative of the function by another sweep, while this one is under way.
        let slope = enable_grad(|| {
            let x = x.detach().copy().requires_grad_(true);
            (x * 2.0).sum().backward();
            let again = x.detach().copy().requires_grad_(true);
            let (_, t) = jvp(|x| x * 2.0, again, again.ones_like());
            assert_eq!(x.grad().unwrap().to_vec(), t.to_vec());
            // Another application, and a sweep that reaches the leaf that is being filled.
            Exponential { scale: 1.0 }.apply(w * 0.0).sum().backward();
            (w * 10.0).sum().backward();
            grad((again * 2.0).sum(), &[again])[0]
        });
        let product = g * slope;
        // Scopes that are left open end with the function.
        std::mem::forget((Scope::enter(), NoGrad::enter()));
        Some(product)
    };
    let depth = memory::stats().depth;
    // The leaf gets a share before the function is passed, one by it, and one from within.
    let y = Script::new(backward).apply(w) + w * w;
    y.sum().backward();
    assert_eq!(w.grad().unwrap().to_vec(), [2.0 + 6.0 + 10.0, 2.0 - 2.0 + 10.0]);
    y.sum().backward();
    assert_eq!(w.grad().unwrap().to_vec(), [36.0, 20.0]);
    assert_eq!((memory::stats().depth, wengert::is_grad_enabled()), (depth, true));
}

/// The texts of errors, with the name of the function in each.
#[test]
fn what_goes_wrong_is_named_and_changes_no_gradient() {
    let x = T::new([1.0, 2.0]).requires_grad_(true);
    (x * 5.0).sum().backward();
    let mut stale = None;
    scope(|| stale = Some(T::ones([2])));
    let outer = Rc::new(RefCell::new(None));
    let ends = outer.clone();
    type Case = (&'static str, ErrorKind, Box<dyn Fn() -> Result<()>>);
    let sweep = |f: Script| move || (f.clone().apply(x) + x).sum().try_backward();
    let create = |f: Script| {
        move || {
            let y = f.clone().apply(x).square().sum();
            y.try_backward_create_graph()
        }
    };
    let cases: Vec<Case> = vec![
        (
            "Script: the gradient of input 0 was returned with shape [], but the input has shape [2]; they must be equal",
            ErrorKind::Shape,
            Box::new(sweep(Script::new(|_, g| Some(g.sum())))),
        ),
        ("scope has ended", ErrorKind::Stale, Box::new(sweep(Script::new(move |_, _| stale)))),
        (
            "Script: the gradient that `backward` gives for input 0 can't be differentiated",
            ErrorKind::Grad,
            Box::new(create(Script::new(|_, g| Some(g.detach() * 2.0)))),
        ),
        (
            "Script: the function ended a scope that was open when it was called",
            ErrorKind::Stale,
            Box::new(move || {
                *outer.borrow_mut() = Some(Scope::enter());
                let ends = ends.clone();
                let end = move |_, g| {
                    ends.borrow_mut().take();
                    Some(g)
                };
                (Script::new(end).apply(x) + x).sum().try_backward()
            }),
        ),
        (
            "backward: `Script` needs the value of a tensor of shape [2] that was overwritten in place",
            ErrorKind::InPlace,
            Box::new(move || {
                let y = Script::new(|_, g| Some(g)).apply(x);
                no_grad(|| x.mul_(1.0));
                (y + x).sum().try_backward()
            }),
        ),
        (
            "Script: `forward` used a tensor of shape [3] that requires a gradient and is not among the inputs",
            ErrorKind::Grad,
            Box::new(move || {
                thread_local!(static W: T = T::ones([3]).requires_grad_(true));
                W.with(|_| ());
                let f = Script { forward: |x| x * W.with(|w| *w).sum(), ..Script::new(|_, g| Some(g)) };
                f.try_apply(x).map(drop)
            }),
        ),
    ];
    for (text, kind, run) in cases {
        let before = memory::stats();
        let error = run().unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(memory::stats().depth, before.depth, "{text}");
        assert_eq!(x.grad().unwrap().to_vec(), [5.0, 5.0], "{text}");
    }
    (x * 1.0).sum().backward();
    assert_eq!(x.grad().unwrap().to_vec(), [6.0, 6.0]);
}

#[test]
fn a_panic_inside_leaves_the_tape_usable_and_gradients_unchanged() {
    let (x, w) = (T::new([1.0, 2.0]).requires_grad_(true), T::ones([2]).requires_grad_(true));
    (x * 5.0).sum().backward();
    assert_eq!(x.grad().unwrap().to_vec(), [5.0, 5.0]);
    let before = memory::stats();
    let panics: [fn(); 2] = [
        || {
            let _ = Script { forward: |_| panic!("forward"), ..Script::new(|_, g| Some(g)) }.apply(T::ones([1]));
        },
        || (),
    ];
    for f in panics {
        let result = catch_unwind(AssertUnwindSafe(|| {
            scope(|| {
                f();
                let y = Script::new(|_, _| {
                    std::mem::forget(NoGrad::enter());
                    panic!("backward")
                });
                (y.apply(x) * w + w + x).sum().backward();
            })
        }));
        assert!(result.is_err());
        assert_eq!((memory::stats().entries, memory::stats().depth), (before.entries, before.depth));
        assert_eq!((x.grad().unwrap().to_vec(), w.grad().is_none()), (vec![5.0, 5.0], true));
        assert!(wengert::is_grad_enabled());
    }
    ((x + w) * 1.0).sum().backward();
    assert_eq!((x.grad().unwrap().to_vec(), w.grad().unwrap().to_vec()), (vec![6.0, 6.0], vec![1.0, 1.0]));
}

/// A reciprocal that is computed outside of tensor operations.
struct Opaque;

impl Function<f64> for Opaque {
    type Inputs = T;
    type Outputs = T;
    type Saved = Vec<f64>;
    const ONCE_DIFFERENTIABLE: bool = true;

    fn name() -> &'static str {
        "reciprocal_by_hand"
    }

    fn forward(&self, x: T) -> Result<(T, Vec<f64>)> {
        let y: Vec<f64> = x.to_vec().iter().map(|x| 1.0 / x).collect();
        if y.iter().any(|y| y.is_infinite()) {
            return Err(Error::new(ErrorKind::Value, "reciprocal_by_hand: there is a zero"));
        }
        Ok((T::from_slice(&y, x.shape()), y))
    }

    fn backward(&self, cx: &Context<'_, f64, Self>, g: T) -> Result<Option<T>> {
        let slope: Vec<f64> = cx.saved()?.iter().map(|y| -y * y).collect();
        Ok(Some(g * T::from_slice(&slope, g.shape())))
    }
}

/// x², with the derivative from something that forward computed.
struct Intermediate<const CONSTANT: bool>;

impl<const CONSTANT: bool> Function<f64> for Intermediate<CONSTANT> {
    type Inputs = T;
    type Outputs = T;
    type Saved = T;
    const SAVES_CONSTANTS: bool = CONSTANT;

    fn forward(&self, x: T) -> Result<(T, T)> {
        Ok((x * x, x * 2.0))
    }

    fn backward(&self, cx: &Context<'_, f64, Self>, g: T) -> Result<Option<T>> {
        Ok(Some(g * *cx.saved()?))
    }
}

#[test]
fn what_has_no_second_derivative_is_refused_by_name() {
    let x = T::new([0.5, 2.0]).requires_grad_(true);
    let check = GradCheck::new().forward(false);
    check.check(|x: T| Opaque.apply(x).sin(), x).unwrap();
    check.check(|x: T| Intermediate::<false>.apply(x).sin(), x).unwrap();
    let refuse = |text: &str, error: Error| {
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.kind(), ErrorKind::Grad);
    };
    let second = |f: fn(T) -> T| f(x).sum().try_backward_create_graph().unwrap_err();
    let forward = |f: fn(T) -> T| wengert::try_jvp(f, x, x).unwrap_err();
    refuse("reciprocal_by_hand: `create_graph` needs the derivative of `backward`", second(|x| Opaque.apply(x)));
    refuse("reciprocal_by_hand: there is no tangent rule", forward(|x| Opaque.apply(x)));
    refuse("Intermediate: the derivative is going to be", second(|x| Intermediate::<false>.apply(x)));
    refuse("Intermediate: the derivative is going to be", forward(|x| Intermediate::<false>.apply(x)));
    // Declared to be a constant, it counts as one.
    let (_, dy) = jvp(|x| Intermediate::<true>.apply(x), x, x);
    assert_eq!(dy.to_vec(), [0.5, 8.0]);
    let error = Opaque.try_apply(T::zeros([1])).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Value, "reciprocal_by_hand: there is a zero"));
    assert!(x.grad().is_none());
}

#[test]
fn anomaly_mode_names_the_function() {
    let x = T::new([1.0, 2.0]).requires_grad_(true);
    let f = Script { forward: |x| T::from_slice(&[1.0, f64::NAN], x.shape()), ..Script::new(|_, g| Some(g)) };
    let error = wengert::try_detect_anomaly(|| f.apply(x)).unwrap_err();
    assert!(error.to_string().contains("`Script` produced NaN") && error.to_string().contains("custom.rs"), "{error}");
    let backward = Script::new(|_, g| Some(g * f64::INFINITY));
    let error = wengert::try_detect_anomaly(|| backward.apply(x).sum().backward()).unwrap_err();
    assert!(error.to_string().contains("the derivative of `Script` with respect to operand 0"), "{error}");
}

#[test]
fn jacobians_and_hessians_pass_through_functions_and_checkpoints() {
    for case in alike() {
        scope(|| {
            let (x, ordinary) = (operands(&case, 0.2), case.ordinary);
            let kept = move |x: &[T]| checkpoint(move |x: Vec<T>| ordinary(&x), x.to_vec());
            let of = |f: &dyn Fn(&[T]) -> T| {
                let mut found = jacrev(|x: Vec<T>| f(&x), x.clone());
                found.extend(jacfwd(|x: Vec<T>| f(&x), x.clone()));
                found.extend(hessian(|x: Vec<T>| f(&x).square().sum(), x.clone()).concat());
                found
            };
            let expected = of(&ordinary);
            assert_close(case.name, &of(&case.custom), &expected);
            assert_close(case.name, &of(&kept), &expected);
        });
    }
}
