//! Memory that is not there: each allocation of a step is refused in turn. The step then fails with an error (or does without), no value is
//! wrong, the tape is as it was, and the same step succeeds when there is memory again.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};

use wengert::func::{try_hessian, try_jacrev};
use wengert::options::LayerNorm;
use wengert::tape::Segment;
use wengert::{
    Error, ErrorKind, GradOptions, IndexTensor, Result, Scope, Tensor, Tensor64, grad_with, memory, tape, try_cat,
    try_jvp,
};

use super::counting::{Refuse, refusing};

/// What a step computes: lists of its own, as a longer one would be an allocation of the test's.
type Found = Vec<Vec<f64>>;
type Step = fn() -> Result<Found>;

/// Allocations of fewer bytes are not refused: they are those of single values, such as texts, boxes and the lists of a call's arguments, for
/// which Rust's collections end the process. `docs/safety.md` lists them.
const LEAST: usize = 512;

fn network() -> Result<Found> {
    let w = Tensor64::try_linspace(-0.5, 0.5, 600)?.try_reshape([20, 30])?.try_detach()?.try_requires_grad_(true)?;
    let x = Tensor64::try_linspace(0.0, 1.0, 200)?.try_reshape([10, 20])?;
    let loss = x.try_matmul(w)?.try_tanh()?.try_add(0.5)?.try_square()?.try_mean()?;
    loss.try_backward()?;
    Ok(vec![w.try_grad()?.expect("backward was called").try_to_vec()?])
}

fn views_and_writes() -> Result<Found> {
    let w = Tensor64::try_linspace(-1.0, 1.0, 120)?.try_reshape([10, 12])?.try_detach()?.try_requires_grad_(true)?;
    let y = w.try_mul(2.0)?;
    y.try_select(0, 1)?.try_mul_(3.0)?;
    y.try_t()?.try_slice(0, 0, 12, 2)?.try_sigmoid_()?;
    let z = try_cat(&[y, y.try_flip([0])?], 1)?.try_permute([1, 0])?.try_contiguous()?;
    z.try_softmax(1)?.try_mul(z)?.try_sum()?.try_backward()?;
    Ok(vec![w.try_grad()?.expect("backward was called").try_to_vec()?])
}

/// So many that the lists of what was written, and of what is deferred, are not refused as those of single values.
fn many_of_a_kind() -> Result<Found> {
    let before = tape::defer_from(1);
    let result = (|| {
        let mut last = Tensor64::try_zeros(2)?;
        for k in 0..150 {
            let x = Tensor64::try_ones(2)?;
            x.try_mul_(f64::from(k))?;
            last = x.try_add(1.0)?;
        }
        Ok(vec![last.try_to_vec()?])
    })();
    tape::defer_from(before);
    result
}

/// A value, and a sweep, that are computed at once from more operands than are kept inline.
fn many_operands() -> Result<Found> {
    let before = tape::defer_from(1);
    let result = (|| {
        let mut leaves = [Tensor64::try_zeros(2)?; 30];
        for (k, leaf) in leaves.iter_mut().enumerate() {
            *leaf = Tensor64::try_full(2, 1.0 + k as f64 / 64.0)?.try_requires_grad_(true)?;
        }
        let mut product = leaves[0];
        for &leaf in &leaves[1..] {
            product = product.try_mul(leaf)?;
        }
        product.try_sum()?.try_backward()?;
        let gradient = |k: usize| leaves[k].try_grad()?.expect("backward was called").try_to_vec();
        Ok(vec![product.try_to_vec()?, gradient(0)?, gradient(15)?, gradient(29)?])
    })();
    tape::defer_from(before);
    result
}

/// So many leaves, of several elements and numbers, that the lists of whose gradients a sweep fills are not refused as those of single values.
fn many_leaves() -> Result<Found> {
    let mut total = Tensor64::try_scalar(0.0)?;
    let mut leaves = [[total; 2]; 200];
    for (k, [leaf, number]) in leaves.iter_mut().enumerate() {
        *leaf = Tensor64::try_full(2, 1.0 + k as f64 / 64.0)?.try_requires_grad_(true)?;
        *number = Tensor64::try_scalar(k as f64 / 8.0)?.try_requires_grad_(true)?;
        total = total.try_add(leaf.try_square()?.try_sum()?.try_mul(*number)?)?;
    }
    total.try_backward()?;
    let gradient = |leaf: Tensor64| leaf.try_grad()?.expect("backward was called").try_to_vec();
    leaves.iter().step_by(50).flatten().map(|&leaf| gradient(leaf)).collect()
}

fn indices() -> Result<Found> {
    let x = Tensor64::try_linspace(-1.0, 1.0, 90)?.try_reshape([9, 10])?.try_detach()?.try_requires_grad_(true)?;
    let index = IndexTensor::try_arange(8, -1, -1)?;
    let chosen = x.try_index_select(0, index)?.try_masked_fill(x.try_gt(0.5)?, 0.25)?;
    let (sorted, _) = chosen.try_sort(1, true)?;
    let put = x.try_index_put(&[index], sorted, true)?.try_scatter(0, index.try_reshape([1, 9])?, 2.0)?;
    put.try_cumsum(0)?.try_logsumexp(1, false)?.try_sum()?.try_backward()?;
    Ok(vec![x.try_grad()?.expect("backward was called").try_to_vec()?])
}

fn numbers() -> Result<Found> {
    let (a, b) = (Tensor64::try_scalar(0.5)?, Tensor64::try_scalar(0.25)?.try_requires_grad_(true)?);
    let mut x = b;
    for _ in 0..2000 {
        x = x.try_mul(a)?.try_add(0.75)?.try_sin()?;
    }
    x.try_backward()?;
    Ok(vec![vec![x.try_item()?, b.try_grad()?.expect("backward was called").try_item()?]])
}

fn higher_orders() -> Result<Found> {
    let x = Tensor64::try_linspace(0.5, 1.5, 8)?.try_requires_grad_(true)?;
    let y = x.try_powi(3)?.try_retain_grad()?;
    y.try_sum()?.try_backward_create_graph()?;
    let options = GradOptions { create_graph: true, allow_unused: true };
    let first = grad_with(x.try_exp()?.try_sum()?, &[x, y], None, options)?[0].expect("x takes part");
    let from = tape::position();
    let z = first.try_mul(x)?.try_sum()?;
    let adjoints = Segment::try_between(from, tape::position())?.try_pull_back(&[(z, Tensor64::try_scalar(1.0)?)])?;
    let mut found = adjoints.iter().map(|(_, g)| g.try_to_vec()).collect::<Result<Found>>()?;
    x.try_grad()?.expect("backward was called").try_square()?.try_sum()?.try_backward()?;
    found.push(x.try_grad()?.expect("again").try_to_vec()?);
    Ok(found)
}

fn transforms() -> Result<Found> {
    let x = Tensor64::try_linspace(0.5, 1.5, 5)?;
    let mut found = vec![try_jacrev(|x: Tensor64| x.sin() * x, x)?.try_to_vec()?];
    found.push(try_hessian(|x: Tensor64| (x * x * x).sum(), x)?.try_to_vec()?);
    found.push(try_jvp(|x: Tensor64| x.exp().cumsum(0), x, x)?.1.try_to_vec()?);
    Ok(found)
}

fn mixed_types() -> Result<Found> {
    let x = Tensor::try_from_iter((0..300).map(|i| i as f32 * 0.01))?.try_requires_grad_(true)?;
    let rows = x.try_cast::<f64>()?.try_reshape([3, 100])?;
    rows.try_layer_norm(100, LayerNorm::default())?.try_square()?.try_sum()?.try_backward()?;
    Ok(vec![x.try_grad()?.expect("backward was called").try_cast::<f64>()?.try_to_vec()?])
}

/// Values that are deferred, and products that pack their operands.
fn many_elements() -> Result<Found> {
    let w =
        Tensor64::try_linspace(-1.0, 1.0, 20_000)?.try_reshape([100, 200])?.try_detach()?.try_requires_grad_(true)?;
    let y = w.try_tanh()?.try_exp()?.try_mul(w)?.try_t()?;
    y.try_matmul(w)?.try_square()?.try_mean()?.try_add(y.try_sigmoid()?.try_sum()?)?.try_backward()?;
    Ok(vec![w.try_grad()?.expect("backward was called").try_to_vec()?])
}

const STEPS: [(&str, Step); 11] = [
    ("many of a kind", many_of_a_kind),
    ("many operands", many_operands),
    ("many elements", many_elements),
    ("many leaves", many_leaves),
    ("a network", network),
    ("views and writes", views_and_writes),
    ("indices", indices),
    ("numbers", numbers),
    ("higher orders", higher_orders),
    ("transforms", transforms),
    ("mixed types", mixed_types),
];

/// The step in a scope, its error returned also where a plain form panicked with it.
fn run(step: Step) -> Result<Found> {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _scope = Scope::enter();
        step()
    }));
    caught.unwrap_or_else(|payload| match payload.downcast::<String>() {
        Ok(text) if text.starts_with("the tape: ") => Err(Error::new(ErrorKind::Memory, *text)),
        Ok(text) => panic!("{text}"),
        Err(payload) => panic_any(payload),
    })
}

/// What happens if `refuse` is in force from the beginning of a fresh thread's first step; whether its first refusal was reached.
fn check(name: &str, step: Step, refuse: Refuse, expected: &Found) -> bool {
    let expected = expected.clone();
    let name = name.to_string();
    let thread = std::thread::spawn(move || {
        // A thread's tape itself is made without a way to refuse.
        memory::stats();
        let (result, reached) = refusing(refuse, || run(step));
        match result {
            Ok(values) => assert_eq!(values, expected, "{name}, {refuse:?}: a wrong value"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Memory, "{name}, {refuse:?}: {error}");
                assert!(error.to_string().contains("could not be allocated"), "{name}, {refuse:?}: {error}");
            }
        }
        let stats = memory::stats();
        assert_eq!((stats.entries, stats.depth), (0, 0), "{name}, {refuse:?}");
        assert_eq!(run(step).expect("there is memory again"), expected, "{name} after {refuse:?}");
        reached
    });
    thread.join().expect("no panic but the tape's own")
}

#[test]
fn every_allocation_of_a_step_may_be_refused() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<String>().map_or("", String::as_str);
        if !text.starts_with("the tape: ") {
            hook(info);
        }
    }));
    for (name, step) in STEPS {
        let expected = std::thread::spawn(move || run(step)).join().expect("no panic").expect("there is memory");
        let most = 4000;
        let count = |refuse: fn(usize) -> Refuse| {
            (0..most).find(|&after| !check(name, step, refuse(after), &expected)).expect("few allocations")
        };
        let one = count(|after| Refuse::One { after, least: LEAST });
        let all = count(|after| Refuse::All { after, least: LEAST });
        println!("covered: allocations of `{name}` that were refused: {one} alone, {all} with all that follow");
    }
}
