//! Where the runs of a plan stand in a store.
//!
//! Invariant: surveying changes nothing; what cannot be trusted is told apart from what is not there.

use rayon::prelude::*;

use super::plan::{Plan, Run};
use super::scheduler::missing;
use super::store::{Depth, Entry, Store, StoreError};

/// Where a run of a plan stands.
#[derive(Debug)]
pub(crate) enum Status {
    /// In the store.
    Stored(Box<Entry>),
    /// Half-trained; it will be continued.
    HalfTrained {
        /// Epochs that are done.
        epochs: usize,
    },
    /// Not there.
    Missing,
    /// There, but not to be trusted or read.
    Unusable(StoreError),
}

/// Where each run of a plan stands; every file of every stored run is hashed.
pub(crate) fn survey(plan: &Plan, store: &Store) -> Vec<Status> {
    let status = |run: &Run| match store.find(run.key, Depth::Files) {
        Ok(Some(entry)) => Status::Stored(Box::new(entry)),
        Err(error) => Status::Unusable(error),
        Ok(None) => match store.state(run.key) {
            Ok(Some(state)) => Status::HalfTrained { epochs: state.epochs },
            // A damaged state is dealt with when the run is trained.
            Ok(None) | Err(_) => Status::Missing,
        },
    };
    plan.runs.par_iter().map(status).collect()
}

/// Which runs of a surveyed plan an execution would train, by position.
pub(crate) fn to_train(plan: &Plan, statuses: &[Status]) -> Vec<bool> {
    missing(plan, |index, weights| match &statuses[index] {
        Status::Stored(entry) => entry.complete || !weights,
        _ => false,
    })
}
