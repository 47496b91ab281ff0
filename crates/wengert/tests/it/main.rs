//! Integration tests of wengert, one binary.

mod bad_input;
mod handles;
mod places;
mod reduce;
mod reference;
mod samples;
mod semantics;
mod tutorials;
mod update;
