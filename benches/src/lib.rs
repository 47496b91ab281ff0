//! Benchmarks of wengert; the suites are in `benches/`.
