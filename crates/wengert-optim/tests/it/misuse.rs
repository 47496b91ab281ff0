//! What is refused, with its text; nothing is changed by it.

use wengert::{ErrorKind, Tensor, no_grad, scope};
use wengert_optim::{
    Adagrad, Adam, AdamOptions, ClipNorm, CosineAnnealingLr, LinearLr, OneCycleLr, Optimizer, ReduceLrOnPlateau,
    Schedule, SequentialLr, Sgd, SgdOptions, StepLr, try_clip_grad_value,
};

fn leaf() -> Tensor {
    Tensor::ones([2, 3]).requires_grad_(true)
}

/// A tensor whose scope has ended.
fn stale() -> Tensor {
    let mut gone = None;
    scope(|| gone = Some(leaf()));
    gone.expect("the scope ran")
}

#[track_caller]
fn refused<T>(result: wengert::Result<T>, kind: ErrorKind, texts: &[&str]) {
    let error = result.err().expect("this is refused");
    assert_eq!(error.kind(), kind, "{error}");
    texts.iter().for_each(|text| assert!(error.to_string().contains(text), "{error:?} does not say {text:?}"));
}

#[test]
fn parameters() {
    let (w, options) = (leaf(), SgdOptions::default());
    let computed = w * 2.0;
    refused(
        Optimizer::try_with([w, computed], options),
        ErrorKind::Value,
        &["parameter 1 of shape [2, 3]", "MulBackward0"],
    );
    refused(Optimizer::try_with([w, w], options), ErrorKind::Value, &["parameter 1 is parameter 0 again"]);
    refused(Optimizer::<f32, _>::try_with([], options), ErrorKind::Value, &["at least one parameter"]);
    refused(Optimizer::try_with([stale()], options), ErrorKind::Stale, &["not on this thread's tape"]);
    let mut sgd = Sgd::new([w], 0.1);
    refused(sgd.add_group([leaf(), w], options), ErrorKind::Value, &["parameter 2 is parameter 0 again"]);
    assert_eq!(sgd.groups().len(), 1);
}

#[test]
fn numbers() {
    for (options, text) in [
        (AdamOptions { lr: -1.0, ..AdamOptions::default() }, "Adam: lr is -1"),
        (AdamOptions { beta2: 1.0, ..AdamOptions::default() }, "Adam: beta2 is 1, which does not lie in 0.0..1.0"),
        (AdamOptions { eps: f64::NAN, ..AdamOptions::default() }, "Adam: eps is NaN"),
        (AdamOptions { weight_decay: f64::INFINITY, ..AdamOptions::default() }, "Adam: weight_decay is inf"),
    ] {
        refused(Optimizer::try_with([leaf()], options), ErrorKind::Value, &[text]);
    }
    let mut sgd = Sgd::new([leaf()], 0.1).nesterov(true);
    refused(sgd.try_step(), ErrorKind::Value, &["nesterov needs a momentum and zero dampening, and they are 0 and 0"]);
    sgd.groups_mut()[0].options.momentum = 0.9;
    sgd.step();
    let panic = std::panic::catch_unwind(|| drop(Adam::new([leaf()], 0.1).betas(0.9, 1.5))).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().starts_with("Adam: beta2 is 1.5"));
}

#[test]
fn a_step_that_fails_changes_nothing() {
    let w = leaf();
    w.sum().backward();
    let mut sgd = scope(|| {
        let sgd = Sgd::new([w, leaf()], 0.1);
        sgd.params().last().unwrap().sum().backward();
        Inert(sgd)
    })
    .0;
    refused(sgd.try_step(), ErrorKind::Stale, &["SGD: parameter 1 is gone", "its scope has ended"]);
    refused(sgd.try_zero_grad(), ErrorKind::Stale, &["SGD: parameter 1 is gone"]);
    assert_eq!(w.to_vec(), [1.0; 6]);
    assert!(w.grad().is_some());

    let b = Tensor::ones([2]);
    let mut sgd = Sgd::new([w, b], 0.1);
    b.mul_(Tensor::ones([2]).requires_grad_(true));
    refused(sgd.try_step(), ErrorKind::Value, &["parameter 1 is no leaf any more"]);
    assert_eq!(w.to_vec(), [1.0; 6]);
}

/// Leaves a scope as it is, stale tensors and all.
struct Inert<T>(T);
impl<T> wengert::Escape for Inert<T> {}

#[test]
fn parameters_without_a_gradient_are_skipped() {
    let (w, b, frozen) = (leaf(), leaf(), Tensor::ones([2]));
    let mut adam = Adam::new([w, b, frozen], 0.5);
    w.sum().backward();
    adam.step();
    assert_eq!((b.to_vec(), frozen.to_vec()), (vec![1.0; 6], vec![1.0; 2]));
    assert!(no_grad(|| (w - 0.5).abs()).to_vec().iter().all(|error| *error < 1e-6));
    let steps: Vec<u64> = adam.state().groups[0].params.iter().map(|param| param.steps).collect();
    assert_eq!(steps, [1, 0, 0]);
    adam.zero_grad();
    assert!(w.grad().is_none());
}

#[test]
fn schedules() {
    let mut sgd = Sgd::new([leaf()], 0.1);
    let none: Vec<Box<dyn Schedule>> = vec![];
    let nested = || SequentialLr::warm_up(0.1, 5, CosineAnnealingLr::new(0));
    refused(StepLr::new(0).try_attach(&mut sgd), ErrorKind::Value, &["StepLR: step_size is 0"]);
    refused(nested().try_attach(&mut sgd), ErrorKind::Value, &["CosineAnnealingLR: t_max is 0"]);
    refused(LinearLr::new(0.0, 5).try_attach(&mut sgd), ErrorKind::Value, &["start_factor is 0"]);
    refused(
        SequentialLr::new(none, []).try_attach(&mut sgd),
        ErrorKind::Value,
        &["0 schedules need one milestone less"],
    );
    refused(
        OneCycleLr::new([0.1, 0.2], 5).try_attach(&mut sgd),
        ErrorKind::Value,
        &["max_lr has 2 numbers for 1 groups"],
    );
    refused(OneCycleLr::new(0.1, 5).max_momentum(1.0).try_attach(&mut sgd), ErrorKind::Value, &["max_momentum is 1"]);
    let mut adagrad = Adagrad::new([leaf()], 0.1);
    refused(OneCycleLr::new(0.1, 5).try_attach(&mut adagrad), ErrorKind::Value, &["Adagrad has no momentum"]);
    let mut plateau = ReduceLrOnPlateau::new().factor(1.0);
    refused(plateau.try_step(&mut sgd, 1.0), ErrorKind::Value, &["factor is 1"]);
    assert_eq!(sgd.groups()[0].options, SgdOptions { lr: 0.1, ..SgdOptions::default() });

    let mut cycle = OneCycleLr::new(1.0, 3).attach(&mut sgd);
    (0..3).for_each(|_| cycle.step(&mut sgd));
    let last = sgd.groups()[0].options;
    refused(cycle.try_step(&mut sgd), ErrorKind::Value, &["step 4 of a schedule of 3 steps"]);
    assert_eq!((cycle.steps(), sgd.groups()[0].options), (3, last));
}

#[test]
fn clipping() {
    let w = leaf();
    (w * 2.0).sum().backward();
    refused(ClipNorm::new(f64::NAN).try_clip([w]), ErrorKind::Value, &["clip_grad_norm: max_norm is NaN"]);
    refused(ClipNorm::new(1.0).norm_type(0.0).try_clip([w]), ErrorKind::Value, &["norm_type is 0"]);
    refused(ClipNorm::new(1.0).try_clip([w, stale()]), ErrorKind::Stale, &[]);
    refused(try_clip_grad_value([w], -1.0), ErrorKind::Value, &["clip_grad_value: clip_value is -1"]);
    assert_eq!(w.grad().unwrap().to_vec(), [2.0; 6]);
}
