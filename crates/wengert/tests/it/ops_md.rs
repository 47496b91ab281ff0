//! `docs/ops.md` shows the table as it is.

use std::fmt::Write;
use std::path::Path;

use wengert::table::{Sample, samples};

const HEAD: &str = "# Operations

Written by `WENGERT_BLESS=1 cargo test -p wengert --test it ops_md` from the table that the tests go through.

Every operation below is differentiated in reverse, in forward mode, and any number of times (`create_graph`); none is refused. For each case the tests compare
reverse with finite differences (`tests/it/samples.rs`), forward with reverse, the second derivative with differences of the first, the third with
differences of the second (`tests/it/semantics/everywhere.rs`), and Jacobians by many seeds with single rows; random programs mix all of them
(`tests/it/programs.rs`). Operands without a derivative are masks, bounds and rates; one that requires a gradient is refused by name.

| operation | `grad_fn` | operands with a derivative | cases |
| --- | --- | --- | --- |
";

fn row(text: &mut String, of: &[Sample]) {
    let first = &of[0];
    let count = |sample: &Sample| sample.differentiable.iter().filter(|smooth| **smooth).count();
    let operands = match (of.iter().map(count).min(), of.iter().map(count).max(), first.differentiable.len()) {
        (Some(least), Some(most), _) if least < most => format!("{least} to {most}"),
        (_, Some(most), all) if most < all => format!("{most} of {all}"),
        (_, Some(most), _) => most.to_string(),
        (_, None, _) => unreachable!("a group of samples has one"),
    };
    let cases: Vec<&str> = of.iter().map(|sample| sample.case).collect();
    writeln!(text, "| `{}` | `{}` | {operands} | {} |", first.op, first.grad_fn, cases.join(", ")).unwrap();
}

#[test]
fn ops_md_is_current() {
    let mut text = HEAD.to_owned();
    for of in samples().chunk_by(|a, b| (a.op, a.grad_fn) == (b.op, b.grad_fn)) {
        row(&mut text, of);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ops.md");
    if std::env::var_os("WENGERT_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == text, "docs/ops.md is not what the table says; write it with WENGERT_BLESS=1");
}
