//! Integration tests of wengert, one binary.

mod anomaly;
mod bad_input;
mod checkpoint;
mod custom;
mod deferred;
mod found;
mod func;
mod handles;
mod hooks;
mod inspect;
mod memory;
mod networks;
mod number;
mod ops_md;
mod places;
mod profile;
mod programs;
mod reduce;
mod reference;
mod regions;
mod robust;
mod samples;
mod segments;
mod semantics;
mod tutorials;
mod update;
