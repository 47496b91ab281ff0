//! What the fuzz targets run: bytes as calls of the public interface. The bodies lie here, so that libFuzzer and an ordinary test
//! (`tests/replay.rs`, which replays the corpora) run the same.
//!
//! A call either works or is refused with an `Error`; a panic is a finding, except for those that the programs inject
//! themselves, which pass by the panic hook. Afterwards the tape must be as it was: entries, depth, modes, and a sum that still works.

use wengert::{Tensor64, is_anomaly_enabled, is_grad_enabled, memory, scope};

mod bytes;
mod construct;
mod index;
mod program;
mod read;

/// A target's body.
pub type Body = fn(&[u8]);

/// The targets: name and body.
pub const TARGETS: [(&str, Body); 4] =
    [("program", program::run), ("construct", construct::run), ("index", index::run), ("read", read::run)];

/// The most bytes that the tape may reserve: what is larger must become an error.
const BUDGET: usize = 8 << 20;

/// Whether the budget is in force.
fn limited(on: bool) {
    memory::set_budget(on.then_some(BUDGET));
}

/// Runs the target `name` on `bytes` and checks what it leaves behind.
///
/// # Panics
/// If there is no such target, or `bytes` show an error of the engine.
pub fn run(name: &str, bytes: &[u8]) {
    // What a tape makes once is made before.
    is_usable();
    let (_, body) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of that name");
    memory::trim();
    let before = memory::stats();
    limited(true);
    scope(|| {
        body(bytes);
        limited(false);
    });
    let after = memory::stats();
    assert_eq!((after.entries, after.used, after.depth), (before.entries, before.used, before.depth));
    assert!(is_grad_enabled() && !is_anomaly_enabled(), "modes end with their scopes");
    is_usable();
}

/// Checks a sum of squares and its gradient.
fn is_usable() {
    scope(|| {
        let x = Tensor64::full(2, 3.0).requires_grad_(true);
        (x * x).sum().backward();
        assert_eq!(x.grad().expect("backward was called").to_vec(), [6.0; 2]);
    });
}
