//! Proves that the gate can fail: faults in copies of what is stored, and which of them are caught.
//!
//! Invariant: faults are put into copies; the store and the data are only read.

mod alarms;
mod digests;
mod retrain;
mod statistics;
mod tally;

use std::path::Path;

use serde::Serialize;

use crate::engine::store::Store;
use crate::results::{Resolved, ResultsError, values};

pub(crate) use digests::Caught;
pub(crate) use statistics::{DRAWS, Found, LEARNING_RATE, SHARES};
pub(crate) use tally::Point;

/// What came of all faults.
#[derive(Debug, Serialize)]
pub(crate) struct SelfTest {
    /// Whether every fault that must be caught was.
    pub passed: bool,
    /// Faults that digests must catch.
    pub digests: Vec<Caught>,
    /// Faults that ranges must catch from a size on.
    pub statistics: Found,
}

impl SelfTest {
    /// Runs every part on what the store has of a selection, with the expected ranges in `folder`. `None` where the store has
    /// nothing of it.
    ///
    /// # Errors
    /// A selection of which nothing can be measured; stored runs that contradict themselves.
    pub(crate) fn run(resolved: &Resolved, folder: &Path) -> Result<Option<Self>, ResultsError> {
        let plan = resolved.plan()?;
        resolved.measurable(&plan)?;
        let reports = values(resolved)?;
        let store = Store::open(&resolved.out);
        let digests = digests::inject(resolved, &plan, &store)?;
        if digests.is_empty() {
            return Ok(None);
        }
        let statistics = statistics::inject(resolved, &reports, folder, &store)?;
        let passed = digests.iter().all(|caught| caught.caught == caught.injected) && statistics.passed();
        Ok(Some(SelfTest { passed, digests, statistics }))
    }
}
