//! What the suites in `benches/` and the programs in `src/bin/` share: the workloads, the form in which peers get their inputs, and
//! the machine's limits.

pub mod arrays;
pub mod machine;
pub mod workloads;
