//! `docs/safety.md` names every `unsafe` block of the arena, and tests and files that are there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The word behind `start` in the line.
fn word_behind<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    let rest = &line[line.find(start)? + start.len()..];
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|word| !word.is_empty())
}

/// How many `unsafe` blocks each function of a file has, by the type that it belongs to.
fn blocks(source: &str) -> BTreeMap<String, usize> {
    let (mut owner, mut function, mut found) = ("", "", BTreeMap::new());
    for line in source.lines().map(|line| line.split("//").next().expect("a part")) {
        if line.starts_with("impl") {
            let of = line.split(" for ").last().expect("a part").trim_start_matches("impl");
            let of = of.strip_prefix('<').and_then(|rest| rest.split_once('>')).map_or(of, |(_, of)| of);
            owner = of.trim().split(['<', ' ']).next().expect("a type");
        } else if line.starts_with('}') {
            owner = "";
        }
        function = word_behind(line, "fn ").unwrap_or(function);
        let name = if owner.is_empty() { function.to_owned() } else { format!("{owner}::{function}") };
        if line.contains("unsafe {") {
            *found.entry(name).or_default() += line.matches("unsafe {").count();
        }
    }
    found
}

#[test]
fn every_unsafe_block_of_the_arena_is_in_safety_md() {
    let text = fs::read_to_string(root().join("docs/safety.md")).expect("docs/safety.md");
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        Some((name, cells.next()?.parse().ok()?))
    });
    let listed: BTreeMap<String, usize> = rows.collect();
    let mut written = BTreeMap::new();
    for file in ["arena.rs", "arena/payload.rs", "arena/values.rs"] {
        let source = fs::read_to_string(root().join("crates/wengert/src/tape").join(file)).expect("a source");
        written.extend(blocks(&source));
    }
    assert_eq!(listed, written, "left: docs/safety.md, right: the sources");
    println!("covered: unsafe blocks of the arena in docs/safety.md: {}", written.values().sum::<usize>());
}

/// The text of all sources below `at`.
fn sources(at: &Path, all: &mut String) {
    for entry in fs::read_dir(at).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        match entry.extension() {
            _ if entry.is_dir() => sources(&entry, all),
            Some(end) if end == "rs" => all.push_str(&fs::read_to_string(&entry).expect("a source")),
            _ => {}
        }
    }
}

#[test]
fn what_safety_md_names_is_there() {
    let text = fs::read_to_string(root().join("docs/safety.md")).expect("docs/safety.md");
    let mut all = String::new();
    sources(&root().join("crates"), &mut all);
    let mut tests = 0;
    for name in text.split('`').skip(1).step_by(2) {
        let is_test =
            name.matches('_').count() > 3 && name.chars().all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c));
        if is_test {
            assert!(all.contains(&format!("fn {name}() {{\n")), "no test {name}");
            tests += 1;
        }
        if let Some(path) = name.strip_prefix("tests/") {
            let path = root().join("crates/wengert/tests").join(path);
            assert!(path.exists(), "{} is not there", path.display());
        }
    }
    assert!(tests > 20, "{tests} tests are named");
}
