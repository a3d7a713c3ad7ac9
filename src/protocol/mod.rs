//! Typed hyper-parameters and choices, resolved from `paper/protocol/*.toml`.
//!
//! Invariant: a hyper-parameter stands in `paper/protocol/` and nowhere else; a [`Recipe`] is fully resolved, so
//! that its canonical JSON holds everything about the configuration that can change a number.

mod recipe;

pub use recipe::*;
