//! Leaves changed in place from their gradients.

use wengert::{ErrorKind, Tensor, memory, no_grad, scope, tape};

fn descend(w: Tensor) -> Option<()> {
    w.update(|values, grad| values.iter_mut().zip(grad).for_each(|(value, grad)| *value -= grad))
}

#[test]
fn every_handle_and_view_sees_the_new_values() {
    // No memory is taken later.
    tape::defer_from(usize::MAX);
    let w = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2]).requires_grad_(true);
    let (row, detached) = (w.select(0, 1), w.detach());
    assert_eq!(descend(w), None, "there is no gradient yet");
    (w * Tensor::from_slice(&[1.0, 2.0], [2])).sum().backward();
    let before = memory::stats();
    assert_eq!(descend(w), Some(()));
    assert_eq!(memory::stats(), before);
    assert_eq!(w.to_vec(), [0.0, 0.0, 2.0, 2.0]);
    assert_eq!(row.to_vec(), [2.0, 2.0]);
    assert_eq!(detached.to_vec(), w.to_vec());
    w.zero_grad();
    assert_eq!(descend(w), None);
}

#[test]
fn strided_leaves_are_updated_row_major() {
    let base = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]);
    let w = base.t().narrow(0, 1, 2).requires_grad_(true);
    assert_eq!(w.to_vec(), [2.0, 5.0, 3.0, 6.0]);
    (w * Tensor::from_slice(&[10.0, 20.0, 30.0, 40.0], [2, 2])).sum().backward();
    w.update(|values, grad| values.copy_from_slice(grad));
    assert_eq!(w.to_vec(), [10.0, 20.0, 30.0, 40.0]);
    assert_eq!(base.to_vec(), [1.0, 10.0, 30.0, 4.0, 20.0, 40.0]);
}

#[test]
fn a_backward_that_needs_the_old_values_is_refused() {
    let w = Tensor::ones([3]).requires_grad_(true);
    let (square, sum) = ((w * w).sum(), (w + 1.0).sum());
    square.backward();
    descend(w);
    assert_eq!(square.try_backward().unwrap_err().kind(), ErrorKind::InPlace);
    sum.backward();
    assert_eq!(w.grad().unwrap().to_vec(), [3.0, 3.0, 3.0]);
}

#[test]
fn gradients_are_read_and_changed_where_they_lie() {
    let w = Tensor::ones([2]).requires_grad_(true);
    assert_eq!(w.with_grad(|grad| grad.len()), None);
    (w * w * w).sum().backward_create_graph();
    let grad = w.grad().unwrap();
    assert!(grad.requires_grad());
    no_grad(|| grad.mul_(2.0));
    assert_eq!(w.with_grad(<[f32]>::to_vec).unwrap(), [6.0, 6.0]);
    w.with_grad_mut(|grad| grad[1] = 0.5);
    assert_eq!(w.grad().unwrap().to_vec(), [6.0, 0.5]);
    assert!(!w.grad().unwrap().requires_grad());
}

#[test]
fn what_is_no_leaf_or_gone_is_refused() {
    let w = Tensor::ones([2]).requires_grad_(true);
    let y = (w * 2.0).retain_grad();
    y.sum().backward();
    let error = y.try_update(|_, _| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Grad);
    assert!(error.to_string().contains("`mul`"), "{error}");
    let shared = Tensor::ones([1]).expand([3]);
    assert_eq!(shared.try_update(|_, _| ()).unwrap_err().kind(), ErrorKind::InPlace);
    let mut gone = None;
    scope(|| gone = Some(Tensor::ones([2])));
    assert_eq!(gone.unwrap().try_update(|_, _| ()).unwrap_err().kind(), ErrorKind::Stale);
}

#[test]
fn a_panic_in_an_update_leaves_the_tape_usable() {
    let w = Tensor::ones([2]).requires_grad_(true);
    w.sum().backward();
    let panics = || w.update(|_, _| panic!("of the user"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    descend(w);
    assert_eq!(w.to_vec(), [0.0, 0.0]);
}
