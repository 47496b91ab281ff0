//! Differentiation of what the tape recorded: sweeps in reverse and forward.

mod api;
mod forward;
mod rule;
mod sweep;
mod watch;

pub use self::api::{GradOptions, grad, grad_with};
pub(crate) use self::forward::Forward;
pub use self::forward::{jvp, try_jvp};
pub(crate) use self::rule::{Backward, saved};
pub(crate) use self::sweep::{Sweep, trim};
