//! What the store and the data say, for a report to be assembled from.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::metric::Metric;
use crate::study::Protocol;

/// What the caller knows beside the plan.
pub(crate) struct Observed<'a> {
    /// A stored metric of a run, by its key; `None` when the run is not stored.
    pub value: &'a dyn Fn(Digest, &Metric) -> Option<f64>,
    /// Data that stands in for the published files, built with the published values of the cells that `paper/` marks as calibrated.
    pub rebuilt: &'a BTreeSet<Digest>,
    /// The studies as they are declared: their seeds, not those that were asked for, decide.
    pub declared: &'a Protocol,
    /// What was found about repeating a run on this device.
    pub determinism: String,
}
