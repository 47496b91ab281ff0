//! What the examples share: pictures, diagrams, and the digits.

#![allow(dead_code, reason = "an example uses a part of this")]

pub mod chart;
pub mod digits;
pub mod picture;
