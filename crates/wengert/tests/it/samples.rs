//! Every operation of the table, differentiated in reverse, forward and twice, against finite differences.

use std::collections::BTreeSet;

use wengert::func::{JacobianOptions, grad, hessian_with, jacfwd_with, jacrev_with};
use wengert::table::{Sample, samples};
use wengert::{GradOptions, Tensor64, grad_with, jvp, scope};

/// Step of the central differences; their error is near its square.
const STEP: f64 = 1e-5;
const TOLERANCE: f64 = 2e-8;
const TOLERANCE_SECOND: f64 = 2e-7;

/// Numbers from 0 to 1, evenly spread and without ties (the golden-ratio sequence).
fn spread(count: usize, offset: usize) -> impl Iterator<Item = f64> {
    (0..count).map(move |i| ((i + offset) as f64 * 0.618_033_988_749_894_9 + 0.1).fract())
}

pub fn inputs(sample: &Sample) -> Vec<Vec<f64>> {
    let mut offset = 1;
    let of = |(shape, on): &(Vec<usize>, std::ops::Range<f64>)| {
        let count = shape.iter().product();
        offset += 17;
        spread(count, offset).map(|x| on.start + x * (on.end - on.start)).collect()
    };
    sample.inputs.iter().map(of).collect()
}

pub fn leaves(sample: &Sample, values: &[Vec<f64>]) -> Vec<Tensor64> {
    let make = |(k, values): (usize, &Vec<f64>)| {
        Tensor64::from_slice(values, &sample.inputs[k].0).requires_grad_(sample.differentiable[k])
    };
    values.iter().enumerate().map(make).collect()
}

/// A number that every element of the result has a share of.
pub fn weigh(y: Tensor64) -> Tensor64 {
    let weights: Vec<f64> = spread(y.numel(), 5).map(|w| w + 0.5).collect();
    (y * Tensor64::from_slice(&weights, y.shape())).sum()
}

fn loss(sample: &Sample, values: &[Vec<f64>]) -> f64 {
    scope(|| weigh((sample.run)(&leaves(sample, values))).item())
}

/// The gradients of the weighed result, by backward.
fn gradients(sample: &Sample, values: &[Vec<f64>]) -> Vec<Vec<f64>> {
    scope(|| {
        let x = leaves(sample, values);
        weigh((sample.run)(&x)).backward();
        x.iter().map(|x| x.grad().unwrap_or_else(|| x.zeros_like()).to_vec()).collect()
    })
}

/// `d f / d values` by central differences.
fn differences(sample: &Sample, values: &[Vec<f64>], f: impl Fn(&[Vec<f64>]) -> f64) -> Vec<Vec<f64>> {
    let mut moved = values.to_vec();
    let mut at = |k: usize, i: usize| {
        let mut side = |step: f64| {
            moved[k][i] = values[k][i] + step;
            f(&moved)
        };
        let slope = (side(STEP) - side(-STEP)) / (2.0 * STEP);
        moved[k][i] = values[k][i];
        slope
    };
    let of = |k: usize| {
        let tracked = sample.differentiable[k];
        (0..values[k].len()).map(|i| if tracked { at(k, i) } else { 0.0 }).collect()
    };
    (0..values.len()).map(of).collect::<Vec<_>>()
}

fn assert_close(sample: &Sample, what: &str, got: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64) {
    for (k, (got, expected)) in got.iter().zip(expected).enumerate() {
        for (i, (&g, &e)) in got.iter().zip(expected).enumerate() {
            assert!(
                (g - e).abs() <= tolerance * (1.0 + e.abs()),
                "{} ({}): {what} of operand {k}, element {i}: {g} should be {e}",
                sample.op,
                sample.case
            );
        }
    }
}

#[test]
fn reverse_equals_differences() {
    let all = samples();
    let operations: BTreeSet<&str> = all.iter().map(|sample| sample.op).collect();
    println!("covered: operations of the table: {}, {} samples, each in every mode", operations.len(), all.len());
    for sample in samples() {
        let values = inputs(&sample);
        let expected = differences(&sample, &values, |values| loss(&sample, values));
        assert_close(&sample, "the gradient", &gradients(&sample, &values), &expected, TOLERANCE);
    }
}

#[test]
fn create_graph_gives_the_same_and_can_be_differentiated() {
    let combine = |sample: &Sample, values: &[Vec<f64>], again: bool| -> (f64, Vec<Vec<f64>>, Vec<Vec<f64>>) {
        scope(|| {
            let x = leaves(sample, values);
            let tracked: Vec<Tensor64> = x.iter().copied().filter(|x| x.requires_grad()).collect();
            let y = weigh((sample.run)(&x));
            let options = GradOptions { create_graph: true, allow_unused: true };
            let first = grad_with(y, &tracked, None, options).unwrap();
            let first = first.into_iter().zip(&tracked).map(|(g, x)| g.unwrap_or_else(|| x.zeros_like()));
            let first: Vec<Tensor64> = first.collect();
            for (g, x) in first.iter().zip(&tracked) {
                assert_eq!(g.shape(), x.shape(), "{} ({}): a recorded gradient's shape", sample.op, sample.case);
            }
            let total = first.iter().fold(Tensor64::scalar(0.0), |total, &g| total + weigh(g * g));
            let firsts = first.iter().map(|g| g.to_vec()).collect();
            if again && total.requires_grad() {
                total.backward();
            }
            let seconds = x.iter().map(|x| x.grad().unwrap_or_else(|| x.zeros_like()).to_vec()).collect();
            (total.item(), firsts, seconds)
        })
    };
    for sample in samples() {
        let values = inputs(&sample);
        let (_, firsts, seconds) = combine(&sample, &values, true);
        let plain = gradients(&sample, &values);
        let tracked: Vec<_> =
            plain.into_iter().zip(&sample.differentiable).filter(|(_, tracked)| **tracked).map(|(g, _)| g).collect();
        assert_close(&sample, "the recorded gradient", &firsts, &tracked, 1e-12);
        let expected = differences(&sample, &values, |values| combine(&sample, values, false).0);
        assert_close(&sample, "the second derivative", &seconds, &expected, TOLERANCE_SECOND);
    }
}

#[test]
fn forward_equals_reverse() {
    for sample in samples() {
        let values = inputs(&sample);
        let reverse = gradients(&sample, &values);
        let directions: Vec<Vec<f64>> =
            values.iter().enumerate().map(|(k, v)| spread(v.len(), 3 + k).collect()).collect();
        let expected: f64 = reverse.iter().flatten().zip(directions.iter().flatten()).map(|(g, d)| g * d).sum();
        let got = scope(|| {
            let x = leaves(&sample, &values);
            let v = leaves(&sample, &directions);
            let smooth = |x: &[Tensor64]| -> Vec<Tensor64> {
                x.iter().zip(&sample.differentiable).filter(|(_, smooth)| **smooth).map(|(x, _)| *x).collect()
            };
            let at = |tracked: Vec<Tensor64>| {
                let mut tracked = tracked.iter();
                let operand = |(x, smooth): (&Tensor64, &bool)| if *smooth { tracked.next() } else { Some(x) }.copied();
                let all: Option<Vec<Tensor64>> = x.iter().zip(&sample.differentiable).map(operand).collect();
                weigh((sample.run)(&all.expect("as many as are differentiable")))
            };
            jvp(at, smooth(&x), smooth(&v)).1.item()
        });
        assert_close(&sample, "the tangent", &[vec![got]], &[vec![expected]], 1e-10);
    }
}

/// The differentiable operands, and a number besides.
type Point = (Vec<Tensor64>, Tensor64);

#[test]
fn jacobians_of_many_rows_at_once_equal_those_row_by_row() {
    for sample in samples() {
        let values = inputs(&sample);
        scope(|| {
            let all = leaves(&sample, &values);
            let smooth = |k: &usize| sample.differentiable[*k];
            let places: Vec<usize> = (0..all.len()).filter(smooth).collect();
            // One more input and output, so that numbers too have more than one row and column.
            let f = |(x, other): Point| {
                let mut operands = all.clone();
                places.iter().zip(x).for_each(|(&k, x)| operands[k] = x);
                let y = (sample.run)(&operands);
                (y, weigh(y * y) * other)
            };
            let x: Vec<Tensor64> = places.iter().map(|&k| all[k].detach()).collect();
            let x = (x, Tensor64::scalar(0.75));
            let flat = |blocks: [&Point; 2]| -> Vec<Vec<f64>> {
                let [a, b] = blocks;
                let tensors = a.0.iter().chain([&a.1]).chain(&b.0).chain([&b.1]);
                tensors.map(|block| block.to_vec()).collect()
            };
            let rows = |chunk| jacrev_with(f, x.clone(), JacobianOptions { chunk: Some(chunk) }).unwrap();
            let columns = |chunk| jacfwd_with(f, x.clone(), JacobianOptions { chunk: Some(chunk) }).unwrap();
            let one_by_one = rows(1);
            let expected = flat([&one_by_one.0, &one_by_one.1]);
            for (what, (first, second)) in [
                ("jacrev, all", rows(1000)),
                ("jacrev, 3", rows(3)),
                ("jacfwd, 1", columns(1)),
                ("jacfwd, 3", columns(3)),
            ] {
                for (block, expected) in first.0.iter().zip(&one_by_one.0.0) {
                    assert_eq!(block.shape(), expected.shape(), "{} ({}): {what}", sample.op, sample.case);
                }
                assert_close(&sample, what, &flat([&first, &second]), &expected, 1e-12);
            }
        });
    }
}

#[test]
fn hessians_of_many_columns_at_once_equal_those_column_by_column() {
    for sample in samples() {
        let values = inputs(&sample);
        scope(|| {
            let all = leaves(&sample, &values);
            let places: Vec<usize> = (0..all.len()).filter(|&k| sample.differentiable[k]).collect();
            let f = |(x, other): Point| {
                let mut operands = all.clone();
                places.iter().zip(x).for_each(|(&k, x)| operands[k] = x);
                weigh((sample.run)(&operands)).square() * other
            };
            let x: Vec<Tensor64> = places.iter().map(|&k| all[k].detach()).collect();
            let x = (x, Tensor64::scalar(0.75));
            let flat = |h: (Vec<Point>, Point)| -> Vec<Vec<f64>> {
                let rows = h.0.iter().chain([&h.1]);
                rows.flat_map(|row| row.0.iter().chain([&row.1])).map(|block| block.to_vec()).collect()
            };
            let h = |chunk| flat(hessian_with(f, x.clone(), JacobianOptions { chunk: Some(chunk) }).unwrap());
            let expected = h(1);
            assert_close(&sample, "the Hessian, 4 columns at once", &h(4), &expected, 1e-11);
            let rows = |x| jacrev_with(|x| grad(f, x), x, JacobianOptions { chunk: Some(5) }).unwrap();
            assert_close(&sample, "the Hessian by rows, 5 at once", &flat(rows(x.clone())), &expected, 1e-9);
        });
    }
}
