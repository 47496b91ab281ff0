//! Our workloads and those of other libraries, in turn, in one run.
//!
//! `cargo run --release -p wengert-benches --bin compare -- [--peers torch,jax,..] [--python PATH] [--only NAME] [--threads N]
//! [--rounds N] [--json FILE]`
//!
//! Every participant gets the same inputs. Values, gradients and the parameters after some steps are compared first; who differs is
//! not timed. Then the participants take turns of some 20 ms, round after round: what else runs on the machine slows some turns of all
//! of them, and rarely every turn of one, so the least time counts. See `docs/benchmarks.md`.

mod agree;
mod fresh;
mod libraries;
mod options;
mod participant;
mod process;
mod report;
mod turns;

use std::thread;
use std::time::Duration;

use wengert_benches::machine::Machine;
use wengert_benches::workloads::{self, Workload};

use options::Options;
use participant::{Local, Participant};
use process::Process;
use turns::Row;

/// What the gradients of a matrix product are compared with.
const PRODUCT: &str = "the product alone";

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let options = Options::parse()?;
    let chosen = |workload: &Workload| options.only.as_ref().is_none_or(|part| workload.name.contains(part.as_str()));
    let workloads: Vec<Workload> = workloads::all().into_iter().filter(chosen).collect();
    if workloads.is_empty() {
        let names: Vec<_> = workloads::all().iter().map(|workload| workload.name).collect();
        return Err(format!("no workload has this in its name; there are {}", names.join(", ")).into());
    }
    if let Some(steps) = options.fresh {
        fresh::run(&workloads[0], steps);
        return Ok(());
    }
    rayon::ThreadPoolBuilder::new().num_threads(options.threads).build_global()?;
    let mut processes = start_processes(&options);
    let machine = Machine::measure(Duration::from_millis(1500));
    report::machine(&machine, &options);
    let mut rows = Vec::new();
    for workload in &workloads {
        // A thread of its own: what a tape held is freed with it.
        let row = thread::scope(|scope| {
            let row = scope.spawn(|| {
                wengert::set_num_threads(options.threads);
                measure(workload, &mut processes, &options)
            });
            row.join().expect("the workload's thread")
        })?;
        report::row(workload, &row, &machine);
        rows.push((workload, row));
    }
    let again = Machine::measure(Duration::from_millis(1500));
    let machine = Machine { flops: machine.flops.max(again.flops), bandwidth: machine.bandwidth.max(again.bandwidth) };
    let (compared, products): (Vec<_>, Vec<_>) = rows.iter().partition(|(workload, _)| workload.has_peers());
    report::summary(&compared, &machine);
    report::products(&products);
    let fresh = fresh::all(&workloads, &options)?;
    report::fresh(&fresh);
    if let Some(path) = &options.json {
        std::fs::write(path, report::json(&rows, &fresh, &machine, &options))?;
    }
    Ok(())
}

/// The peers that run in processes of their own; a line says why one is missing.
fn start_processes(options: &Options) -> Vec<Process> {
    let start = |peer: &String| {
        let process = Process::start(peer, options)?;
        match process {
            Ok(process) => Some(process),
            Err(why) => {
                println!("{peer} is missing: {why}");
                None
            }
        }
    };
    options.peers.iter().filter_map(start).collect()
}

/// Compares and times all participants on one workload.
fn measure(workload: &Workload, processes: &mut [Process], options: &Options) -> Result<Row, String> {
    let inputs = workload.inputs();
    let ours = Local::new("wengert", workload.start(&inputs));
    let mut participants: Vec<Box<dyn Participant + '_>> = vec![Box::new(ours)];
    if workload.has_peers() {
        let local = libraries::participants(&options.peers, workload.kind, &inputs);
        participants.extend(local.into_iter().map(|local| Box::new(local) as Box<dyn Participant>));
        participants.extend(processes.iter_mut().map(|process| Box::new(process) as Box<dyn Participant>));
    } else {
        participants.push(Box::new(Local::new(PRODUCT, workloads::primal(&inputs))));
    }
    let failures = agree::prepare(workload, &inputs, &mut participants)?;
    Ok(turns::time(&mut participants, failures, options.rounds))
}
