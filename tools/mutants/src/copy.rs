//! The copy of the crates that is built, with every chosen mutant behind its switch.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::mutate::{Mutant, Source};

/// What is mutated, below crates/wengert/src.
const AREAS: &[&str] = &["ops", "tape", "autograd"];
/// Estimates of speed alone, which no result depends on; and tests.
const LEFT_OUT: &[&str] = &["ops/elementwise/cost.rs", "tape/arena/tests.rs"];
/// What the tests read beside their packages.
const COPIED: &[&str] = &["crates", "docs", "fuzz/corpus", "README.md", "Cargo.lock"];
const CRATE: &str = "crates/wengert/src";

/// The sources that are mutated, and the copy.
pub struct Copy {
    pub root: PathBuf,
    from: PathBuf,
    /// Not the repository's: cargo names what it builds by the path in the workspace, and the copy's crates would take their places.
    target: PathBuf,
    sources: Vec<(String, Source)>,
    /// The first number of each source's mutants; 0 is none.
    first: Vec<usize>,
}

impl Copy {
    /// Reads the repository at `from`; the copy is written to target/mutants/copy.
    pub fn read(from: &Path) -> io::Result<Self> {
        let root = from.join("target/mutants/copy");
        let mut names = Vec::new();
        for area in AREAS {
            files(&from.join(CRATE).join(area), &mut names)?;
        }
        names.sort();
        let (mut sources, mut first, mut next) = (Vec::new(), Vec::new(), 1);
        for path in names {
            let name = path.strip_prefix(from.join(CRATE)).expect("listed below it").display().to_string();
            if !name.ends_with(".rs") || LEFT_OUT.contains(&name.as_str()) {
                continue;
            }
            let source = Source::parse(&name, fs::read_to_string(&path)?).map_err(io::Error::other)?;
            first.push(next);
            next += source.mutants.len();
            sources.push((name, source));
        }
        let copy = Self { root, from: from.to_owned(), target: from.join("target/mutants/build"), sources, first };
        for path in COPIED {
            copy.mirror(&from.join(path), &copy.root.join(path))?;
        }
        let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
        let manifest: String = manifest.lines().map(of_copy).collect();
        write_if_changed(&copy.root.join("Cargo.toml"), &manifest)?;
        write_if_changed(&copy.root.join(CRATE).join("mutant.rs"), include_str!("switch.txt"))?;
        let library = fs::read_to_string(from.join(CRATE).join("lib.rs"))?;
        write_if_changed(
            &copy.root.join(CRATE).join("lib.rs"),
            library.replace("mod anomaly;", "mod anomaly;\n#[allow(missing_docs)]\nmod mutant;"),
        )?;
        Ok(copy)
    }

    /// Every mutant with its number.
    pub fn mutants(&self) -> impl Iterator<Item = (usize, &Mutant)> {
        self.sources.iter().zip(&self.first).flat_map(|((_, source), first)| (*first..).zip(&source.mutants))
    }

    /// Copies what differs, so that a second build is short; files that are mutated or generated are written later.
    fn mirror(&self, from: &Path, to: &Path) -> io::Result<()> {
        if from.is_file() {
            let name = from.strip_prefix(self.from.join(CRATE)).map(|p| p.display().to_string());
            let written =
                name.is_ok_and(|name| name == "lib.rs" || self.sources.iter().any(|(other, _)| *other == name));
            return if written { Ok(()) } else { write_if_changed(to, &fs::read(from)?) };
        }
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            if entry.file_name() != "target" {
                self.mirror(&entry.path(), &to.join(entry.file_name()))?;
            }
        }
        Ok(())
    }

    /// Writes the sources with the mutants `chosen`.
    fn write(&self, chosen: &BTreeSet<usize>) -> io::Result<()> {
        for ((name, source), first) in self.sources.iter().zip(&self.first) {
            let text = source.instrumented(|k| Some(first + k).filter(|id| chosen.contains(id)));
            write_if_changed(&self.root.join(CRATE).join(name), &text)?;
        }
        Ok(())
    }

    /// Writes the sources with the mutants `chosen`, without those that do not compile, which are taken out of `chosen`. The file
    /// `rejected` remembers them, so that a second run writes the same text, which is not built again.
    pub fn compile(&self, chosen: &mut BTreeSet<usize>, rejected: &Path) -> io::Result<()> {
        let mut known = fs::read_to_string(rejected).unwrap_or_default();
        let keys: BTreeSet<&str> = known.lines().collect();
        self.mutants().filter(|(_, mutant)| keys.contains(mutant.key().as_str())).for_each(|(id, _)| {
            chosen.remove(&id);
        });
        for round in 1.. {
            self.write(chosen)?;
            let output = self.cargo(&["check", "-p", "wengert", "--lib", "--message-format=json"])?;
            let bad = self.blamed(&output.stdout);
            let bad: Vec<usize> = bad.into_iter().filter(|id| chosen.remove(id)).collect();
            for (_, mutant) in self.mutants().filter(|(id, _)| bad.contains(id)) {
                known += &(mutant.key() + "\n");
            }
            fs::write(rejected, &known)?;
            println!("check {round}: {} mutants do not compile, {} are left", bad.len(), chosen.len());
            if output.ok {
                return Ok(());
            }
            if bad.is_empty() {
                return Err(io::Error::other("the copy does not compile, and no mutant is to blame"));
            }
        }
        unreachable!("the loop ends")
    }

    /// The mutants in which errors of the compiler lie.
    fn blamed(&self, messages: &str) -> BTreeSet<usize> {
        let mut blamed = BTreeSet::new();
        for message in messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            if message["reason"] != "compiler-message" || message["message"]["level"] != "error" {
                continue;
            }
            let mut places = Vec::new();
            spans(&message["message"], &mut places);
            let found = ["/*<", "/*["].iter().find_map(|open| {
                let found: Vec<usize> = places.iter().filter_map(|(file, at)| self.around(file, *at, open)).collect();
                (!found.is_empty()).then_some(found)
            });
            match found {
                Some(found) => blamed.extend(found),
                None if places.is_empty() => {}
                None => println!("{}", message["message"]["rendered"].as_str().unwrap_or_default()),
            }
        }
        blamed
    }

    /// The mutant whose mark `open` is the innermost around this place.
    fn around(&self, file: &str, at: usize, open: &str) -> Option<usize> {
        let text = fs::read_to_string(self.root.join(file)).ok()?;
        let close = if open.ends_with('<') { ">*/" } else { "]*/" };
        let mut best: Option<(usize, usize)> = None;
        for (start, _) in text[..at.min(text.len())].match_indices(open) {
            let digits: String = text[start + open.len()..].chars().take_while(char::is_ascii_digit).collect();
            let end = start + text[start..].find(&format!("/*{digits}{close}"))?;
            if at < end {
                best = digits.parse().ok().map(|id| (start, id)).or(best);
            }
        }
        best.map(|(_, id)| id)
    }

    /// Builds the tests and gives the executables with the folder each runs in.
    pub fn build_tests(&self) -> io::Result<Vec<(PathBuf, PathBuf)>> {
        let output = self.cargo(&[
            "test",
            "--no-run",
            "-p",
            "wengert",
            "-p",
            "wengert-check",
            "--tests",
            "--message-format=json",
        ])?;
        if !output.ok {
            return Err(io::Error::other("the tests of the copy do not compile"));
        }
        let artifacts = output.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let tests = artifacts.filter_map(|artifact| {
            let manifest = Path::new(artifact["manifest_path"].as_str()?).parent()?.to_owned();
            Some((PathBuf::from(artifact["executable"].as_str()?), manifest))
        });
        Ok(tests.collect())
    }

    fn cargo(&self, arguments: &[&str]) -> io::Result<Output> {
        let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root).args(arguments).env("CARGO_TARGET_DIR", &self.target);
        let output = command.stderr(Stdio::inherit()).output()?;
        Ok(Output { ok: output.status.success(), stdout: String::from_utf8_lossy(&output.stdout).into_owned() })
    }
}

/// A line of the manifest, for a workspace of the crates alone in which changed code is not refused by lints.
fn of_copy(line: &str) -> String {
    match line {
        "[workspace.lints.rust]" => {
            format!("{line}\nunconditional_panic = \"allow\"\narithmetic_overflow = \"allow\"\n")
        }
        _ if line.starts_with("members =") => "members = [\"crates/*\"]\n".into(),
        _ => line.replace("\"deny\"", "\"allow\"") + "\n",
    }
}

struct Output {
    ok: bool,
    stdout: String,
}

/// Every place that a message names, of the primary ones and those of macros that led to them.
fn spans(message: &Value, found: &mut Vec<(String, usize)>) {
    for span in message["spans"].as_array().into_iter().flatten() {
        let mut at = span;
        while at.is_object() {
            if let (Some(file), Some(start)) = (at["file_name"].as_str(), at["byte_start"].as_u64()) {
                found.push((file.to_owned(), start as usize));
            }
            at = &at["expansion"]["span"];
        }
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files(&path, found)? } else { found.push(path) }
    }
    Ok(())
}

fn write_if_changed(path: &Path, text: impl AsRef<[u8]>) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == text.as_ref()) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().expect("a file lies in a folder"))?;
    fs::write(path, text)
}
