//! The line of the user's code that an entry comes from.
//!
//! An operation's outermost public call notes its caller; the calls that the library makes in turn, which would note lines of
//! its own, find the note and leave it. What is recorded meanwhile carries the line. User code that an operation calls (a hook)
//! runs without the note, so that it makes its own.
//!
//! In debug builds always, and else while a thread is in anomaly mode: otherwise it costs one relaxed load.

use std::cell::Cell;
use std::panic::Location;

use crate::anomaly;

/// A place in the user's code, if it is known.
pub(crate) type Line = Option<&'static Location<'static>>;

thread_local! {
    static LINE: Cell<Line> = const { Cell::new(None) };
}

/// Whether lines are noted.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    cfg!(debug_assertions) || anomaly::is_anywhere()
}

/// The line of the operation under way.
pub(crate) fn line() -> Line {
    LINE.get()
}

/// Ends what [`note`] or [`pause`] began.
pub(crate) struct Restore(Option<Line>);

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            LINE.set(before);
        }
    }
}

/// Lets code of users that an operation calls make notes of its own.
pub(crate) fn pause() -> Restore {
    if is_on() { Restore(Some(LINE.take())) } else { Restore(None) }
}

/// Notes the caller of the calling function, unless it is called in turn by an operation.
#[inline]
#[track_caller]
pub(crate) fn note() -> Restore {
    match is_on() && LINE.get().is_none() {
        true => Restore(Some(LINE.replace(Some(Location::caller())))),
        false => Restore(None),
    }
}
