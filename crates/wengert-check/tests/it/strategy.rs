//! The strategies: what they cover, how programs print, and that they shrink.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestError, TestRunner};
use wengert::{Scope, scope};
use wengert_check::strategy::{Domain, Mode, Program, TensorData, broadcastable, programs, shapes, tensors, views};
use wengert_check::{View, prop_assert_gradients};

fn drawn<S: Strategy>(strategy: S, count: usize) -> Vec<S::Value> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn shapes_keep_their_limits_and_miss_nothing() {
    let all = drawn(shapes(0..=8, 64), 3000);
    assert!(all.iter().all(|shape| shape.len() <= 8 && shape.iter().product::<usize>() <= 64));
    let ranks: BTreeSet<usize> = all.iter().map(|shape| shape.len()).collect();
    assert_eq!(ranks, (0..=8).collect());
    let lengths: BTreeSet<usize> = all.iter().flatten().copied().collect();
    assert!([0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17].iter().all(|length| lengths.contains(length)), "{lengths:?}");
}

#[test]
fn broadcastable_shapes_broadcast() {
    let (mut equal, mut other) = (0, 0);
    for family in drawn(broadcastable(3, 4, 100), 500) {
        scope(|| {
            let x: Vec<_> = family.iter().map(|shape| wengert::Tensor64::zeros(shape)).collect();
            let sum = x[0] + x[1] + x[2];
            assert_eq!(sum.shape()[..], family[0], "{family:?}");
        });
        if family[0] == family[1] { equal += 1 } else { other += 1 }
    }
    assert!(equal > 50 && other > 50, "{equal} {other}");
}

#[test]
fn tensors_have_edge_values_and_every_kind_of_memory() {
    let all = drawn(views(shapes(1..=3, 24), Domain::any()), 1000);
    let values = || all.iter().flat_map(|data| &data.values);
    for (what, found) in [
        ("NaN", values().any(|x| x.is_nan())),
        ("infinities", values().any(|x| *x == f64::INFINITY) && values().any(|x| *x == f64::NEG_INFINITY)),
        ("minus zero", values().any(|x| *x == 0.0 && x.is_sign_negative())),
        ("subnormal", values().any(|x| x.is_subnormal())),
        ("the largest", values().any(|x| *x == f64::MAX)),
        ("usual ones", values().filter(|x| x.abs() < 3.0 && x.abs() > 0.01).count() > 2000),
    ] {
        assert!(found, "{what}");
    }
    for view in View::ALL {
        assert!(all.iter().any(|data| data.view == view), "{view:?}");
    }
    for data in &all {
        scope(|| {
            let x = data.tensor();
            let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!((x.shape()[..].to_vec(), bits(&x.to_vec())), (data.shape.clone(), bits(&data.values)));
        });
    }
    let domain = Domain::between(0.5, 2.0);
    let all = drawn(tensors(shapes(1..=2, 9), domain.clone()), 300);
    assert!(all.iter().flat_map(|data| &data.values).all(|x| (0.5..=2.0).contains(x)));
    let edges =
        |all: &[TensorData]| all.iter().flat_map(|data| &data.values).filter(|&&x| x == 0.5 || x == 2.0).count();
    assert!(edges(&all) > 100 && all.iter().all(|data| data.view == View::Contiguous));
    assert!(edges(&drawn(tensors(shapes(1..=2, 9), domain.without_edges()), 300)) < 10);
}

#[test]
fn programs_cover_the_table_with_views_scopes_writes_and_shared_values() {
    let all = drawn(programs(12), 1500);
    let steps = || all.iter().flat_map(|program| &program.steps);
    let ops: BTreeSet<&str> = steps().filter_map(|step| step.op()).collect();
    let table: BTreeSet<&str> = wengert::table::samples().iter().map(|sample| sample.op).collect();
    assert!(ops.is_subset(&table));
    // All but those that the vocabulary leaves out by name.
    assert_eq!(table.len() - ops.len(), 16, "{:?}", table.difference(&ops));
    for mode in [Mode::Plain, Mode::Detached, Mode::NoGrad, Mode::Scope] {
        assert!(steps().filter(|step| step.mode() == mode).count() > 100, "{mode:?}");
    }
    let shares = |program: &Program| {
        let operands: Vec<_> = program.steps.iter().flat_map(|step| step.operands()).collect();
        operands.iter().any(|value| operands.iter().filter(|other| other == &value).count() > 1)
    };
    for (what, count) in [
        ("shared values", all.iter().filter(|program| shares(program)).count()),
        ("writes", all.iter().filter(|program| program.writes()).count()),
        ("deep", all.iter().filter(|program| program.steps.len() > 6).count()),
        ("strided inputs", all.iter().filter(|p| p.inputs.iter().any(|x| x.view != View::Contiguous)).count()),
    ] {
        assert!(count > 60, "{what}: {count}");
    }
}

/// The smallest program that fails `test`, as it is printed.
fn smallest(test: impl Fn(&Program) -> bool) -> Program {
    let config = ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() };
    let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let found = runner.run(&programs(12), |program| {
        prop_assert!(test(&program));
        Ok(())
    });
    match found {
        Err(TestError::Fail(_, program)) => program,
        other => panic!("nothing failed: {other:?}"),
    }
}

#[test]
fn a_planted_error_shrinks_to_a_few_lines_of_rust() {
    // As if the derivative of `cumsum` were wrong wherever a view of its result is multiplied.
    let op = |program: &Program, k: usize| program.steps[k].op();
    let planted = |program: &Program| {
        let own = program.inputs.len();
        !(0..program.steps.len()).any(|k| {
            let of_cumsum =
                |value: &wengert_check::strategy::Value| value.0 >= own && op(program, value.0 - own) == Some("cumsum");
            op(program, k) == Some("mul") && program.steps[k].operands().iter().any(of_cumsum)
        })
    };
    let program = smallest(planted);
    assert!(program.steps.len() == 2 && program.inputs.len() == 1, "{program}");
    let text = program.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "use wengert::Tensor64;");
    assert!(
        lines[1].starts_with("let x0 = Tensor64::from_slice(&[") && lines[1].ends_with("]).requires_grad_(true);"),
        "{text}"
    );
    assert!(
        lines[2].starts_with("let v0 = x0.cumsum(") && lines[3].starts_with("let y = ") && lines.len() == 4,
        "{text}"
    );
    assert!(lines[3].contains("v0") && lines[3].contains(" * "), "{text}");
}

#[test]
fn modes_and_writes_are_dropped_where_they_do_not_matter_and_kept_where_they_do() {
    let program = smallest(|program| !program.steps.iter().any(|step| step.op() == Some("exp")));
    assert!(program.steps.len() == 1 && program.steps[0].mode() == Mode::Plain, "{program}");
    assert!(program.inputs.iter().all(|input| input.view == View::Contiguous), "{program}");
    let program = smallest(|program| !program.steps.iter().any(|step| step.mode() == Mode::NoGrad));
    assert!(program.steps.len() == 1 && program.to_string().contains("let y = no_grad(|| "), "{program}");
    let program = smallest(|program| !program.writes());
    assert!(program.steps.len() == 2 && program.steps[1].writes(), "{program}");
}

/// What printing a program gives, pasted: it compiles, and has the program's value.
#[test]
fn printed_programs_are_rust() {
    let texts: Vec<String> = drawn(programs(10), 300).iter().map(ToString::to_string).collect();
    for text in &texts {
        let opens = text.matches(['(', '[', '{']).count();
        assert_eq!(opens, text.matches([')', ']', '}']).count(), "{text}");
        assert!(text.contains("let y = "), "{text}");
        // Every name is bound before it is used.
        for (k, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with("let ")) {
            let (_, body) = line.split_once(" = ").unwrap();
            let words = body.split(|c: char| !c.is_alphanumeric() && c != '_');
            let is_value =
                |word: &&str| word.len() > 1 && word.starts_with(['x', 'v']) && word[1..].parse::<u32>().is_ok();
            for word in words.filter(is_value) {
                let bound = format!("let {word} = ");
                assert!(text.lines().take(k).any(|line| line.starts_with(&bound)), "{word} in\n{text}");
            }
        }
    }
}

#[test]
fn the_macro_fails_the_case_and_not_the_runner() {
    let runner = || TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() });
    let strategy = tensors(shapes(1..=2, 4), Domain::between(0.5, 2.0));
    let right = runner().run(&strategy, |data| {
        let _scope = Scope::enter();
        prop_assert_gradients!(|x| x.ln(), data.tensor().requires_grad_(true), fast = true);
        let w = data.tensor().requires_grad_(true);
        prop_assert_gradients!(params: || w * w, &[w]);
        Ok(())
    });
    right.unwrap();
    let wrong = runner().run(&strategy, |data| {
        let _scope = Scope::enter();
        prop_assert_gradients!(|x| x * x.detach(), data.tensor().requires_grad_(true));
        Ok(())
    });
    let Err(TestError::Fail(reason, _)) = wrong else { panic!("{wrong:?}") };
    assert!(reason.message().contains("by backward differ from central differences"), "{reason}");
}
