//! The tape as text: snapshots of small programs, and that no tape makes them panic.

use std::thread;

use wengert::table::samples;
use wengert::{BoolTensor, IndexTensor, Scope, Tensor, Tensor64, no_grad, scope, tape};

use super::samples::{inputs, leaves, weigh};

/// Runs `f` on a fresh tape. Debug builds know lines: they must be in this file, and are replaced by how far they lie below
/// `line`; release builds have none.
fn on_a_fresh_tape(line: u32, f: fn() -> String) -> String {
    let run = move || {
        tape::defer_from(usize::MAX);
        f()
    };
    let text = thread::spawn(run).join().unwrap();
    let mut relative = String::new();
    for row in text.lines() {
        let (row, place) = match row.rsplit_once(concat!(file!(), ":")) {
            Some((row, place)) => (row, place),
            None => (row, ""),
        };
        let digits: String = place.chars().take_while(char::is_ascii_digit).collect();
        let below = digits.parse::<u32>().map(|at| format!("+{}", at - line)).unwrap_or_default();
        let rest = place.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
        relative += &format!("{row}{below}{rest}");
        relative.truncate(relative.trim_end().len());
        relative.push('\n');
    }
    relative
}

/// The expected text, without what only debug builds know.
fn expected(text: &str) -> String {
    let known = cfg!(debug_assertions);
    let mut lines = String::new();
    for line in text.trim_start_matches('\n').lines() {
        let line = line.strip_prefix("        ").unwrap_or(line);
        let kept = match line.rfind('+') {
            Some(at) if !known && line[at + 1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let rest = line[at + 1..].trim_start_matches(|c: char| c.is_ascii_digit());
                line[..at].trim_end().trim_end_matches("\\n").to_owned() + rest
            }
            _ => line.to_owned(),
        };
        lines += kept.trim_end();
        lines.push('\n');
    }
    lines.truncate(lines.trim_end().len());
    lines + "\n"
}

#[test]
fn a_program_with_scopes_views_numbers_and_writes() {
    let start = line!();
    let text = on_a_fresh_tape(start, || {
        let w = Tensor::ones([2, 3]).requires_grad_(true);
        let _scope = Scope::enter();
        let x = Tensor64::new([1.0, 2.0]).detach();
        let y = w.t() * 2.0 + w.select(0, 1).unsqueeze(1);
        y.add_(w.sum());
        let mask = x.gt(1.5);
        let z = mask.where_(x, -1.0).clamp(0.0, 1.5) + 1.0 / x;
        y.retain_grad();
        (y.sum() * 2.0).backward();
        no_grad(|| {
            let _ = z.sum();
            tape::dump()
        })
    });
    let table = "
        tape: 20 entries, 3 scopes
          entry  op       operands    shape   dtype  bytes  flags                              recorded at
        scope 0
          %0     leaf                 [2, 3]  f32       24  grad, has gradient                 +2
        scope 1
          %1     leaf                 [2]     f64       16                                     +4
          %2     leaf                 [2]     f64        0  alias of %1                        +4
          %3     permute  %0          [3, 2]  f32        0  grad, view of %0                   +5
          %4     mul      %3 2        [3, 2]  f32       24  grad                               +5
          %5     slice    %0          [3]     f32        0  grad, view of %0                   +5
          %6     reshape  %5          [3, 1]  f32        0  grad, view of %0                   +5
          %7     add      %4 %6       [3, 2]  f32       24  grad, replaced                     +5
          %8     sum      %0          []      f32        4  grad                               +6
          %9     add      %7 %8       [3, 2]  f32       24  grad                               +6
          %10    copy_    %7 %9       [3, 2]  f32        0  grad, version of %7, has gradient  +6
          %11    leaf                 [2]     bool       2                                     +7
          %12    leaf                 []      f64        8                                     +8
          %13    where_   %11 %2 %12  [2]     f64       16                                     +8
          %14    clamp    %13 0 1.5   [2]     f64       16                                     +8
          %15    div      1 %2        [2]     f64       16                                     +8
          %16    add      %14 %15     [2]     f64       16                                     +8
          %17    sum      %10         []      f32        4  grad                               +10
          %18    mul      %17 2       []      f32        4  grad                               +10
        scope 2, no derivatives
          %19    sum      %16         []      f64        8                                     +12
    ";
    assert_eq!(text, expected(table));
}

#[test]
fn a_graph() {
    let start = line!();
    let text = on_a_fresh_tape(start, || {
        let w = Tensor::ones([2, 3]).requires_grad_(true);
        let x = Tensor::ones([4, 2]);
        let unused = x * w.sum();
        let y = (x * 0.5).matmul(w).relu();
        let z = (y * y).sum();
        assert!(unused.requires_grad());
        tape::to_dot(z)
    });
    let graph = r#"
        digraph tape {
            node [fontname="monospace"];
            n0 [label="%0 leaf\n[2, 3] f32\n+2", shape=box, style=filled, fillcolor="lightblue"];
            n1 [label="%1 leaf\n[4, 2] f32\n+3", shape=box, style=dashed];
            n4 [label="%4 mul(%1, 0.5)\n[4, 2] f32\n+5", style=dashed];
            n5 [label="%5 matmul(%4, %0)\n[4, 3] f32\n+5"];
            n6 [label="%6 relu(%5)\n[4, 3] f32\n+5"];
            n7 [label="%7 mul(%6, %6)\n[4, 3] f32\n+6"];
            n8 [label="%8 sum(%7)\n[] f32\n+6", peripheries=2];
            n1 -> n4;
            n4 -> n5;
            n0 -> n5;
            n5 -> n6;
            n6 -> n7;
            n6 -> n7;
            n7 -> n8;
        }
    "#;
    assert_eq!(text, expected(graph));
}

#[test]
fn no_tape_makes_them_panic() {
    assert_eq!(thread::spawn(tape::dump).join().unwrap().lines().count(), 3, "an empty tape: titles and a scope");
    for sample in samples() {
        scope(|| {
            let loss = weigh((sample.run)(&leaves(&sample, &inputs(&sample))));
            if loss.requires_grad() {
                loss.backward_create_graph();
            }
            assert!(tape::dump().lines().count() > 3, "{} ({})", sample.op, sample.case);
            assert!(tape::to_dot(loss).lines().count() > 3, "{} ({})", sample.op, sample.case);
        });
    }
    let odd = [Tensor::zeros([0, 3]).t(), Tensor::ones(2).expand([3, 2]), Tensor::zeros([2, 0, 1, 1, 1, 1, 1, 1])];
    assert!(odd.iter().all(|&x| tape::to_dot(x + 1.0).contains("add(")));
    assert!(
        tape::to_dot(BoolTensor::new([true])).contains("leaf") && tape::to_dot(IndexTensor::new(1)).contains("i64")
    );

    let mut stale = Tensor::ones(2);
    scope(|| stale *= 2.0);
    assert!(tape::to_dot(stale).contains("error [label=\"tensor"), "{}", tape::to_dot(stale));
    Tensor::ones(2).with_data(|_| {
        assert!(tape::dump().starts_with("<the tape is in use"));
        assert!(tape::to_dot(odd[0]).contains("the tape is in use"));
    });
}

#[test]
fn labels_and_lines_of_code_that_is_called() {
    fn twice<T: std::ops::Add<Output = T> + Copy>(x: T) -> T {
        x + x
    }
    let text = scope(|| {
        let x = Tensor::ones(2);
        let y = scope(|| twice(x).softplus());
        tape::to_dot(y)
    });
    let known = text.contains(&format!("{}:{}:", file!(), line!() - 3));
    assert_eq!(known, cfg!(debug_assertions), "what leaves a scope keeps the line that computed it: {text}");
}

#[test]
fn a_result_whose_numbers_became_tensors_owns_its_block() {
    let x = Tensor::ones(3).requires_grad_(true);
    let y = BoolTensor::new([true, false, true]).where_(x * 2.0, 5.0);
    y.mul_(3.0);
    assert_eq!(y.to_vec(), [6.0, 15.0, 6.0]);
    y.sum().backward();
    assert_eq!(x.grad().unwrap().to_vec(), [6.0, 0.0, 6.0]);
}

#[test]
fn a_dump_of_the_whole_tape_shows_scopes_that_recorded_nothing() {
    let dump = || {
        let dumped = scope(|| {
            let _ = Tensor::ones([2]);
            tape::dump()
        });
        dumped.lines().map(String::from).collect::<Vec<_>>()
    };
    let lines = std::thread::spawn(dump).join().expect("no panic");
    assert!(lines.len() == 5 && lines[2].contains("scope 0") && lines[3].contains("scope 1"), "{lines:#?}");
}
