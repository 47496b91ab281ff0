//! Checkpoints: the same bits as without, in every mode; and what goes wrong.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use wengert::options::Segments;
use wengert::table::samples;
use wengert::{
    ErrorKind, GradOptions, Result, Tensor, Tensor64, TensorBase, checkpoint, checkpoint_sequential, grad_with, jvp,
    manual_seed, memory, no_grad, scope, tape, try_checkpoint, try_checkpoint_sequential,
};
use wengert_check::gradgradcheck;

type T = Tensor64;

fn numbers(count: usize, from: f64, to: f64, offset: usize) -> Vec<f64> {
    (0..count).map(|i| from + (to - from) * ((i + offset) as f64 * 0.618_033_988_7 + 0.1).fract()).collect()
}

fn bits(tensors: &[T]) -> Vec<Vec<u64>> {
    tensors.iter().map(|x| x.to_vec().into_iter().map(f64::to_bits).collect()).collect()
}

/// The value, with gradients by backward and by `grad`; and those of the second order, whose terms are added in another order
/// where a checkpoint is, because there are two ways to its inputs: by the kept value, and by the one that was computed again.
fn everything(f: &dyn Fn(&[T]) -> T, x: &[T], differentiable: &[bool]) -> [Vec<T>; 2] {
    let x: Vec<T> = x.iter().zip(differentiable).map(|(x, &on)| x.copy().requires_grad_(on)).collect();
    let y = f(&x);
    let mut found = vec![y];
    let loss = (y * (y + 1.0)).sum();
    loss.backward();
    found.extend(x.iter().filter_map(|x| x.grad()));
    let tracked: Vec<T> = x.iter().copied().filter(|x| x.requires_grad()).collect();
    let options = GradOptions { create_graph: true, allow_unused: true };
    let filled = |y: T| -> Vec<T> {
        let grads = grad_with(y, &tracked, None, options).unwrap();
        grads.iter().zip(&tracked).map(|(g, x)| g.unwrap_or_else(|| x.zeros_like())).collect()
    };
    let first = filled(loss);
    found.extend(&first);
    let squares = first.iter().map(|g| (*g * *g).sum()).reduce(|a, b| a + b).unwrap();
    let second = if squares.requires_grad() { filled(squares) } else { Vec::new() };
    [found, second]
}

fn assert_close(what: &str, found: &[T], expected: &[T]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (k, (found, expected)) in found.iter().zip(expected).enumerate() {
        for (g, e) in found.to_vec().into_iter().zip(expected.to_vec()) {
            let is_close = (g - e).abs() <= 1e-13 * (1.0 + e.abs()) || (g.is_nan() && e.is_nan()) || g == e;
            assert!(is_close, "{what}, result {k}: {g} should be {e}");
        }
    }
}

#[test]
fn every_operation_has_the_same_bits_in_a_checkpoint() {
    for sample in samples() {
        let run = Rc::new(sample.run);
        let again = run.clone();
        let inside = move |x: &[T]| {
            let run = again.clone();
            checkpoint(move |x: Vec<T>| run(&x), x.to_vec())
        };
        scope(|| {
            let of = |(k, (shape, on)): (usize, &(Vec<usize>, std::ops::Range<f64>))| {
                T::from_slice(&numbers(shape.iter().product(), on.start, on.end, 1 + 17 * k), shape)
            };
            let x: Vec<T> = sample.inputs.iter().enumerate().map(of).collect();
            if sample.differentiable.iter().any(|&on| on) {
                let (plain, kept) = (
                    everything(&|x| run(x), &x, &sample.differentiable),
                    everything(&inside, &x, &sample.differentiable),
                );
                let what = format!("{} ({})", sample.op, sample.case);
                assert_eq!(bits(&kept[0]), bits(&plain[0]), "{what}");
                assert_close(&what, &kept[1], &plain[1]);
            }
        });
    }
}

/// A function of x and of captured w, b: plain, and with checkpoints.
type Layered = fn(T, T, T) -> T;

fn plain(x: T, w: T, b: T) -> T {
    let h = (x.matmul(w) + b).tanh();
    (h.matmul(w) * b).sin() + h
}

/// The same with checkpoints, captured tensors and all, in several ways.
const LAYERED: [(&str, Layered); 5] = [
    ("captured", |x, w, b| checkpoint(move |x: T| plain(x, w, b), x)),
    ("as inputs", |x, w, b| checkpoint(|(x, w, b): (T, T, T)| plain(x, w, b), (x, w, b))),
    ("input captured too", |x, w, b| checkpoint(move |[x, _]: [T; 2]| plain(x, w, b), [x, w])),
    ("two outputs, one not changed", |x, w, b| {
        let (h, b) = checkpoint(move |x: T| ((x.matmul(w) + b).tanh(), b), x);
        checkpoint(move |h: T| (h.matmul(w) * b).sin() + h, h)
    }),
    ("nested", |x, w, b| {
        checkpoint(
            move |x: T| {
                let h = checkpoint(move |x: T| checkpoint(move |x: T| x.matmul(w), x) + b, x).tanh();
                let inner = checkpoint(move |[h, b]: [T; 2]| (h.matmul(w) * b).sin(), [h, b]);
                inner + h
            },
            x,
        )
    }),
];

#[test]
fn captured_tensors_and_nested_checkpoints_get_the_same_derivatives() {
    let x: Vec<T> = [(vec![2, 3], 1), (vec![3, 3], 9), (vec![3], 30)]
        .iter()
        .map(|(shape, offset)| T::from_slice(&numbers(shape.iter().product(), -1.0, 1.0, *offset), shape))
        .collect();
    // `w` has a history, through which its share flows on.
    let through = |f: Layered| move |x: &[T]| f(x[0], x[1] * x[1], x[2].exp());
    let expected = everything(&through(plain), &x, &[true; 3]);
    let along: Vec<T> = x.iter().map(|x| x.cos()).collect();
    let tangent = |f: Layered| jvp(|x: Vec<T>| through(f)(&x), x.clone(), along.clone()).1;
    let slope = tangent(plain);
    for (name, f) in LAYERED {
        scope(|| {
            let found = everything(&through(f), &x, &[true; 3]);
            assert_close(name, &found.concat(), &expected.concat());
            assert_eq!(bits(&found[0][..4]), bits(&expected[0][..4]), "{name}");
            assert_eq!(bits(&[tangent(f)]), bits(&[slope]), "{name}");
            let found = no_grad(|| through(f)(&x));
            assert_eq!((bits(&[found]), found.requires_grad()), (bits(&expected[0][..1]), false), "{name}");
        });
        let tracked = x.iter().map(|x| x.detach().requires_grad_(true)).collect();
        gradgradcheck(|x: Vec<T>| through(f)(&x), tracked).unwrap_or_else(|failure| panic!("{name}: {failure}"));
    }
}

#[test]
fn derivatives_of_the_third_order_and_of_tangents_pass_through() {
    let x = T::new([0.3, -1.2]).requires_grad_(true);
    let options = GradOptions { create_graph: true, ..GradOptions::default() };
    let mut y = checkpoint(|x: T| x.powi(4), x).sum();
    for order in 0..3 {
        y = grad_with(y, &[x], None, options).unwrap()[0].unwrap().sum();
        let factor = [4.0, 12.0, 24.0][order];
        let expected: f64 = x.to_vec().iter().map(|x| factor * x.powi(3 - order as i32)).sum();
        assert!((y.item() - expected).abs() < 1e-13, "{order}: {y}");
    }
    let (_, dy) = jvp(|x| checkpoint(|x: T| x.powi(3), x), x, x.ones_like());
    let second = grad_with(dy.sum(), &[x], None, options).unwrap()[0].unwrap();
    let expected = x * 6.0;
    assert!((second - expected).abs().max().item() < 1e-14, "{second}");
}

#[test]
fn dropout_repeats_and_the_generator_goes_on_as_without() {
    let run = |kept: bool| {
        manual_seed(7);
        let x = Tensor::ones([40]).requires_grad_(true);
        let f = |x: Tensor| x.dropout(0.5, true) * Tensor::rand([40]);
        let before = Tensor::rand([3]);
        let y = if kept { checkpoint(f, x) } else { f(x) };
        let between = Tensor::randn([3]);
        (y * y).sum().backward();
        [before, y, between, x.grad().unwrap(), Tensor::rand([3])].map(|x| x.to_vec())
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn inside_things_are_forgotten_and_memory_is_flat() {
    let w = Tensor::linspace(-1.0, 1.0, 256).reshape([16, 16]).detach().requires_grad_(true);
    let x = Tensor::ones([64, 16]);
    let deep = move |x: Tensor| (0..20).fold(x, |h, _| h.matmul(w).tanh());
    let step = |kept: bool| {
        scope(|| {
            let y = if kept { checkpoint(deep, x) } else { deep(x) };
            // A leaf that the function makes is forgotten with the recomputation.
            let z = checkpoint(|y: Tensor| y * Tensor::ones([16]).requires_grad_(true).tanh(), y);
            let entries = memory::stats().entries;
            z.sum().backward();
            entries
        })
    };
    let before = memory::stats().entries;
    assert_eq!(step(true), before + 2);
    assert!(step(false) > before + 40);
    let kept = w.grad().unwrap().to_vec();
    w.zero_grad();
    step(true);
    assert!(kept.iter().zip(w.grad().unwrap().to_vec()).all(|(twice, once)| *twice == 2.0 * once));
    let first = memory::stats();
    for _ in 0..1000 {
        step(true);
        w.zero_grad();
    }
    assert_eq!(memory::stats(), first);
}

/// A checkpoint that fails, the text and the kind of its error.
type Failure = (&'static str, ErrorKind, Box<dyn Fn() -> Result<()>>);

/// `f`, told whether its call is the first, third and so on.
fn alternating(f: fn(T, bool) -> T) -> impl Fn(T) -> T + Clone + 'static {
    let count = Rc::new(Cell::new(0));
    move |x| {
        count.set(count.get() + 1);
        f(x, count.get() % 2 == 1)
    }
}

/// Sweeps `y` and a use of `x` that comes first.
fn sweep(y: T, x: T) -> Result<()> {
    (y.sum() + (x * 7.0).sum()).try_backward()
}

fn failures(x: T, w: T) -> Vec<Failure> {
    let values = alternating(|x, odd| if odd { x * (1.0 + 2e-15) } else { x });
    let shapes = alternating(|x, odd| x.narrow(0, 0, 1 + usize::from(odd)));
    vec![
        (
            "checkpoint: the function is not deterministic: when it was computed again for backward, it gave other elements in output 0",
            ErrorKind::Value,
            Box::new(move || sweep(checkpoint(values.clone(), x), x)),
        ),
        (
            "checkpoint: the function is not deterministic: when it was computed again for backward, it gave shapes [[1]] instead of [[2]]",
            ErrorKind::Value,
            Box::new(move || sweep(checkpoint(shapes.clone(), x), x)),
        ),
        (
            "`checkpoint` needs the value of a tensor of shape [2] that was overwritten in place",
            ErrorKind::InPlace,
            Box::new(move || {
                let y = checkpoint(|x: T| x * 2.0, x);
                no_grad(|| x.mul_(1.0));
                sweep(y, x)
            }),
        ),
        (
            "`checkpoint` needs the value of a tensor of shape [2] that was overwritten in place",
            ErrorKind::InPlace,
            Box::new(move || {
                let y = checkpoint(move |x: T| x * w, x);
                no_grad(|| w.mul_(1.0));
                sweep(y, x)
            }),
        ),
        (
            "checkpoint: the function ended a scope that was open when it was called",
            ErrorKind::Stale,
            Box::new(move || {
                let guard = Rc::new(Cell::new(Some(wengert::Scope::enter())));
                let ends = move |x: T| {
                    guard.take();
                    x * 2.0
                };
                try_checkpoint(ends, x).map(drop)
            }),
        ),
        ("scope has ended", ErrorKind::Stale, {
            let mut stale = None;
            scope(|| stale = Some(T::ones([2])));
            Box::new(move || try_checkpoint(|x: T| x * 2.0, stale.unwrap()).map(drop))
        }),
    ]
}

#[test]
fn what_goes_wrong_is_named_and_changes_no_gradient() {
    let (x, w) = (T::new([1.0, 2.0]).requires_grad_(true), T::new([3.0, 4.0]).requires_grad_(true));
    (x * 5.0).sum().backward();
    for (text, kind, run) in failures(x, w) {
        let depth = memory::stats().depth;
        let error = run().unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!((error.kind(), memory::stats().depth), (kind, depth), "{error}");
        assert_eq!((x.grad().unwrap().to_vec(), w.grad().is_none()), (vec![5.0, 5.0], true), "{text}");
    }
    // A panic when the function is computed again.
    let panics = alternating(|x, odd| if odd { x * 2.0 } else { panic!("again") });
    assert!(catch_unwind(AssertUnwindSafe(|| sweep(checkpoint(panics, x), x))).is_err());
    assert_eq!((x.grad().unwrap().to_vec(), memory::stats().depth), (vec![5.0, 5.0], 0));
    assert!(wengert::is_grad_enabled());
    checkpoint(|x: T| x * 2.0, x).sum().backward();
    assert_eq!(x.grad().unwrap().to_vec(), [7.0, 7.0]);
}

#[test]
fn outputs_may_be_inputs_and_may_be_none() {
    let x = T::new([1.0, 2.0]).requires_grad_(true);
    let w = T::new([3.0, 4.0]).requires_grad_(true);
    let [same, captured, constant] = checkpoint(move |x: T| [x, w, T::ones([2])], x);
    assert!(!same.is(x) && same.grad_fn() == Some("CheckpointBackward"));
    (same * 2.0 + captured * 3.0 + constant).sum().backward();
    assert_eq!((x.grad().unwrap().to_vec(), w.grad().unwrap().to_vec()), (vec![2.0, 2.0], vec![3.0, 3.0]));
    let none: Vec<T> = checkpoint(|_: T| Vec::new(), x);
    assert!(none.is_empty());
    let untracked: TensorBase<f64> = checkpoint(|x: T| x.detach() * 2.0, x);
    assert!(!untracked.requires_grad());
}

type Layer = Box<dyn Fn(Tensor) -> Tensor>;

fn layers(count: usize, width: usize, params: &mut Vec<Tensor>) -> Rc<[Layer]> {
    let make = |k: usize| -> Layer {
        let w = (Tensor::randn([width, width]) * 0.3).detach().requires_grad_(true);
        params.push(w);
        // Layers of unlike cost.
        match k % 3 {
            0 => Box::new(move |x| x + x.matmul(w).tanh()),
            1 => Box::new(move |x| x + (x.matmul(w).sin().exp() - 1.0).dropout(0.2, true)),
            _ => Box::new(move |x| x * 0.9 + w.sum()),
        }
    };
    (0..count).map(make).collect()
}

#[test]
fn a_chain_in_segments_has_the_same_gradients() {
    let (mut params, x) = (Vec::new(), Tensor::ones([4, 8]).requires_grad_(true));
    let functions = layers(7, 8, &mut params);
    params.push(x);
    let run = |segments: Segments| {
        manual_seed(3);
        params.iter().for_each(|w| w.zero_grad());
        let entries = memory::stats().entries;
        scope(|| {
            let y = checkpoint_sequential(functions.clone(), segments, x);
            let entries = memory::stats().entries - entries;
            y.sum().backward();
            (params.iter().map(|w| w.grad().unwrap().to_vec()).collect::<Vec<_>>(), y.to_vec(), entries)
        })
    };
    let plain = run(Segments::Count(1));
    for count in 2..=7 {
        let found = run(Segments::Count(count));
        assert_eq!((&found.0, &found.1), (&plain.0, &plain.1), "{count} segments");
        assert!(found.2 < plain.2);
    }
    for segments in [Segments::Lengths(vec![0, 3, 1, 0, 3, 0]), Segments::Budget(5_000)] {
        let found = run(segments.clone());
        assert_eq!((&found.0, &found.1), (&plain.0, &plain.1), "{segments:?}");
    }
    // All checkpoints, as the last segment has no functions.
    assert_eq!(run(Segments::Lengths(vec![7, 0])).2, 1);
    let y = no_grad(|| checkpoint_sequential(functions.clone(), 3, x));
    assert!(!y.requires_grad());
    assert!(checkpoint_sequential(Vec::<Layer>::new(), 1, x).is(x));
}

#[test]
fn segments_within_a_budget_are_few_and_keep_it() {
    // Every value counts.
    tape::defer_from(usize::MAX);
    let (mut params, x) = (Vec::new(), Tensor::ones([64, 32]));
    let functions = layers(30, 32, &mut params);
    let step = |segments: &Segments| {
        params.iter().for_each(|w| w.zero_grad());
        scope(|| checkpoint_sequential(functions.clone(), segments.clone(), x).sum().backward());
    };
    step(&Segments::Count(1));
    let before = Tensor::rand([4]);
    manual_seed(1);
    let peak = |segments: &Segments| {
        memory::trim();
        let stays = memory::stats().used;
        step(segments);
        memory::stats().high_water - stays
    };
    let plain = peak(&Segments::Count(1));
    let mut counts = Vec::new();
    for part in [1, 2, 3, 4] {
        let budget = plain / part + plain / 20;
        let segments = Segments::within(budget, &functions, x).unwrap();
        let Segments::Lengths(lengths) = &segments else { panic!("lengths") };
        assert_eq!(lengths.iter().sum::<usize>(), 30);
        counts.push(lengths.len());
        let bytes = peak(&segments);
        assert!(bytes <= budget + plain / 10, "{bytes} bytes for a budget of {budget}, plain {plain}: {lengths:?}");
    }
    assert!(counts[0] == 1 && counts.is_sorted() && counts[3] > counts[1], "{counts:?}");
    // Measuring draws random numbers, which are drawn again afterwards.
    manual_seed(1);
    Segments::within(plain * 2, &functions, x).unwrap();
    let after = Tensor::rand([4]);
    manual_seed(1);
    assert_eq!(after.to_vec(), Tensor::rand([4]).to_vec());
    assert_ne!(before.to_vec(), after.to_vec());

    let least = Segments::within(1000, &functions, x).unwrap_err();
    assert_eq!(least.kind(), ErrorKind::Memory);
    assert!(
        least.to_string().contains("takes at least") && least.to_string().contains("the budget is 1000"),
        "{least}"
    );
    for (segments, text) in [
        (Segments::Count(0), "30 functions can't be cut into 0 segments; take from 1 to 30"),
        (Segments::Count(31), "30 functions can't be cut into 31 segments"),
        (Segments::Lengths(vec![10, 10]), "segments of [10, 10] functions do not make up 30"),
    ] {
        let error = try_checkpoint_sequential(functions.clone(), segments, x).unwrap_err();
        assert!(error.kind() == ErrorKind::Value && error.to_string().contains(text), "{error}");
    }
}
