//! Runs the mutants.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::mutate::Mutant;
use crate::tests::{Outcome, Suites, Test};

/// What the first batch of tests takes.
const FIRST: Duration = Duration::from_millis(200);
/// How long every mutant's tests run before those that survived them are tried on.
const QUICK: Duration = Duration::from_secs(3);

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// By this test, or by the end of the process.
    Killed(String),
    TimedOut,
    Survived,
    /// The quick tests; the run was stopped before the others.
    Alive,
    /// No test runs the code.
    Unreached,
}

impl Fate {
    pub fn has_died(&self) -> bool {
        matches!(self, Self::Killed(_) | Self::TimedOut)
    }
}

/// How many mutants a test killed in a file, by both.
#[derive(Default)]
struct Kills(HashMap<(String, String), usize>);

impl Kills {
    fn add(&mut self, test: &str, file: &str) {
        for file in [file, ""] {
            *self.0.entry((test.into(), file.into())).or_default() += 1;
        }
    }

    /// How likely a test kills a mutant of the file, for its time; what killed others of the file counts most.
    fn worth(&self, test: &Test, file: &str) -> f64 {
        let of = |file: &str| self.0.get(&(test.name.clone(), file.into())).copied().unwrap_or(0) as f64;
        (4.0 * of(file) + of("") + 0.5) / (test.time.as_secs_f64() + 0.03)
    }
}

/// The fate of every mutant of the sample, in its order. `JOBS` run at once, 2 by default. The fates are noted in
/// target/mutants/fates.txt as they come, and with `KEEP` those that were killed in an earlier run of the same sources stay so.
pub fn run(sample: &[(usize, &Mutant)], suites: &Suites, folder: &Path) -> Vec<Fate> {
    let path = folder.join("fates.txt");
    let keep = std::env::var_os("KEEP").is_some();
    let mut known = if keep { noted(folder) } else { HashMap::new() };
    known.retain(|_, fate| fate.has_died());
    let mut kills = Kills::default();
    for (key, fate) in noted(folder) {
        if let (Fate::Killed(by), Some((file, _))) = (fate, key.split_once(" | ")) {
            kills.add(&by, file);
        }
    }
    let notes = fs::OpenOptions::new()
        .create(true)
        .append(keep)
        .write(true)
        .truncate(!keep)
        .open(&path)
        .expect("fates are written");
    let notes = Mutex::new(notes);
    let kills = Mutex::new(kills);
    let trials: Vec<_> = sample
        .iter()
        .map(|(id, mutant)| Mutex::new(Trial::new(*id, mutant, suites, known.remove(&mutant.key()))))
        .collect();
    // What is killed quickly comes first: only the rest needs the tests that take long.
    for limit in [QUICK, Duration::MAX] {
        in_turn(trials.len(), |at| {
            let mut trial = trials[at].lock().expect("no panic");
            if trial.noted {
                return;
            }
            trial.advance(suites, &kills, limit);
            let fate = trial.fate.clone().unwrap_or(Fate::Alive);
            let line = format!("{}\t{}\n", word(&fate), trial.mutant.key());
            print!("{at} {line}");
            notes.lock().expect("no panic").write_all(line.as_bytes()).expect("fates are written");
            trial.noted = fate != Fate::Alive;
            if trial.noted && !fate.has_died() {
                note_survivor(folder, trial.mutant);
            }
        });
        let open = trials.iter().filter(|trial| trial.lock().expect("no panic").fate.is_none()).count();
        println!("{open} of {} are alive", trials.len());
    }
    trials.into_iter().map(|trial| trial.into_inner().expect("no panic").fate.expect("all tests have run")).collect()
}

/// Does `work` for every number below `count`, `JOBS` at once.
fn in_turn(count: usize, work: impl Fn(usize) + Sync) {
    let jobs = std::env::var("JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(2);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    work(at);
                }
            });
        }
    });
}

fn word(fate: &Fate) -> String {
    match fate {
        Fate::Killed(by) => format!("killed by {by}"),
        Fate::TimedOut => "timed out".into(),
        Fate::Survived => "survived".into(),
        Fate::Alive => "alive".into(),
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
            "alive" => Fate::Alive,
            "unreached" => Fate::Unreached,
            _ => Fate::Killed(word.strip_prefix("killed by ")?.into()),
        };
        Some((key.to_owned(), fate))
    });
    fates.collect()
}

/// The keys of the mutants that survived once, in this run or one before.
pub fn survived_once(folder: &Path) -> BTreeSet<String> {
    fs::read_to_string(folder.join("survived.txt")).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Notes that a mutant survived, for good.
fn note_survivor(folder: &Path, mutant: &Mutant) {
    let file = fs::OpenOptions::new().create(true).append(true).open(folder.join("survived.txt"));
    file.and_then(|mut file| writeln!(file, "{}", mutant.key())).expect("survivors are written");
}

/// A mutant with the tests that reach it and did not run yet.
struct Trial<'a> {
    id: usize,
    mutant: &'a Mutant,
    rest: Vec<usize>,
    /// How long the next batch takes.
    budget: Duration,
    spent: Duration,
    fate: Option<Fate>,
    noted: bool,
}

impl<'a> Trial<'a> {
    fn new(id: usize, mutant: &'a Mutant, suites: &Suites, known: Option<Fate>) -> Self {
        let rest: Vec<usize> = (0..suites.tests.len()).filter(|&k| suites.tests[k].reaches.contains(&id)).collect();
        let fate = known.or_else(|| rest.is_empty().then_some(Fate::Unreached));
        Self { id, mutant, rest, budget: FIRST, spent: Duration::ZERO, fate, noted: false }
    }

    /// Runs the rest in growing batches, first those that killed most for their time, until one fails or the next takes longer than `limit`.
    fn advance(&mut self, suites: &Suites, kills: &Mutex<Kills>, limit: Duration) {
        {
            let kills = kills.lock().expect("no panic");
            let worth = |k: usize| kills.worth(&suites.tests[k], &self.mutant.file);
            self.rest.sort_by(|&a, &b| worth(b).total_cmp(&worth(a)));
        }
        while self.fate.is_none() && self.spent < limit {
            let mut time = Duration::ZERO;
            let fitting = self.rest.iter().take_while(|&&k| {
                time += suites.tests[k].time;
                time <= self.budget
            });
            let batch: Vec<usize> = self.rest.drain(..fitting.count().max(1).min(self.rest.len())).collect();
            self.spent += batch.iter().map(|&k| suites.tests[k].time).sum::<Duration>();
            self.budget *= 5;
            self.fate = match suites.run_mutant(self.id, &batch).expect("a test runs") {
                Outcome::Passed => self.rest.is_empty().then_some(Fate::Survived),
                Outcome::TimedOut => Some(Fate::TimedOut),
                Outcome::Failed(by) => {
                    let by = by.unwrap_or("the end of the process".into());
                    kills.lock().expect("no panic").add(&by, &self.mutant.file);
                    Some(Fate::Killed(by))
                }
            };
        }
    }
}
