//! Every checker rejects wrong answers: functions with derivatives that are wrong on purpose, each found by the check that is there for it.

use std::cell::Cell;

use wengert::{Context, Function, Result, Tensor64};
use wengert_check::{Check, Failure, GradCheck};

type T = Tensor64;
type Forward = fn(T, T) -> T;
type Backward = fn(&Context<'_, f64, Pair>, T, [T; 2]) -> [Option<T>; 2];
type Tangent = fn([T; 2], [Option<T>; 2]) -> T;

/// A function of two tensors with the derivatives of a test.
#[derive(Clone, Copy)]
struct Pair {
    value: Forward,
    backward: Backward,
    /// By default that which follows from `backward`.
    tangent: Option<Tangent>,
}

impl Function<f64> for Pair {
    type Inputs = [T; 2];
    type Outputs = T;
    type Saved = ();

    fn forward(&self, [a, b]: [T; 2]) -> Result<(T, ())> {
        Ok(((self.value)(a, b), ()))
    }

    fn backward(&self, cx: &Context<'_, f64, Self>, g: T) -> Result<[Option<T>; 2]> {
        Ok((self.backward)(cx, g, cx.inputs()?))
    }

    fn tangent(&self, cx: &Context<'_, f64, Self>, tangents: [Option<T>; 2]) -> Result<T> {
        match self.tangent {
            Some(tangent) => Ok(tangent(cx.inputs()?, tangents)),
            None => cx.tangent_by_backward(tangents),
        }
    }
}

/// `a b + a` and its derivatives, all right.
const RIGHT: Pair =
    Pair { value: |a, b| a * b + a, backward: |_, g, [a, b]| [Some(g * b + g), Some(g * a)], tangent: None };

fn inputs() -> [T; 2] {
    let a = T::new([[0.5, -1.5, 2.0], [0.7, 1.1, -0.4]]).requires_grad_(true);
    let b = T::new([[1.2, 0.3, -0.8], [-1.7, 0.9, 2.3]]).requires_grad_(true);
    [a, b]
}

fn zero_or(t: Option<T>, like: T) -> T {
    t.unwrap_or_else(|| like.zeros_like())
}

/// Swaps the halves of each row of three: an index that is off.
fn swapped(x: T) -> T {
    x.index_select(1, wengert::IndexTensor::new([1, 0, 2]))
}

/// What is wrong, and the check that finds it.
type Wrong = (&'static str, Check, Pair);

fn wrong_values_and_gradients() -> Vec<Wrong> {
    vec![
        (
            "scaled by 1.001",
            Check::Backward,
            Pair { backward: |_, g, [a, b]| [Some((g * b + g) * 1.001), Some(g * a)], ..RIGHT },
        ),
        ("a missing term", Check::Backward, Pair { backward: |_, g, [a, b]| [Some(g * b), Some(g * a)], ..RIGHT }),
        ("a missing operand", Check::Backward, Pair { backward: |_, g, [_, b]| [Some(g * b + g), None], ..RIGHT }),
        (
            "a swapped index",
            Check::Backward,
            Pair { backward: |_, g, [a, b]| [Some(g * b + g), Some(swapped(g * a))], ..RIGHT },
        ),
        (
            "a symmetric product without its factor of two",
            Check::Backward,
            Pair {
                value: |a, _| a.matmul(a.t()),
                backward: |_, g, [a, _]| [Some(g.matmul(a)), None],
                tangent: Some(|[a, _], [s, _]| {
                    let half = zero_or(s, a).matmul(a.t());
                    half + half.t()
                }),
            },
        ),
        (
            "right for contiguous inputs only",
            Check::Strided,
            Pair {
                backward: |_, g, [a, b]| {
                    let b = if b.is_contiguous() { b } else { b * 2.0 };
                    [Some(g * b + g), Some(g * a)]
                },
                ..RIGHT
            },
        ),
        (
            "another value for strided inputs",
            Check::StridedValue,
            Pair { value: |a, b| if a.is_contiguous() { a * b + a } else { a * b }, ..RIGHT },
        ),
    ]
}

fn wrong_modes_and_seeds() -> Vec<Wrong> {
    vec![
        (
            "a wrong tangent beside a right backward",
            Check::Forward,
            Pair { tangent: Some(|[a, b], [s, t]| zero_or(s, a) * b + a * zero_or(t, b) * 1.001), ..RIGHT },
        ),
        (
            "a tangent that is wrong by less than differences show",
            Check::Modes,
            Pair {
                tangent: Some(|[a, b], [s, t]| {
                    let s = zero_or(s, a);
                    (s * b + a * zero_or(t, b) + s) * (1.0 + 2e-6)
                }),
                ..RIGHT
            },
        ),
        (
            "a gradient of its own beside the incoming one",
            Check::ZeroSeed,
            Pair { backward: |_, g, [a, b]| [Some(g * b + g + 1e-7), Some(g * a)], ..RIGHT },
        ),
        (
            "nothing for an input that alone requires a gradient",
            Check::Alone,
            Pair {
                backward: |cx, g, [a, b]| [cx.needs_grad(1).then(|| g * b + g), Some(g * a)],
                tangent: Some(|[a, b], [s, t]| {
                    let s = zero_or(s, a);
                    s * b + a * zero_or(t, b) + s
                }),
                ..RIGHT
            },
        ),
        (
            "nothing for a tangent that comes alone",
            Check::ForwardAlone,
            Pair {
                tangent: Some(|[a, b], tangents| match tangents {
                    [Some(s), Some(t)] => s * b + a * t + s,
                    _ => a.zeros_like(),
                }),
                ..RIGHT
            },
        ),
    ]
}

fn checks(failure: &Failure) -> Vec<Check> {
    let report = failure.report().unwrap_or_else(|| panic!("{failure}"));
    report.mismatches.iter().map(|m| m.check).collect()
}

#[test]
fn the_right_function_passes() {
    let f = |[a, b]: [T; 2]| RIGHT.apply([a, b]);
    for fast in [false, true] {
        GradCheck::new().fast(fast).second(true).check(f, inputs()).unwrap();
    }
}

#[test]
fn wrong_derivatives_are_found_by_the_check_for_them() {
    for (name, check, pair) in wrong_values_and_gradients().into_iter().chain(wrong_modes_and_seeds()) {
        for fast in [false, true] {
            let found = GradCheck::new().fast(fast).check(|[a, b]: [T; 2]| pair.apply([a, b]), inputs());
            let failure = found.err().unwrap_or_else(|| panic!("{name} passes, fast: {fast}"));
            assert!(checks(&failure).contains(&check), "{name}, fast: {fast}: {failure}");
        }
    }
}

#[test]
fn a_rule_that_ignores_the_incoming_gradient_is_found() {
    let pair = Pair { value: |a, b| (a * b).sum(), backward: |_, _, [a, b]| [Some(b), Some(a)], tangent: None };
    let failure = GradCheck::new().forward(false).check(|[a, b]: [T; 2]| pair.apply([a, b]), inputs()).unwrap_err();
    assert!(checks(&failure).contains(&Check::Linear), "{failure}");
}

#[test]
fn a_wrong_second_derivative_is_found() {
    // The first derivative is right, and cut off from `b`.
    let first_only = Pair { backward: |_, g, [a, b]| [Some(g * b.detach() + g), Some(g * a)], ..RIGHT };
    let scaled = Pair { backward: |_, g, [a, b]| [Some(g * (b * 2.0 - b.detach()) + g), Some(g * a)], ..RIGHT };
    for pair in [first_only, scaled] {
        let f = |[a, b]: [T; 2]| pair.apply([a, b]);
        GradCheck::new().check(f, inputs()).unwrap();
        for fast in [false, true] {
            let failure = GradCheck::new().second(true).fast(fast).check(f, inputs()).unwrap_err();
            let report = failure.report().unwrap();
            assert!(report.second && checks(&failure).contains(&Check::Backward), "{failure}");
        }
    }
}

#[test]
fn a_gradient_that_is_right_for_contiguous_incoming_ones_only_is_found() {
    // Only a derivative that is recorded can meet others: sweeps keep theirs contiguous.
    let pair = Pair {
        backward: |_, g, [a, b]| {
            let g = if g.is_contiguous() { g } else { g * 2.0 };
            [Some(g * b + g), Some(g * a)]
        },
        ..RIGHT
    };
    let found = GradCheck::new().second(true).check(|[a, b]: [T; 2]| pair.apply([a, b]), inputs());
    assert!(checks(&found.unwrap_err()).contains(&Check::StridedValue));
}

#[test]
fn wrong_derivatives_by_parameters_are_found() {
    let [a, b] = inputs();
    let before = (a.to_vec(), b.to_vec());
    GradCheck::new().second(true).check_params(|| RIGHT.apply([a, b]).sin(), &[a, b]).unwrap();
    let scaled = Pair { backward: |_, g, [a, b]| [Some((g * b + g) * 1.001), Some(g * a)], ..RIGHT };
    let failure = GradCheck::new().check_params(|| scaled.apply([a, b]).sin(), &[a, b]).unwrap_err();
    let report = failure.report().unwrap();
    assert!(report.mismatches.iter().all(|m| m.input.as_ref().unwrap().tensor == 0), "{failure}");
    assert!(failure.to_string().contains("parameter 0 [0, 0]"), "{failure}");
    assert_eq!((a.to_vec(), b.to_vec()), before, "parameters are put back");
    assert!(a.grad().is_none());
}

fn cause(found: std::result::Result<wengert_check::Report, Failure>) -> String {
    match found.unwrap_err() {
        Failure::Unsteady { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

#[test]
fn what_changes_from_call_to_call_is_found() {
    let [a, _] = inputs();
    let check = GradCheck::new();
    assert!(cause(check.check(|x| x * T::rand([3]), a)).contains("random numbers"));
    let calls = Cell::new(1.0);
    let counting = |x: T| {
        calls.set(calls.get() + 1.0);
        x * calls.get()
    };
    assert!(cause(check.check(counting, a)).contains("call to call"));
    // The same at each of the first calls, and another one after the point was left.
    let most = Cell::new(a.max().item());
    let running = |x: T| {
        most.set(x.max().item().max(most.get()));
        x * most.get()
    };
    assert!(cause(GradCheck::new().atol(1.0).rtol(1.0).check(running, a)).contains("hidden state"));
    let recording = |x: T| if wengert::is_grad_enabled() { x * 1.0000001 } else { x * 1.0 };
    assert!(cause(check.check(recording, a)).contains("derivatives are recorded"));
}

#[test]
fn a_backward_that_changes_from_call_to_call_is_found() {
    thread_local!(static CALLS: Cell<f64> = const { Cell::new(0.0) });
    let pair = Pair {
        backward: |_, g, [a, b]| {
            let call = CALLS.with(|calls| calls.replace(calls.get() + 1.0));
            [Some((g * b + g) * (1.0 + 1e-12 * call)), Some(g * a)]
        },
        ..RIGHT
    };
    let found = GradCheck::new().forward(false).check(|[a, b]: [T; 2]| pair.apply([a, b]), inputs());
    assert!(cause(found).contains("derivative by input 0"));
    // As far apart as is allowed.
    let found = GradCheck::new().forward(false).nondet_tol(1e-6).check(|[a, b]: [T; 2]| pair.apply([a, b]), inputs());
    found.unwrap();
}
