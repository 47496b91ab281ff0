//! Runs the mutants.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::mutate::Mutant;
use crate::tests::{Outcome, Suites};

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// By this test, or by the end of the process.
    Killed(String),
    TimedOut,
    Survived,
    /// No test runs the code.
    Unreached,
}

/// The fate of every mutant of the sample, in its order. `JOBS` run at once, 2 by default. The fates are noted in
/// target/mutants/fates.txt as they come, and with `KEEP` those that were killed in an earlier run of the same sources stay so.
pub fn run(sample: &[(usize, &Mutant)], suites: &Suites, folder: &Path) -> Vec<Fate> {
    let path = folder.join("fates.txt");
    let keep = std::env::var_os("KEEP").is_some();
    let mut known = if keep { noted(folder) } else { HashMap::new() };
    known.retain(|_, fate| !matches!(fate, Fate::Survived | Fate::Unreached));
    let notes = fs::OpenOptions::new()
        .create(true)
        .append(keep)
        .write(true)
        .truncate(!keep)
        .open(&path)
        .expect("fates are written");
    let notes = Mutex::new(notes);
    let (next, kills) = (AtomicUsize::new(0), Mutex::new(vec![0; suites.tests.len()]));
    let fates = Mutex::new(vec![Fate::Survived; sample.len()]);
    let jobs = std::env::var("JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(2);
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((id, mutant)) = sample.get(at) else { return };
                    let fate = known.get(&mutant.key()).cloned().unwrap_or_else(|| fate_of(*id, suites, &kills));
                    let line = format!("{}\t{}\n", word(&fate), mutant.key());
                    print!("{at} {line}");
                    notes.lock().expect("no panic").write_all(line.as_bytes()).expect("fates are written");
                    fates.lock().expect("no panic")[at] = fate;
                }
            });
        }
    });
    fates.into_inner().expect("no panic")
}

fn word(fate: &Fate) -> String {
    match fate {
        Fate::Killed(by) => format!("killed by {by}"),
        Fate::TimedOut => "timed out".into(),
        Fate::Survived => "survived".into(),
        Fate::Unreached => "unreached".into(),
    }
}

/// The fates that earlier runs noted, by key; the last one counts.
pub fn noted(folder: &Path) -> HashMap<String, Fate> {
    let notes = fs::read_to_string(folder.join("fates.txt")).unwrap_or_default();
    let lines = notes.lines().filter_map(|line| line.split_once('\t'));
    let fates = lines.filter_map(|(word, key)| {
        let fate = match word {
            "timed out" => Fate::TimedOut,
            "survived" => Fate::Survived,
            "unreached" => Fate::Unreached,
            _ => Fate::Killed(word.strip_prefix("killed by ")?.into()),
        };
        Some((key.to_owned(), fate))
    });
    fates.collect()
}

/// Runs the tests that reach the mutant, in growing batches: first those that killed most for their time.
fn fate_of(id: usize, suites: &Suites, kills: &Mutex<Vec<usize>>) -> Fate {
    let mut tests: Vec<usize> = (0..suites.tests.len()).filter(|&k| suites.tests[k].reaches.contains(&id)).collect();
    if tests.is_empty() {
        return Fate::Unreached;
    }
    let worth = |k: usize, kills: &[usize]| (kills[k] as f64 + 0.5) / (suites.tests[k].time.as_secs_f64() + 0.1);
    {
        let kills = kills.lock().expect("no panic");
        tests.sort_by(|&a, &b| worth(b, &kills).total_cmp(&worth(a, &kills)));
    }
    let mut budget = Duration::from_secs(2);
    let mut rest = &tests[..];
    while !rest.is_empty() {
        let mut time = Duration::ZERO;
        let fitting = rest
            .iter()
            .take_while(|&&k| {
                time += suites.tests[k].time;
                time <= budget
            })
            .count()
            .max(1);
        let (batch, later) = rest.split_at(fitting);
        match suites.run_mutant(id, batch).expect("a test runs") {
            Outcome::Passed => {}
            Outcome::TimedOut => return Fate::TimedOut,
            Outcome::Failed(by) => {
                let by = by.unwrap_or("the end of the process".into());
                if let Some(&k) = batch.iter().find(|&&k| suites.tests[k].name == by) {
                    kills.lock().expect("no panic")[k] += 1;
                }
                return Fate::Killed(by);
            }
        }
        (rest, budget) = (later, budget * 4);
    }
    Fate::Survived
}
