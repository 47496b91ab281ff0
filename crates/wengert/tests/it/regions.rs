//! Sweeps over many elements at once have the bits of sweeps over few: several elementwise entries are passed block by block, and by
//! several threads, only if there are many elements.

use wengert::{Tensor, Tensor64, TensorBase, grad, scope, tape};

type Program<E> = fn(TensorBase<E>, TensorBase<E>) -> TensorBase<E>;

/// What happens elementwise of `x` and `y`, with something that every way out of a region and into one is taken by.
macro_rules! programs {
    ($e:ty) => {
        [
            ("a chain", (|x, _| (x * x + 2.0).tanh() * x.exp()) as Program<$e>),
            ("two operands", |x, y| (x * y - y).sigmoid() / (x * x + 1.0)),
            ("a diamond", |x, y| {
                let h = (x + y).sin();
                h * h.exp() + h / (y * y + 2.0) + h
            }),
            ("masks and clamps", |x, y| x.gt(0.1).where_(x * y, y.clamp(-0.5, 0.5)) * x.abs()),
            ("three tensors", |x, y| (x * 2.0).lerp(y * y, x.sigmoid()) * y),
            ("what does not depend", |x, y| (x.detach() * y).cos() * y.exp()),
            ("numbers that broadcast", |x, y| (x * 3.0 + TensorBase::scalar(0.5)) * (1.0 - y)),
            ("views between", |x, y| {
                let n = x.numel();
                (x * y).reshape([1, n as usize]).exp().reshape([n as usize]) * x
            }),
            ("one alone", |x, _| x.tanh()),
        ]
    };
}

fn numbers(n: usize, shift: f64) -> Vec<f64> {
    (0..n).map(|i| 1.7 * (i as f64 * 0.37 + shift).sin()).collect()
}

/// Value and gradients of `f` of the elements, in pieces of `width`.
macro_rules! by_pieces {
    ($e:ty, $f:expr, $n:expr, $width:expr) => {{
        let (x, y) = (numbers($n, 0.0), numbers($n, 1.0));
        let mut found: [Vec<$e>; 4] = Default::default();
        for (x, y) in x.chunks($width).zip(y.chunks($width)) {
            scope(|| {
                let leaf = |values: &[f64]| {
                    TensorBase::<$e>::from_iter(values.iter().map(|&value| value as $e)).requires_grad_(true)
                };
                let (x, y) = (leaf(x), leaf(y));
                let z = ($f)(x, y);
                found[3].push(z.sum().item());
                z.sum().backward();
                // A second sweep that is given seeds accumulates.
                z.backward_with(x.detach());
                let grads = [x, y].map(|leaf| leaf.grad().map_or(vec![], |grad| grad.to_vec()));
                found[0].extend(z.to_vec());
                found[1].extend(&grads[0]);
                found[2].extend(&grads[1]);
            });
        }
        found.map(|values| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>())
    }};
}

#[test]
fn many_elements_have_the_bits_of_few() {
    // Blocks that are not full, and parts for two threads.
    for n in [2048, 5000, 70_001] {
        for (name, f) in programs!(f32) {
            assert!(by_pieces!(f32, f, n, n)[..3] == by_pieces!(f32, f, n, 1000)[..3], "{name} of {n} f32");
        }
    }
    for (name, f) in programs!(f64) {
        assert!(by_pieces!(f64, f, 5000, 5000)[..3] == by_pieces!(f64, f, 5000, 999)[..3], "{name} of f64");
    }
}

/// Runs `f` with operations deferred from `numel` elements on.
pub fn deferring<R>(numel: usize, f: impl FnOnce() -> R) -> R {
    let before = tape::defer_from(numel);
    let result = f();
    tape::defer_from(before);
    result
}

#[test]
fn deferred_values_have_the_bits_of_those_computed_at_once() {
    for n in [3, 5000, 70_001] {
        for (name, f) in programs!(f32) {
            let [deferred, at_once] = [1, usize::MAX].map(|numel| deferring(numel, || by_pieces!(f32, f, n, n)));
            assert!(deferred == at_once, "{name} of {n} f32");
        }
        for (name, f) in programs!(f64) {
            let [deferred, at_once] = [1, usize::MAX].map(|numel| deferring(numel, || by_pieces!(f64, f, n, n)));
            assert!(deferred == at_once, "{name} of {n} f64");
        }
    }
}

#[test]
fn gradients_that_are_waited_for_inside() {
    let [few, many] = [1000, 4000].map(|width| {
        let mut found = [vec![], vec![], vec![]];
        for values in numbers(4000, 0.0).chunks(width) {
            scope(|| {
                let x = Tensor64::from_iter(values.iter().copied()).requires_grad_(true);
                let h = (x * x).exp();
                let y = (h.sin() + h) * x;
                let grads = grad(y.sum(), &[h, x]);
                h.retain_grad();
                y.mean().backward_with(Tensor64::scalar(values.len() as f64));
                for (found, value) in found.iter_mut().zip([grads[0], grads[1], h.grad().unwrap()]) {
                    found.extend(value.to_vec());
                }
            });
        }
        found
    });
    assert_eq!(few[..2], many[..2]);
    // The mean's division rounds.
    let differ = few[2].iter().zip(&many[2]).map(|(a, b)| (a - b).abs());
    assert!(differ.fold(0.0, f64::max) < 1e-12);
}

#[test]
fn an_operand_that_was_overwritten_is_refused() {
    let x = Tensor::ones([3000]).requires_grad_(true);
    let h = x * 2.0;
    let y = h.sin() * 3.0;
    wengert::no_grad(|| h.add_(1.0));
    let error = y.sum().try_backward().unwrap_err();
    assert!(error.to_string().contains("`sin` needs the value of a tensor of shape [3000]"), "{error}");
    assert!(x.grad().is_none());
    (x * x).sum().backward();
    assert_eq!(x.grad().unwrap().to_vec(), vec![2.0; 3000]);
}
