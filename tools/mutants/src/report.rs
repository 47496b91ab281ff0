//! docs/mutants.md: how many died, and who survived for which reason.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use crate::kill::Fate;
use crate::mutate::Mutant;

/// Reasons why a change changes no result: a line each, the mutant's key and the reason, parted by a tab.
const REASONS: &str = "tools/mutants/equivalent.txt";

/// What became of some mutants.
#[derive(Default)]
struct Count {
    killed: usize,
    timed_out: usize,
    equivalent: usize,
    survived: usize,
}

impl Count {
    fn row(&self, name: &str) -> String {
        let died = self.killed + self.timed_out;
        let share = 100.0 * died as f64 / (died + self.survived).max(1) as f64;
        let all = died + self.survived + self.equivalent;
        format!(
            "| {name} | {all} | {} | {} | {} | {} | {share:.1} % |\n",
            self.killed, self.timed_out, self.equivalent, self.survived
        )
    }
}

/// Writes docs/mutants.md and prints the figures.
pub fn write(from: &Path, sample: &[(usize, &Mutant)], fates: &[Fate], all: usize, tests: usize) -> io::Result<()> {
    let reasons = fs::read_to_string(from.join(REASONS))?;
    let reasons: BTreeMap<&str, &str> = reasons.lines().filter_map(|line| line.split_once('\t')).collect();
    let mut counts = BTreeMap::<String, Count>::new();
    let mut total = Count::default();
    let (mut open, mut equivalent) = (Vec::new(), Vec::new());
    for ((_, mutant), fate) in sample.iter().zip(fates) {
        let reason = reasons.get(mutant.key().as_str());
        let mut parts: Vec<&str> = mutant.file.split('/').collect();
        parts.truncate(parts.len().clamp(2, 3) - 1);
        for count in [counts.entry(parts.join("/")).or_default(), &mut total] {
            match (fate, reason) {
                (Fate::Killed(_), _) => count.killed += 1,
                (Fate::TimedOut, _) => count.timed_out += 1,
                (_, Some(_)) => count.equivalent += 1,
                _ => count.survived += 1,
            }
        }
        let place = format!("`{}:{}` `{}`: {}", mutant.file, mutant.line, mutant.function, change(mutant));
        match (fate, reason) {
            (Fate::Killed(_) | Fate::TimedOut, Some(_)) => println!("has a reason, but dies: {}", mutant.key()),
            (Fate::Survived | Fate::Unreached, Some(reason)) => equivalent.push(format!("* {place}: {reason}\n")),
            (Fate::Survived, None) => open.push(format!("* {place}\n")),
            (Fate::Unreached, None) => open.push(format!("* {place} (no test runs it)\n")),
            _ => {}
        }
    }
    open.sort();
    equivalent.sort();
    let mut text = String::from(HEAD);
    let _ = writeln!(
        text,
        "This run: {} mutants that compile, a fixed sample of the {all} changes that are written down, against {tests} tests.\n",
        sample.len()
    );
    text +=
        "| part | mutants | killed | timed out | equivalent | survived | died, of those that are not equivalent |\n";
    text += "| --- | --- | --- | --- | --- | --- | --- |\n";
    for (name, count) in &counts {
        text += &count.row(name);
    }
    text += &total.row("all");
    println!("{text}");
    let _ = write!(text, "\n## Survivors\n\n{}\n## Equivalent\n\n{}", or_none(&open), or_none(&equivalent));
    fs::write(from.join("docs/mutants.md"), text)
}

fn change(mutant: &Mutant) -> String {
    let code = |text: &str| format!("`` {} ``", short(text));
    match mutant.from.as_str() {
        "whole body" => format!("whole body is {}", code(&mutant.to)),
        from if ["nothing", "negated", "scaled by 1.001"].contains(&mutant.to.as_str()) => {
            format!("{} becomes {}", code(from), mutant.to)
        }
        from => format!("{} becomes {}", code(from), code(&mutant.to)),
    }
}

/// The start of a long text.
fn short(text: &str) -> String {
    if text.chars().count() <= 100 { text.to_owned() } else { text.chars().take(97).chain("...".chars()).collect() }
}

fn or_none(lines: &[String]) -> String {
    if lines.is_empty() { "None.\n".into() } else { lines.concat() }
}

const HEAD: &str = "# Mutation testing

Written by `just mutants`. Each mutant is one change of the sources below `crates/wengert/src/{ops,tape,autograd}`: an operator
or comparison replaced, a sign or `!` dropped, a condition negated, a number changed, a formula or gradient of the other sign or
scaled by 1.001, a gradient or statement left out, arguments swapped, a function's body emptied. A mutant *dies* if a test of
`wengert` or `wengert-check` fails, or does not end in ten times its usual time. Left out are constants, text for people
(errors, assertions), sizes that are reserved, the sample calls of operations, and estimates of cost (`ops/elementwise/cost.rs`).
A survivor is *equivalent* if it changes no result, error or memory that is promised; `tools/mutants/equivalent.txt` has the reason.

";
