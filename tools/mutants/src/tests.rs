//! The tests, each with the time it takes and the mutants it reaches.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Address space of a test process in KiB: a mutant that asks for memory without end must not take the machine's.
const MEMORY_KIB: u64 = 8 << 20;
/// A test that takes longer without a mutant is left out.
const LONGEST: Duration = Duration::from_secs(120);
/// Time over which a test is waited for at once. It is these that are counted: while all is stopped, no time passes.
const TICK: Duration = Duration::from_secs(1);
/// What the system sends to a process whose time on the processor is over.
const SIGXCPU: i32 = 24;

/// A test binary, with what it is run with.
struct Suite {
    executable: PathBuf,
    folder: PathBuf,
    env: &'static [(&'static str, &'static str)],
}

/// One test of one suite.
pub struct Test {
    suite: usize,
    pub name: String,
    pub time: Duration,
    pub reaches: BTreeSet<usize>,
}

impl Test {
    fn note(&self) -> String {
        let reaches: Vec<String> = self.reaches.iter().map(usize::to_string).collect();
        format!("{} {}", self.time.as_millis(), reaches.join(" "))
    }

    fn read(suite: usize, name: &str, note: &str) -> Option<Self> {
        let mut numbers = note.split_whitespace().map(str::parse);
        let time = Duration::from_millis(numbers.next()?.ok()? as u64);
        let reaches = numbers.collect::<Result<BTreeSet<usize>, _>>().ok()?;
        Some(Self { suite, name: name.to_owned(), time, reaches })
    }
}

/// All tests that pass without a mutant.
pub struct Suites {
    suites: Vec<Suite>,
    pub tests: Vec<Test>,
}

/// How a run of some tests ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// By the test of this name, or none if the process ended otherwise.
    Failed(Option<String>),
    TimedOut,
}

impl Suites {
    /// Runs every test alone (with `KEEP`, those that an earlier run of the same sources did not), in a process of its own, so that what its threads reach is known to be its work.
    pub fn measure(executables: &[(PathBuf, PathBuf)], folder: &Path) -> io::Result<Self> {
        let mut all = Self { suites: Vec::new(), tests: Vec::new() };
        for (executable, home) in executables {
            // The engine's tests run again with all elementwise values deferred and loops shared, as in `.ci/run`.
            let is_engine = home.ends_with("wengert")
                && executable.file_name().is_some_and(|name| name.to_string_lossy().starts_with("it-"));
            let envs: &[&[_]] =
                if is_engine { &[&[], &[("WENGERT_DEFER_FROM", "1"), ("WENGERT_SHARE_ALL", "1")]] } else { &[&[]] };
            for &env in envs {
                all.suites.push(Suite { executable: executable.clone(), folder: home.clone(), env });
            }
        }
        let (reached, notes) = (folder.join("reached"), folder.join("measured.txt"));
        let keep = std::env::var_os("KEEP").is_some();
        let known = if keep { fs::read_to_string(&notes).unwrap_or_default() } else { String::new() };
        let known: HashMap<&str, &str> = known.lines().filter_map(|line| line.split_once('\t')).collect();
        let mut measured = String::new();
        for suite in 0..all.suites.len() {
            for name in all.list(suite)? {
                let key = format!("{}{:?} {name}", all.suites[suite].folder.display(), all.suites[suite].env);
                if let Some(test) = known.get(key.as_str()).and_then(|note| Test::read(suite, &name, note)) {
                    measured += &format!("{key}\t{}\n", test.note());
                    all.tests.push(test);
                    continue;
                }
                fs::write(&reached, "")?;
                let path = reached.display().to_string();
                let start = Instant::now();
                let env = [("WENGERT_MUTANT", "record"), ("WENGERT_MUTANT_REACHED", &path)];
                let recorded = all.run(suite, &[&name], &env, LONGEST)?;
                let time = start.elapsed();
                // Where every allocation is counted, those that record would count.
                if recorded != Outcome::Passed && all.run(suite, &[&name], &[], LONGEST)? != Outcome::Passed {
                    println!("left out, as it fails without a mutant: {name}");
                    continue;
                }
                let reaches = fs::read_to_string(&reached)?.lines().filter_map(|line| line.parse().ok()).collect();
                let test = Test { suite, name, time, reaches };
                measured += &format!("{key}\t{}\n", test.note());
                all.tests.push(test);
            }
        }
        fs::write(&notes, measured)?;
        let time: Duration = all.tests.iter().map(|test| test.time).sum();
        println!("{} tests, {} s one by one", all.tests.len(), time.as_secs());
        Ok(all)
    }

    fn list(&self, suite: usize) -> io::Result<Vec<String>> {
        let suite = &self.suites[suite];
        let output = Command::new(&suite.executable)
            .args(["--list", "--format", "terse"])
            .current_dir(&suite.folder)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
    }

    /// Runs these tests with mutant `id`, until one fails.
    pub fn run_mutant(&self, id: usize, tests: &[usize]) -> io::Result<Outcome> {
        let id = id.to_string();
        for suite in 0..self.suites.len() {
            let own: Vec<&Test> = tests.iter().map(|&k| &self.tests[k]).filter(|test| test.suite == suite).collect();
            if own.is_empty() {
                continue;
            }
            let names: Vec<&str> = own.iter().map(|test| test.name.as_str()).collect();
            let limit = Duration::from_secs(6) + 10 * own.iter().map(|test| test.time).sum::<Duration>();
            let outcome = self.run(suite, &names, &[("WENGERT_MUTANT", &id)], limit)?;
            if outcome != Outcome::Passed {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Passed)
    }

    fn run(&self, suite: usize, names: &[&str], env: &[(&str, &str)], limit: Duration) -> io::Result<Outcome> {
        let suite = &self.suites[suite];
        // The limit is of the processor's time; a machine that is busy with other things must not look like a mutant without an end.
        let seconds = limit.as_secs() + 1;
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -v {MEMORY_KIB}; ulimit -c 0; ulimit -S -t {seconds}; exec \"$0\" \"$@\"")])
            .arg(&suite.executable)
            .args(names)
            .args(["--exact", "--test-threads=2"])
            .current_dir(&suite.folder)
            .envs(suite.env.iter().copied())
            .envs(env.iter().copied())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let outcome = watch(&mut child, 20 * limit);
        // It has ended, or is not needed any more.
        let _ = child.kill();
        let status = child.wait()?;
        Ok(match outcome {
            Outcome::Passed if status.signal() == Some(SIGXCPU) => Outcome::TimedOut,
            Outcome::Passed if !status.success() => Outcome::Failed(None),
            outcome => outcome,
        })
    }
}

/// How many tests the last run measured.
pub fn count_measured(folder: &Path) -> io::Result<usize> {
    Ok(fs::read_to_string(folder.join("measured.txt"))?.lines().count())
}

/// Reads what the tests print until one fails, all have ended or the time is over.
fn watch(child: &mut Child, limit: Duration) -> Outcome {
    let stdout = child.stdout.take().expect("it is piped");
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    let (mut ticks, mut closed) = (limit.as_secs(), 0);
    while ticks > 0 {
        match receive.recv_timeout(TICK) {
            Ok(line) => {
                if let Some(name) = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED")) {
                    return Outcome::Failed(Some(name.trim_end_matches(" - should panic").to_owned()));
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => ticks -= 1,
            // The pipe is closed; what closes it and does not end is stopped.
            Err(mpsc::RecvTimeoutError::Disconnected) => match child.try_wait() {
                Ok(None) => {
                    thread::sleep(Duration::from_millis(5));
                    closed += 1;
                    ticks -= u64::from(closed % 200 == 0);
                }
                _ => return Outcome::Passed,
            },
        }
    }
    Outcome::TimedOut
}
