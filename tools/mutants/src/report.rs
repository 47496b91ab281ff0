//! docs/mutants.md: how many died, and who survived for which reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use crate::kill::Fate;
use crate::mutate::Mutant;

/// Reasons why a change changes no result: a line each, the mutant's key and the reason, parted by a tab. A reason that begins
/// with [`ALIVE`] is why no test sees a change that is not equivalent.
const REASONS: &str = "tools/mutants/equivalent.txt";
const ALIVE: &str = "alive: ";

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

/// What was run.
pub struct About {
    pub sample: usize,
    pub seed: String,
    /// All changes that are written down.
    pub all: usize,
    pub tests: usize,
    pub commit: String,
}

/// The last commit of the crates, and whether it is what lies there.
pub fn commit(from: &Path) -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).args(["--", "crates"]).current_dir(from).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let changed = if git(&["status", "--porcelain"]).is_empty() { "" } else { " with changes" };
    git(&["log", "-1", "--format=%h"]) + changed
}

/// Writes docs/mutants.md and prints the figures. `before` are keys of those that survived a run before this one.
pub fn write(
    from: &Path,
    sample: &[(usize, &Mutant)],
    fates: &[Fate],
    before: &BTreeSet<String>,
    about: &About,
) -> io::Result<()> {
    let reasons = fs::read_to_string(from.join(REASONS))?;
    let reasons: BTreeMap<&str, &str> = reasons.lines().filter_map(|line| line.split_once('\t')).collect();
    let mut counts = BTreeMap::<String, Count>::new();
    let mut total = Count::default();
    let (mut open, mut equivalent) = (Vec::new(), Vec::new());
    for ((_, mutant), fate) in sample.iter().zip(fates) {
        let reason = reasons.get(mutant.key().as_str());
        let alive = reason.and_then(|reason| reason.strip_prefix(ALIVE));
        let reason = reason.filter(|_| alive.is_none());
        let why = alive.map_or(String::new(), |alive| format!(": {alive}"));
        for count in [counts.entry(part(&mutant.file)).or_default(), &mut total] {
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
            (Fate::Survived | Fate::Alive | Fate::Unreached, Some(reason)) => {
                equivalent.push(format!("* {place}: {reason}\n"))
            }
            (Fate::Survived, None) => open.push(format!("* {place}{why}\n")),
            (Fate::Alive, None) => open.push(format!("* {place} (the quick tests; the others did not run){why}\n")),
            (Fate::Unreached, None) => open.push(format!("* {place} (no test runs it){why}\n")),
            _ => {}
        }
    }
    open.sort();
    equivalent.sort();
    let late = sample
        .iter()
        .zip(fates)
        .filter(|((_, mutant), fate)| fate.has_died() && before.contains(&mutant.key()))
        .count();
    let About { sample: size, seed, all, tests, commit } = about;
    let mut text = String::from(HEAD);
    let _ = writeln!(
        text,
        "This run: {size} mutants that compile, the sample of seed {seed} of the {all} changes that are written down, against \
         {tests} tests, on the\ncrates of {commit}. Of those that died, {late} had survived a first run, which showed the tests that were missing.\n"
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

/// The folder of a file, the sweep's with what it is made of.
fn part(file: &str) -> String {
    if file.starts_with("autograd/sweep") {
        return "autograd/sweep".into();
    }
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.truncate(if parts[0] == "tape" { 1 } else { parts.len().clamp(2, 3) - 1 });
    parts.join("/")
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
`wengert` (its unit tests too) or `wengert-check` fails, or does not end in ten times its usual time. Left out are constants, text for people
(errors, assertions), sizes that are reserved, the sample calls of operations, and estimates of cost (`ops/elementwise/cost.rs`).
A survivor is *equivalent* if it changes no result, error or memory that is promised; `tools/mutants/equivalent.txt` has the reason.

";
