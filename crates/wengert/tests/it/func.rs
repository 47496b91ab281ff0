//! The functional API: transforms in each other, in scopes and in code that is differentiated, against finite differences.

mod bad;
mod memory;
mod reference;

use wengert::func::{
    JacobianOptions, Tree, grad, hessian, hessian_with, hvp, jacfwd, jacrev, jvp, linearize, value_and_grad,
    value_and_grad_aux, vjp,
};
use wengert::{Context, Function, Result, Tensor, Tensor64, checkpoint, enable_grad, no_grad, scope};

const STEP: f64 = 1e-5;

pub fn point() -> Tensor64 {
    Tensor64::new([0.3, -0.7, 1.1])
}

fn matrix() -> Tensor64 {
    Tensor64::new([[0.5, -1.0, 0.25], [2.0, 0.125, -0.5], [-0.75, 1.5, 1.0]])
}

/// A number that depends on all elements of `x`, and has derivatives of every order.
fn smooth(x: Tensor64) -> Tensor64 {
    (x.exp() * matrix().matmul(x).tanh()).sum() + x.prod() * x.sin().sum()
}

/// A vector that depends on all elements of `x`.
fn field(x: Tensor64) -> Tensor64 {
    (matrix().matmul(x) * x.cos()).sigmoid() + x.cumsum(0).square()
}

fn assert_close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance * (1.0 + e.abs()), "{what}, element {i}: {g} should be {e}");
    }
}

/// The gradient of `f` at `x` by central differences.
fn differences(f: impl Fn(Tensor64) -> Tensor64, x: Tensor64) -> Vec<f64> {
    let values = x.to_vec();
    let at = |i: usize, step: f64| {
        scope(|| {
            let mut moved = values.clone();
            moved[i] += step;
            f(Tensor64::from_slice(&moved, x.shape())).item()
        })
    };
    (0..values.len()).map(|i| (at(i, STEP) - at(i, -STEP)) / (2.0 * STEP)).collect()
}

/// A function from vectors to vectors, with its name.
type Named = (&'static str, fn(Tensor64) -> Tensor64);

/// Functions in which derivatives are taken.
const INNER: &[Named] = &[
    ("grad", |x| grad(smooth, x)),
    ("grad at a point that is computed", |x| grad(smooth, x.sin() * 2.0)),
    ("grad of what captures", |x| grad(|y| (x * y).sin().sum() + smooth(y), x.cos())),
    ("grad at a constant of what captures", |x| grad(|y| (x * y).sin().sum(), point())),
    ("grad times the value", |x| {
        let (value, g) = value_and_grad(smooth, x);
        value * g
    }),
    ("grad with something besides", |x| {
        let ((_, besides), g) = value_and_grad_aux(|x| (smooth(x), x * x), x);
        besides * g
    }),
    ("grad of several", |x| {
        let (a, b) = grad(|(a, b)| smooth(a * b), (x, x.exp()));
        a * b
    }),
    ("jvp", |x| jvp(field, x, point()).1),
    ("jvp along what depends", |x| jvp(field, x, x.exp()).1),
    ("jvp at a constant along what depends", |x| jvp(field, point(), x.exp()).1),
    ("jvp of what captures, which must not be confused", |x| x * jvp(|y| x * y, x * 3.0, point()).1),
    ("jvp, value and tangent", |x| {
        let (y, dy) = jvp(field, x, x);
        y * dy
    }),
    ("vjp", |x| vjp(field, x).1.call(point())),
    ("vjp with a seed that depends", |x| vjp(field, x).1.call(x.sin())),
    ("vjp at a constant with a seed that depends", |x| vjp(field, point()).1.call(x.sin())),
    ("vjp, value and twice the pullback", |x| {
        let (y, pullback) = vjp(field, x);
        y * pullback.call(x) + pullback.call(point())
    }),
    ("hvp", |x| hvp(smooth, x, point())),
    ("hvp along what depends", |x| hvp(smooth, x, x)),
    ("jvp of grad, linear", |x| {
        let (g, product) = linearize(|x| grad(smooth, x), x);
        g + product.call(x) * product.call(point())
    }),
    ("grad of jvp", |x| grad(|x| jvp(smooth, x, point()).1, x)),
    ("jvp of jvp", |x| jvp(|x| jvp(field, x, x).1, x, point()).1),
    ("grad of grad of what captures", |x| grad(|y| grad(|z| (x * y * z).exp().sum(), y).square().sum(), x)),
    ("written in place inside", |x| {
        let weights = x * 1.0;
        grad(
            |y| {
                let z = y * 2.0;
                z.select(0, 1).mul_(weights.select(0, 0));
                (z * z * y).sum()
            },
            x,
        )
    }),
    ("jvp of what is written in place", |x| {
        let f = |y: Tensor64| {
            let z = y * y;
            z.slice(0, 1, 3, 1).copy_(y.slice(0, 0, 2, 1) * x.sum());
            z.mul_(y)
        };
        jvp(f, x, x.exp()).1
    }),
    ("jacrev", |x| jacrev(field, x).matmul(x)),
    ("jacfwd", |x| jacfwd(field, x).t().matmul(x)),
    ("jacrev of what captures", |x| jacrev(|y| field(x * y), point()).diagonal(0, 0, 1) * x),
    ("hessian", |x| hessian(smooth, x).matmul(x)),
    ("hessian in chunks", |x| {
        let options = JacobianOptions { chunk: Some(2) };
        hessian_with(smooth, x, options).expect("a Hessian").matmul(x)
    }),
    ("jacobians through a checkpoint", |x| {
        let f = |y: Tensor64| checkpoint(|[y, z]: [Tensor64; 2]| [field(y * z), y * z], [y, y.exp()])[0] + y;
        (jacrev(f, x) + jacfwd(f, x).t()).matmul(x)
    }),
    ("jacobians through a function of one's own", |x| {
        let f = |y: Tensor64| (Squares.apply([y, y.sin()])[1] * x).cumsum(0);
        (jacrev(f, x) + jacfwd(f, x).t()).matmul(x)
    }),
    ("views", |x| grad(|y| (y.expand([3, 3]).t() * matrix()).narrow(0, 1, 2).cumprod(1).sum(), x)),
    ("of 32 bits inside", |x| grad(|y| (y.cast::<f64>() * 3.0).square().sum(), x)),
];

/// The squares of two tensors, and their product.
struct Squares;

impl Function<f64> for Squares {
    type Inputs = [Tensor64; 2];
    type Outputs = Vec<Tensor64>;
    type Saved = ();

    fn forward(&self, [a, b]: [Tensor64; 2]) -> Result<(Vec<Tensor64>, ())> {
        Ok((vec![a * a, a * b, b * b], ()))
    }

    fn backward(&self, cx: &Context<'_, f64, Self>, g: Vec<Tensor64>) -> Result<[Option<Tensor64>; 2]> {
        let [a, b] = cx.inputs()?;
        Ok([Some(g[0] * a * 2.0 + g[1] * b), Some(g[1] * a + g[2] * b * 2.0)])
    }
}

fn weigh(y: Tensor64) -> Tensor64 {
    (y * Tensor64::new([0.7, 1.3, -0.4])).sum()
}

#[test]
fn derivatives_of_derivatives_equal_differences() {
    for &(name, inner) in INNER {
        let f = |x: Tensor64| weigh(inner(x));
        let (x, v) = (point(), Tensor64::new([0.2, 1.0, -0.6]));
        let expected = differences(f, x);
        let along: f64 = expected.iter().zip(v.to_vec()).map(|(g, v)| g * v).sum();

        assert_close(&format!("grad of {name}"), &grad(f, x).to_vec(), &expected, 1e-7);
        assert_close(&format!("jvp of {name}"), &[jvp(f, x, v).1.item()], &[along], 1e-7);
        let backward = scope(|| {
            let x = x.detach().requires_grad_(true);
            f(x).backward();
            x.grad().expect("a gradient")
        });
        assert_close(&format!("backward through {name}"), &backward.to_vec(), &expected, 1e-7);

        let expected = differences(|x| (grad(f, x) * v).sum(), x);
        assert_close(&format!("hvp of {name}"), &hvp(f, x, v).to_vec(), &expected, 1e-6);
        let reverse = grad(|x| jvp(f, x, v).1, x);
        assert_close(&format!("grad of jvp of {name}"), &reverse.to_vec(), &expected, 1e-6);
        assert!(!reverse.requires_grad(), "nothing around {name} is differentiated");
    }
}

#[test]
fn captured_parameters_get_their_gradients_and_others_do_not() {
    let w = point().requires_grad_(true);
    let input = Tensor64::new([0.5, 0.25, -1.0]);
    // As a physics-informed network has it: the loss contains the derivative of the network by its input.
    let loss = |w: Tensor64| grad(|x| (w * x).tanh().sum(), input).square().sum();
    let expected = differences(loss, point());
    scope(|| loss(w).backward());
    assert_close("the gradient of a captured leaf", &w.grad().unwrap().to_vec(), &expected, 1e-7);
    assert!(input.grad().is_none());

    let g = scope(|| {
        let g = grad(|x| x.square().sum(), input);
        assert!(!g.requires_grad() && g.is_leaf());
        assert!(grad(|x| (x * w).sum(), input).requires_grad());
        assert!(!no_grad(|| grad(|x| (x * w).sum(), input)).requires_grad(), "the caller records nothing");
        g
    });
    assert_eq!(g.to_vec(), [1.0, 0.5, -2.0]);
    // What is recorded inside does not depend on the caller's mode, but on modes inside.
    assert_eq!(no_grad(|| grad(|x| x.square().sum(), input)).to_vec(), g.to_vec());
    assert_eq!(grad(|x| no_grad(|| x.square().sum()), input).to_vec(), [0.0; 3]);
    assert_eq!(grad(|x| (x.detach() * x).sum(), input).to_vec(), input.to_vec());
    assert_eq!(no_grad(|| grad(|x| enable_grad(|| x.sum()) + x.sum(), input)).to_vec(), [1.0; 3]);
}

#[test]
fn an_input_that_requires_a_gradient_keeps_its_own() {
    let x = point().requires_grad_(true);
    let (y, g) = value_and_grad(smooth, x);
    assert!(y.requires_grad() && g.requires_grad() && x.grad().is_none());
    (g * g).sum().backward();
    let expected = differences(|x| grad(smooth, x).square().sum(), point());
    assert_close("through the gradient", &x.grad().unwrap().to_vec(), &expected, 1e-7);
    x.zero_grad();
    y.backward();
    assert_close("through the value", &x.grad().unwrap().to_vec(), &g.to_vec(), 1e-14);
}

#[test]
fn structures_and_types_come_back_as_they_went_in() {
    let x = (Tensor::new([1.0, 2.0]), [Tensor64::new([3.0]), Tensor64::new([4.0])], vec![(Tensor64::scalar(5.0),)]);
    type Of = (Tensor, [Tensor64; 2], Vec<(Tensor64,)>);
    let f = |(a, [b, c], d): Of| (a.cast::<f64>() * b * c).sum() + d[0].0 * c.sum();
    let (a, [b, c], d) = grad(f, x.clone());
    let all = |(a, [b, c], d): &Of| (a.to_vec(), b.to_vec(), c.to_vec(), d[0].0.item());
    assert_eq!(all(&(a, [b, c], d)), (vec![12.0, 12.0], vec![12.0], vec![14.0], 4.0));

    let (y, pullback) = vjp(|x: Of| (x.1[0] * x.1[1], vec![x.0]), x.clone());
    assert_eq!((y.0.to_vec(), y.1[0].to_vec()), (vec![12.0], vec![1.0, 2.0]));
    let pulled = pullback.call((Tensor64::new([10.0]), vec![Tensor::new([7.0, 8.0])]));
    assert_eq!(all(&pulled), (vec![7.0, 8.0], vec![40.0], vec![30.0], 0.0));
    let (_, pushed) = jvp(|x: Of| (x.1[0] * x.1[1], [x.0.sum()]), x.clone(), x.clone());
    assert_eq!((pushed.0.to_vec(), pushed.1[0].item()), (vec![24.0], 3.0));
    assert_eq!(x.fill(&mut || 1), (1, [1, 1], vec![(1,)]));
}

#[test]
fn thousands_of_scalar_inputs_and_steps_are_cheap() {
    let x: Vec<Tensor64> = (0..5000).map(|i| Tensor64::scalar(i as f64)).collect();
    let g = grad(|x| x.iter().fold(Tensor64::scalar(0.0), |sum, &x| sum + x * x), x);
    assert_eq!(g[4999].item(), 9998.0);
    // A symplectic integrator, whose every step takes a gradient, differentiated as a whole; the energy is conserved.
    let steps = |q: Tensor64| {
        let (mut q, mut p) = (q, Tensor64::scalar(0.0));
        for _ in 0..500 {
            p -= grad(|q| q.square() * 0.5, q) * 0.01;
            q += p * 0.01;
        }
        q
    };
    let (slope, exact) = (grad(steps, Tensor64::scalar(0.8)).item(), (5.0f64).cos());
    assert!((slope - exact).abs() < 0.01, "{slope} is near {exact}");
}

#[test]
fn hooks_run_for_every_row_and_a_once_differentiable_function_has_a_jacobian() {
    let f = |x: Tensor64| {
        let y = x * 2.0;
        y.register_hook(|g| Some(g * 10.0));
        y * y
    };
    assert_eq!(jacrev(f, Tensor64::new([1.0, 2.0])).to_vec(), [80.0, 0.0, 0.0, 160.0]);

    struct Once;
    impl Function<f64> for Once {
        type Inputs = Tensor64;
        type Outputs = Tensor64;
        type Saved = ();
        const ONCE_DIFFERENTIABLE: bool = true;
        fn forward(&self, x: Tensor64) -> Result<(Tensor64, ())> {
            Ok((x.exp(), ()))
        }
        fn backward(&self, cx: &Context<'_, f64, Self>, g: Tensor64) -> Result<Option<Tensor64>> {
            Ok(Some(g * cx.outputs()?))
        }
    }
    assert_eq!(jacrev(|x| Once.apply(x), Tensor64::new([0.0, 0.0])).to_vec(), [1.0, 0.0, 0.0, 1.0]);
}
