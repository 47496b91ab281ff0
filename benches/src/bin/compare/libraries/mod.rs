//! Peers in Rust, each behind a feature of its name; they run in this process and share its pool of threads.

#[cfg(feature = "burn")]
mod burn;
#[cfg(feature = "candle")]
mod candle;
#[cfg(feature = "dfdx")]
mod dfdx;

use wengert_benches::arrays::Array;
use wengert_benches::workloads::Program;

use crate::participant::Local;

/// Makes the program of a kind of workload, if the library has one.
type Start = fn(&str, &[Array]) -> Option<Program>;

/// Names, versions and workloads of the libraries that this program was built with.
const LIBRARIES: &[(&str, &str, Start)] = &[
    #[cfg(feature = "candle")]
    ("candle", "candle 0.11", candle::start),
    #[cfg(feature = "burn")]
    ("burn", "burn 0.22, flex", burn::start),
    #[cfg(feature = "dfdx")]
    ("dfdx", "dfdx 0.13", dfdx::start),
];

/// The names for `--peers`.
pub fn names() -> impl Iterator<Item = &'static str> {
    LIBRARIES.iter().map(|(name, ..)| *name)
}

/// Those of `peers` that have this kind of workload.
pub fn participants(peers: &[String], kind: &str, inputs: &[Array]) -> Vec<Local> {
    let chosen = LIBRARIES.iter().filter(|(name, ..)| peers.iter().any(|peer| peer == name));
    chosen.filter_map(|(_, version, start)| Some(Local::new(version, start(kind, inputs)?))).collect()
}
