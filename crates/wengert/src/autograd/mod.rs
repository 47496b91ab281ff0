//! Differentiation of what the tape recorded: sweeps in reverse and forward.

mod api;
mod forward;
mod hooks;
mod many;
mod rule;
mod segment;
mod sweep;
mod wanted;
mod watch;

pub use self::api::{GradOptions, Outputs, Seeds, grad, grad_with};
pub(crate) use self::forward::{Forward, push};
pub use self::hooks::Hook;
pub(crate) use self::many::{BackwardMany, ForwardMany, capture_many};
pub(crate) use self::rule::{Backward, saved};
pub use self::segment::Segment;
pub(crate) use self::sweep::{Sweep, trim};
