//! Constructors and operations on shapes, with lengths at the borders of what memory and types hold. What is made has the shape and the
//! elements that it must have; what is too large is an error.

use wengert::options::{AvgPool, Conv2d, MaxPool};
use wengert::{
    BoolTensor, Element, IndexTensor, Result, Scope, Tensor, Tensor64, TensorBase, manual_seed, try_cat, try_stack,
};

use crate::bytes::{Bytes, bits, pad_mode};

/// About the most elements that are looked at one by one.
const MOST: usize = 1 << 12;

pub fn run(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    manual_seed(3);
    let mut x = Tensor64::linspace(0.0, 5.0, 6).reshape([2, 3]);
    for _ in 0..40 {
        if bytes.is_empty() {
            return;
        }
        // Its memory is free again afterwards.
        let scope = Scope::enter();
        match bytes.below(4) {
            0 => make(&mut bytes),
            1 => windows(x, &mut bytes),
            _ => _ = reshape(x, &mut bytes).map(check),
        }
        drop(scope);
        if bytes.byte() > 100 {
            x = bytes.tensor();
        }
    }
}

/// Reads a tensor as a whole.
fn check<E: Element>(x: TensorBase<E>) {
    let shape = x.shape();
    assert_eq!(x.numel(), shape.numel());
    assert_eq!((x.dim(), x.strides().len()), (shape.len(), shape.len()));
    if shape.numel() <= MOST {
        assert_eq!(x.to_vec().len(), shape.numel());
        _ = format!("{x}");
    } else {
        // Larger than the budget at any rate, or a view: its elements may be more than memory holds.
        _ = x.try_contiguous();
        _ = x.try_item();
    }
}

fn check_all<E: Element>(made: Result<TensorBase<E>>, shape: &[usize], is: impl Fn(usize, E) -> bool) {
    let Ok(x) = made else { return };
    assert_eq!(x.shape()[..], *shape);
    if x.numel() <= 1 << 21 {
        let (values, step) = (x.to_vec(), x.numel() / MOST + 1);
        assert_eq!(values.len(), x.numel());
        assert!(values.iter().enumerate().step_by(step).all(|(i, &value)| is(i, value)), "elements of {shape:?}");
    }
}

fn make(bytes: &mut Bytes<'_>) {
    let shape = bytes.shape();
    match bytes.below(16) {
        0 => check_all(Tensor::try_zeros(&shape), &shape, |_, x| x == 0.0),
        1 => check_all(Tensor64::try_ones(&shape), &shape, |_, x| x == 1.0),
        2 => check_all(IndexTensor::try_full(&shape, -7), &shape, |_, x| x == -7),
        3 => check_all(BoolTensor::try_full(&shape, true), &shape, |_, x| x),
        4 => check_all(Tensor::try_rand(&shape), &shape, |_, x| (0.0..1.0).contains(&x)),
        5 => check_all(Tensor64::try_randn(&shape), &shape, |_, x| x.is_finite()),
        6 => {
            let (low, high) = (bytes.dim() as i64, bytes.dim() as i64);
            check_all(IndexTensor::try_randint(low, high, &shape), &shape, |_, x| low <= x && x < high);
        }
        7 => {
            let data: Vec<f32> = (0..bytes.below(60)).map(|i| i as f32).collect();
            check_all(Tensor::try_from_slice(&data, &shape), &shape, |i, x| x == i as f32);
        }
        8 => {
            let n = bytes.length();
            check_all(Tensor::try_eye(n), &[n, n], |i, x| x == f32::from(u8::from(i % (n + 1) == 0)));
        }
        9 => {
            let n = bytes.length();
            check_all(IndexTensor::try_randperm(n), &[n], |_, x| x >= 0 && (x as usize) < n);
        }
        10 => {
            let (start, end, steps) = (bytes.number(), bytes.number(), bytes.length());
            let ends = |i, x: f64| {
                (i > 0 || x == start || x.is_nan() || steps == 1) && (i + 1 < steps || i == 0 || x == end || x.is_nan())
            };
            check_all(Tensor64::try_linspace(start, end, steps), &[steps], ends);
        }
        11 => {
            let (start, end, step) = (bytes.dim() as i64, bytes.dim() as i64, bytes.dim() as i64);
            let made = IndexTensor::try_arange(start, end, step);
            if let Ok(x) = made {
                let wanted = |i: usize, x: i64| i128::from(x) == i128::from(start) + i as i128 * i128::from(step);
                check_all(made, &x.shape().clone(), |i, x| wanted(i, x) && (if step > 0 { x < end } else { x > end }));
            }
        }
        12 => _ = Tensor64::try_arange(bytes.number(), bytes.number(), bytes.number()).map(check),
        13 => _ = Tensor::try_from_iter((0..bytes.below(50)).map(|i| i as f32)).map(check),
        14 => {
            let classes: Vec<i64> = bytes.list(4, |bytes| bytes.dim() as i64);
            let index = bytes.whole(&classes, &[classes.len()]);
            _ = index.try_one_hot(bytes.flag().then(|| bytes.length())).map(check);
        }
        _ => _ = Tensor::try_bernoulli(bytes.tensor()).map(check),
    }
}

fn reshape(x: Tensor64, bytes: &mut Bytes<'_>) -> Result<Tensor64> {
    let flat = |x: Tensor64| bits(&x.to_vec()).collect::<Vec<_>>();
    match bytes.below(20) {
        0 => {
            let y = x.try_reshape(&bytes.shape())?;
            assert_eq!(flat(y), flat(x), "the elements stay in order");
            Ok(y)
        }
        1 => x.try_expand(&bytes.shape()),
        2 => x.try_broadcast_to(&bytes.shape()),
        3 => x.try_unflatten(bytes.dim(), &bytes.shape()),
        4 => x.try_flatten(bytes.dim(), bytes.dim()),
        5 => x.try_repeat(&bytes.shape()),
        6 => x.try_pad(&bytes.dims()[..], pad_mode(bytes)),
        7 => x.try_unsqueeze(bytes.dim()),
        8 => x.try_squeeze_dims(&bytes.dims()[..]),
        9 => x.try_permute(bytes.dims()),
        10 => x.try_movedim(&bytes.dims()[..], &bytes.dims()[..]),
        11 => x.try_diagonal(bytes.dim(), bytes.dim(), bytes.dim()),
        12 => x.try_diag(bytes.dim()),
        13 => x.try_tril(bytes.dim()),
        14 => x.try_triu(bytes.dim()),
        15 => try_cat(&[x, bytes.tensor(), x], bytes.dim()),
        16 => try_stack(&[x, x], bytes.dim()),
        17 => x.try_sum_to(&bytes.shape()),
        18 => x.try_roll(&bytes.dims()[..], &bytes.dims()[..]),
        _ => x.try_transpose(bytes.dim(), bytes.dim()),
    }
}

/// Windows of hostile sizes over small planes.
fn windows(x: Tensor64, bytes: &mut Bytes<'_>) {
    let mut pair = || [bytes.length(), bytes.length()];
    let (kernel, stride, padding, dilation) = (pair(), pair(), pair(), pair());
    let x = if bytes.flag() { x } else { bytes.whole(&[1.0; 24], &[1, 2, 4, 3]) };
    let y = match bytes.below(3) {
        0 => x.try_max_pool2d_with(
            kernel,
            MaxPool { stride: Some(stride), padding, dilation: Some(dilation), ceil_mode: bytes.flag() },
        ),
        1 => {
            let (count_include_pad, divisor_override) = (bytes.flag(), bytes.flag().then(|| bytes.number()));
            x.try_avg_pool2d_with(
                kernel,
                AvgPool { stride: Some(stride), padding, ceil_mode: bytes.flag(), count_include_pad, divisor_override },
            )
        }
        _ => {
            let groups = bytes.length();
            let shape = [2, 1 + bytes.below(2), 1 + bytes.below(3), 1 + bytes.below(3)];
            let weight = bytes.whole(&vec![1.0; shape.iter().product()], &shape);
            x.try_conv2d(weight, Conv2d { bias: None, stride, padding, dilation, groups })
        }
    };
    if let Ok(y) = y {
        check(y);
    }
}
