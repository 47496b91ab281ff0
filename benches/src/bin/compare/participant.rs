//! Who takes turns: ourselves and peers.

use std::time::Instant;

use wengert_benches::arrays::Array;
use wengert_benches::workloads::{Program, Results, Workload};

/// One side of a comparison. Reasons are for the reader.
pub trait Participant {
    /// Name and version.
    fn name(&self) -> String;
    /// Makes the workload from its inputs.
    fn prepare(&mut self, workload: &Workload, inputs: &[Array]) -> Result<(), String>;
    /// All results in one list: the value, the gradients, and the parameters after the checked steps.
    fn check(&mut self) -> Result<Vec<Array>, String>;
    /// Runs `warmup` untimed and `count` timed iterations, and gives the seconds of the latter.
    fn time(&mut self, warmup: usize, count: usize) -> Result<f64, String>;
}

/// A program in this process: ourselves, or another library.
pub struct Local {
    name: &'static str,
    program: Program,
}

impl Local {
    /// A program that is prepared already.
    pub fn new(name: &'static str, program: Program) -> Self {
        Self { name, program }
    }
}

impl Participant for Local {
    fn name(&self) -> String {
        self.name.into()
    }

    fn prepare(&mut self, _: &Workload, _: &[Array]) -> Result<(), String> {
        Ok(())
    }

    fn check(&mut self) -> Result<Vec<Array>, String> {
        let Results { mut gradients, parameters } = (self.program.check)();
        gradients.extend(parameters);
        Ok(gradients)
    }

    fn time(&mut self, warmup: usize, count: usize) -> Result<f64, String> {
        (0..warmup).for_each(|_| (self.program.step)());
        let start = Instant::now();
        (0..count).for_each(|_| (self.program.step)());
        Ok(start.elapsed().as_secs_f64())
    }
}
