//! How much memory the missing runs of a plan will need at once.
//!
//! Invariant: an estimate: it knows only what a training step keeps.

use crate::engine::Datasets;
use crate::engine::plan::Run;
use crate::experiment::{is_large, step_bytes};

/// Bytes of the largest `jobs` of these runs together; 0 where all of them are small.
pub(crate) fn bytes_at_once<'a>(
    runs: impl Iterator<Item = &'a Run>,
    datasets: &dyn Datasets,
    jobs: usize,
) -> u64 {
    let mut bytes: Vec<u64> = runs
        .filter(|run| is_large(&run.recipe))
        .filter_map(|run| {
            let data = datasets.open(&run.recipe).ok()?;
            Some(step_bytes(&run.recipe, data.modalities()))
        })
        .collect();
    bytes.sort_unstable_by(|a, b| b.cmp(a));
    bytes.into_iter().take(jobs).sum()
}
