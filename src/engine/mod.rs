//! Plans and how they become results: keys, scheduler, store, resume.
//!
//! Invariant: a plan is a pure, printable value; the engine executes plans and knows no benchmark.

pub mod document;
mod error;
pub(crate) mod estimate;
mod execute;
pub(crate) mod executor;
pub(crate) mod key;
mod local;
pub(crate) mod manifest;
mod options;
pub mod plan;
pub mod planner;
mod progress;
mod scheduler;
pub mod store;
pub(crate) mod survey;
#[cfg(test)]
mod tests;
mod worker;

pub use error::{RunError, TrainFailure};
pub use execute::{EngineError, Summary, execute, execute_run};
pub use executor::{Executor, Threads};
pub use local::Local;
pub use manifest::Manifest;
pub use options::Options;
pub use progress::{Event, Progress};
pub use store::{Store, StoreError};
pub use worker::{Datasets, Done, Trainer};
