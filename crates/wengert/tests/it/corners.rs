//! Where mutants survived (`docs/mutants.md`): corners of the engine that other tests pass through without looking.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use wengert::func::{hessian, vjp};
use wengert::options::{BatchNorm, CrossEntropy, LayerNorm};
use wengert::table::samples;
use wengert::{
    EnableGrad, ErrorKind, GradOptions, IndexTensor, Scope, Tensor, Tensor64, cat, einsum, enable_grad, grad,
    grad_with, memory, no_grad, scope, try_einsum,
};

use super::samples::{inputs, leaves};

#[test]
fn no_operation_is_tracked_where_gradients_are_off() {
    for sample in samples() {
        scope(|| {
            let x = leaves(&sample, &inputs(&sample));
            let before = memory::stats().entries;
            // Asked inside, as `no_grad` copies what it gives back; a sample may give its operand back.
            let is_tracked = no_grad(|| (sample.run)(&x).requires_grad() && memory::stats().entries > before);
            assert!(!is_tracked, "{} ({})", sample.op, sample.case);
        });
    }
}

#[test]
fn dimensions_of_length_one_stretch_in_einsum() {
    let rows: &[(&str, [usize; 2], [usize; 2])] = &[
        ("ij,ij->ij", [1, 3], [2, 3]),
        ("ij,ij->ij", [2, 3], [2, 1]),
        ("ij,ij->ji", [1, 1], [2, 3]),
        ("ij,ij->i", [1, 3], [2, 3]),
        ("ij,ij->j", [2, 1], [2, 3]),
        ("ij,ij->", [2, 3], [1, 1]),
    ];
    for &(equation, a, b) in rows {
        let of = |shape: [usize; 2]| {
            let values: Vec<f64> = (1..=shape[0] * shape[1]).map(|i| i as f64).collect();
            Tensor64::from_slice(&values, shape)
        };
        let (a, b) = (of(a), of(b));
        let stretched = einsum(equation, &[a.expand([2, 3]).contiguous(), b.expand([2, 3]).contiguous()]);
        let y = einsum(equation, &[a, b]);
        assert_eq!((y.shape(), y.to_vec()), (stretched.shape(), stretched.to_vec()), "{equation}");
    }
}

#[test]
fn an_equation_without_an_output_keeps_the_dimensions_of_its_dots() {
    let (a, b) = (
        Tensor64::arange(0.0, 24.0, 1.0).reshape([2, 2, 2, 3]),
        Tensor64::arange(0.0, 24.0, 1.0).reshape([2, 2, 3, 2]),
    );
    let y = einsum("...ij,...jk", &[a, b]);
    assert_eq!((y.shape(), y.to_vec()), (a.matmul(b).shape(), a.matmul(b).to_vec()));
}

#[test]
fn outputs_of_einsum_name_dimensions_of_operands_once() {
    for (equation, text) in [("ij->k", "in the output and in no operand"), ("ij->ii", "twice in the output")] {
        let error = try_einsum(equation, &[Tensor::ones([2, 2])]).expect_err(equation).to_string();
        assert!(error.contains(text), "{equation}: {error}");
    }
}

#[test]
fn an_empty_tensor_fits_before_and_after_others() {
    let (empty, x) = (Tensor::zeros(0), Tensor::new([[1.0, 2.0], [3.0, 4.0]]));
    for parts in [&[empty, x][..], &[x, empty], &[empty, x, empty]] {
        let y = cat(parts, 1);
        assert_eq!((y.shape().to_vec(), y.to_vec()), (vec![2, 2], x.to_vec()));
    }
}

#[test]
fn a_view_that_is_older_than_a_write_has_the_gradient_of_the_write() {
    let x = Tensor64::new([1.0, 2.0, 3.0]).requires_grad_(true);
    let y = x * 2.0;
    let (part, part_of_part) = (y.narrow(0, 1, 2), y.narrow(0, 1, 2).narrow(0, 1, 1));
    y.mul_(3.0);
    ((part * part).sum() + part_of_part.sum()).backward();
    assert_eq!(x.grad().expect("backward was called").to_vec(), [0.0, 144.0, 222.0]);
}

/// The first entry of the scope is the view, recorded anew from what was written; another one lies there afterwards.
#[test]
fn a_view_that_a_scope_recorded_anew_ends_with_it() {
    let y = Tensor64::new([1.0, 2.0, 3.0]).requires_grad_(true) * 2.0;
    let part = y.narrow(0, 1, 2);
    y.mul_(3.0);
    for _ in 0..2 {
        assert_eq!(scope(|| part.to_vec()), [12.0, 18.0]);
        let _other = Tensor64::ones(2) + 4.0;
        assert_eq!(part.to_vec(), [12.0, 18.0]);
        y.mul_(1.0);
    }
}

/// What was written in a scope before is no write to the values that this one reads.
#[test]
fn a_gradient_that_every_scope_shows_uses_and_writes() {
    let w = Tensor64::ones(2).requires_grad_(true);
    (w * 4.0).sum().backward();
    for step in 0..4 {
        scope(|| {
            let g = w.grad().expect("backward was called");
            let factor = grad((w * g).sum(), &[w])[0];
            assert_eq!(factor.to_vec(), [4.0 * f64::powi(0.5, step); 2]);
            g.mul_(0.5);
        });
    }
}

/// The sweep has begun to fill the leaf `w` when the hook on `h`, which was recorded before it, sweeps to `w` too.
#[test]
fn a_sweep_inside_of_a_hook_adds_to_what_the_outer_one_has_begun() {
    for shape in [&[][..], &[2]] {
        for create_graph in [false, true] {
            let x = Tensor64::ones(shape).requires_grad_(true);
            let h = x * 3.0;
            let w = (Tensor64::ones(shape) * 5.0).detach().requires_grad_(true);
            h.register_hook(move |_| {
                enable_grad(|| {
                    let inner = (w * w).sum();
                    if create_graph { inner.backward_create_graph() } else { inner.backward() }
                });
                None
            });
            let y = h * w;
            // A number is passed with the leaves by the quick path, which a sum is not.
            if shape.is_empty() {
                y.backward()
            } else {
                y.sum().backward()
            }
            let (of_w, of_x) = (w.grad().expect("filled"), x.grad().expect("filled"));
            assert!(of_w.to_vec().iter().all(|&g| g == 3.0 + 10.0), "{shape:?} {create_graph}: {of_w}");
            assert!(of_x.to_vec().iter().all(|&g| g == 15.0), "{shape:?} {create_graph}: {of_x}");
        }
    }
}

#[test]
fn hooks_nest_with_scopes_in_each() {
    /// The gradient of `x³` at 2, found by a sweep whose hook does the same again.
    fn slope(depth: u32, deepest: &Rc<Cell<u32>>) -> f64 {
        scope(|| {
            let _grad = EnableGrad::enter();
            let x = Tensor64::scalar(2.0).requires_grad_(true);
            let (square, deepest) = (x * x, Rc::clone(deepest));
            square.register_hook(move |g| {
                deepest.set(deepest.get().max(depth));
                (depth < 4).then(|| g * (slope(depth + 1, &deepest) / 12.0))
            });
            (square * x).backward();
            x.grad().expect("backward was called").item()
        })
    }
    let deepest = Rc::new(Cell::new(0));
    assert_eq!((slope(0, &deepest), deepest.get()), (12.0, 4));
}

#[test]
fn hooks_that_panic_leave_no_memory_behind() {
    let w = Tensor::ones(100).requires_grad_(true);
    let step = || {
        scope(|| {
            let y = w * 2.0;
            y.register_hook(|g| scope(|| panic!("of the user, with {} elements", (g * g).numel())));
            catch_unwind(AssertUnwindSafe(|| (y * y).sum().backward())).expect_err("the hook panics");
        });
        memory::stats()
    };
    step();
    let second = step();
    assert_eq!((0..100).fold(second, |_, _| step()), second);
}

#[test]
fn numbers_meet_the_budget_too() {
    let w = Tensor64::scalar(1.0).requires_grad_(true);
    memory::set_budget(Some(1 << 20));
    // A million entries of 32 bytes.
    let result = (0..1_000_000).try_fold(w, |x, _| x.try_mul(w));
    assert_eq!(result.expect_err("more than the budget").kind(), ErrorKind::Memory);
}

/// Derivatives that are recorded as formulas, whose text has no way to fail.
#[test]
fn a_recorded_sweep_beyond_the_budget_is_an_error_and_the_gradient_stays() {
    let functions: [fn(Tensor64) -> Tensor64; 5] = [
        |w| w * w,
        |w| w.abs().sqrt().tanh(),
        |w| w.gelu() / (w * w + 1.0),
        |w| w.maximum(w.sin()),
        |w| w.binary_cross_entropy_with_logits(w.sigmoid().detach() * 0.5),
    ];
    let mut refused = 0;
    for (number, function) in functions.into_iter().enumerate() {
        let w = Tensor64::linspace(-2.0, 2.0, 4000).detach().requires_grad_(true);
        w.sum().backward();
        let before = w.grad().expect("backward was called").to_vec();
        for extra in (0..1 << 21).step_by(1 << 15) {
            let _scope = Scope::enter();
            let y = function(w).sum();
            memory::set_budget(Some(memory::stats().reserved + extra));
            let result = y.try_backward_create_graph();
            memory::set_budget(None);
            match result {
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.kind(), ErrorKind::Memory, "{error}");
                    assert_eq!(w.grad().expect("the gradient of before").to_vec(), before, "function {number}");
                }
                Ok(()) => break,
            }
        }
        memory::trim();
        let changed = w.grad().expect("backward was called").to_vec();
        assert_ne!(changed, before, "function {number}: no budget was large enough");
    }
    assert!(refused > 5, "{refused} sweeps failed");
}

/// The entry that showed the gradient is another one when the next sweep writes to the gradient's buffer.
#[test]
fn a_gradient_that_was_looked_at_in_a_scope_is_written_without_harm_to_what_came_after() {
    let w = Tensor64::new([1.0, 2.0]).requires_grad_(true);
    w.square().sum().backward();
    scope(|| assert_eq!(w.grad().expect("backward was called").to_vec(), [2.0, 4.0]));
    let x = Tensor64::new([3.0, 4.0]).requires_grad_(true);
    let y = x.square().sum();
    w.square().sum().backward();
    y.backward();
    assert_eq!(x.grad().expect("backward was called").to_vec(), [6.0, 8.0]);
    assert_eq!(w.grad().expect("backward was called").to_vec(), [4.0, 8.0]);
}

#[test]
fn hooks_after_accumulation_run_in_the_order_of_the_sweep() {
    let log = Rc::new(RefCell::new(Vec::new()));
    let leaves = ["a", "b", "c", "d"].map(|name| {
        let (x, log) = (Tensor64::new([1.0, 2.0]).requires_grad_(true), Rc::clone(&log));
        x.register_post_accumulate_grad_hook(move |_| log.borrow_mut().push(name));
        x
    });
    // Two have a gradient already when the sweep reaches all.
    (leaves[1] * leaves[3]).sum().backward();
    assert_eq!(log.take(), ["d", "b"]);
    leaves.into_iter().reduce(|a, b| a * b).expect("there are four").sum().backward();
    assert_eq!(log.take(), ["d", "c", "b", "a"]);
}

#[test]
fn one_value_per_channel_can_not_be_normalised_by_the_batch() {
    for (shape, fits) in [([1, 3, 1], false), ([1, 3, 2], true), ([2, 3, 1], true)] {
        let result = Tensor::ones(shape).try_batch_norm(BatchNorm { training: true, ..BatchNorm::default() });
        assert_eq!(result.map_err(|error| error.kind()).err(), (!fits).then_some(ErrorKind::Shape), "{shape:?}");
    }
}

#[test]
fn a_number_is_in_order() {
    for descending in [false, true] {
        // Where the order is written, other numbers were.
        scope(|| IndexTensor::from_slice(&[7; 64], [64]));
        let (values, order) = scope(|| Tensor::scalar(5.0).sort(0, descending));
        assert_eq!((values.item(), order.item()), (5.0, 0));
    }
}

/// As in PyTorch 2.15.
#[test]
fn where_both_limits_are_the_value_it_takes_the_whole_gradient() {
    let [x, low, high] = [0; 3].map(|_| Tensor64::new([1.0, 1.0]).requires_grad_(true));
    x.clamp(low, high).sum().backward();
    let of = |x: Tensor64| x.grad().expect("backward was called").to_vec();
    assert_eq!([of(x), of(low), of(high)], [[1.0; 2], [0.0; 2], [0.0; 2]]);
}

#[test]
fn create_graph_records_inside_of_no_grad() {
    let x = Tensor64::scalar(2.0).requires_grad_(true);
    let y = x.pow(3.0);
    let options = GradOptions { create_graph: true, ..Default::default() };
    no_grad(|| {
        let g = grad_with(y, &[x], None, options).unwrap()[0].expect("a path");
        assert!(g.requires_grad());
        assert!(!(g * 2.0).requires_grad(), "only the sweep records");
        g.backward();
    });
    assert_eq!(x.grad().unwrap().item(), 12.0);
}

/// The sweep shows the gradient that is there, and fails when it adds to it: another tensor comes to lie where it was shown.
#[test]
fn a_sweep_without_memory_leaves_the_gradient_that_was_there() {
    let mut failures = 0;
    for extra in (0..).step_by(1 << 11) {
        let is_done = scope(|| {
            let w = Tensor64::ones(1000).requires_grad_(true);
            w.sum().backward();
            let loss = w.cumsum(0).sum();
            memory::set_budget(Some(memory::stats().reserved + extra));
            let result = loss.try_backward_create_graph();
            memory::set_budget(None);
            let others: Vec<Tensor64> = (0..50).map(|_| Tensor64::zeros(1000)).collect();
            // Element `i` is in the sums from `i` on.
            let second = |i: usize| if result.is_ok() { (1000 - i) as f64 } else { 0.0 };
            let expected: Vec<f64> = (0..1000).map(|i| 1.0 + second(i)).collect();
            assert_eq!(w.grad().expect("of both sweeps, or the first").to_vec(), expected, "{extra} bytes");
            assert!(others.iter().all(|x| x.to_vec() == [0.0; 1000]));
            result.is_ok()
        });
        memory::trim();
        if is_done {
            break;
        }
        failures += 1;
    }
    assert!(failures > 3, "{failures} sweeps failed");
}

#[test]
fn a_function_that_ends_an_outer_scope_does_not_end_the_one_around_that() {
    let y = Tensor64::ones(3).requires_grad_(true);
    let _kept = Scope::enter();
    let ended = Scope::enter();
    let result = vjp(
        move |_: Tensor64| {
            drop(ended);
            y
        },
        Tensor64::ones(3),
    );
    assert_eq!((result.0.to_vec(), memory::stats().depth), (vec![1.0; 3], 1));
}

#[test]
fn losses_name_predictions_before_targets() {
    type Loss = fn(Tensor64, Tensor64) -> wengert::Result<Tensor64>;
    let losses: &[(&str, Loss)] = &[
        ("mse_loss", |x, t| x.try_mse_loss(t)),
        ("l1_loss", |x, t| x.try_l1_loss(t)),
        ("huber_loss", |x, t| x.try_huber_loss(t)),
    ];
    for (name, loss) in losses {
        let text = loss(Tensor64::ones(2), Tensor64::ones(3)).expect_err(name).to_string();
        assert!(text.contains("predictions of shape [2] and targets of shape [3]"), "{name}: {text}");
    }
}

#[test]
fn dimensions_that_a_tensor_does_not_have_are_refused() {
    let (number, x) = (Tensor::scalar(1.0), Tensor::ones([2, 3]));
    for (start, end) in [(1, 0), (0, 1), (-2, 0), (0, -2)] {
        let kind = number.try_flatten(start, end).map_err(|error| error.kind()).err();
        assert_eq!(kind, Some(ErrorKind::Dim), "{start} to {end}");
    }
    for (tail, fits) in
        [(&[2][..], false), (&[3, 3], false), (&[], false), (&[1, 2, 3], false), (&[3], true), (&[2, 3], true)]
    {
        let kind = x.try_layer_norm(tail, LayerNorm::default()).map_err(|error| error.kind()).err();
        assert_eq!(kind, (!fits).then_some(ErrorKind::Shape), "{tail:?}");
    }
}

/// The second derivative by logits is that of `log Σ exp`, whatever is wanted, so long as what is wanted sums to 1.
#[test]
fn smoothing_of_labels_does_not_change_second_derivatives() {
    let (x, wanted) = (Tensor64::new([0.3, -1.0, 2.0]), Tensor64::new([0.2, 0.7, 0.1]));
    let of = |label_smoothing: f64| {
        let options = CrossEntropy { label_smoothing, ..CrossEntropy::default() };
        hessian(|x: Tensor64| x.cross_entropy_with(wanted, options), x).to_vec()
    };
    let plain = of(0.0);
    for smoothing in [0.1, 0.5, 1.0] {
        let differ = plain.iter().zip(of(smoothing)).any(|(a, b)| (a - b).abs() > 1e-12);
        assert!(!differ, "{smoothing}: {:?}, and {plain:?} without", of(smoothing));
    }
}

/// Only the inner scope's end counts anew where the last hook is.
#[test]
fn a_hook_on_the_first_tensor_of_a_scope_goes_with_it() {
    let held = Rc::new(());
    scope(|| {
        let x = Tensor64::ones(2).requires_grad_(true);
        let kept = Rc::clone(&held);
        x.register_hook(move |_| {
            let _ = &kept;
            None
        });
        scope(|| _ = (x * 2.0).register_hook(|_| None));
        assert_eq!(Rc::strong_count(&held), 2);
    });
    assert_eq!(Rc::strong_count(&held), 1);
}

#[test]
fn seeds_come_as_a_slice_a_vec_or_an_array() {
    let x = Tensor64::new([1.0, 2.0]).requires_grad_(true);
    let outputs = [x * 2.0, x * x];
    let seeds = [Some(Tensor64::new([1.0, 10.0])), Some(Tensor64::new([3.0, 30.0]))];
    let options = GradOptions::default();
    let found = [
        grad_with(&outputs, &[x], &seeds, options),
        grad_with(&outputs, &[x], &seeds.to_vec(), options),
        grad_with(&outputs, &[x], &seeds[..], options),
    ];
    for gradients in found {
        assert_eq!(gradients.unwrap()[0].expect("a path").to_vec(), [8.0, 140.0]);
    }
}
