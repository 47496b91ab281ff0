//! Anomaly mode: what it reports, what it leaves alone, and where it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wengert::table::samples;
use wengert::{
    BoolTensor, DetectAnomaly, ErrorKind, Tensor, Tensor64, detect_anomaly, is_anomaly_enabled, no_grad, scope,
    try_detect_anomaly,
};

use super::samples::{inputs, leaves, weigh};

/// Runs `f` in anomaly mode; the text of the anomaly, without the line.
fn anomaly<R>(f: impl FnOnce() -> R) -> Option<String> {
    let error = scope(|| try_detect_anomaly(f).err())?;
    assert_eq!(error.kind(), ErrorKind::Anomaly, "{error}");
    let text = error.to_string();
    let (text, place) = text.split_once("recorded at ").unwrap_or_else(|| panic!("{text}"));
    assert!(place.contains("anomaly.rs:"), "{place}");
    Some(text.to_owned())
}

#[test]
fn names_operation_element_and_operands() {
    type Call = fn(Tensor64) -> Tensor64;
    let forward: &[(&str, Call)] = &[
        ("`ln` produced -inf at element [1, 0] of shape [2, 2], from finite operands (0); ", |x| x.abs().ln()),
        ("`div` produced inf at element [1, 0] of shape [2, 2], from finite operands (1, 0); ", |x| 1.0 / x),
        ("`div` produced NaN at element [1, 0] of shape [2, 2], from finite operands (0, 0); ", |x| x / x),
        ("`sqrt` produced NaN at element [0, 1] of shape [2, 2], from finite operands (-2); ", |x| x.sqrt()),
        ("`mul` produced inf at element [0, 0] of shape [2, 2], from finite operands (1e300, 1e300); ", |x| {
            (x * 0.0 + 1e300) * 1e300
        }),
        ("`matmul` produced inf at element [0, 0] of shape [2, 2], from finite operands; ", |x| {
            let large = x * 0.0 + 1e200;
            large.matmul(large)
        }),
        ("`sum` produced inf of shape [], from finite operands; ", |x| (x * 0.0 + 1e308).sum()),
        ("`div` produced -inf at element [1, 0] of shape [2, 2], from finite operands (-2, 0); ", |x| x.t().div_(x)),
        ("`mul` produced inf at element [1] of shape [2], from finite operands (4, 1e308); ", |x| {
            no_grad(|| x.select(0, 1) * 1e308)
        }),
    ];
    for (expected, call) in forward {
        let x = Tensor64::new([[1.0, -2.0], [0.0, 4.0]]);
        assert_eq!(anomaly(|| call(x)).as_deref(), Some(format!("detect_anomaly: {expected}").as_str()));
    }
}

#[test]
fn names_the_derivative_that_went_wrong() {
    type Call = fn(Tensor64) -> Tensor64;
    let backward: &[(&str, Call)] = &[
        (
            "`sqrt` with respect to operand 0 is inf at element [1] of shape [2], from a finite gradient and finite operands (0); \
          `sqrt` was ",
            |x| x.sqrt().sum(),
        ),
        (
            "`pow` with respect to operand 0 is inf at element [1] of shape [2], from a finite gradient and finite operands (0, \
          0.5); `pow` was ",
            |x| x.pow(0.5).sum(),
        ),
        (
            "`matmul` with respect to operand 0 is inf at element [0, 0] of shape [1, 2], from a finite gradient and finite \
          operands; `matmul` was ",
            |x| (x * 0.0).reshape([1, 2]).matmul(Tensor64::full([2, 1], 1e200)).sum() * 1e200,
        ),
    ];
    for (expected, call) in backward {
        let x = Tensor64::new([4.0, 0.0]).requires_grad_(true);
        assert_eq!(anomaly(|| call(x).backward()), Some(format!("detect_anomaly: the derivative of {expected}")));
        assert!(x.grad().is_none(), "a sweep that fails changes no gradient");
        assert_eq!(
            anomaly(|| call(x).backward_create_graph()),
            Some(format!("detect_anomaly: the derivative of {expected}"))
        );
        call(x).backward();
        assert!(x.grad().is_some(), "the tape is usable");
    }
}

#[test]
fn looks_at_derivatives_of_many_elements() {
    let x = Tensor::zeros([3000]).requires_grad_(true);
    let found = anomaly(|| (x.sqrt() * 2.0).sum().backward()).unwrap();
    assert!(
        found.contains("the derivative of `sqrt` with respect to operand 0 is inf at element [0] of shape [3000]"),
        "{found}"
    );
}

#[test]
fn says_the_line_of_the_operation_and_of_the_call() {
    let x = Tensor::scalar(0.0).requires_grad_(true);
    let line = line!() + 1;
    let error = try_detect_anomaly(|| x.sqrt().backward()).unwrap_err().to_string();
    assert!(error.ends_with(&format!("`sqrt` was recorded at {}:{line}:41", file!())), "{error}");
    let error = try_detect_anomaly(|| logarithm(x)).unwrap_err().to_string();
    assert!(error.ends_with(&format!("recorded at {}:{}:7", file!(), line + 7)), "{error}");
}

fn logarithm(x: Tensor) -> Tensor {
    x.ln()
}

#[test]
fn what_is_given_or_follows_from_it_is_no_anomaly() {
    let quiet: &[fn()] = &[
        || _ = Tensor::new([f32::NAN, 1.0]) * 2.0,
        || _ = Tensor::ones(2) / f32::NAN,
        || _ = Tensor::ones(2).masked_fill(BoolTensor::new([true, false]), f32::NEG_INFINITY).softmax(0),
        || _ = Tensor::ones(2).fill_(f32::INFINITY),
        || _ = Tensor::ones(2).clamp(f64::NEG_INFINITY, 0.5),
        || {
            let x = Tensor::new([f32::INFINITY, 1.0]).requires_grad_(true);
            let w = Tensor::ones(2).requires_grad_(true);
            (w * x).sum().backward();
            assert_eq!(w.grad().unwrap().to_vec(), [f32::INFINITY, 1.0]);
        },
        || {
            let x = Tensor::ones(2).requires_grad_(true);
            (x * 2.0).backward_with(Tensor::new([f32::NAN, 1.0]));
        },
    ];
    for (k, call) in quiet.iter().enumerate() {
        assert_eq!(anomaly(call), None, "call {k}");
    }
}

#[test]
fn no_sampled_operation_is_an_anomaly() {
    for sample in samples() {
        let values = inputs(&sample);
        let found = scope(|| try_detect_anomaly(|| weigh((sample.run)(&leaves(&sample, &values))).backward()).err());
        assert_eq!(found, None, "{} ({})", sample.op, sample.case);
    }
}

#[test]
fn the_mode_is_the_threads_and_nests() {
    let on = || {
        assert_eq!(Tensor::scalar(0.0).try_ln().is_err(), is_anomaly_enabled());
        is_anomaly_enabled()
    };
    assert!(!on());
    detect_anomaly(|| {
        assert!(on());
        detect_anomaly(|| assert!(on()));
        assert!(on());
        assert!(!std::thread::spawn(on).join().unwrap());
    });
    assert!(!on());
    assert!(catch_unwind(|| detect_anomaly(|| Tensor::scalar(0.0).ln().item())).is_err());
    assert!(!on());
    let outer = DetectAnomaly::enter();
    let inner = DetectAnomaly::enter();
    drop(outer);
    assert!(on(), "guards may go in any order");
    drop(inner);
    assert!(!on());
}

#[test]
fn other_panics_go_on_and_results_come_out() {
    let panic = catch_unwind(AssertUnwindSafe(|| try_detect_anomaly(|| panic!("mine")))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"mine"));
    let handled_first = || {
        let error = Tensor::scalar(0.0).try_ln().unwrap_err();
        panic!("another: {error}");
    };
    assert!(catch_unwind(AssertUnwindSafe(|| try_detect_anomaly(handled_first))).is_err());
    assert_eq!(try_detect_anomaly(|| 7), Ok(7));
}
