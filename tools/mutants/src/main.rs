//! Mutation testing of wengert's operations, tape and sweep: `wengert-mutants [COUNT | all | list | report] [TEXT]..`, in
//! the repository; `report` is of a run that was stopped, `SEED` chooses the sample, and mutants whose lines in the list contain a TEXT run first.
//!
//! The crates are copied to target/mutants/copy with every mutant behind a switch ([`mutate`], [`copy`]), so that one build serves
//! all. A first run of every test notes which mutants it reaches ([`tests`]); each mutant is then run against those tests alone,
//! the quickest killers first, until one fails ([`kill`]). docs/mutants.md is the result ([`report`]).

#[cfg(test)]
mod checks;
mod copy;
mod kill;
mod mutate;
mod report;
mod tests;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::{env, io};

use crate::copy::Copy;
use crate::mutate::Mutant;

/// The parts of the engine, each with its share of a sample: what is small and matters most is sampled more densely.
const SHARES: &[(&str, usize)] = &[("tape", 10), ("autograd/sweep", 8), ("autograd", 8), ("ops", 18)];

fn main() -> io::Result<()> {
    let count = env::args().nth(1).unwrap_or("440".into());
    let seed = env::var("SEED").unwrap_or("2".into());
    let from = env::current_dir()?;
    let copy = Copy::read(&from)?;
    let mut order: Vec<(usize, &Mutant)> = copy.mutants().collect();
    let all = order.len();
    println!("{all} changes are written down");
    // The same sample each time, also after a change elsewhere, and a larger one contains a smaller one.
    order.sort_by_key(|(_, mutant)| hash(&(seed.clone() + &mutant.key())));
    if count == "list" {
        order.iter().for_each(|(id, mutant)| println!("{id} {}", mutant.key()));
        return Ok(());
    }
    let folder = from.join("target/mutants");
    let about = |sample: &[(usize, &Mutant)], tests| report::About {
        sample: sample.len(),
        seed: seed.clone(),
        all,
        tests,
        commit: report::commit(&from),
    };
    if count == "report" {
        let noted = kill::noted(&folder);
        let known = order.iter().filter_map(|&(id, mutant)| Some(((id, mutant), noted.get(&mutant.key())?.clone())));
        let (sample, fates): (Vec<_>, Vec<_>) = known.unzip();
        let about = about(&sample, tests::count_measured(&folder)?);
        return report::write(&from, &sample, &fates, &kill::survived_once(&folder), &about);
    }
    let wanted = if count == "all" { all } else { count.parse().map_err(io::Error::other)? };
    let texts: Vec<String> = env::args().skip(2).collect();
    let is_named = |mutant: &Mutant| texts.iter().any(|text| mutant.key().contains(text));
    // About a sixth does not compile.
    let mut chosen: BTreeSet<usize> = take(&order, wanted + wanted / 3, |_| true).iter().map(|(id, _)| *id).collect();
    chosen.extend(order.iter().filter(|(_, mutant)| is_named(mutant)).map(|(id, _)| id));
    copy.compile(&mut chosen, &folder.join("rejected.txt"))?;
    let suites = tests::Suites::measure(&copy.build_tests()?, &folder)?;
    let sample = take(&order, wanted, |id| chosen.contains(&id));
    let in_sample: BTreeSet<usize> = sample.iter().map(|(id, _)| *id).collect();
    let rest = order.iter().filter(|(id, _)| chosen.contains(id) && !in_sample.contains(id));
    let mut run: Vec<_> = rest.filter(|(_, mutant)| is_named(mutant)).copied().collect();
    let named = run.len();
    run.extend(&sample);
    let fates = kill::run(&run, &suites, &folder).split_off(named);
    if sample.is_empty() {
        return Ok(());
    }
    report::write(&from, &sample, &fates, &kill::survived_once(&folder), &about(&sample, suites.tests.len()))
}

/// The first of each part that `fits`, so many that they are `count` by their [`SHARES`].
fn take<'a>(order: &[(usize, &'a Mutant)], count: usize, fits: impl Fn(usize) -> bool) -> Vec<(usize, &'a Mutant)> {
    let total: usize = SHARES.iter().map(|(_, share)| share).sum();
    let part = |mutant: &Mutant| SHARES.iter().position(|(name, _)| mutant.file.starts_with(name));
    let mut left: Vec<usize> = SHARES.iter().map(|(_, share)| (count * share).div_ceil(total)).collect();
    let taken = order.iter().filter(|(id, mutant)| {
        let left = &mut left[part(mutant).expect("every file is in a part")];
        let is_taken = *left > 0 && fits(*id);
        *left -= usize::from(is_taken);
        is_taken
    });
    taken.copied().collect()
}

/// A number that is the same on every machine.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
