//! Saving and loading.

use std::io::ErrorKind::InvalidData;

use wengert::{ErrorKind, FloatElement, TensorBase, scope};
use wengert_optim::{
    Adagrad, Adam, AdamW, Algorithm, CosineAnnealingLr, Optimizer, RmsProp, Schedule, Sgd, SgdOptions, State,
};

type Params<E> = [TensorBase<E>; 2];

fn params<E: FloatElement>() -> Params<E> {
    let values = |shape: &[usize]| {
        let n = shape.iter().product::<usize>();
        let values: Vec<E> = (0..n).map(|i| E::of(0.3 * i as f64 - 0.5)).collect();
        TensorBase::from_slice(&values, shape).requires_grad_(true)
    };
    [values(&[3, 2]), values(&[])]
}

fn train<E: FloatElement, A: Algorithm>(optimizer: &mut Optimizer<E, A>, steps: usize) {
    for _ in 0..steps {
        scope(|| optimizer.params().for_each(|param| (param * param * param + param).sum().backward()));
        optimizer.step();
        optimizer.zero_grad();
    }
}

fn values<E: FloatElement, A: Algorithm>(optimizer: &Optimizer<E, A>) -> Vec<Vec<E>> {
    optimizer.params().map(|param| param.to_vec()).collect()
}

/// Training that goes on from a file has the bits of training that never stopped.
fn check<E: FloatElement, A: Algorithm>(make: impl Fn(Params<E>) -> Optimizer<E, A>) {
    let mut whole = make(params());
    train(&mut whole, 5);

    let mut file = Vec::new();
    let middle = params::<E>();
    whole.state().write(&mut file).unwrap();
    for (to, from) in middle.iter().zip(whole.params()) {
        wengert::no_grad(|| to.copy_(from));
    }
    let state = State::read(&file[..]).unwrap();
    assert_eq!(state, whole.state());
    let mut resumed = make(middle);
    resumed.load_state(&state).unwrap();
    train(&mut whole, 5);
    train(&mut resumed, 5);
    assert_eq!(values(&whole), values(&resumed), "{}", A::NAME);

    // A file that ends early is refused, wherever it ends.
    for end in 0..file.len() {
        assert!(State::<E>::read(&file[..end]).is_err(), "{} of {} bytes", end, file.len());
    }
}

#[test]
fn training_goes_on_where_it_stopped() {
    check::<f32, _>(|params| Sgd::new(params, 0.1));
    check::<f64, _>(|[w, b]| Sgd::new([w], 0.01).momentum(0.9).dampening(0.5).group([b], |options| options.lr = 0.02));
    check::<f32, _>(|params| Adam::new(params, 0.1).amsgrad(true));
    check::<f64, _>(|params| AdamW::new(params, 0.1));
    check::<f32, _>(|params| RmsProp::new(params, 0.1).centered(true).momentum(0.5));
    check::<f64, _>(|params| Adagrad::new(params, 0.1).lr_decay(0.1));
}

#[test]
fn a_schedule_goes_on_where_it_stopped() {
    let mut whole = Sgd::new(params::<f64>(), 0.1);
    let mut schedule = CosineAnnealingLr::new(10).attach(&mut whole);
    (0..4).for_each(|_| schedule.step(&mut whole));
    let mut resumed = Sgd::new(params::<f64>(), 0.7);
    resumed.load_state(&whole.state()).unwrap();
    let mut again = CosineAnnealingLr::new(10).resume(schedule.steps());
    for _ in 0..8 {
        schedule.step(&mut whole);
        again.step(&mut resumed);
        assert_eq!(whole.groups()[0].options, resumed.groups()[0].options);
    }
}

#[test]
fn a_state_that_does_not_fit_is_named_and_changes_nothing() {
    let mut sgd = Sgd::new(params::<f32>(), 0.1).momentum(0.9);
    train(&mut sgd, 2);
    let good = sgd.state();
    let mut other = Sgd::new(params::<f32>(), 0.5);
    let before = other.state();
    type Change = fn(&mut State<f32>);
    let cases: [(ErrorKind, &str, Change); 9] = [
        (ErrorKind::Value, "the state is one of Adam", |state| state.algorithm = "Adam".into()),
        (ErrorKind::Value, "has 2 groups, the optimiser 1", |state| state.groups.push(state.groups[0].clone())),
        (ErrorKind::Value, "has 1 parameters, that of the optimiser 2", |state| drop(state.groups[0].params.pop())),
        (ErrorKind::Value, "no option speed", |state| state.groups[0].options[0].0 = "speed".into()),
        (ErrorKind::Value, "lr is -1", |state| state.groups[0].options[0].1 = -1.0),
        (ErrorKind::Shape, "parameter 0 of group 0 is for shape [2, 3], and it has [3, 2]", |state| {
            state.groups[0].params[0].shape = vec![2, 3];
        }),
        (ErrorKind::Value, "unknown buffer exp_avg", |state| state.groups[0].params[1].buffers[0].0 = "exp_avg".into()),
        (ErrorKind::Shape, "momentum_buffer of parameter 0 of group 0 has 5 elements instead of 6", |state| {
            state.groups[0].params[0].buffers[0].1.pop();
        }),
        (ErrorKind::Value, "nesterov needs a momentum", |state| {
            let options = &mut state.groups[0].options;
            options.iter_mut().filter(|(name, _)| name == "nesterov").for_each(|(_, on)| *on = 1.0);
            options.iter_mut().filter(|(name, _)| name == "momentum").for_each(|(_, momentum)| *momentum = 0.0);
        }),
    ];
    for (kind, text, change) in cases {
        let mut bad = good.clone();
        change(&mut bad);
        let error = other.load_state(&bad).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error:?} does not say {text:?}");
        assert_eq!(other.state(), before);
    }
    other.load_state(&good).unwrap();
    assert_eq!(other.groups()[0].options, SgdOptions { lr: 0.1, momentum: 0.9, ..SgdOptions::default() });
}

#[test]
fn files_that_are_no_states_are_refused() {
    let mut file = Vec::new();
    Sgd::new(params::<f32>(), 0.1).state().write(&mut file).unwrap();
    let expect = |bytes: &[u8], text: &str| {
        let error = State::<f32>::read(bytes).unwrap_err();
        assert_eq!(error.kind(), InvalidData);
        assert!(error.to_string().contains(text), "{error} does not say {text:?}");
    };
    assert_eq!(State::<f64>::read(&file[..]).unwrap_err().kind(), InvalidData);
    expect(b"", "expected a line");
    expect(b"PNG\n", "the state of an optimiser, in format 1");
    expect(b"wengert-optim 1 SGD f64 1\n", "elements of f32");
    expect(b"wengert-optim 1 SGD f32 many\n", "a number");
    expect(b"wengert-optim 1 SGD f32 1\nparam\n", "a group");
    // A count that no memory holds.
    let huge = format!("wengert-optim 1 SGD f32 1\ngroup 1 none\nparam 1 1 3\nmomentum_buffer {}\n", usize::MAX / 8);
    expect(huge.as_bytes(), "elements and a line feed");
    expect(huge.replace(&(usize::MAX / 8).to_string(), &usize::MAX.to_string()).as_bytes(), "a smaller buffer");
}
