//! The numbered conventions.

use wengert::{
    BoolTensor, ErrorKind, GradOptions, IndexTensor, Scope, Tensor64, enable_grad, grad, grad_with, is_grad_enabled,
    jvp, memory, no_grad, pow, scope,
};

use super::{assert_close, panic_of};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

type Function = fn(Tensor64) -> Tensor64;

/// The gradient of the sum of `f(x)`.
fn slope(f: impl FnOnce(Tensor64) -> Tensor64, x: &[f64]) -> Vec<f64> {
    let x = Tensor64::from_slice(x, [x.len()]).requires_grad_(true);
    grad(f(x).sum(), &[x])[0].to_vec()
}

/// As [`grad`], recorded.
fn recorded(y: Tensor64, x: Tensor64) -> Tensor64 {
    grad_with(y, &[x], None, GradOptions { create_graph: true, allow_unused: false }).unwrap()[0].unwrap()
}

// 1
#[test]
fn slopes_at_kinks_are_pytorchs() {
    assert_close(&slope(Tensor64::relu, &[0.0, -0.0, 1.0]), &[0.0, 0.0, 1.0]);
    assert_close(&slope(Tensor64::abs, &[0.0, -0.0, -1.0]), &[0.0, 0.0, -1.0]);
    assert_close(&slope(Tensor64::sqrt, &[0.0, 4.0]), &[INF, 0.25]);
    assert_close(&slope(|x| x.clamp(-1.0, 1.0), &[-1.0, 0.0, 1.0, 2.0]), &[0.0, 1.0, 0.0, 0.0]);
    assert_close(&slope(|x| x.clamp_min(-1.0), &[-1.0, 0.0]), &[0.0, 1.0]);
    assert_close(&slope(|x| x.clamp_max(1.0), &[1.0, 0.0]), &[0.0, 1.0]);
    assert_close(&slope(|x| x.maximum(Tensor64::new([0.0, 0.0])), &[0.0, 1.0]), &[0.5, 1.0]);
    assert_close(&slope(|x| x.clamp_min(Tensor64::new([0.0, 0.0])), &[0.0, 1.0]), &[0.5, 1.0]);
}

// 2
#[test]
fn powers_are_right_for_negative_bases_and_at_zero() {
    let base = Tensor64::new([-2.0, -2.0, 0.0, 0.0, 3.0]).requires_grad_(true);
    let exponent = Tensor64::new([3.0, -1.0, 0.0, 2.0, 0.0]).requires_grad_(true);
    let y = base.pow(exponent);
    assert_close(&y.to_vec(), &[-8.0, -0.5, 1.0, 0.0, 1.0]);
    y.sum().backward();
    assert_close(&base.grad().unwrap().to_vec(), &[12.0, -0.25, 0.0, 0.0, 0.0]);
    assert_close(&exponent.grad().unwrap().to_vec(), &[NAN, NAN, 0.0, 0.0, 3f64.ln()]);
    assert_close(&slope(|x| x.powi(0), &[0.0, NAN]), &[0.0, 0.0]);
    assert_close(&slope(|x| x.powi(3), &[-2.0, 0.0]), &[12.0, 0.0]);
    assert_close(&slope(|x| x.pow(0.0), &[0.0]), &[0.0]);
    assert_close(&slope(|x| pow(2.0, x), &[3.0]), &[8.0 * 2f64.ln()]);
    assert_close(&slope(|x| pow(0.0, x), &[0.0, 2.0]), &[0.0, 0.0]);
}

// 3
#[test]
fn backward_of_a_vector_is_never_silent() {
    let x = Tensor64::new([1.0, 2.0]).requires_grad_(true);
    for refused in [x.try_backward(), (x * x).try_backward(), (x * x).try_backward_create_graph()] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Grad);
    }
    assert!(grad_with(x * x, &[x], None, GradOptions::default()).is_err());
    assert!(x.grad().is_none());
    let empty = Tensor64::zeros([0]).requires_grad_(true);
    assert!((empty * 2).try_backward().is_err());
    (x * x).slice(0, 0, 1, 1).backward();
    assert_eq!(x.grad().unwrap().to_vec(), [2.0, 0.0], "one element of any rank is a scalar");
}

// 4
#[test]
fn scatter_gives_overwritten_slots_no_gradient() {
    let x = Tensor64::new([1.0, 2.0, 3.0]).requires_grad_(true);
    let source = Tensor64::new([10.0, 20.0]).requires_grad_(true);
    let y = x.scatter(0, IndexTensor::new([2, 0]), source);
    assert_eq!(y.to_vec(), [20.0, 2.0, 10.0]);
    (y * Tensor64::new([1.0, 2.0, 3.0])).sum().backward();
    assert_eq!(x.grad().unwrap().to_vec(), [0.0, 2.0, 0.0]);
    assert_eq!(source.grad().unwrap().to_vec(), [3.0, 1.0]);
}

#[test]
fn repeated_indices_accumulate() {
    let index = IndexTensor::new([1, 1, 0, 1]);
    let weights = Tensor64::new([1.0, 2.0, 3.0, 4.0]);
    assert_close(&slope(|x| x.gather(0, index) * weights, &[5.0, 6.0]), &[3.0, 7.0]);
    assert_close(&slope(|x| x.index_select(0, index) * weights, &[5.0, 6.0]), &[3.0, 7.0]);
    let zeros = Tensor64::zeros([2]);
    assert_eq!(zeros.scatter_add(0, index, weights).to_vec(), [3.0, 7.0]);
    assert_eq!(zeros.index_add(0, index, weights, 2.0).to_vec(), [6.0, 14.0]);
    let outer = Tensor64::new([10.0, 100.0]);
    assert_close(&slope(|x| zeros.scatter_add(0, index, x) * outer, &[0.0; 4]), &[100.0, 100.0, 10.0, 100.0]);
    assert_close(&slope(|x| zeros.index_add(0, index, x, 2.0) * outer, &[0.0; 4]), &[200.0, 200.0, 20.0, 200.0]);
}

#[test]
fn a_tensor_used_twice_gets_both_contributions() {
    assert_close(&slope(|x| x * x, &[3.0, -1.0]), &[6.0, -2.0]);
    assert_close(&slope(|x| x.pow(x), &[2.0]), &[4.0 * (1.0 + 2f64.ln())]);
    assert_close(&slope(|x| x.lerp(x, x), &[3.0]), &[1.0]);
    let a = Tensor64::new([[1.0, 2.0], [3.0, 4.0]]).requires_grad_(true);
    a.matmul(a).sum().backward();
    assert_eq!(a.grad().unwrap().to_vec(), [7.0, 11.0, 9.0, 13.0]);
    let by_views = |x: Tensor64| x.slice(0, 0, 2, 1) * x.slice(0, 1, 3, 1) + x.slice(0, 0, 2, 1);
    assert_close(&slope(by_views, &[1.0, 2.0, 3.0]), &[3.0, 5.0, 2.0]);
    let second = |x: f64| {
        let x = Tensor64::scalar(x).requires_grad_(true);
        grad(recorded(x * x * x, x), &[x])[0].item()
    };
    assert_eq!(second(2.0), 12.0);
}

// 5
#[test]
fn an_unused_leaf_has_no_gradient() {
    let (x, unused) = (Tensor64::ones([2]).requires_grad_(true), Tensor64::ones([3]).requires_grad_(true));
    let y = (x * 2).sum();
    y.backward();
    assert!(unused.grad().is_none());
    let options = GradOptions { allow_unused: true, ..GradOptions::default() };
    assert!(grad_with(y, &[x, unused], None, options).unwrap()[1].is_none());
    assert_eq!(grad_with(y, &[unused], None, GradOptions::default()).unwrap_err().kind(), ErrorKind::Grad);
    let later = x * 3;
    assert!(grad_with(y, &[later], None, options).unwrap()[0].is_none(), "what was recorded after the output");
}

// 6
#[test]
fn an_overwritten_value_that_backward_needs_is_an_error() {
    let x = Tensor64::new([1.0, 2.0]).requires_grad_(true);
    let overwritten: &[(&str, Function)] = &[
        ("a value of its own", |x| {
            let y = x.exp();
            no_grad(|| y.mul_(2.0));
            y
        }),
        ("an operand", |x| {
            let y = x * 2;
            let z = y * y;
            y.add_(1.0);
            z
        }),
        ("through a view from before", |x| {
            let y = x * 2;
            let view = y.select(0, 1);
            let z = y.sin();
            view.zero_();
            z
        }),
        ("through a detached handle", |x| {
            let y = x * 2;
            let z = y.cos();
            y.detach().fill_(0.0);
            z
        }),
        ("of a view", |x| {
            let y = x * 2;
            let z = y.slice(0, 0, 1, 1).exp();
            let w = y.slice(0, 0, 1, 1) * z;
            no_grad(|| y.fill_(3.0));
            w
        }),
        ("of an operation that is no row", |x| {
            let y = x * 2;
            let z = y.reshape([1, 2]).matmul(y.reshape([2, 1]));
            y.mul_(2.0);
            z
        }),
        ("of a leaf", |x| {
            let z = x * x;
            no_grad(|| x.add_(1.0));
            z
        }),
    ];
    for (case, f) in overwritten {
        for create_graph in [false, true] {
            let before = x.to_vec();
            let options = GradOptions { create_graph, allow_unused: false };
            let found = scope(|| grad_with(f(x).sum(), &[x], None, options).map(|_| ()));
            assert_eq!(found.map_err(|error| error.kind()), Err(ErrorKind::InPlace), "{case}");
            no_grad(|| x.copy_(Tensor64::new([before[0], before[1]])));
        }
    }
    let fine = |x: Tensor64| {
        let y = x * 2;
        let z = y + 1;
        y.mul_(5.0);
        z * 3
    };
    assert_close(&slope(fine, &[1.0, 2.0]), &[6.0, 6.0]);
    let rewritten = |x: Tensor64| {
        let y = x * 2;
        y.mul_(x);
        y.add_(x);
        y
    };
    assert_close(&slope(rewritten, &[1.0, 2.0]), &[5.0, 9.0]);
}

// 7
#[test]
fn second_and_higher_derivatives_are_right() {
    let x = Tensor64::scalar(3.0).requires_grad_(true);
    let first = recorded(x.powi(4), x);
    let second = recorded(first, x);
    let third = recorded(second, x);
    let fourth = recorded(third, x);
    let found = [first, second, third, fourth, grad(fourth + x * 0.0, &[x])[0]].map(Tensor64::item);
    assert_close(&found, &[108.0, 108.0, 72.0, 24.0, 0.0]);
    first.backward();
    assert_eq!(x.grad().unwrap().item(), 108.0, "x^4 at 3 gives 108");
    let y = x.pow(4.0);
    y.backward_create_graph();
    assert!(x.grad().unwrap().requires_grad(), "a recorded gradient has a history");
}

#[test]
fn forward_over_reverse_is_the_second_derivative() {
    let x = Tensor64::scalar(3.0);
    let (first, second) = jvp(|x| recorded(x.powi(4), x), x, Tensor64::scalar(1.0));
    assert_close(&[first.item(), second.item()], &[108.0, 108.0]);
}

// 8
#[test]
fn fused_operations_pass_gradients() {
    let weights = Tensor64::new([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.7]]);
    let fused: &[Function] = &[
        |x| x.softmax(1),
        |x| x.log_softmax(1),
        |x| x.cross_entropy(IndexTensor::new([0, 2])),
        |x| x.linear(Tensor64::new([[1.0, 2.0, 3.0]]), None),
        |x| x.gelu(),
        |x| x.log_sigmoid(),
    ];
    for (k, f) in fused.iter().enumerate() {
        let x = Tensor64::new([[0.1, -0.2, 0.3], [1.0, 2.0, -3.0]]).requires_grad_(true);
        let y = f(x);
        assert!(y.grad_fn().is_some(), "operation {k}");
        let loss = if y.numel() == 6 { (y * weights).sum() } else { y.sum() };
        loss.backward();
        assert!(x.grad().unwrap().to_vec().iter().all(|g| *g != 0.0), "operation {k}: {}", x.grad().unwrap());
    }
}

#[test]
fn an_operand_without_a_derivative_is_refused_under_grad() {
    let row = wengert::table::samples().into_iter().find(|sample| sample.op == "leaky_relu").expect("a row");
    assert_eq!(row.differentiable, [true, false]);
    let (x, slope) = (Tensor64::ones([2]), Tensor64::ones([2]));
    (row.run)(&[x.requires_grad_(true), slope]);
    no_grad(|| (row.run)(&[x, slope.requires_grad_(true)]));
    let text = panic_of(|| (row.run)(&[x, slope]));
    assert!(text.contains("leaky_relu") && text.contains("no derivative"), "{text}");
}

// 9
#[test]
fn comparisons_and_extrema_handle_nan() {
    let (a, b) = (Tensor64::new([NAN, 1.0, NAN, 1.0]), Tensor64::new([1.0, NAN, NAN, 1.0]));
    assert_eq!(a.eq(b).to_vec(), [false, false, false, true]);
    assert_eq!(a.ne(b).to_vec(), [true, true, true, false]);
    assert_eq!(a.le(b).to_vec(), [false, false, false, true]);
    assert_eq!(a.gt(b).to_vec(), [false; 4]);
    assert_close(&a.maximum(b).to_vec(), &[NAN, NAN, NAN, 1.0]);
    assert_close(&a.minimum(b).to_vec(), &[NAN, NAN, NAN, 1.0]);
    assert_close(&a.clamp(0.0, 0.5).to_vec(), &[NAN, 0.5, NAN, 0.5]);
    assert_close(&a.relu().to_vec(), &[NAN, 1.0, NAN, 1.0]);
    let (sorted, order) = Tensor64::new([2.0, NAN, 1.0]).sort(0, false);
    assert_close(&sorted.to_vec(), &[1.0, 2.0, NAN]);
    assert_eq!(order.to_vec(), [2, 0, 1]);
}

#[test]
fn masked_out_infinities_leave_no_nan() {
    let mask = BoolTensor::new([true, false, true]);
    let huge = [1.0, INF, 2.0];
    assert_close(&slope(|x| mask.where_(x * 2, 0.0), &huge), &[2.0, 0.0, 2.0]);
    assert_close(&slope(|x| mask.where_(x, -x * x), &huge)[..1], &[1.0]);
    assert_close(&slope(|x| x.masked_fill(mask, -INF).softmax(0), &[1.0, 2.0, 3.0]), &[0.0, 0.0, 0.0]);
    // What is not chosen is computed from a harmless operand: otherwise its own derivative is 0 times infinity.
    let safe_root = |x: Tensor64| {
        let positive = x.gt(0.0);
        positive.where_(positive.where_(x, 1.0).sqrt(), 0.0)
    };
    assert_close(&slope(safe_root, &[0.0, 4.0]), &[0.0, 0.25]);
    assert_close(&slope(|x| x.gt(0.0).where_(x.sqrt(), 0.0), &[0.0, 4.0]), &[NAN, 0.25]);
}

// 10
#[test]
fn a_chain_of_ten_million_operations_works() {
    let x = Tensor64::scalar(1.0).requires_grad_(true);
    scope(|| {
        let y = (0..10_000_000).fold(x, |y, _| y + 1.0);
        assert_eq!(y.item(), 10_000_001.0);
        y.backward();
    });
    assert_eq!(x.grad().unwrap().item(), 1.0);
    memory::trim();
}

// 11
#[test]
fn memory_is_flat() {
    let w = Tensor64::ones([8, 8]).requires_grad_(true);
    let x = Tensor64::ones([4, 8]);
    let loops: &[fn(Tensor64, Tensor64)] = &[
        |w, x| {
            scope(|| {
                x.matmul(w).tanh().sum().backward();
                no_grad(|| w.sub_(w.grad().expect("after backward") * 1e-3));
            });
            w.zero_grad();
        },
        |w, x| {
            no_grad(|| {
                x.matmul(w).tanh();
            })
        },
        |w, x| {
            scope(|| {
                x.matmul(w).tanh();
            })
        },
    ];
    for step in loops {
        (0..10).for_each(|_| step(w, x));
        let before = memory::stats();
        (0..10_000).for_each(|_| step(w, x));
        assert_eq!(memory::stats(), before);
    }
}

// 12
#[test]
fn a_handle_that_outlived_its_scope_is_an_error_that_names_it() {
    let mut outlived = Vec::new();
    for _ in 0..2 {
        let _scope = Scope::enter();
        outlived.push(Tensor64::scalar(1.0));
    }
    let _scope = Scope::enter();
    let at_the_same_index = Tensor64::scalar(7.0);
    for handle in outlived {
        let error = handle.try_item().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Stale);
        assert!(error.to_string().contains("its scope has ended"), "{error}");
        assert!((at_the_same_index.try_add(handle)).is_err());
        assert!(format!("{handle}").contains("its scope has ended"));
    }
}

// 14
#[test]
fn a_panic_in_user_code_leaves_the_tape_usable() {
    let x = Tensor64::new([1.0, 2.0]).requires_grad_(true);
    let entries = memory::stats().entries;
    let panics: &[fn(Tensor64)] = &[
        |x| {
            scope(|| {
                let _ = x * 2;
                panic!("in a scope");
            })
        },
        |x| no_grad(|| enable_grad(|| scope(|| panic!("deep, at {}", (x * 2).item())))),
        |x| {
            jvp(|x| -> Tensor64 { panic!("in jvp, at {x}") }, x, x);
        },
        |x| x.with_data(|_| panic!("in a reading closure")),
        |x| {
            let _ = x + Tensor64::ones([3]);
        },
    ];
    for f in panics {
        panic_of(|| f(x));
        assert!(is_grad_enabled());
        x.zero_grad();
        scope(|| (x * x).sum().backward());
        assert_eq!(x.grad().unwrap().to_vec(), [2.0, 4.0]);
    }
    assert!(memory::stats().entries < entries + 20, "what panicking scopes recorded is forgotten");
}
