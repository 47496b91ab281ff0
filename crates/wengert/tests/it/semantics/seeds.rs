//! The lines of the table that the tutorials' programs need.

use wengert::{ErrorKind, Tensor, Tensor64, is_grad_enabled, manual_seed, no_grad};

use super::{assert_close, panic_of};

#[test]
fn constructors_take_any_shape_and_the_generator_can_be_seeded() {
    for rank in 0..=8 {
        let shape = vec![2; rank];
        assert_eq!(Tensor::ones(&shape).to_vec(), vec![1.0; 1 << rank]);
        assert_eq!(Tensor::randn(&shape).shape().to_vec(), shape);
    }
    assert_eq!(
        Tensor::new([[1.0, 2.0], [3.0, 4.0]]).to_vec(),
        Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2]).to_vec()
    );
    let draw = |seed| {
        manual_seed(seed);
        (Tensor::randn([3]).to_vec(), Tensor64::rand([2, 2]).to_vec())
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
    let x = Tensor::randn(3).requires_grad_(true);
    assert!(x.requires_grad() && x.is_leaf());
}

#[test]
fn print_is_pytorchs() {
    let x = Tensor::new([1.1131, -0.1259, 1.2902]).requires_grad_(true);
    assert_eq!(x.to_string(), "tensor([ 1.1131, -0.1259,  1.2902], requires_grad=True)");
    let y = x + 2;
    assert_eq!(y.to_string(), "tensor([3.1131, 1.8741, 3.2902], grad_fn=<AddBackward0>)");
    let z = y * y * 2;
    assert_eq!(z.to_string(), "tensor([19.3828,  7.0245, 21.6508], grad_fn=<MulBackward0>)");
    assert_eq!(z.mean().to_string(), "tensor(16.0194, grad_fn=<MeanBackward0>)");
    assert_eq!(Tensor::new([1e-8, 1.0]).to_string(), "tensor([1.0000e-08, 1.0000e+00])");
    assert_eq!(format!("{x:?}"), x.to_string());
}

#[test]
fn operators_take_tensors_and_numbers_on_either_side_and_broadcast_across_ranks() {
    let x = Tensor64::new([1.0, 2.0]);
    assert_eq!((x + 2.0 - 1).to_vec(), [2.0, 3.0]);
    assert_eq!((3.0 - x).to_vec(), [2.0, 1.0]);
    assert_eq!((3 - x).to_vec(), [2.0, 1.0]);
    assert_eq!((2 * x * 2.0).to_vec(), [4.0, 8.0]);
    assert_eq!((1 / x / 2).to_vec(), [0.5, 0.25]);
    assert_eq!((-x % 2).to_vec(), [-1.0, 0.0]);
    let mut sum = x;
    sum += x;
    sum *= 2.0;
    assert_eq!((sum.to_vec(), x.to_vec()), (vec![4.0, 8.0], vec![1.0, 2.0]));
    let column = Tensor64::new([[[10.0]], [[20.0]]]).requires_grad_(true);
    let row = x.requires_grad_(true);
    let all = column + row;
    assert_eq!((all.shape().to_vec(), all.to_vec()), (vec![2, 1, 2], vec![11.0, 12.0, 21.0, 22.0]));
    (all * all).sum().backward();
    assert_eq!(column.grad().unwrap().to_vec(), [46.0, 86.0]);
    assert_eq!(row.grad().unwrap().to_vec(), [64.0, 68.0]);
    assert_eq!(column.grad().unwrap().shape(), [2, 1, 1]);
}

#[test]
fn backward_fills_grad_and_accumulates_into_leaves() {
    let x = Tensor64::new([1.0, 2.0, 3.0]).requires_grad_(true);
    let y = x + 2;
    let z = (y * y * 2).mean();
    z.backward();
    assert_close(&x.grad().unwrap().to_vec(), &[4.0, 16.0 / 3.0, 20.0 / 3.0]);
    (x * 3).sum().backward();
    assert_close(&x.grad().unwrap().to_vec(), &[7.0, 25.0 / 3.0, 29.0 / 3.0]);
    assert!(y.grad().is_none(), "what is computed keeps no gradient");
    let kept = (x * 2).retain_grad();
    (kept * kept).sum().backward();
    assert_eq!(kept.grad().unwrap().to_vec(), [4.0, 8.0, 12.0]);
}

#[test]
fn backward_of_a_vector_takes_a_seed_of_its_shape() {
    let x = Tensor64::new([1.0, 2.0, 3.0]).requires_grad_(true);
    let y = x * x;
    y.backward_with(Tensor64::new([0.1, 1.0, 0.001]));
    assert_eq!(x.grad().unwrap().to_vec(), [0.2, 4.0, 0.006]);
    let error = y.try_backward_with(Tensor64::ones([2])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
}

#[test]
fn backward_of_a_vector_without_a_seed_or_of_a_leaf_without_a_gradient_is_an_error() {
    let x = Tensor64::new([1.0, 2.0]).requires_grad_(true);
    let text = panic_of(|| (x * x).backward());
    assert!(text.contains("grad can be implicitly created only for scalar outputs"), "{text}");
    assert!(x.grad().is_none());
    let text = panic_of(|| Tensor64::scalar(1.0).backward());
    assert!(text.contains("does not require a gradient"), "{text}");
}

#[test]
fn requires_grad_detach_and_no_grad_stop_gradients() {
    let x = Tensor64::new([2.0]).requires_grad_(true);
    assert!(!x.detach().requires_grad());
    assert_eq!(x.detach().to_vec(), [2.0]);
    (x * x.detach()).sum().backward();
    assert_eq!(x.grad().unwrap().to_vec(), [2.0]);
    assert!(no_grad(|| !(x * 2).requires_grad()));
    assert!((x * 2).requires_grad());
    x.requires_grad_(false);
    assert!(!(x * 2).requires_grad());
    x.requires_grad_(true);
    let error = (x * 2).try_requires_grad_(false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Grad);
    panic_of(|| no_grad(|| Tensor64::ones([2]) + Tensor64::ones([3])));
    assert!(is_grad_enabled(), "a panic restores the mode");
}

#[test]
fn leaves_change_in_place_under_no_grad_only() {
    let weights = Tensor64::new([1.0, 2.0]).requires_grad_(true);
    (weights * 3).sum().backward();
    no_grad(|| {
        weights.sub_(weights.grad().unwrap() * 0.1);
    });
    assert_eq!(weights.to_vec(), [0.7, 1.7]);
    assert!(weights.requires_grad() && weights.is_leaf());
    weights.grad().unwrap().zero_();
    assert_eq!(weights.grad().unwrap().to_vec(), [0.0, 0.0]);
    (weights * 3).sum().backward();
    assert_eq!(weights.grad().unwrap().to_vec(), [3.0, 3.0]);
    for error in [
        weights.try_sub_(1.0).unwrap_err(),
        weights.try_zero_().unwrap_err(),
        weights.select(0, 0).try_add_(1.0).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InPlace);
    }
    assert_eq!(weights.to_vec(), [0.7, 1.7]);
}
