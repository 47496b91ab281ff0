//! The command line.

use std::path::PathBuf;

use lexopt::prelude::*;

use crate::libraries;

/// What to compare, and how.
pub struct Options {
    /// Names of peers.
    pub peers: Vec<String>,
    /// The interpreter for peers in Python.
    pub python: PathBuf,
    /// A part of the names of the workloads.
    pub only: Option<String>,
    /// Threads of each participant.
    pub threads: usize,
    /// Turns of each participant.
    pub rounds: usize,
    /// Where to write the results.
    pub json: Option<PathBuf>,
    /// This is a process that times its own first step and so many later ones; see `fresh.rs`. Under a profiler it shows a workload
    /// of ours and nothing else.
    pub fresh: Option<usize>,
}

/// The peers that this program was built with.
fn peers() -> Vec<String> {
    ["torch", "jax"].into_iter().chain(libraries::names()).map(String::from).collect()
}

impl Options {
    /// Reads the command line.
    pub fn parse() -> Result<Self, crate::Error> {
        let mut options = Self {
            peers: peers(),
            python: "python3".into(),
            only: None,
            threads: 2,
            rounds: 25,
            json: None,
            fresh: None,
        };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("peers") => {
                    let names = arguments.value()?.string()?;
                    options.peers = names.split(',').filter(|name| !name.is_empty()).map(String::from).collect();
                }
                Long("python") => options.python = arguments.value()?.into(),
                Long("only") => options.only = Some(arguments.value()?.string()?),
                Long("threads") => options.threads = arguments.value()?.parse()?,
                Long("rounds") => options.rounds = arguments.value()?.parse()?,
                Long("json") => options.json = Some(arguments.value()?.into()),
                Long("fresh") => options.fresh = Some(arguments.value()?.parse()?),
                _ => return Err(argument.unexpected().into()),
            }
        }
        if options.threads == 0 || options.rounds == 0 {
            return Err("--threads and --rounds want a number above 0".into());
        }
        if let Some(peer) = options.peers.iter().find(|peer| !peers().contains(peer)) {
            let known = peers().join(", ");
            return Err(format!(
                "--peers: {peer} is none of {known}; candle, burn and dfdx need --features of their names"
            )
            .into());
        }
        Ok(options)
    }
}
