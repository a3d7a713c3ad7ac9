//! Plans and how they become results: keys, scheduler, store, resume.
//!
//! Invariant: a plan is a pure, printable value; the engine executes plans and knows no benchmark.

pub mod estimate;
pub mod execute;
pub mod manifest;
pub mod plan;
pub mod progress;
mod scheduler;
pub mod store;
#[cfg(test)]
mod tests;
mod worker;

pub use execute::{Checkpoints, EngineError, Options, Summary, execute};
pub use manifest::Manifest;
pub use progress::{Event, Progress};
pub use store::{Store, StoreError};
pub use worker::{Datasets, RunError, TrainFailure, Trainer};
