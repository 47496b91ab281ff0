//! Gradient checking against finite differences, for wengert.
