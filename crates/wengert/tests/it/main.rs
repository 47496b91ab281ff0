//! Integration tests of wengert, one binary.

mod samples;
