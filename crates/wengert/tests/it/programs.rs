//! Random programs over the whole table: every operation in a chain with others, its operands computed from shared numbers.
//!
//! ```text
//! z --> operands of a --> a --> z' = z + tanh(a) --> operands of b --> b --> z'' ..        the program's value: a sum over z
//! ```

use wengert::func::{grad, hvp, jvp};
use wengert::table::{Sample, samples};
use wengert::{Tensor64, scope};

use super::samples::weigh;

/// Length of `z`.
const STATE: usize = 4;
/// Operations in one program.
const STEPS: usize = 3;
const STEP: f64 = 1e-6;

/// Numbers from -1 to 1 (the golden-ratio sequence).
fn spread(count: usize, offset: usize) -> Vec<f64> {
    (0..count).map(|i| 2.0 * ((i * 7 + offset * 31) as f64 * 0.618_033_988_749_894_9 + 0.3).fract() - 1.0).collect()
}

/// The operands of `sample`, each in its interval, as smooth functions of `z`.
fn operands(sample: &Sample, z: Tensor64, salt: usize) -> Vec<Tensor64> {
    let operand = |(k, (shape, on)): (usize, &(Vec<usize>, std::ops::Range<f64>))| {
        let count = shape.iter().product::<usize>();
        let mix = Tensor64::from_slice(&spread(count * STATE, salt + 5 * k), [count, STATE]);
        let shift = Tensor64::from_slice(&spread(count, salt + 5 * k + 2), [count]);
        // An operand without a derivative is the same wherever differences look.
        let from = if sample.differentiable[k] { z } else { z.zeros_like() };
        let inside = (mix.matmul(from) * 0.5 + shift * 2.0).sigmoid() * (on.end - on.start) + on.start;
        inside.reshape(&shape[..])
    };
    sample.inputs.iter().enumerate().map(operand).collect()
}

/// The value of the program that begins with operation `first`.
fn program(all: &[Sample], first: usize, z: Tensor64) -> Tensor64 {
    (0..STEPS)
        .fold(z, |z, step| {
            let sample = &all[(first + step * (first % 13 + 29)) % all.len()];
            z + weigh((sample.run)(&operands(sample, z, first + step))).tanh() * 0.5
        })
        .square()
        .sum()
}

fn names(all: &[Sample], first: usize) -> String {
    let name = |step: usize| {
        let sample = &all[(first + step * (first % 13 + 29)) % all.len()];
        format!("{} ({})", sample.op, sample.case)
    };
    (0..STEPS).map(name).collect::<Vec<_>>().join(" then ")
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Notes where a program's results differ.
fn compare(found: &mut Vec<String>, what: &str, program: &str, got: f64, expected: f64, tolerance: f64) {
    let error = (got - expected).abs() / (1.0 + expected.abs());
    if error.is_nan() || error > tolerance {
        found.push(format!("{program}: {what} is {got} and should be {expected}"));
    }
}

#[test]
fn forward_reverse_and_differences_agree_on_random_programs() {
    let all = samples();
    let mut found = Vec::new();
    for first in 0..all.len() {
        let f = |z: Tensor64| program(&all, first, z);
        let (at, along) = (spread(STATE, first + 3), spread(STATE, first + 11));
        let (z, v) = (Tensor64::from_slice(&at, [STATE]), Tensor64::from_slice(&along, [STATE]));
        let moved = |step: f64| {
            let moved: Vec<f64> = at.iter().zip(&along).map(|(x, d)| x + step * d).collect();
            Tensor64::from_slice(&moved, [STATE])
        };
        scope(|| {
            let name = names(&all, first);
            let gradient = |z: Tensor64| grad(f, z).to_vec();
            let reverse = dot(&gradient(z), &along);
            compare(&mut found, "the tangent", &name, jvp(f, z, v).1.item(), reverse, 1e-10);
            let difference = (f(moved(STEP)).item() - f(moved(-STEP)).item()) / (2.0 * STEP);
            compare(&mut found, "the derivative", &name, reverse, difference, 1e-7);
            let curvature = dot(&hvp(f, z, v).to_vec(), &along);
            let change = (dot(&gradient(moved(STEP)), &along) - dot(&gradient(moved(-STEP)), &along)) / (2.0 * STEP);
            compare(&mut found, "the second derivative", &name, curvature, change, 1e-6);
        });
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}
