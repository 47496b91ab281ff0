//! What holds for every operation of the table.

use wengert::table::{Sample, samples};
use wengert::{GradOptions, Tensor64, grad_with, scope};

/// Numbers from 0 to 1, evenly spread and without ties (the golden-ratio sequence).
fn spread(count: usize, offset: usize) -> Vec<f64> {
    (0..count).map(|i| ((i + offset) as f64 * 0.618_033_988_749_894_9 + 0.1).fract()).collect()
}

/// Operands in the sample's intervals, of other shapes.
fn operands(sample: &Sample, shapes: &[&[usize]]) -> Vec<Tensor64> {
    let of = |(k, shape): (usize, &&[usize])| {
        let on = &sample.inputs[k].1;
        let numbers = spread(shape.iter().product(), 1 + 17 * k);
        let numbers: Vec<f64> = numbers.into_iter().map(|x| on.start + x * (on.end - on.start)).collect();
        Tensor64::from_slice(&numbers, *shape).requires_grad_(sample.differentiable[k])
    };
    shapes.iter().enumerate().map(of).collect()
}

fn elementwise() -> impl Iterator<Item = Sample> {
    samples().into_iter().filter(|sample| sample.case == "equal shapes")
}

/// Value and gradients of a sample at the operands.
fn evaluate(sample: &Sample, x: &[Tensor64]) -> Vec<Vec<f64>> {
    let y = (sample.run)(x);
    y.backward_with(Tensor64::ones(y.shape()));
    let mut found = vec![y.to_vec()];
    for (k, x) in x.iter().enumerate().filter(|(k, _)| sample.differentiable[*k]) {
        found.push(x.grad().unwrap_or_else(|| panic!("{}: no gradient of operand {k}", sample.op)).to_vec());
        assert_eq!(x.grad().expect("above").shape(), x.shape());
        x.zero_grad();
    }
    found
}

// 13
#[test]
fn every_row_works_for_any_length() {
    for sample in elementwise() {
        let k = sample.inputs.len();
        for length in (0..=40).chain([63, 64, 65, 127, 129, 1023, 1024, 1025, 2049]) {
            scope(|| {
                let x = operands(&sample, &vec![&[length][..]; k]);
                let all = evaluate(&sample, &x);
                for place in [0, length / 2, length.wrapping_sub(1)].into_iter().filter(|place| *place < length) {
                    let one: Vec<Tensor64> = x
                        .iter()
                        .enumerate()
                        .map(|(k, x)| Tensor64::scalar(x.to_vec()[place]).requires_grad_(sample.differentiable[k]))
                        .collect();
                    for (all, one) in all.iter().zip(evaluate(&sample, &one)) {
                        let (all, one) = (all[place], one[0]);
                        assert!(
                            (all - one).abs() <= 1e-13 * (1.0 + one.abs()),
                            "{}: {all} at {place} of {length}, but {one} alone",
                            sample.op
                        );
                    }
                }
            });
        }
    }
}

// 13
#[test]
fn every_row_works_for_any_rank_and_for_no_elements() {
    let shapes: &[[&[usize]; 3]] = &[
        [&[], &[], &[]],
        [&[0], &[0], &[0]],
        [&[0], &[1], &[]],
        [&[2, 0, 3], &[3], &[1, 1]],
        [&[1], &[], &[1, 1, 1]],
        [&[1, 2, 1, 3], &[2, 1, 1], &[1, 1, 1, 1]],
        [&[1, 2, 1, 2, 1, 2, 1, 2], &[2, 1, 2, 1, 2, 1, 2, 1], &[2]],
        [&[1; 8], &[2; 8], &[1]],
    ];
    for sample in elementwise() {
        for shapes in shapes {
            scope(|| {
                let x = operands(&sample, &shapes[..sample.inputs.len()]);
                let found = evaluate(&sample, &x);
                assert!(found.iter().flatten().all(|x| x.is_finite()), "{} of {shapes:?}: {found:?}", sample.op);
            });
        }
    }
}

const STEP: f64 = 1e-5;

/// The derivative of `f(x)` along `direction`, recorded; `None` if it is zero by structure.
fn along(y: Tensor64, x: &[Tensor64], direction: &[Tensor64]) -> Option<Tensor64> {
    let options = GradOptions { create_graph: true, allow_unused: true };
    let grads = grad_with(y, x, None, options).unwrap();
    let terms = grads.into_iter().zip(direction).filter_map(|(g, v)| g.map(|g| (g * *v).sum()));
    terms.reduce(|total, term| total + term)
}

/// The derivative of order `order` of the weighed result, each along a direction of its own, with the operands moved by
/// `shift` along the last direction.
fn derivative(sample: &Sample, order: usize, shift: f64) -> f64 {
    scope(|| {
        let shapes: Vec<&[usize]> = sample.inputs.iter().map(|(shape, _)| &shape[..]).collect();
        let directions = |order: usize| -> Vec<Tensor64> {
            let of = |(k, x): (usize, &&[usize])| {
                let numbers: Vec<f64> =
                    spread(x.iter().product(), 5 + 31 * k + 7 * order).iter().map(|v| v - 0.3).collect();
                Tensor64::from_slice(&numbers, *x)
            };
            shapes.iter().enumerate().map(of).collect()
        };
        let x = operands(sample, &shapes);
        let moved = x.iter().zip(directions(3)).map(|(x, v)| x.detach() + v * shift);
        let x: Vec<Tensor64> =
            moved.zip(&x).map(|(moved, x)| if x.requires_grad() { moved.requires_grad_(true) } else { *x }).collect();
        let wanted: Vec<Tensor64> = x.iter().copied().filter(|x| x.requires_grad()).collect();
        let tracked = |all: Vec<Tensor64>| -> Vec<Tensor64> {
            all.into_iter().zip(&x).filter(|(_, x)| x.requires_grad()).map(|(v, _)| v).collect()
        };
        let y = (sample.run)(&x);
        let weights: Vec<f64> = spread(y.numel(), 5).iter().map(|w| w + 0.5).collect();
        let mut total = Some((y * Tensor64::from_slice(&weights, y.shape())).sum());
        for k in 1..=order {
            total = total.filter(|y| y.requires_grad()).and_then(|y| along(y, &wanted, &tracked(directions(k))));
        }
        total.map_or(0.0, Tensor64::item)
    })
}

// 7
#[test]
fn third_derivatives_are_right() {
    let mut wrong = Vec::new();
    for sample in samples() {
        let found = derivative(&sample, 3, 0.0);
        let expected = (derivative(&sample, 2, STEP) - derivative(&sample, 2, -STEP)) / (2.0 * STEP);
        if (found - expected).abs() > 1e-5 * (1.0 + expected.abs()) {
            wrong.push(format!("{} ({}): {found} should be {expected}", sample.op, sample.case));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
