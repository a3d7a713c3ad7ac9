//! How much memory the missing runs of a plan will need at once, said before they begin.
//!
//! Invariant: an estimate warns; it never refuses, since it knows only what a training step keeps.

use crate::cli::output;
use crate::engine::Datasets;
use crate::engine::plan::Run;
use crate::experiment::{is_large, step_bytes};
use crate::provenance::Provenance;

/// Bytes of the largest `jobs` of these runs together; 0 where all of them are small.
pub fn needed<'a>(runs: impl Iterator<Item = &'a Run>, datasets: &dyn Datasets, jobs: usize) -> u64 {
    let mut bytes: Vec<u64> = runs
        .filter(|run| is_large(&run.recipe))
        .filter_map(|run| {
            let data = datasets.open(&run.recipe).ok()?;
            Some(step_bytes(&run.recipe, data.all_dims()))
        })
        .collect();
    bytes.sort_unstable_by(|a, b| b.cmp(a));
    bytes.into_iter().take(jobs).sum()
}

/// Warns where `bytes` is more than this machine has.
pub fn warn(bytes: u64, jobs: usize) {
    let Some(memory) = Provenance::here().machine.memory.filter(|&memory| bytes > memory) else { return };
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let fewer = if jobs > 1 { "fewer --jobs, or " } else { "" };
    output::note(&format!(
        "warning: {jobs} runs at once will keep about {:.0} GB, and this machine has {:.0} GB: try {fewer}a smaller batch \
         (--set fastmri.runs.common.batch_size=N, which makes the numbers not comparable)",
        gigabytes(bytes),
        gigabytes(memory)
    ));
}
