//! Values that are computed when they are asked for are those that the operation had when it was recorded.

use wengert::{Tensor, Tensor64, checkpoint, detect_anomaly, memory, no_grad, scope, tape, try_detect_anomaly};

use crate::regions::deferring;

const N: usize = 3000;

#[test]
fn writes_come_after_what_was_recorded_before_them() {
    deferring(1, || {
        let x = Tensor::ones([N]);
        let (y, z) = (x + 1.0, (x * 2.0 + 1.0).exp());
        let view = x.narrow(0, 10, 5) * 3.0;
        no_grad(|| x.mul_(5.0));
        assert_eq!(y.to_vec(), vec![2.0; N]);
        assert_eq!(z.to_vec(), Tensor::full([N], 3.0).exp().to_vec());
        assert_eq!(view.to_vec(), vec![3.0; 5]);
        assert_eq!((x + 1.0).to_vec(), vec![6.0; N]);

        let w = Tensor::ones([N]).requires_grad_(true);
        let before = w * 2.0;
        (w * w).sum().backward();
        w.update(|w, _| w.fill(9.0));
        assert_eq!(before.to_vec(), vec![2.0; N]);
    });
}

#[test]
fn gradients_are_read_before_a_sweep_changes_them() {
    deferring(1, || {
        let x = Tensor64::ones([N]).requires_grad_(true);
        (x * x).sum().backward();
        let g = x.grad().unwrap();
        let (doubled, part) = (g * 2.0, g.narrow(0, 0, 4) * 3.0);
        (x * 3.0).sum().backward();
        assert_eq!(doubled.to_vec(), vec![4.0; N]);
        assert_eq!(part.to_vec(), vec![6.0; 4]);
        x.with_grad_mut(|g| g.fill(7.0));
        assert_eq!((g + 0.0).to_vec(), vec![7.0; N]);
    });
}

#[test]
fn values_that_were_deferred_are_like_others() {
    deferring(1, || {
        let x = Tensor64::rand([40, 30]).requires_grad_(true);
        // Out of a scope, through views, as leaves, as inputs of functions, and as roots of a sweep.
        let escaped = scope(|| (x * 2.0 + 1.0).detach());
        assert_eq!(escaped.to_vec(), (x * 2.0 + 1.0).to_vec());
        assert_eq!((x * 2.0).t().contiguous().to_vec(), (x.t() * 2.0).to_vec());
        let leaf = no_grad(|| x * 3.0).requires_grad_(true);
        let y = leaf * leaf;
        y.backward_with(Tensor64::ones([40, 30]));
        assert_eq!(leaf.grad().unwrap().to_vec(), (leaf * 2.0).to_vec());
        let h = x * 4.0;
        checkpoint(|h: Tensor64| (h * h + h).sin(), h).sum().backward();
        let expected = x.grad().unwrap().to_vec();
        x.zero_grad();
        let h = x * 4.0;
        (h * h + h).sin().sum().backward();
        assert_eq!(x.grad().unwrap().to_vec(), expected);
        assert!(detect_anomaly(|| (x * 2.0).sum().item()).is_finite());
        let huge = x * 1e308;
        assert!(try_detect_anomaly(|| (huge + huge.square()).sum()).is_err());
        let large = (x + 1.0) * 1e305;
        assert!(try_detect_anomaly(|| large.sum()).is_err());
        assert!(format!("{}", x * 2.0).starts_with("tensor(["));
    });
}

#[test]
fn what_costs_little_takes_no_memory() {
    let x = Tensor::rand([1 << 20]).requires_grad_(true);
    x.square().sum().backward();
    let before = memory::stats().used;
    let loss = ((x + 2.0).square() * 2.0).mean();
    let recorded = memory::stats().used - before;
    assert!(recorded < 4096, "{recorded} bytes");
    loss.backward();
    let tanh = (x * x + 1.0).tanh();
    assert!(tape::dump().contains("deferred"), "{}", tape::dump());
    let sums = [tanh.sum().item(), (tanh * 2.0).mean().item() * (1 << 19) as f32];
    assert!((sums[0] - sums[1]).abs() <= 1e-5 * sums[0].abs(), "{sums:?}");
    let recorded = memory::stats().used - before;
    assert!((4 << 20..(4 << 20) + 8192).contains(&recorded), "{recorded} bytes: one value is kept");
}

#[test]
fn a_sum_has_its_value_whoever_asks_and_whatever_is_written_in_between() {
    let steps: [fn(Tensor) -> Vec<Tensor>; 11] = [
        |x| {
            let loss = ((x * x + 2.0).tanh() * x.exp()).mean();
            loss.backward();
            vec![loss]
        },
        |x| {
            let loss = (x * x).sum();
            let before = loss + 0.0;
            loss.backward();
            vec![before, loss]
        },
        |x| {
            let (y, sum) = (x * 2.0, (x * 2.0).sum());
            no_grad(|| x.mul_(3.0));
            vec![y, sum]
        },
        |x| {
            let y = x * 2.0;
            let sum = y.sum();
            y.add_(1.0);
            y.square().sum().backward();
            vec![y, sum]
        },
        |x| {
            let y = x * x;
            let (sum, mean) = (y.sum(), y.mean());
            sum.backward();
            mean.backward();
            sum.backward();
            vec![sum, mean]
        },
        |x| {
            let (sum, unused) = ((x * 3.0).sum(), (x * 5.0).sum());
            sum.backward();
            x.update(|x, _| x.fill(9.0));
            vec![sum, unused]
        },
        |x| {
            // Sums of a sum; one that is looked at without derivatives.
            let sum = (x * x).sum();
            let (mean, seen) = (sum.mean().sum(), no_grad(|| sum.sum()));
            mean.backward();
            vec![sum, mean, seen, (x * 3.0).mean().sum()]
        },
        |x| {
            // The loss is not the last sum.
            let loss = (x * x).exp().sum();
            let other = (x * 2.0).mean();
            loss.backward();
            vec![loss, other]
        },
        |x| {
            let sum = (x * x * x).sum();
            sum.backward_create_graph();
            let slope = x.grad().unwrap();
            x.zero_grad();
            (slope * slope).mean().backward();
            vec![sum, slope]
        },
        |x| vec![scope(|| (x * 2.0).sum()), scope(|| no_grad(|| (x * 2.0).mean()))],
        |x| {
            // The sum's gradient comes back through a number, and the operand has another reader.
            let y = (x + 1.0).exp();
            let loss = y.sum().ln() + y.narrow(0, 0, 7).mean();
            loss.backward();
            vec![loss]
        },
    ];
    for (i, step) in steps.into_iter().enumerate() {
        let run = |numel| {
            deferring(numel, || {
                let x = Tensor::linspace(-1.0, 1.0, N).requires_grad_(true);
                let results = step(x);
                let gradient = x.grad().map_or(vec![], |g| g.to_vec());
                (results.iter().map(|value| value.to_vec()).collect::<Vec<_>>(), gradient)
            })
        };
        assert_eq!(run(1), run(usize::MAX), "step {i}");
    }
}

#[test]
fn long_chains_and_many_operands_are_computed_in_parts() {
    let run = |numel| {
        deferring(numel, || {
            let x = Tensor64::rand([50]).requires_grad_(true);
            wengert::manual_seed(3);
            let noise: Vec<Tensor64> = (0..40).map(|_| Tensor64::rand([50])).collect();
            let mut y = x;
            for noise in &noise {
                y = y * noise + x;
            }
            let total = noise.iter().fold(y, |total, &noise| total - noise * y);
            total.sum().backward();
            [total.to_vec(), x.grad().unwrap().to_vec()]
        })
    };
    wengert::manual_seed(2);
    let deferred = run(1);
    wengert::manual_seed(2);
    assert_eq!(deferred, run(usize::MAX));
}

#[test]
fn a_value_without_memory_is_an_error_that_loses_nothing() {
    let x = Tensor::ones([1 << 20]);
    let y = x + 1.0;
    memory::set_budget(Some(memory::stats().reserved));
    let error = y.try_to_vec().unwrap_err();
    assert!(error.to_string().contains("budget"), "{error}");
    assert_eq!(y.sum().item(), (2 << 20) as f32);
    memory::set_budget(None);
    assert_eq!(y.to_vec(), vec![2.0; 1 << 20]);
}
