//! Who takes turns: ourselves and peers.

use std::panic::{AssertUnwindSafe, catch_unwind};
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
        let Results { mut gradients, parameters } = caught(&mut self.program.check)?;
        gradients.extend(parameters);
        Ok(gradients)
    }

    fn time(&mut self, warmup: usize, count: usize) -> Result<f64, String> {
        caught(|| {
            (0..warmup).for_each(|_| (self.program.step)());
            let start = Instant::now();
            (0..count).for_each(|_| (self.program.step)());
            start.elapsed().as_secs_f64()
        })
    }
}

/// A panic as a reason, so that the others go on.
fn caught<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    // Who panicked is asked nothing more.
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
        format!("it panicked: {}", text.unwrap_or_default())
    })
}
