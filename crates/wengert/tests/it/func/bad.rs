//! Misuse of the functional API: a clear error each, and a tape that is as it was.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use wengert::func::{
    JacobianOptions, Pullback, try_grad, try_hvp, try_jvp, try_linearize, try_value_and_grad, try_value_and_grad_aux,
    try_vjp, vjp,
};
use wengert::{Error, ErrorKind, GradOptions, Tensor, Tensor64, func, grad_with, memory, no_grad, scope};

use super::point;

type Call = fn(Tensor64, Tensor64) -> Result<(), Error>;

/// Calls on a vector of 3 and one of 2, and what their errors say.
const CALLS: &[(Call, &str)] = &[
    (
        |x, _| try_grad(|x| x, x).map(drop),
        "grad: the function must give a single element, and it gave shape [3]; reduce it, or use `jacrev` or `vjp`",
    ),
    (
        |x, _| try_value_and_grad(|x| x * 2.0, x).map(drop),
        "value_and_grad: the function must give a single element, and it gave shape [3]; reduce it, or use `jacrev` or `vjp`",
    ),
    (
        |x, _| try_value_and_grad_aux(|x| (x, 1), x).map(drop),
        "value_and_grad_aux: the function must give a single element, and it gave shape [3]; reduce it, or use `jacrev` or `vjp`",
    ),
    (
        |x, v| try_hvp(|x| x * 2.0, x, x).map(drop).and(try_hvp(|x| x.sum(), x, v).map(drop)),
        "grad: the function must give a single element, and it gave shape [3]; reduce it, or use `jacrev` or `vjp`",
    ),
    (
        |_, _| try_grad(|_: Vec<Tensor64>| Tensor64::scalar(1.0), vec![]).map(drop),
        "grad: there is nothing to differentiate with respect to: the inputs contain no tensor",
    ),
    (
        |_, _| try_vjp(|x: [Tensor64; 0]| x, []).map(drop),
        "vjp: there is nothing to differentiate with respect to: the inputs contain no tensor",
    ),
    (
        |_, _| try_linearize(|x: [Vec<Tensor64>; 1]| x, [vec![]]).map(drop),
        "linearize: there is nothing to differentiate with respect to: the inputs contain no tensor",
    ),
    (
        |_, _| func::try_jacrev(|x: Vec<Tensor64>| x, vec![]).map(drop),
        "jacrev: there is nothing to differentiate with respect to: the inputs contain no tensor",
    ),
    (
        |x, _| func::jacfwd_with(|x| x, x, JacobianOptions { chunk: Some(0) }).map(drop),
        "jacfwd: `chunk` is 0; give 1 or more",
    ),
    (
        |x, _| func::try_jacrev(|x: Tensor64| x.expand([1, 1, 1, 2, 3]), x.reshape([1, 1, 1, 3])).map(drop),
        "jacrev: the Jacobian of an output of shape [1, 1, 1, 2, 3] by an input of shape [1, 1, 1, 3] would have 9 dimensions; at most 8 \
         fit: flatten them",
    ),
    (
        |x, _| {
            let f = |x: Tensor64| x.reshape([1, 1, 1, 1, 1, 1, 1, 3]).square().reshape(3);
            // By default such a function goes row by row.
            assert_eq!(func::try_jacrev(f, x)?.shape(), [3, 3]);
            func::jacrev_with(f, x, JacobianOptions { chunk: Some(2) }).map(drop)
        },
        "jacobian: a tensor of shape [1, 1, 1, 1, 1, 1, 1, 3] has no room for a leading dimension of seeds; use `chunk: Some(1)`, which \
         needs none",
    ),
    (
        |x, _| func::try_hessian(|x| x * 2.0, x).map(drop),
        "grad: the function must give a single element, and it gave shape [3]; reduce it, or use `jacrev` or `vjp`",
    ),
    (
        |x, v| try_jvp(|x| x, x, v).map(drop),
        "jvp: tangent 0 has shape [2] and type f64, its primal [3] and f64; they must be equal",
    ),
    (|x, v| try_jvp(|x| x, vec![x], vec![x, v]).map(drop), "jvp: 2 tangents were given for 1 primals; each needs one"),
    (
        |x, v| try_linearize(|x| x * x, x)?.1.try_call(v).map(drop),
        "linearize: tangent 0 has shape [2] and type f64, its primal [3] and f64; they must be equal",
    ),
    (
        |x, v| try_vjp(|x| x * x, x)?.1.try_call(v).map(drop),
        "vjp: seed 0 has shape [2] and type f64, its output [3] and f64; they must be equal",
    ),
    (
        |x, v| try_vjp(|x| vec![x * x], x)?.1.try_call(vec![x, v]).map(drop),
        "vjp: 2 seeds were given for 1 outputs; each needs one",
    ),
    (
        |x, _| {
            let (_, pullback) = vjp_in_a_scope(x);
            pullback.try_call(x).map(drop)
        },
        "vjp: the pullback is used after the scope or function in which it was made has ended, and with it what it needs; call it there",
    ),
    (
        |x, _| {
            let kept = Cell::new(None);
            let f = |x: Tensor64| {
                let (y, pullback) = vjp(|z: Tensor64| z * 2.0, point());
                kept.set(Some(pullback));
                (x * y).sum()
            };
            func::grad(|x| func::grad(f, x).sum(), x);
            kept.take().expect("was set").try_call(x).map(drop)
        },
        "vjp: the pullback is used after the scope or function in which it was made has ended, and with it what it needs; call it there",
    ),
    (
        |x, _| {
            let (_, pushforward) = scope(|| Hidden(func::linearize(|x| x * x, x))).0;
            pushforward.try_call(x).map(drop)
        },
        "linearize: the pushforward is used after the scope or function in which it was made has ended, and with it what it needs; \
         call it there",
    ),
    (
        |x, _| {
            let f = |x: Tensor64| {
                let y = x * 2.0;
                let z = y * y;
                no_grad(|| y.fill_(0.0));
                z.sum()
            };
            try_grad(f, x).map(drop)
        },
        "backward: `mul` needs the value of a tensor of shape [3] that was overwritten in place after it was used; write to a copy, or use the out-of-place form",
    ),
    (
        |x, _| {
            let f = |x: Tensor64| {
                let y = x * 2.0;
                let z = y * y;
                no_grad(|| y.fill_(0.0));
                z
            };
            try_jvp(f, x, x).map(drop)
        },
        "backward: `mul` needs the value of a tensor of shape [3] that was overwritten in place after it was used; write to a copy, or use the out-of-place form",
    ),
    (
        |x, _| {
            let mut caught = Ok(());
            func::grad(
                |x: Tensor64| {
                    caught = x.try_add_(1.0).map(drop);
                    x.sum()
                },
                x,
            );
            caught
        },
        "add_: a tensor of an outer scope is being given a history that ends with this scope; write `detach()`ed values, do it inside of `no_grad`, or in the scope that made the tensor",
    ),
    (
        |x, v| {
            let x = x.requires_grad_(true);
            grad_with(&[x.sum(), (x * x).sum()], &[x], &[Some(v.sum())], GradOptions::default()).map(drop)
        },
        "grad: 1 seeds were given for 2 outputs; give one for each (`None` is 1), or none at all",
    ),
    (
        |x, v| {
            let x = x.requires_grad_(true);
            grad_with(&[x.sum(), x * x], &[x], &[None, Some(v)], GradOptions::default()).map(drop)
        },
        "grad: the seed has shape [2], but the tensor [3]; they must be equal",
    ),
];

struct Hidden<T>(T);
impl<T> wengert::Escape for Hidden<T> {}

fn vjp_in_a_scope(x: Tensor64) -> (Tensor64, Pullback<Tensor64, Tensor64>) {
    scope(|| Hidden(vjp(|x| x * x, x))).0
}

#[test]
fn misuse_is_refused_and_the_tape_is_as_it_was() {
    for &(call, text) in CALLS {
        let before = memory::stats();
        let text_got = scope(|| match call(point(), Tensor64::new([1.0, 2.0])) {
            Ok(()) => panic!("should say: {text}"),
            Err(error) => error.to_string(),
        });
        assert_eq!(text_got, text);
        let after = memory::stats();
        assert_eq!((after.entries, after.depth), (before.entries, before.depth), "{text}");
        assert_eq!(func::grad(|x| (x * x).sum(), point()).to_vec(), [0.6, -1.4, 2.2], "{text}");
    }
    let stale = scope(|| Hidden(Tensor::new([1.0]))).0;
    assert_eq!(try_grad(|x| x.sum(), stale).unwrap_err().kind(), ErrorKind::Stale);
}

#[test]
fn panics_in_the_function_leave_the_tape_usable() {
    let w = point().requires_grad_(true);
    type Call = fn(Tensor64);
    const CALLS: &[Call] = &[
        |_| _ = func::grad(|x| -> Tensor64 { panic!("at {x}") }, point()),
        |w| _ = func::vjp(|x| -> Tensor64 { panic!("at {}", x * w) }, point()),
        |w| _ = func::jvp(|x| func::grad(|y| -> Tensor64 { panic!("at {}", x * y) }, w), w, w),
        |w| _ = func::linearize(|x: Tensor64| x.matmul(Tensor64::zeros([2, 2])), w),
        |w| _ = func::hvp(|x: Tensor64| x.sum() + Tensor64::zeros([2, 3]) + w, w, w),
    ];
    for call in CALLS {
        let before = memory::stats();
        assert!(catch_unwind(AssertUnwindSafe(|| scope(|| call(w)))).is_err());
        let after = memory::stats();
        assert_eq!((after.entries, after.depth), (before.entries, before.depth));
        assert!(wengert::is_grad_enabled());
    }
    assert_eq!(func::grad(|x| (x * w).sum(), w).to_vec(), point().to_vec());
}

#[test]
fn jacobians_of_nothing_and_by_what_is_not_used_have_their_shapes() {
    let x = point();
    assert_eq!(func::jacrev(|x: Tensor64| x.narrow(0, 0, 0), x).shape(), [0, 3]);
    assert_eq!(func::jacfwd(|x: Tensor64| x * x, Tensor64::zeros([0])).shape(), [0, 0]);
    for j in [func::jacrev(|_| point(), x), func::jacfwd(|_| point(), x)] {
        assert_eq!((j.shape(), j.to_vec()), ([3, 3][..].iter().copied().collect(), vec![0.0; 9]));
    }
}
