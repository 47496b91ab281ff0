//! Reductions where PyTorch's records do not reach: lengths around the widths of the kernels, strides, third derivatives, nothing.

use wengert::{BoolTensor, GradOptions, Tensor, Tensor64, grad_with, scope};

/// A function's name and the function.
type Named = (&'static str, fn(Tensor64) -> Tensor64);

/// A reduction's name, the reduction, and what it is of a list.
type Reduction = (&'static str, fn(Tensor) -> Tensor, fn(&[f64]) -> f64);

/// Reductions of the dimensions 0 and 2 of three, beside the naive one of a list.
const REDUCTIONS: [Reduction; 10] = [
    ("sum", |x| x.sum_dims([0, 2], false), |x| x.iter().sum()),
    ("mean", |x| x.mean_dims([0, 2], false), |x| x.iter().sum::<f64>() / x.len() as f64),
    ("prod", |x| x.prod_dims([0, 2], false), |x| x.iter().product()),
    ("amax", |x| x.amax([0, 2], false), |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
    ("amin", |x| x.amin([0, 2], false), |x| x.iter().copied().fold(f64::INFINITY, f64::min)),
    ("var", |x| x.var_dims([0, 2], 0, false), variance),
    ("std", |x| x.std_dims([0, 2], 0, false), |x| variance(x).sqrt()),
    ("norm", |x| x.norm_dims(2.0, [0, 2], false), |x| x.iter().map(|x| x * x).sum::<f64>().sqrt()),
    ("norm 3", |x| x.norm_dims(3.0, [0, 2], false), |x| x.iter().map(|x| x.abs().powi(3)).sum::<f64>().cbrt()),
    ("logsumexp", |x| x.logsumexp([0, 2], false), |x| x.iter().map(|x| x.exp()).sum::<f64>().ln()),
];

fn variance(x: &[f64]) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / x.len() as f64
}

#[test]
fn every_length_and_stride_gives_the_naive_result() {
    for n in [1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 257, 1025] {
        for shape in [[1, 1, n], [n, 1, 1], [n, 2, 1], [2, n, 1], [1, n, 3], [n, 3, 2]] {
            scope(|| {
                let numel: usize = shape.iter().product();
                let numbers: Vec<f32> = (0..numel).map(|i| 0.9 + (i * 37 % 101) as f32 * 0.002).collect();
                let x = Tensor::from_slice(&numbers, shape);
                let column = |j: usize| -> Vec<f64> {
                    let at = |o: usize, i: usize| numbers[(o * shape[1] + j) * shape[2] + i].into();
                    (0..shape[0]).flat_map(|o| (0..shape[2]).map(move |i| at(o, i))).collect()
                };
                let columns: Vec<Vec<f64>> = (0..shape[1]).map(column).collect();
                let strided = x.transpose(0, 2).contiguous().transpose(0, 2);
                for (name, reduce, naive) in REDUCTIONS {
                    for x in [x, strided] {
                        for (got, column) in reduce(x).to_vec().into_iter().zip(&columns) {
                            let want = naive(column);
                            let error = (f64::from(got) - want).abs();
                            assert!(error <= 2e-5 * want.abs() + 1e-7, "{name} of {shape:?}: {got}, not {want}");
                        }
                    }
                }
            });
        }
    }
}

#[test]
fn ties_over_several_runs_share_evenly() {
    let x = Tensor::ones([2, 3, 2]).requires_grad_(true);
    x.amax([0, 2], true).sum().backward();
    assert_eq!(x.grad().unwrap().to_vec(), [0.25; 12]);
}

#[test]
fn third_derivatives_at_zeros_are_right() {
    let functions: [Named; 2] = [("prod", |x| x.prod()), ("cumprod", |x| x.cumprod(0).select(0, -1))];
    for (name, f) in functions {
        let x = Tensor64::new([0.0, 2.0, 0.0, 5.0]).requires_grad_(true);
        let derivative = |y: Tensor64, k: isize| {
            let options = GradOptions { create_graph: true, allow_unused: false };
            grad_with(y, &[x], None, options).unwrap()[0].unwrap().select(0, k)
        };
        let first = derivative(f(x), 0);
        let second = derivative(first, 2);
        let third = derivative(second, 3);
        assert_eq!([first.item(), second.item(), third.item()], [0.0, 10.0, 2.0], "{name}");
        assert_eq!(derivative(third, 1).item(), 1.0, "{name}");
    }
}

#[test]
fn nothing_has_the_neutral_element() {
    let none = Tensor::zeros([0, 3]);
    let values = [none.sum(), none.prod(), none.norm(), none.logsumexp((), false)].map(Tensor::item);
    assert_eq!(values, [0.0, 1.0, 0.0, f32::NEG_INFINITY]);
    assert!(none.mean().item().is_nan() && none.var().item().is_nan() && none.std().item().is_nan());
    assert_eq!((none.any().item(), none.all().item(), none.count_nonzero().item()), (false, true, 0));
    assert!(none.amax(1, false).shape() == [0] && none.argmin_dim(1, true).shape() == [0, 1]);
}

#[test]
fn truths_are_counted() {
    let mask = BoolTensor::new([[true, false, true], [false, false, true]]);
    assert_eq!((mask.sum().item(), mask.sum_dims(0, false).to_vec()), (3, vec![1, 0, 2]));
    assert_eq!(mask.t().count_nonzero_dims(0, true).to_vec(), [2, 1]);
    assert_eq!(Tensor::new([f32::NAN, -0.0, 2.0]).count_nonzero().item(), 2);
}

#[test]
fn the_least_norm_is_the_smallest_magnitude() {
    let x = Tensor::new([-3.0, 1.0, -1.0, 2.0]).requires_grad_(true);
    let y = x.norm_dims(f64::NEG_INFINITY, (), false);
    y.backward();
    assert_eq!((y.item(), x.grad().unwrap().to_vec()), (1.0, vec![0.0, 0.5, -0.5, 0.0]));
}
