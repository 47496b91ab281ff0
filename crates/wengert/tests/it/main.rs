//! Integration tests of wengert, one binary.

mod reference;
mod samples;
mod update;
