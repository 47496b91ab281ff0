//! Mutation testing of wengert's operations, tape and sweep: `wengert-mutants [COUNT | all | list | report]`, in the
//! repository; `report` is of a run that was stopped.
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

fn main() -> io::Result<()> {
    let count = env::args().nth(1).unwrap_or("400".into());
    let from = env::current_dir()?;
    let copy = Copy::read(&from)?;
    let mut order: Vec<(usize, &Mutant)> = copy.mutants().collect();
    println!("{} changes are written down", order.len());
    // The same sample each time, also after a change elsewhere, and a larger one contains a smaller one.
    order.sort_by_key(|(_, mutant)| hash(&mutant.key()));
    if count == "list" {
        order.iter().for_each(|(id, mutant)| println!("{id} {}", mutant.key()));
        return Ok(());
    }
    let folder = from.join("target/mutants");
    let all = copy.mutants().count();
    if count == "report" {
        let noted = kill::noted(&folder);
        let known = order.iter().filter_map(|&(id, mutant)| Some(((id, mutant), noted.get(&mutant.key())?.clone())));
        let (sample, fates): (Vec<_>, Vec<_>) = known.unzip();
        return report::write(&from, &sample, &fates, all, tests::count_measured(&folder)?);
    }
    let wanted = if count == "all" { order.len() } else { count.parse().map_err(io::Error::other)? };
    // About a sixth does not compile; samples of nearly the same size share a build.
    let built = (wanted + wanted / 4).next_multiple_of(600);
    let mut chosen: BTreeSet<usize> = order.iter().take(built).map(|(id, _)| *id).collect();
    copy.compile(&mut chosen, &folder.join("rejected.txt"))?;
    let sample: Vec<(usize, &Mutant)> = order.into_iter().filter(|(id, _)| chosen.contains(id)).take(wanted).collect();
    let suites = tests::Suites::measure(&copy.build_tests()?, &folder)?;
    let fates = kill::run(&sample, &suites, &folder);
    report::write(&from, &sample, &fates, all, suites.tests.len())
}

/// A number that is the same on every machine.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
