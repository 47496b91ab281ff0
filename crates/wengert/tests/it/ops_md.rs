//! `docs/ops.md` shows the table as it is, and how it compares with PyTorch.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use wengert::table::{Sample, samples};

use crate::reference::{Summary, records, summaries, tolerance};

const HEAD: &str = "# Operations

Written by `WENGERT_BLESS=1 cargo test -p wengert --test it ops_md` from the table that the tests go through.

Every operation below is differentiated in reverse, in forward mode, and any number of times (`create_graph`); none is refused. For each case the tests compare
reverse with finite differences (`tests/it/samples.rs`), forward with reverse, the second derivative with differences of the first, the third with
differences of the second (`tests/it/semantics/everywhere.rs`), and Jacobians by many seeds with single rows; random programs mix all of them
(`tests/it/programs.rs`). Operands without a derivative are masks, bounds and rates; one that requires a gradient is refused by name. The last column counts
the calls compared with PyTorch, listed further down, that record the operation.

| operation | `grad_fn` | operands with a derivative | cases | as PyTorch |
| --- | --- | --- | --- | --- |
";

const REFERENCE: &str = "
## Compared with PyTorch

Every call that PyTorch has too is compared with what PyTorch computed: values, gradients by a plain and by a recorded sweep, and second derivatives
(`tests/it/reference.rs`; the order is that of the highest derivative compared). Cases written for wengert are in `tests/data/ops.jsonl.gz`, samples
of PyTorch's own operator database, as they are and with gaps between their elements, in `tests/data/op_db.jsonl.gz`; `tools/reference/op_db.md` says
what became of every entry of the database. Errors are relative to the number expected, and where terms cancel also to the largest number around; the
largest ones are shown as powers of ten that are not exceeded on the machine that wrote this, and the tests fail beyond the tolerance.
";

const COLUMNS: &str = "
| call | written cases | database cases | entries of the database | order | tolerance `f64` | `f32` | largest error `f64` | `f32` |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
";

const COMPOSED: &str = "
Functions of PyTorch that are a line or a few of these calls, which `tests/it/reference/composed.rs` shows:
";

/// Operations that no case compared with PyTorch records: three that it lacks, one of two types and one that writes in place.
const NOT_COMPARED: &[&str] = &["cast", "cbrt", "copy_", "round_half_away", "signum"];

fn row(text: &mut String, of: &[Sample], records: &BTreeMap<&str, usize>) {
    let first = &of[0];
    let count = |sample: &Sample| sample.differentiable.iter().filter(|smooth| **smooth).count();
    let operands = match (of.iter().map(count).min(), of.iter().map(count).max(), first.differentiable.len()) {
        (Some(least), Some(most), _) if least < most => format!("{least} to {most}"),
        (_, Some(most), all) if most < all => format!("{most} of {all}"),
        (_, Some(most), _) => most.to_string(),
        (_, None, _) => unreachable!("a group of samples has one"),
    };
    let cases: Vec<&str> = of.iter().map(|sample| sample.case).collect();
    let compared = records.get(first.op).copied().unwrap_or(0);
    let (op, grad_fn, cases) = (first.op, first.grad_fn, cases.join(", "));
    writeln!(text, "| `{op}` | `{grad_fn}` | {operands} | {cases} | {compared} |").unwrap();
}

/// The power of ten that an error does not exceed.
fn power_of_ten(error: f64) -> String {
    if error == 0.0 { "0".to_owned() } else { format!("1e{}", error.log10().ceil()) }
}

/// The cells of the largest errors: those of `found` if there are such, as another processor rounds otherwise.
fn errors(op: &str, summary: &Summary, found: Option<&str>) -> String {
    let own = summary.errors.map(|error| error.map_or("-".to_owned(), power_of_ten)).join(" | ");
    let start = format!("| `{op}` |");
    let row = found.and_then(|found| found.lines().rev().find(|line| line.starts_with(&start)));
    let cells: Vec<&str> = row.map(|row| row.trim_matches(['|', ' ']).split(" | ").collect()).unwrap_or_default();
    let tolerance = tolerance::of(op);
    let is_bound = |cell: &str, most: f64| cell == "-" || cell.parse().is_ok_and(|error: f64| error <= 10.0 * most);
    match cells[..] {
        [.., f64, f32] if is_bound(f64, tolerance.f64) && is_bound(f32, tolerance.f32) => format!("{f64} | {f32}"),
        _ => own,
    }
}

fn reference(text: &mut String, found: Option<&str>) {
    let (composed, calls): (Vec<_>, Vec<_>) = summaries().into_iter().partition(|(_, summary)| summary.composed);
    text.push_str(REFERENCE);
    table(text, calls, found);
    text.push_str(COMPOSED);
    table(text, composed, found);
    text.push_str("\nTolerances other than 1e-12 and 4e-6, and why:\n\n");
    for (op, _, reason) in tolerance::WIDER {
        writeln!(text, "* `{op}`: {reason}.").unwrap();
    }
    text.push_str("\nWhat only moves, chooses, counts or compares has no tolerance. Differences on purpose:\n\n");
    for different in tolerance::DIFFERENT {
        writeln!(text, "* `{}`: {}.", different.op, different.reason).unwrap();
    }
}

fn table(text: &mut String, of: Vec<(&str, Summary)>, found: Option<&str>) {
    text.push_str(COLUMNS);
    for (op, summary) in of {
        let entries: Vec<String> = summary.entries.iter().map(|entry| format!("`{entry}`")).collect();
        let ([written, database], entries, order) = (summary.cases, entries.join(", "), summary.order);
        let (tolerance::Tolerance { f64, f32 }, errors) = (tolerance::of(op), errors(op, &summary, found));
        writeln!(text, "| `{op}` | {written} | {database} | {entries} | {order} | {f64:e} | {f32:e} | {errors} |")
            .unwrap();
    }
}

#[test]
fn ops_md_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ops.md");
    let bless = std::env::var_os("WENGERT_BLESS").is_some();
    let found = std::fs::read_to_string(&path).unwrap();
    let (mut text, records) = (HEAD.to_owned(), records());
    for of in samples().chunk_by(|a, b| (a.op, a.grad_fn) == (b.op, b.grad_fn)) {
        row(&mut text, of, &records);
    }
    reference(&mut text, (!bless).then_some(&found));
    if bless {
        std::fs::write(&path, &text).unwrap();
    } else {
        assert!(found == text, "docs/ops.md is not what the tables say; write it with WENGERT_BLESS=1");
    }
}

#[test]
fn every_operation_is_compared_with_pytorch() {
    let records = records();
    let missing: BTreeSet<&str> =
        samples().iter().map(|sample| sample.op).filter(|op| !records.contains_key(op)).collect();
    assert_eq!(missing, NOT_COMPARED.iter().copied().collect(), "operations that no reference case records");
}
