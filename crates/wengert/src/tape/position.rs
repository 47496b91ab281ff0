//! Places on the tape, as plain numbers.

use super::{Tape, with};
use crate::error::{Result, error, unwrap};

/// A place between two entries of this thread's tape, by [`position`]: two integers. It holds until the scope that it was taken in
/// ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    scope: u32,
    index: u32,
}

impl crate::Escape for Position {}

/// Where the next entry will be recorded.
///
/// ```
/// # use wengert::{tape, Tensor};
/// let start = tape::position();
/// let x = Tensor::ones(2);
/// assert_ne!(tape::position(), start);
/// ```
pub fn position() -> Position {
    unwrap(with(|tape| Ok(Position { scope: tape.scope_id(), index: tape.len() })))
}

impl Tape {
    /// The index of the first entry from a position on.
    ///
    /// # Errors
    /// The scope has ended, or is another thread's; what was recorded before the position was forgotten.
    pub fn index_of(&self, position: Position) -> Result<u32> {
        let Position { scope, index } = position;
        if !self.frames.iter().any(|frame| frame.id == scope) {
            return Err(error!(
                Stale,
                "position {index} of scope {scope} is not on this thread's tape: its scope has ended, or it was taken on \
                 another thread; take it in the scope in which it is used"
            ));
        }
        if index > self.len() {
            return Err(error!(
                Stale,
                "position {index} of scope {scope} is beyond the end of the tape, at {}: the operations that were recorded before it \
                 failed, and are forgotten",
                self.len()
            ));
        }
        Ok(index)
    }
}
