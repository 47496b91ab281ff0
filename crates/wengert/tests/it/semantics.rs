//! What PyTorch's users know, a test a line: the seeds' table, then the numbered conventions where libraries go wrong.

mod conventions;
mod everywhere;
mod seeds;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The text that `f` panics with.
///
/// # Panics
/// If it does not.
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("nothing was refused"),
        Err(payload) => match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => (*payload.downcast::<&str>().expect("a text")).to_owned(),
        },
    }
}

fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{found:?} for {expected:?}");
    for (f, e) in found.iter().zip(expected) {
        let same = f == e || (f.is_nan() && e.is_nan()) || (f - e).abs() <= 1e-12 * (1.0 + e.abs());
        assert!(same, "{found:?} should be {expected:?}");
    }
}
