//! What holds for every program on the tape. `PROPTEST_CASES` sets the number of programs per property; without it they are few, and the same
//! each time.

use std::cell::Cell;
use std::thread;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestRunner};
use wengert::func::{JacobianOptions, jacfwd_with, jacrev_with, try_jvp};
use wengert::{
    ErrorKind, GradOptions, Scope, Tensor64, checkpoint, grad_with, num_threads, scope, set_num_threads, tape,
};
use wengert_check::strategy::{Program, Programs, Step, programs};
use wengert_check::{GradCheck, View};
use wengert_kernels::parallel::{cuts, share_all};

type T = Tensor64;

/// Programs per property in the usual run.
const CASES: u32 = 192;
/// The same for programs of thousands of elements.
const LARGE_CASES: u32 = 96;
/// The most steps of a program.
const STEPS: usize = 12;
/// What rounding may do to derivatives that are computed in another order, relative to the largest.
const ROUNDING: f64 = 1e-11;

/// Checks a property of many programs; the failing one shrinks, and is printed as Rust.
fn check(property: impl Fn(&Program) -> TestCaseResult) {
    check_of(programs(STEPS), CASES, property);
}

/// Checks a property of programs of a kind, in the usual run of so many.
fn check_of(kind: Programs, usually: u32, property: impl Fn(&Program) -> TestCaseResult) {
    let asked = std::env::var("PROPTEST_CASES").is_ok();
    let config = Config { failure_persistence: None, max_global_rejects: 1 << 20, ..Config::default() };
    let config = match asked {
        true => config,
        false => Config { cases: usually, rng_seed: RngSeed::Fixed(0), ..config },
    };
    let cases = config.cases;
    let steps = Cell::new(0);
    let result = TestRunner::new(config).run(&kind, |program| {
        let _scope = Scope::enter();
        steps.set(steps.get() + program.steps.len());
        property(&program)
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    let (name, steps) =
        (thread::current().name().map_or(String::new(), |name| name.replace("properties::", "")), steps.get());
    println!("covered: property `{name}`: {cases} random programs, {steps} steps in all");
}

/// Numbers of some spread from 0.5 to 1.5, of the size of `like`.
fn weights(like: T, salt: usize) -> T {
    let number = |i: usize| 0.5 + ((i + 31 * salt) as f64 * 0.618_033_988_749_894_9 + 0.1).fract();
    let values: Vec<f64> = (0..like.numel()).map(number).collect();
    T::from_slice(&values, like.shape())
}

/// A number that every element of the result has a share of.
fn weigh(y: T) -> T {
    (y * weights(y, 1)).sum()
}

const PLAIN: GradOptions = GradOptions { create_graph: false, allow_unused: true };

/// The gradients of the result, weighed by `seed`; zeros where there is none.
fn gradients(y: T, x: &[T], seed: T, options: GradOptions) -> Vec<f64> {
    if !y.requires_grad() {
        return x.iter().flat_map(|x| vec![0.0; x.numel()]).collect();
    }
    let grads = grad_with(y, x, Some(seed), options).unwrap_or_else(|error| panic!("{error}"));
    grads.into_iter().zip(x).flat_map(|(g, x)| g.unwrap_or_else(|| x.zeros_like()).to_vec()).collect()
}

fn first_order(y: T, x: &[T]) -> Vec<f64> {
    gradients(y, x, weights(y, 1), PLAIN)
}

/// Whether numbers agree but for rounding, relative to the largest that takes part.
fn close(what: &str, got: &[f64], expected: &[f64]) -> TestCaseResult {
    let size = expected.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
    let is_close = |(g, e): (&f64, &f64)| (g - e).abs() <= ROUNDING * size || g.to_bits() == e.to_bits();
    let all = got.len() == expected.len() && got.iter().zip(expected).all(is_close);
    prop_assert!(all, "{what}:\n{got:?} should be\n{expected:?}");
    Ok(())
}

/// Whether numbers have the same bits, but for the sign of zero.
fn same(what: &str, got: &[f64], expected: &[f64]) -> TestCaseResult {
    prop_assert!(got == expected, "{what}:\n{got:?} should be\n{expected:?}");
    Ok(())
}

#[test]
fn reverse_equals_differences_and_forward_mode() {
    // Differences do not see what is detached: constants take its place.
    check(|program| {
        let frozen = program.frozen();
        let x = program.leaves();
        let y = program.run(&x);
        close(
            "the gradient with constants in the place of what is detached",
            &first_order(frozen.run(&x), &x),
            &first_order(y, &x),
        )?;
        // A constant may tie with what it was computed from, where no slope is right; beside the point it does not.
        let beside: Vec<T> = x.iter().map(|&x| (x + weights(x, 5) * 1e-3).detach().requires_grad_(true)).collect();
        if !frozen.run(&beside).requires_grad() {
            return Ok(());
        }
        let options = GradCheck::new().fast(true).strided(false).undefined(false).atol(1e-5).rtol(1e-4);
        // A sweep forward needs values that the one backward does not.
        let found = options.forward(!program.writes()).check(|x: Vec<T>| frozen.run(&x), beside);
        found.map(drop).map_err(|failure| TestCaseError::fail(failure.to_string()))
    });
}

#[test]
fn forward_mode_equals_reverse_where_values_are_detached() {
    check(|program| {
        let x = program.leaves();
        let y = program.run(&x);
        let directions: Vec<T> = x.iter().map(|&x| weights(x, 3)).collect();
        let along: Vec<f64> = directions.iter().flat_map(|v| v.to_vec()).collect();
        let expected: f64 = first_order(y, &x).iter().zip(&along).map(|(g, v)| g * v).sum();
        let size: f64 = first_order(y, &x).iter().zip(&along).map(|(g, v)| (g * v).abs()).sum();
        let tangent = match try_jvp(|x: Vec<T>| weigh(program.run(&x)), x, directions) {
            Ok((_, tangent)) => tangent.item(),
            // The sweep forward needs values that backward does not.
            Err(error) if error.kind() == ErrorKind::InPlace && program.writes() => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        close("the tangent", &[tangent / size.max(1.0)], &[expected / size.max(1.0)])
    });
}

#[test]
fn create_graph_gives_the_same_gradient() {
    check(|program| {
        let x = program.leaves();
        let y = program.run(&x);
        let recorded = GradOptions { create_graph: true, ..PLAIN };
        close("the recorded gradient", &gradients(y, &x, weights(y, 1), recorded), &first_order(y, &x))
    });
}

#[test]
fn second_derivatives_equal_differences_and_forward_mode() {
    check(|program| {
        let frozen = program.frozen();
        let beside: Vec<T> =
            program.leaves().iter().map(|&x| (x + weights(x, 5) * 1e-3).detach().requires_grad_(true)).collect();
        if program.writes() || !frozen.run(&beside).requires_grad() {
            return Ok(());
        }
        let options = GradCheck::new().fast(true).strided(false).undefined(false).second(true).atol(1e-4).rtol(1e-3);
        let found = options.check(|x: Vec<T>| frozen.run(&x), beside);
        found.map(drop).map_err(|failure| TestCaseError::fail(failure.to_string()))
    });
}

#[test]
fn many_seeds_in_one_sweep_equal_one_sweep_each() {
    check(|program| {
        let x: Vec<T> = program.leaves().iter().map(|x| x.detach()).collect();
        let f = |x: Vec<T>| program.run(&x);
        let flat = |jacobian: Vec<T>| jacobian.iter().flat_map(|block| block.to_vec()).collect::<Vec<_>>();
        let options = |chunk| JacobianOptions { chunk: Some(chunk) };
        let refused = |error: wengert::Error| TestCaseError::fail(error.to_string());
        let expected = flat(jacrev_with(f, x.clone(), options(1)).map_err(refused)?);
        close("jacrev by 3 rows", &flat(jacrev_with(f, x.clone(), options(3)).map_err(refused)?), &expected)?;
        if program.writes() {
            // A sweep forward needs values that the one backward does not.
            return Ok(());
        }
        close("jacfwd by single columns", &flat(jacfwd_with(f, x.clone(), options(1)).map_err(refused)?), &expected)?;
        close("jacfwd by 3 columns", &flat(jacfwd_with(f, x, options(3)).map_err(refused)?), &expected)
    });
}

#[test]
fn the_gradient_is_linear_in_the_seed() {
    check(|program| {
        let x = program.leaves();
        let y = program.run(&x);
        let by = |seed: T| gradients(y, &x, seed, PLAIN);
        let (a, b) = (weights(y, 1), weights(y, 2));
        let sum: Vec<f64> = by(a).iter().zip(by(b)).map(|(a, b)| 2.0 * a - 0.5 * b).collect();
        close("the gradient for 2a - b/2", &by(a * 2.0 - b * 0.5), &sum)?;
        same("the gradient for -4a", &by(a * -4.0), &by(a).iter().map(|g| g * -4.0).collect::<Vec<_>>())?;
        same("the gradient for zeros", &by(a.zeros_like()), &vec![0.0; sum.len()])
    });
}

#[test]
fn two_sweeps_accumulate_twice_the_gradient_of_one() {
    check(|program| {
        let x = program.leaves();
        let y = program.run(&x);
        let once = first_order(y, &x);
        if !y.requires_grad() {
            return Ok(());
        }
        let accumulated =
            || x.iter().flat_map(|x| x.grad().unwrap_or_else(|| x.zeros_like()).to_vec()).collect::<Vec<_>>();
        y.backward_with(weights(y, 1));
        close("backward", &accumulated(), &once)?;
        y.backward_with(weights(y, 1));
        let twice: Vec<f64> = once.iter().map(|g| g * 2.0).collect();
        close("backward again", &accumulated(), &twice)
    });
}

#[test]
fn independent_operations_can_change_places() {
    check(|program| {
        let x = program.leaves();
        let y = program.run(&x);
        for salt in 1..4 {
            let mut state = salt;
            let other = program.reordered(|count| {
                state = state * 7 + 3;
                state % count
            });
            let z = other.run(&x);
            same("the value in another order", &z.to_vec(), &y.to_vec())?;
            close("the gradient in another order", &first_order(z, &x), &first_order(y, &x))?;
        }
        Ok(())
    });
}

/// Few rows that meet contiguous columns are multiplied as dot products, which round in another order: the bits of these operations depend
/// on how operands lie in memory.
const ROUND_BY_LAYOUT: [&str; 2] = ["linear", "matmul"];

fn multiplies_matrices(program: &Program) -> bool {
    program.steps.iter().any(|step| step.op().is_some_and(|op| ROUND_BY_LAYOUT.contains(&op)))
}

/// Whether a step has an operand twice, or takes its elements again and again. If it must be copied to contiguous memory first, the shares of
/// its gradient are added in another order.
fn repeats(program: &Program) -> bool {
    let gathers = program.steps.iter().any(|step| step.op() == Some("gather"));
    gathers
        || program.to_string().lines().any(|line| {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let words = line
                .split(|c| !is_word(c))
                .filter(|word| word.starts_with(['x', 'v']) && word.ends_with(|c: char| c.is_numeric()));
            let words: Vec<&str> = words.collect();
            (1..words.len()).any(|k| words[..k].contains(&words[k]))
        })
}

/// A way to run a program.
type Run = fn(&Program, &[T]) -> T;

/// Another way to run a program that must give the same bits, value and gradient.
struct Switch {
    name: &'static str,
    run: Run,
    /// What it changes that the bits may depend on.
    changes: &'static [Change],
}

#[derive(PartialEq)]
enum Change {
    /// Programs in which steps write to earlier values are others by it.
    Writes,
    /// Operands lie otherwise in memory.
    Memory,
    /// Operands are copied, so that a step's shares of an operand's gradient are summed before they are added to it.
    Groups,
}
use Change::{Groups, Memory, Writes};

fn checkpointed(step: &Step, x: &[T]) -> T {
    let step = step.clone();
    checkpoint(move |x: Vec<T>| step.run(&x), x.to_vec())
}

/// A mode of evaluation that must not change results is one more row.
const SWITCHES: &[Switch] = &[
    Switch { name: "again", run: |program, x| program.run(x), changes: &[] },
    Switch { name: "values deferred", run: |program, x| deferring(1, program, x), changes: &[] },
    Switch { name: "values computed at once", run: |program, x| deferring(usize::MAX, program, x), changes: &[] },
    Switch {
        name: "every value copied",
        run: |program, x| program.run_with(x, |step, x| step.run(x).copy()),
        changes: &[Groups, Memory, Writes],
    },
    Switch {
        name: "every operand in scattered memory",
        run: |program, x| {
            program.run_with(x, |step, x| {
                let mut scattered: Vec<T> = Vec::new();
                for &operand in x {
                    // An operand that is used twice gets both shares of its gradient in the same order.
                    let before = x[..scattered.len()].iter().position(|&other| other.is(operand)).map(|k| scattered[k]);
                    scattered.push(before.unwrap_or_else(|| View::Scattered.of(operand).expect("of small rank")));
                }
                step.run(&scattered)
            })
        },
        changes: &[Groups, Memory, Writes],
    },
    Switch {
        name: "every step checkpointed",
        run: |program, x| program.run_with(x, checkpointed),
        changes: &[Groups, Memory, Writes],
    },
    Switch {
        name: "the whole program checkpointed",
        run: |program, x| {
            let program = program.clone();
            checkpoint(move |x: Vec<T>| program.run(&x), x.to_vec())
        },
        changes: &[],
    },
];

/// Runs the program with operations deferred from `numel` elements on.
fn deferring(numel: usize, program: &Program, x: &[T]) -> T {
    let before = tape::defer_from(numel);
    let y = program.run(x);
    tape::defer_from(before);
    y
}

/// Whether value and gradient are the same with the switch.
fn holds(program: &Program, switch: &Switch) -> TestCaseResult {
    if program.writes() && switch.changes.contains(&Writes) {
        return Ok(());
    }
    let x = program.leaves();
    let (y, z) = (program.run(&x), (switch.run)(program, &x));
    let rounds = multiplies_matrices(program) && switch.changes.contains(&Memory);
    let compare = |rounds: bool| if rounds { close } else { same };
    compare(rounds)(&format!("the value, {}", switch.name), &z.to_vec(), &y.to_vec())?;
    let rounds = rounds || switch.changes.contains(&Groups);
    compare(rounds)(&format!("the gradient, {}", switch.name), &first_order(z, &x), &first_order(y, &x))
}

#[test]
fn switches_do_not_change_a_bit() {
    let all = |program: &Program| SWITCHES.iter().try_for_each(|switch| holds(program, switch));
    check(all);
    check_of(programs(STEPS).large(), LARGE_CASES, all);
}

#[test]
#[should_panic(expected = "the value, one bit changed")]
fn a_switch_that_changes_a_bit_is_found() {
    let run = |program: &Program, x: &[T]| program.run(x) * (1.0 + f64::EPSILON);
    check(|program| holds(program, &Switch { name: "one bit changed", run, changes: &[Groups, Writes] }));
}

#[test]
#[should_panic(expected = "the gradient, detached")]
fn a_switch_that_loses_a_gradient_is_found() {
    let run = |program: &Program, x: &[T]| program.run(x).detach();
    check(|program| holds(program, &Switch { name: "detached", run, changes: &[] }));
}

#[test]
fn inputs_in_other_memory_do_not_change_a_bit() {
    check(|program| {
        let run = |program: &Program| {
            let x = program.leaves();
            let y = program.run(&x);
            (y.to_vec(), first_order(y, &x))
        };
        let expected = run(program);
        for view in View::ALL {
            let mut other = program.clone();
            other.inputs.iter_mut().for_each(|input| input.view = view);
            let (value, gradient) = run(&other);
            let compare = |rounds: bool| if rounds { close } else { same };
            let rounds = multiplies_matrices(program);
            compare(rounds)(&format!("the value, inputs {view:?}"), &value, &expected.0)?;
            compare(rounds || repeats(program))(&format!("the gradient, inputs {view:?}"), &gradient, &expected.1)?;
        }
        Ok(())
    });
}

#[test]
fn a_scope_does_not_change_a_bit() {
    check(|program| {
        let sweep = |x: &[T]| {
            let y = program.run(x);
            if y.requires_grad() {
                y.backward_with(weights(y, 1));
            }
            y
        };
        let gradients = |x: &[T]| x.iter().flat_map(|x| x.grad().map_or(vec![], |g| g.to_vec())).collect::<Vec<_>>();
        let (outside, inside) = (program.leaves(), program.leaves());
        let value = sweep(&outside).to_vec();
        let deep = scope(|| scope(|| sweep(&inside)));
        same("the value that left a scope", &deep.to_vec(), &value)?;
        same("the gradient of a sweep in a scope", &gradients(&inside), &gradients(&outside))
    });
}

/// Value, gradient and tangent of the program, with its loops shared by so many threads.
fn by_threads(count: usize, program: &Program, run: Run) -> [Vec<f64>; 3] {
    set_num_threads(count);
    let _scope = Scope::enter();
    let x = program.leaves();
    let y = run(program, &x);
    let directions: Vec<T> = x.iter().map(|&x| weights(x, 3)).collect();
    // The sweep forward may need values that the program overwrites, with any number of threads.
    let tangent = try_jvp(|x: Vec<T>| run(program, &x), x.clone(), directions).map_or(vec![], |(_, t)| t.to_vec());
    [y.to_vec(), first_order(y, &x), tangent]
}

fn threads_agree(program: &Program, run: Run) -> TestCaseResult {
    let [value, gradient, tangent] = by_threads(1, program, run);
    // As many as make uneven parts, too.
    for count in [2, 5] {
        let found = by_threads(count, program, run);
        let by = format!("by {count} threads");
        same(&format!("the value {by}"), &found[0], &value)?;
        same(&format!("the gradient {by}"), &found[1], &gradient)?;
        same(&format!("the tangent {by}"), &found[2], &tangent)?;
    }
    Ok(())
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    // Every loop that can be cut is, however short; without debug assertions, only those of much work.
    let before = (share_all(true), cuts());
    let agree = |program: &Program| threads_agree(program, |program, x| program.run(x));
    check(agree);
    check_of(programs(STEPS).large(), LARGE_CASES, agree);
    share_all(before.0);
    let cuts = cuts() - before.1;
    println!("covered: loops that threads shared: {cuts}");
    assert!(cuts > 1000 || !cfg!(debug_assertions), "threads had {cuts} parts to do");
}

#[test]
#[should_panic(expected = "by 2 threads")]
fn a_result_that_depends_on_the_number_of_threads_is_found() {
    let run: Run = |program, x| program.run(x) * (1.0 + f64::EPSILON * num_threads() as f64);
    check(|program| threads_agree(program, run));
}
