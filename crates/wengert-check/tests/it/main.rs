//! Integration tests of wengert-check, one binary.

mod accept;
mod bad_input;
mod properties;
mod reject;
mod strategy;
