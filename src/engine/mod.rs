//! Plans and how they become results: keys, scheduler, store, resume.
//!
//! Invariant: a plan is a pure, printable value; the engine executes plans and knows no benchmark.

pub mod plan;
