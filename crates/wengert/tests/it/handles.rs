//! Handles that outlived their scope, or belong to another thread, are refused by every operation and method.

use wengert::table::samples;
use wengert::{
    BoolTensor, Error, ErrorKind, GradOptions, IndexTensor, Tensor, Tensor64, func, grad_with, memory, scope, try_cat,
    try_stack,
};

use super::bad_input::panic_of;

/// What the error of a handle that is not on this thread's tape says.
const REFUSED: &str = "is not on this thread's tape: its scope has ended, or it was made on another thread; return it from the \
                       scope, or move its data with `to_vec`";

/// A tensor whose scope has ended, with other tensors at its place and around it.
fn stale() -> Tensor64 {
    let mut stale = None;
    scope(|| stale = Some(Tensor64::new([0.5, 0.25])));
    Tensor64::zeros(2);
    Tensor64::zeros(2);
    stale.expect("set in the scope")
}

#[test]
fn every_operation_refuses_a_stale_operand() {
    for sample in samples() {
        for operand in 0..sample.inputs.len() {
            scope(|| {
                let make =
                    |(shape, on): &(Vec<usize>, std::ops::Range<f64>)| Tensor64::full(shape, (on.start + on.end) / 2.0);
                let mut x: Vec<Tensor64> = sample.inputs.iter().map(make).collect();
                x[operand] = stale();
                let (message, _) = panic_of(|| _ = (sample.run)(&x));
                let (op, case) = (sample.op, sample.case);
                assert!(message.contains(REFUSED), "{op} ({case}), operand {operand}: {message}");
            });
        }
    }
}

/// Calls that are no sampled operation, on a float, an index and a mask tensor.
type Call = fn(Tensor64, IndexTensor, BoolTensor) -> Result<(), Error>;

macro_rules! calls {
    ($x:ident $i:ident $m:ident; $($call:expr,)+) => {
        &[$((stringify!($call), |#[allow(unused)] $x, #[allow(unused)] $i, #[allow(unused)] $m| $call.map(drop))),+]
    };
}

const CALLS: &[(&str, Call)] = calls! { x i m;
    x.try_shape(),
    x.try_numel(),
    x.try_dim(),
    x.try_size(0),
    x.try_strides(),
    x.try_is_contiguous(),
    x.try_requires_grad(),
    x.try_is_leaf(),
    x.try_grad_fn(),
    x.try_requires_grad_(true),
    x.try_grad(),
    x.try_zero_grad(),
    x.try_retain_grad(),
    x.try_detach(),
    x.try_copy(),
    x.try_contiguous(),
    x.try_item(),
    x.try_to_vec(),
    x.try_copy_to_slice(&mut [0.0, 0.0]),
    x.try_with_data(|data| data.len()),
    x.try_backward(),
    x.try_backward_with(Tensor64::zeros(2)),
    Tensor64::zeros(2).requires_grad_(true).try_backward_with(x),
    x.try_backward_create_graph(),
    grad_with(x, &[], None, GradOptions::default()),
    grad_with(Tensor64::scalar(1.0).requires_grad_(true), &[x], None, GradOptions::default()),
    func::try_grad(|x| x, x),
    func::try_grad(|_| x, Tensor64::zeros(2)),
    func::try_vjp(|x| x, x),
    func::try_vjp(|_| x, Tensor64::zeros(2)),
    func::try_linearize(|_| x, Tensor64::zeros(2)),
    func::try_jvp(|x| x, x, Tensor64::zeros(2)),
    func::try_jvp(|x| x, Tensor64::zeros(2), x),
    func::try_jvp(|_| x, Tensor64::zeros(2), Tensor64::zeros(2)),
    x.try_zeros_like(),
    x.try_randn_like(),
    Tensor64::try_bernoulli(x),
    x.try_add_(1.0),
    Tensor64::zeros(2).try_add_(x),
    x.try_zero_(),
    x.try_fill_(1.0),
    x.try_copy_(Tensor64::zeros(2)),
    Tensor64::zeros(2).try_copy_(x),
    x.try_clamp_(0.0, 1.0),
    x.try_exp_(),
    x.try_lt(1.0),
    x.try_lt(Tensor64::zeros(2)),
    Tensor64::zeros(2).try_lt(x),
    x.try_is_nan(),
    x.try_to_index(),
    x.try_cast::<f32>(),
    i.try_to_float::<f32>(),
    i.try_equal(IndexTensor::full(2, 0)),
    i.try_to_vec(),
    m.try_to_float::<f32>(),
    m.try_logical_and(m),
    m.try_logical_not(),
    m.try_where_(Tensor64::zeros(2), 1.0),
    BoolTensor::new([true, false]).try_where_(x, 1.0),
    x.try_sort(0, false),
    x.try_argsort(0, false),
    x.try_topk(1, 0, true),
    x.try_chunk(2, 0),
    x.try_unbind(0),
    i.try_one_hot(3),
    i.try_embedding(Tensor64::zeros([2, 2]), None),
    IndexTensor::new([1]).try_embedding(x, None),
    Tensor64::zeros(2).try_gather(0, i),
    Tensor64::zeros(2).try_index_select(0, i),
    Tensor64::zeros(2).try_scatter(0, i, 1.0),
    Tensor64::zeros(2).try_index_put(&[i], 1.0, true),
    Tensor64::zeros(2).try_index_put(&[IndexTensor::new([1])], x, false),
    Tensor64::zeros(2).try_masked_fill(m, 1.0),
    Tensor64::zeros(2).try_masked_fill(BoolTensor::new([true]), x),
    Tensor64::zeros(2).try_masked_select(m),
    try_cat(&[Tensor64::zeros(2), x], 0),
    try_stack(&[x, Tensor64::zeros(2)], 0),
};

#[test]
fn every_method_refuses_a_stale_handle() {
    let (mut i, mut m) = (None, None);
    scope(|| (i, m) = (Some(IndexTensor::new([1, 0])), Some(BoolTensor::new([true, false]))));
    let (x, i, m) = (stale(), i.expect("set in the scope"), m.expect("set in the scope"));
    for (source, call) in CALLS {
        let error = call(x, i, m).expect_err(source);
        assert_eq!(error.kind(), ErrorKind::Stale, "{source}: {error}");
        assert!(error.to_string().contains(REFUSED), "{source}: {error}");
    }
    assert!(!x.is_alive());
    assert!(x.to_string().contains(REFUSED), "print says so, and does not panic");
}

#[test]
fn an_earlier_activation_of_a_scope_is_told_apart() {
    let mut handles = Vec::new();
    for round in 0..1000 {
        scope(|| {
            let x = Tensor::scalar(round as f32);
            assert_eq!(x.item(), round as f32);
            handles.push(x);
            let alive = handles.iter().filter(|x| x.is_alive()).count();
            assert_eq!(alive, 1, "all are at the same index, and only the last one counts");
        });
    }
}

#[test]
fn a_handle_of_another_thread_is_refused_there_and_valid_here() {
    let x = Tensor::new([1.0, 2.0]);
    let text = std::thread::spawn(move || {
        let own: Vec<Tensor> = (0..100).map(|value| Tensor::scalar(value as f32)).collect();
        x.try_add(own[0]).expect_err("a foreign handle").to_string()
    });
    assert!(text.join().expect("the try_ form does not panic").contains(REFUSED));
    assert_eq!(x.to_vec(), [1.0, 2.0]);
}

#[test]
fn many_threads_come_and_go() {
    let sums: Vec<f32> = (0..64)
        .map(|k| {
            std::thread::spawn(move || {
                let w = Tensor::full(16, k as f32).requires_grad_(true);
                for _ in 0..10 {
                    scope(|| (w * w).sum().backward());
                }
                assert_eq!(memory::stats().depth, 0);
                w.grad().expect("accumulated").sum().item()
            })
        })
        .map(|thread| thread.join().expect("a thread of its own tape"))
        .collect();
    assert!(sums.iter().enumerate().all(|(k, &sum)| sum == 16.0 * 20.0 * k as f32));
}

/// Uses a tensor when its thread ends.
struct Last;
impl Drop for Last {
    fn drop(&mut self) {
        // Whether the tape is still there depends on the order in which the thread's variables go; both are fine.
        if let Err(error) = Tensor::try_zeros(2) {
            assert_eq!(error.to_string(), "the tape of this thread is gone: the thread is ending");
        }
    }
}

#[test]
fn a_thread_that_ends_refuses_instead_of_aborting() {
    thread_local!(static LAST: Last = const { Last });
    let thread = std::thread::spawn(|| {
        LAST.with(|_| Tensor::zeros(2));
    });
    thread.join().expect("the thread ends in order");
}
