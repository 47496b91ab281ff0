//! What PyTorch recorded: `tools/reference/optim.py` says how, and what the fields mean.

use std::io::Read;

use serde_json::{Map, Value};
use wengert::{FloatElement, TensorBase};
use wengert_optim::{
    AdagradOptions, Adam, AdamOptions, AdamWOptions, Algorithm, ClipNorm, CosineAnnealingLr, ExponentialLr, LinearLr,
    MultiStepLr, OneCycleLr, Optimizer, ReduceLrOnPlateau, RmsPropOptions, Schedule, SequentialLr, Sgd, SgdOptions,
    StepLr, try_clip_grad_value,
};

fn data() -> Value {
    let file = include_bytes!("../data/trajectories.json.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&file[..]).read_to_string(&mut text).expect("the file is gzip");
    serde_json::from_str(&text).expect("the file is JSON")
}

/// A number, or one of the strings that JSON has no number for.
fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) => text.parse().expect("nan, inf or -inf"),
        Value::Bool(on) => f64::from(*on),
        _ => value.as_f64().expect("a number"),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

fn floats<E: FloatElement>(value: &Value) -> Vec<E> {
    numbers(value).into_iter().map(E::of).collect()
}

fn leaf<E: FloatElement>(values: &[E]) -> TensorBase<E> {
    TensorBase::from_slice(values, [values.len()]).requires_grad_(true)
}

/// Makes `grad` the gradient of `param`.
fn set_grad<E: FloatElement>(param: TensorBase<E>, grad: Option<&[E]>) {
    param.zero_grad();
    if let Some(grad) = grad {
        wengert::scope(|| param.backward_with(TensorBase::from_slice(grad, [grad.len()])));
    }
}

/// The gradient of `tools/reference/optim.py`, in the same order of operations.
fn gradient<E: FloatElement>(problem: &Value, p: &[E], q: &[E]) -> (Vec<E>, Vec<E>) {
    let mut gp = vec![E::of(0.0); p.len()];
    for i in 0..p.len() - 1 {
        let d = p[i + 1] - p[i] * p[i];
        gp[i] = gp[i] - E::of(20.0) * d * p[i] - E::of(2.0) * (E::of(1.0) - p[i]);
        gp[i + 1] += E::of(10.0) * d;
    }
    let mut gq = vec![E::of(0.0); q.len()];
    for (row, target) in problem["a"].as_array().unwrap().iter().zip(numbers(&problem["b"])) {
        let row: Vec<E> = floats(row);
        let r = row[0] * q[0] + row[1] * q[1] - E::of(target);
        for (g, c) in gq.iter_mut().zip(row) {
            *g += r * c;
        }
    }
    (gp, gq)
}

/// Options from a group of a trajectory, whose fields are PyTorch's.
fn options<A: Algorithm>(mut options: A, group: &Value) -> A {
    for (name, value) in group.as_object().unwrap() {
        if name == "betas" {
            let betas = numbers(value);
            assert!(options.set_number("beta1", betas[0]) && options.set_number("beta2", betas[1]));
        } else {
            assert!(options.set_number(name, number(value)), "{} has no option {name}", A::NAME);
        }
    }
    options
}

/// Repeats a trajectory; the largest distance from PyTorch's, relative to numbers above 1.
fn replay<E: FloatElement, A: Algorithm>(problem: &Value, row: &Value, defaults: A) -> f64 {
    let (p, q) = (leaf(&floats::<E>(&problem["p"])), leaf(&floats::<E>(&problem["q"])));
    let groups = row["groups"].as_array().unwrap();
    let mut optimizer = Optimizer::with([p], options(defaults, &groups[0]));
    optimizer.add_group([q], options(defaults, &groups[1])).unwrap();
    let sign = E::of(if row["maximize"] == true { -1.0 } else { 1.0 });
    let skipped = row["skip"]["q"].as_array().cloned().unwrap_or_default();
    let mut worst = 0.0f64;
    for (step, expected) in row["steps"].as_array().unwrap().iter().enumerate() {
        let (mut gp, mut gq) = gradient(problem, &p.to_vec(), &q.to_vec());
        gp.iter_mut().chain(&mut gq).for_each(|g| *g *= sign);
        let skip = skipped.iter().any(|skipped| *skipped == step);
        set_grad(p, Some(&gp));
        set_grad(q, (!skip).then_some(&gq));
        optimizer.step();
        for (value, expected) in p.to_vec().into_iter().chain(q.to_vec()).zip(numbers(expected)) {
            worst = worst.max((value.into() - expected).abs() / expected.abs().max(1.0));
        }
    }
    worst
}

fn replay_as<E: FloatElement>(problem: &Value, row: &Value) -> f64 {
    match row["optimizer"].as_str().unwrap() {
        "SGD" => replay::<E, _>(problem, row, SgdOptions::default()),
        "Adam" => replay::<E, _>(problem, row, AdamOptions::default()),
        "AdamW" => replay::<E, _>(problem, row, AdamWOptions::default()),
        "RMSprop" => replay::<E, _>(problem, row, RmsPropOptions::default()),
        "Adagrad" => replay::<E, _>(problem, row, AdagradOptions::default()),
        other => panic!("no optimiser {other}"),
    }
}

/// Fifty steps stay within a few roundings of the dtype, and not at the same bits: PyTorch's loops fuse a multiplication with an
/// addition or not, depending on the machine and the length. The largest distances seen are 6e-16 and 4e-7.
#[test]
fn trajectories() {
    let data = data();
    let rows = data["trajectories"].as_array().unwrap();
    assert_eq!(rows.len(), 56);
    for (k, row) in rows.iter().enumerate() {
        let (worst, limit) = match row["dtype"].as_str().unwrap() {
            "f64" => (replay_as::<f64>(&data["problem"], row), 1e-14),
            _ => (replay_as::<f32>(&data["problem"], row), 1e-6),
        };
        assert!(worst <= limit, "trajectory {k}, {} {}: {worst:e} from PyTorch's", row["optimizer"], row["dtype"]);
    }
}

/// PyTorch's keyword arguments; all of them have to be taken.
struct Kwargs(Map<String, Value>);

impl Kwargs {
    fn of(value: &Value) -> Self {
        Self(value.as_object().unwrap().clone())
    }

    /// Applies `set` to the argument `name`, if it is there.
    fn apply<S>(&mut self, name: &str, schedule: S, set: impl FnOnce(S, &Value) -> S) -> S {
        match self.0.remove(name) {
            Some(value) => set(schedule, &value),
            None => schedule,
        }
    }

    fn number(&mut self, name: &str, default: f64) -> f64 {
        self.apply(name, default, |_, value| number(value))
    }

    fn count(&mut self, name: &str, default: u64) -> u64 {
        self.apply(name, default, |_, value| value.as_u64().unwrap())
    }

    fn list(&mut self, name: &str) -> Vec<f64> {
        self.0
            .remove(name)
            .map_or_else(Vec::new, |value| if value.is_array() { numbers(&value) } else { vec![number(&value)] })
    }

    fn milestones(&mut self) -> Vec<u64> {
        self.list("milestones").into_iter().map(|milestone| milestone as u64).collect()
    }

    fn done(&self) {
        assert!(self.0.is_empty(), "arguments not understood: {:?}", self.0);
    }
}

fn schedule(name: &str, kwargs: &Value) -> Box<dyn Schedule> {
    let mut kwargs = Kwargs::of(kwargs);
    let schedule: Box<dyn Schedule> = match name {
        "StepLR" => Box::new(StepLr::new(kwargs.count("step_size", 0)).gamma(kwargs.number("gamma", 0.1))),
        "MultiStepLR" => Box::new(MultiStepLr::new(kwargs.milestones()).gamma(kwargs.number("gamma", 0.1))),
        "ExponentialLR" => Box::new(ExponentialLr::new(kwargs.number("gamma", 0.0))),
        "CosineAnnealingLR" => {
            Box::new(CosineAnnealingLr::new(kwargs.count("T_max", 0)).eta_min(kwargs.number("eta_min", 0.0)))
        }
        "LinearLR" => {
            let (start, steps) = (kwargs.number("start_factor", 1.0 / 3.0), kwargs.count("total_iters", 5));
            Box::new(LinearLr::new(start, steps).end_factor(kwargs.number("end_factor", 1.0)))
        }
        "OneCycleLR" => Box::new(one_cycle(&mut kwargs)),
        "SequentialLR" => {
            let inner = kwargs.0.remove("schedulers").unwrap();
            let inner = inner.as_array().unwrap().iter().map(|s| schedule(s[0].as_str().unwrap(), &s[1]));
            Box::new(SequentialLr::new(inner.collect(), kwargs.milestones()))
        }
        other => panic!("no schedule {other}"),
    };
    kwargs.done();
    schedule
}

fn one_cycle(kwargs: &mut Kwargs) -> OneCycleLr {
    let epochs = kwargs.count("epochs", 0) * kwargs.count("steps_per_epoch", 0);
    let cycle = OneCycleLr::new(kwargs.list("max_lr"), kwargs.count("total_steps", epochs));
    let cycle = kwargs.apply("pct_start", cycle, |cycle, value| cycle.pct_start(number(value)));
    let cycle = kwargs.apply("anneal_strategy", cycle, |cycle, value| cycle.linear(value == "linear"));
    let cycle = kwargs.apply("three_phase", cycle, |cycle, value| cycle.three_phase(value == true));
    let cycle = kwargs.apply("cycle_momentum", cycle, |cycle, value| cycle.cycle_momentum(value == true));
    let cycle = kwargs.apply("base_momentum", cycle, |cycle, value| cycle.base_momentum(number(value)));
    let cycle = kwargs.apply("max_momentum", cycle, |cycle, value| cycle.max_momentum(number(value)));
    let cycle = kwargs.apply("div_factor", cycle, |cycle, value| cycle.div_factor(number(value)));
    kwargs.apply("final_div_factor", cycle, |cycle, value| cycle.final_div_factor(number(value)))
}

fn plateau(kwargs: &Value) -> ReduceLrOnPlateau {
    let mut kwargs = Kwargs::of(kwargs);
    let plateau = ReduceLrOnPlateau::new();
    let plateau = kwargs.apply("mode", plateau, |plateau, value| plateau.maximize(value == "max"));
    let plateau = kwargs.apply("factor", plateau, |plateau, value| plateau.factor(number(value)));
    let plateau = kwargs.apply("patience", plateau, |plateau, value| plateau.patience(value.as_u64().unwrap()));
    let plateau = kwargs.apply("threshold", plateau, |plateau, value| plateau.threshold(number(value)));
    let plateau = kwargs.apply("threshold_mode", plateau, |plateau, value| plateau.absolute(value == "abs"));
    let plateau = kwargs.apply("cooldown", plateau, |plateau, value| plateau.cooldown(value.as_u64().unwrap()));
    let plateau = kwargs.apply("eps", plateau, |plateau, value| plateau.eps(number(value)));
    let min_lr = kwargs.list("min_lr");
    kwargs.done();
    if min_lr.is_empty() { plateau } else { plateau.min_lr(min_lr) }
}

/// Steps an optimiser with two groups through a schedule; the distance of its rates from PyTorch's, relative.
fn follow<A: Algorithm>(row: &Value, mut optimizer: Optimizer<f64, A>) -> f64 {
    let name = row["scheduler"].as_str().unwrap();
    let mut plateau = (name == "ReduceLROnPlateau").then(|| plateau(&row["kwargs"]));
    let mut scheduler = plateau.is_none().then(|| schedule(name, &row["kwargs"]).attach(&mut optimizer));
    let mut worst = 0.0f64;
    for (step, rates) in row["lr"].as_array().unwrap().iter().enumerate() {
        if step > 0 {
            optimizer.step();
            scheduler.iter_mut().for_each(|scheduler| scheduler.step(&mut optimizer));
            plateau.iter_mut().for_each(|plateau| plateau.step(&mut optimizer, number(&row["metrics"][step - 1])));
        }
        let momenta = row.get("momentum").map(|momenta| numbers(&momenta[step]));
        for (k, (group, expected)) in optimizer.groups_mut().iter_mut().zip(numbers(rates)).enumerate() {
            let mut compare =
                |value: f64, expected: f64| worst = worst.max((value - expected).abs() / expected.abs().max(1e-6));
            compare(*group.options.lr_mut(), expected);
            if let (Some(momenta), Some(momentum)) = (&momenta, group.options.momentum_mut()) {
                compare(*momentum, momenta[k]);
            }
        }
    }
    worst
}

#[test]
fn schedules() {
    let data = data();
    let rows = data["schedules"].as_array().unwrap();
    assert_eq!(rows.len(), 28);
    for (k, row) in rows.iter().enumerate() {
        let (p, q) = (leaf(&[0.0]), leaf(&[0.0]));
        let base = |group: usize| number(&row["base"][group]["lr"]);
        let worst = match row["optimizer"].as_str().unwrap() {
            "SGD" => follow(row, Sgd::new([p], base(0)).momentum(0.9).group([q], |options| options.lr = base(1))),
            _ => follow(row, Adam::new([p], base(0)).group([q], |options| options.lr = base(1))),
        };
        assert!(worst < 1e-12, "schedule {k}, {} {}: {worst:e} from PyTorch's", row["scheduler"], row["kwargs"]);
    }
}

/// Clips gradients; panics if they differ from PyTorch's.
fn clip<E: FloatElement>(what: &str, row: &Value, tolerance: f64) {
    let close = |found: E, expected: f64| {
        let (found, limit) = (found.into(), tolerance * expected.abs().max(1e-3));
        let same = found == expected || found.is_nan() && expected.is_nan() || (found - expected).abs() <= limit;
        assert!(same, "{what}: {found} instead of {expected}");
    };
    let kwargs = &row["kwargs"];
    let params: Vec<TensorBase<E>> =
        row["grads"].as_array().unwrap().iter().map(|grad| leaf(&floats::<E>(grad))).collect();
    for (param, grad) in params.iter().zip(row["grads"].as_array().unwrap()) {
        set_grad(*param, Some(&floats(grad)));
    }
    let without = leaf(&[E::of(1.0)]);
    let all = params.iter().copied().chain([without]);
    if row["function"] == "clip_grad_value_" {
        try_clip_grad_value(all, number(&kwargs["clip_value"])).unwrap();
    } else {
        let clip = ClipNorm::new(number(&kwargs["max_norm"])).norm_type(number(&kwargs["norm_type"]));
        let expected = number(&row["total_norm"]);
        assert_eq!(clip.error_if_nonfinite(true).try_clip(std::iter::empty::<TensorBase<E>>()).unwrap(), E::of(0.0));
        if !expected.is_finite() {
            assert!(clip.error_if_nonfinite(true).try_clip(all.clone()).is_err(), "{what}");
        }
        close(clip.clip(all), expected);
    }
    assert!(without.grad().is_none());
    for (param, expected) in params.iter().zip(row["clipped"].as_array().unwrap()) {
        let found = param.grad().unwrap().to_vec();
        found.into_iter().zip(numbers(expected)).for_each(|(found, expected)| close(found, expected));
    }
}

#[test]
fn clipping() {
    let data = data();
    let rows = data["clipping"].as_array().unwrap();
    assert_eq!(rows.len(), 42);
    for (k, row) in rows.iter().enumerate() {
        let what = format!("clipping {k}, {row}");
        match row["dtype"].as_str().unwrap() {
            "f64" => clip::<f64>(&what, row, 1e-15),
            _ => clip::<f32>(&what, row, 2e-7),
        }
    }
}
