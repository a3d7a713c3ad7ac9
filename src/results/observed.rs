//! What the store and the data say, for a report to be assembled from.

use crate::benchmarks::Published;
use crate::digest::Digest;
use crate::metric::Metric;

/// What the caller knows beside the plan.
pub(crate) struct Observed<'a> {
    /// A stored metric of a run, by its key; `None` when the run is not stored.
    pub value: &'a dyn Fn(Digest, &Metric) -> Option<f64>,
    /// Whether the data was built with the published values of the cells that `paper/` marks as calibrated.
    pub calibrated_data: bool,
    /// What was found about repeating a run on this device.
    pub determinism: String,
}

impl Observed<'_> {
    /// Whether the data was built with this number in view.
    pub(super) fn calibrated(&self, published: &Published) -> bool {
        self.calibrated_data && published.calibrated.is_some()
    }
}
