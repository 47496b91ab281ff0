//! Strategies for proptest: shapes, tensors with edge values and in every kind of memory, and whole programs on the tape.
//!
//! Strategies give data, not tensors: a tensor belongs to the scope that is open, a test case outlives many. [`TensorData::tensor`] makes the
//! tensor, [`Program::run`] runs the program.
//!
//! ```
//! use proptest::prelude::*;
//! use wengert_check::strategy::{broadcastable, Domain, tensors, tensors_of};
//!
//! // Addition commutes, for all shapes that broadcast, and all values but NaN.
//! let pairs = broadcastable(2, 3, 24).prop_flat_map(|shapes| tensors_of(shapes, Domain::finite()));
//! proptest!(|(pair in pairs)| {
//!     let [a, b] = [pair[0].tensor(), pair[1].tensor()];
//!     prop_assert_eq!((a + b).to_vec(), (b + a).to_vec());
//! });
//! ```

mod program;
mod random_program;
mod tensor;
mod vocabulary;

pub use self::program::{Mode, Program, Step, Value};
pub use self::random_program::{Programs, programs};
pub use self::tensor::{Domain, TensorData, broadcastable, shapes, tensors, tensors_of, views};
