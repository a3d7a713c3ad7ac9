//! What an execution tells while it goes on. The command line draws bars from it.
//!
//! Invariant: nothing here changes what is computed.

use std::path::PathBuf;

use super::error::RunError;
use super::plan::Run;
use crate::experiment::EpochReport;

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The plan was held against the store.
    Planned {
        /// Runs that are in the store, or that nothing needs.
        stored: usize,
        /// Runs that will be trained.
        missing: usize,
    },
    /// Another process trains this run; it is waited for.
    Waiting {
        /// The run.
        run: &'a Run,
    },
    /// A run begins, or goes on after an interruption.
    Started {
        /// The run.
        run: &'a Run,
        /// Training steps in an epoch.
        steps_per_epoch: usize,
        /// Epochs at most.
        epochs: usize,
        /// The epoch it begins with, counted from 1.
        next_epoch: usize,
    },
    /// A training step is done.
    Step {
        /// The run.
        run: &'a Run,
    },
    /// An epoch is done.
    Epoch {
        /// The run.
        run: &'a Run,
        /// What it did.
        report: &'a EpochReport,
    },
    /// A run is in the store.
    Finished {
        /// The run.
        run: &'a Run,
    },
    /// A run failed. Runs at work finish, no more are begun.
    Failed {
        /// The run.
        run: &'a Run,
        /// Why.
        error: &'a RunError,
    },
    /// Something that could not be trusted was moved aside; the run is trained again.
    Quarantined {
        /// The run.
        run: &'a Run,
        /// Why.
        reason: &'a str,
        /// Where it is now.
        to: &'a PathBuf,
    },
}

/// Told about events, from several threads.
pub trait Progress: Sync {
    /// Something happened. Must return quickly.
    fn event(&self, event: Event<'_>);
}
