//! What the store and the data say, for a report to be assembled from.

use std::collections::BTreeSet;

use super::CellResult;
use crate::digest::Digest;
use crate::metric::Metric;

/// What the caller knows beside the plan.
pub(crate) struct Observed<'a> {
    /// A stored metric of a run, by its key; `None` when the run is not stored.
    pub value: &'a dyn Fn(Digest, &Metric) -> Option<f64>,
    /// Data that stands in for the published files, built with the published values of the cells that `paper/` marks as calibrated.
    pub rebuilt: BTreeSet<Digest>,
    /// What was found about repeating a run on this device.
    pub determinism: String,
}

impl Observed<'_> {
    /// Whether the data was built with this cell's published number in view.
    pub(super) fn calibrated(&self, cell: &CellResult) -> bool {
        cell.sample.rebuilt && cell.published.as_ref().is_some_and(|published| published.calibrated.is_some())
    }
}
