//! What fuzzing found (`fuzz/`), one test a finding.

use wengert::options::{Conv2d, MaxPool};
use wengert::{ErrorKind, PrintOptions, Tensor, Tensor64, checkpoint, scope, set_print_options, try_cat};

/// The text of an error that must be of kind `kind`.
fn refused<T>(kind: ErrorKind, result: wengert::Result<T>) -> String {
    let error = result.err().expect("refused");
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

#[test]
fn sizes_whose_products_overflow_are_refused() {
    let x = Tensor::zeros([1, 2, 4, 3]);
    let large = usize::MAX / 2 + 1;
    let text = refused(ErrorKind::Shape, x.try_unflatten(1, [large, 4]));
    assert!(text.starts_with("unflatten: ") && text.ends_with("has more elements than memory can hold"), "{text}");
    let conv = |options| x.try_conv2d(Tensor::zeros([2, 2, 2, 2]), options);
    for options in [
        Conv2d { groups: large, ..Conv2d::default() },
        Conv2d { padding: [large, 0], ..Conv2d::default() },
        Conv2d { dilation: [1, usize::MAX], ..Conv2d::default() },
    ] {
        let text = refused(ErrorKind::Shape, conv(options));
        assert!(
            text.starts_with("conv2d: ") && text.contains("18446744073709551615")
                || text.contains("9223372036854775808"),
            "{text}"
        );
    }
    let options = MaxPool { dilation: Some([usize::MAX; 2]), ..MaxPool::default() };
    assert!(refused(ErrorKind::Shape, x.try_max_pool2d_with(2, options)).starts_with("max_pool2d: "));
}

#[test]
fn a_step_beyond_memory_takes_one_element() {
    let x = Tensor64::new([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).requires_grad_(true);
    let first = x.slice(0, 1, 2, usize::MAX).slice(1, -2, 9, usize::MAX / 2);
    assert_eq!((&first.shape()[..], first.to_vec()), (&[1, 1][..], vec![5.0]));
    (first * 2.0).sum().backward();
    assert_eq!(x.grad().expect("backward was called").to_vec(), [0.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
}

#[test]
fn tensors_of_different_ranks_are_not_joined() {
    let (row, matrix) = (Tensor::ones(2), Tensor::ones([2, 2]));
    for parts in [[row, matrix], [matrix, row]] {
        assert!(refused(ErrorKind::Shape, try_cat(&parts, 0)).starts_with("cat: tensor 0 has shape ["));
    }
    assert!(refused(ErrorKind::Dim, try_cat(&[row, matrix], 1)).starts_with("cat: dimension 1 is out of range"));
    assert_eq!(try_cat(&[Tensor::zeros(0), matrix], 1).expect("[0] fits any").shape(), [2, 2]);
}

/// Slots of gradients moved when those behind them were forgotten, and the sweep under way went on with the old places.
#[test]
fn a_sweep_inside_of_a_recomputation_does_not_disturb_the_one_around_it() {
    let (v, w) = (Tensor64::new([1.0, 2.0]).requires_grad_(true), Tensor64::scalar(3.0).requires_grad_(true));
    let gradient = |of: Tensor64| of.grad().expect("backward was called").to_vec();
    let inner = |x: Tensor64| {
        scope(|| {
            let own = Tensor64::new([0.5, 0.25]).requires_grad_(true);
            (own * own).sum().backward();
            assert_eq!(own.grad().expect("backward was called").to_vec(), [1.0, 0.5]);
        });
        let own = Tensor64::new([4.0, 5.0]).requires_grad_(true);
        (own * 2.0).sum().backward();
        x.square()
    };
    (checkpoint(inner, v) * w).sum().backward();
    assert_eq!((gradient(v), gradient(w)), (vec![6.0, 12.0], vec![5.0]));
    // A second time, when the slots are full.
    (checkpoint(inner, v) * w).sum().backward();
    assert_eq!((gradient(v), gradient(w)), (vec![12.0, 24.0], vec![10.0]));
}

#[test]
fn the_highest_precision_prints() {
    set_print_options(PrintOptions { precision: u16::MAX, sci_mode: Some(true), ..PrintOptions::default() });
    let text = format!("{}", Tensor::new([0.5]));
    set_print_options(PrintOptions::default());
    assert!(text.starts_with("tensor([5.000") && text.contains("0e-01"), "{} characters", text.len());
}

#[test]
fn what_lies_outside_begins_nowhere() {
    let x = Tensor64::new([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).requires_grad_(true);
    for offset in [isize::MIN, isize::MIN + 1, -2, 3, isize::MAX / 2, isize::MAX] {
        let outside = x.diagonal(offset, 0, 1);
        assert_eq!((&outside.shape()[..], outside.to_vec()), (&[0][..], vec![]), "{offset}");
        outside.sum().backward();
        assert_eq!(x.grad().expect("backward was called").to_vec(), [0.0; 6], "{offset}");
    }
    // Strides beyond memory, which no element is moved by: their sum, and what begins behind the only element.
    let far = x.slice(0, 0, 1, isize::MAX as usize / 3).slice(1, 1, 2, isize::MAX as usize);
    let diagonal = far.diagonal(0, 0, 1);
    assert_eq!(diagonal.to_vec(), [2.0]);
    assert_eq!((diagonal.slice(0, 1, 2, 1).numel(), far.narrow(1, 1, 0).numel()), (0, 0));
    let cube = far.unsqueeze(0).diagonal(0, 0, 1).diagonal(0, 0, 1);
    (cube * diagonal).sum().backward();
    assert_eq!(x.grad().expect("backward was called").to_vec(), [0.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_pool_may_be_wider_than_its_picture() {
    let x = Tensor64::arange(0.0, 5.0, 1.0).reshape([1, 1, 5, 1]).detach().requires_grad_(true);
    let y = x.max_pool2d_with(2, MaxPool { stride: Some([1, 1]), padding: [0, 1], ..MaxPool::default() });
    assert_eq!((&y.shape()[..], y.to_vec()), (&[1, 1, 4, 2][..], vec![1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]));
    y.sum().backward();
    assert_eq!(x.grad().expect("backward was called").to_vec(), [0.0, 2.0, 2.0, 2.0, 2.0]);
}

#[test]
fn a_stride_beyond_memory_leaves_one_place() {
    let x = Tensor64::arange(0.0, 12.0, 1.0).reshape([1, 1, 3, 4]).detach().requires_grad_(true);
    let w = Tensor64::ones([1, 1, 2, 2]);
    for stride in [[usize::MAX / 2, 1], [1, usize::MAX / 3], [usize::MAX / 2, usize::MAX / 3]] {
        let y = x.conv2d(w, Conv2d { stride, ..Conv2d::default() });
        assert_eq!((y.shape()[2] == 1, y.shape()[3] == 1), (stride[0] > 1, stride[1] > 1));
        assert_eq!(y.to_vec()[0], 10.0);
        y.narrow(2, 0, 1).narrow(3, 0, 1).sum().backward();
        let pooled = x.max_pool2d_with(2, MaxPool { stride: Some(stride), ..MaxPool::default() });
        assert_eq!(pooled.to_vec()[0], 5.0);
    }
    assert_eq!(x.grad().expect("backward was called").to_vec()[..6], [3.0, 3.0, 0.0, 0.0, 3.0, 3.0]);
}

#[test]
fn shifts_of_one_dimension_add_up_however_large_they_are() {
    let x = Tensor64::arange(0.0, 5.0, 1.0);
    for shifts in [[isize::MIN, isize::MAX], [isize::MAX, 1], [isize::MAX, isize::MAX], [isize::MIN, -1]] {
        let one_by_one = x.roll(shifts[0], 0).roll(shifts[1], 0);
        assert_eq!(x.roll(shifts, [0, 0]).to_vec(), one_by_one.to_vec(), "{shifts:?}");
    }
}
