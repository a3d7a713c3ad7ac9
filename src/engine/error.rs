//! Why a run is not in the store.
//!
//! Invariant: what a caller can do about it differs from variant to variant.

use super::store::StoreError;

/// What another part of the program says.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why training ended without an outcome.
#[derive(Debug, thiserror::Error)]
pub enum TrainFailure {
    /// The state is not one to continue from.
    #[error("the half-trained state cannot be continued: {0}")]
    State(#[source] Cause),
    /// Anything else: a loss that is not finite, upstream weights that do not fit ...
    #[error("{0}")]
    Other(#[source] Cause),
}

/// Why a run is not in the store.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data could not be opened.
    #[error("cannot open the data: {0}")]
    Data(#[source] Cause),
    /// The data is not what the plan was made for.
    #[error(
        "the data is not what it was when the plan was made, so the run is void: {0}; run the same command again to plan with the data as it is now"
    )]
    Changed(#[source] Cause),
    /// Training failed.
    #[error("training failed: {0}")]
    Train(#[source] TrainFailure),
    /// A bug.
    #[error("the trainer panicked: {0}; this is a bug, please report it")]
    Panic(String),
    /// The threads could not be started.
    #[error("cannot start the threads of the run: {0}; try fewer --jobs or --threads")]
    Threads(String),
    /// Not begun, or waited for in vain, because another run failed.
    #[error("given up because another run failed")]
    GivenUp,
}
