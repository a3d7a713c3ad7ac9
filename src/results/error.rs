//! Why results cannot be had.
//!
//! Invariant: who can do something about it is told by the variant: whoever asked ([`ResultsError::Selection`]), whoever is to
//! measure first ([`ResultsError::NotMeasured`]), or nobody but us and the disk.

use crate::benchmarks::{PublishedError, UnknownBenchmark};
use crate::data::DataError;
use crate::data::synthetic::SettingsError;
use crate::engine::StoreError;
use crate::engine::planner::PlanError;
use crate::experiment::TrainError;
use crate::gate::expected::ExpectedError;
use crate::gate::{ClaimError, MarginError};
use crate::study::{StudyError, Tier};

/// Why results cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResultsError {
    /// What was asked for cannot be.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// There is nothing to read, or nothing can be measured here.
    #[error("{0}")]
    NotMeasured(String),
    /// A device on which not even a canary can be trained.
    // Its text holds all its causes.
    #[error("the canaries, which every key covers, cannot be trained: {0}")]
    Canary(TrainError),
    /// A dataset behind a stored run cannot be opened.
    #[error("{0}")]
    Dataset(Box<dyn std::error::Error + Send + Sync>),
    /// What is stored contradicts itself.
    #[error("{0}")]
    Unsound(String),
    /// A run cannot be trained anew.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Files of data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Settings of synthetic data.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A study that is wrong without any change.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// A plan that cannot be made.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Expected ranges.
    #[error(transparent)]
    Expected(#[from] ExpectedError),
    /// Claims.
    #[error(transparent)]
    Claims(#[from] ClaimError),
    /// Margins.
    #[error(transparent)]
    Margins(#[from] MarginError),
    /// Published values.
    #[error(transparent)]
    Published(#[from] PublishedError),
    /// The disk.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Why a selection cannot be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SelectionError {
    /// There is no such benchmark.
    #[error(transparent)]
    Unknown(#[from] UnknownBenchmark),
    /// A benchmark of synthetic data at another tier.
    #[error(
        "`{0}` has the smoke tier alone: it runs on the paper's generative model, for which there is no real data; leave \
         --data and --tier out"
    )]
    Synthetic(&'static str),
    /// The smoke tier with real data.
    #[error(
        "the smoke tier runs on synthetic fixtures only: leave --data out, or choose --tier reduced or paper"
    )]
    SmokeOfRealData,
    /// Another tier without it.
    #[error("the {0} tier needs real data: add --data DIR (`i2m2 data explain` says how to get it)")]
    NoRealData(Tier),
    /// Two changes of one value.
    #[error("--set gives `{0}` twice: leave one out")]
    Twice(String),
    /// A change that the protocol does not take.
    #[error(transparent)]
    Change(StudyError),
}
