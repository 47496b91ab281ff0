//! What PyTorch recorded: `tools/reference/optim.py` says how, and what the fields mean.

use std::io::Read;

use serde_json::Value;
use wengert::{FloatElement, TensorBase};
use wengert_optim::{AdagradOptions, AdamOptions, AdamWOptions, Algorithm, Optimizer, RmsPropOptions, SgdOptions};

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

/// Fifty steps stay within the rounding of the dtype: PyTorch's own loops fuse multiplications with additions or not,
/// depending on the machine and the length.
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
        println!("{k} {} {} {worst:e}", row["optimizer"], row["dtype"]);
        assert!(worst <= limit, "trajectory {k}, {} {}: {worst:e} from PyTorch's", row["optimizer"], row["dtype"]);
    }
}
