//! What is measured: each workload once, with the public interface and in the way that a user would write it, and its inputs for peers.

mod chains;
mod lenet;
mod lstm;
mod matmul;
mod network;
mod perceptron;
mod transformer;

pub use chains::SCALAR_ROUNDS;
pub use matmul::primal;
pub use network::RATE;

use wengert::manual_seed;

use crate::arrays::Array;

/// What one iteration computes, and from what.
pub struct Workload {
    /// What `--only` looks for.
    pub name: &'static str,
    /// What peers know it by; sizes are those of the inputs.
    pub kind: &'static str,
    /// How many of what an iteration consists of.
    pub unit: Unit,
    /// How many of the inputs are data; the others are parameters, which want gradients.
    pub data: usize,
    /// The least work.
    pub cost: Cost,
    make: Box<dyn Fn() -> Vec<Array> + Sync>,
    start: fn(&[Array]) -> Program,
}

/// What times are given by.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    /// The iteration itself.
    Step,
    /// Operations of a chain.
    Operations(usize),
    /// Elements of the input.
    Elements(usize),
}

/// The work that no implementation can do without; zero where nothing is known.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Additions and multiplications. A transcendental function counts as the operations of a usual polynomial: `exp` 15, `tanh` 25.
    pub flops: f64,
    /// Traffic with memory: inputs read and results written once, if they do not fit into a cache.
    pub bytes: f64,
}

/// Our side of a workload. Its tensors belong to the thread and scope that started it.
pub struct Program {
    /// One iteration.
    pub step: Box<dyn FnMut()>,
    /// Value and gradients at the inputs, and then what some steps make of the parameters, if the workload has steps.
    pub check: Box<dyn FnMut() -> Results>,
}

/// What peers must agree about.
#[derive(Clone, Debug)]
pub struct Results {
    /// The value, and a gradient per parameter.
    pub gradients: Vec<Array>,
    /// The parameters after [`CHECKED_STEPS`] steps; nothing if the workload has no steps.
    pub parameters: Vec<Array>,
}

/// How many steps [`Results::parameters`] have gone.
pub const CHECKED_STEPS: usize = 2;

impl Workload {
    /// The inputs, the same at every call: data first, then parameters.
    pub fn inputs(&self) -> Vec<Array> {
        manual_seed(4);
        (self.make)()
    }

    /// Our program on these inputs.
    pub fn start(&self, inputs: &[Array]) -> Program {
        (self.start)(inputs)
    }

    /// Whether peers have it too.
    pub fn has_peers(&self) -> bool {
        self.kind != matmul::KIND
    }
}

/// Every workload.
pub fn all() -> Vec<Workload> {
    let mut all = chains::workloads();
    all.extend(perceptron::workloads());
    all.push(lenet::workload());
    all.push(lstm::workload());
    all.push(transformer::workload());
    all.extend(matmul::workloads());
    all
}
