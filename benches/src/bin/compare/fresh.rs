//! The first step of a fresh process against the steady state, for ourselves.

use std::process::Command;
use std::time::Instant;

use wengert_benches::workloads::Workload;

use crate::options::Options;

/// Seconds of the first step and of later ones, each the least of some processes.
pub struct Fresh {
    /// The workload's name.
    pub name: &'static str,
    /// The first step after the inputs are there.
    pub first: f64,
    /// The median of later steps.
    pub steady: f64,
}

const PROCESSES: usize = 5;
const LATER_STEPS: &str = "40";

/// In the fresh process: prints the times of the first and of `later` steps.
pub fn run(workload: &Workload, later: usize) {
    let inputs = workload.inputs();
    let mut program = workload.start(&inputs);
    let mut times: Vec<f64> = (0..=later.max(1))
        .map(|_| {
            let start = Instant::now();
            (program.step)();
            start.elapsed().as_secs_f64()
        })
        .collect();
    let first = times.remove(0);
    times.sort_by(f64::total_cmp);
    println!("{first:e} {:e}", times[times.len() / 2]);
}

/// Starts the processes.
pub fn all(workloads: &[Workload], options: &Options) -> Result<Vec<Fresh>, crate::Error> {
    workloads.iter().map(|workload| measure(workload, options)).collect()
}

fn measure(workload: &Workload, options: &Options) -> Result<Fresh, crate::Error> {
    let mut fresh = Fresh { name: workload.name, first: f64::INFINITY, steady: f64::INFINITY };
    for _ in 0..PROCESSES {
        let output = Command::new(std::env::current_exe()?)
            .args(["--fresh", LATER_STEPS, "--only", workload.name])
            .env("WENGERT_NUM_THREADS", options.threads.to_string())
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let mut times = text.split_whitespace().map(str::parse::<f64>);
        let (Some(Ok(first)), Some(Ok(steady))) = (times.next(), times.next()) else {
            return Err(format!("{}: the fresh process printed {text:?}", workload.name).into());
        };
        fresh.first = fresh.first.min(first);
        fresh.steady = fresh.steady.min(steady);
    }
    Ok(fresh)
}
