//! A warning where runs need more memory than there is.
//!
//! Invariant: it warns and never refuses, since what it is told is an estimate.

use crate::cli::output;
use crate::provenance::Provenance;

/// Warns where `bytes` is more than this machine has.
pub(super) fn warn(bytes: u64, jobs: usize) {
    let Some(memory) = Provenance::here().machine.memory.filter(|&memory| bytes > memory) else { return };
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let fewer = if jobs > 1 { "fewer --jobs, or " } else { "" };
    output::note(&format!(
        "warning: {jobs} runs at once will keep about {:.0} GB, and this machine has {:.0} GB: try {fewer}a smaller batch \
         (--set fastmri.training.batch_size=N, which makes the numbers not comparable)",
        gigabytes(bytes),
        gigabytes(memory)
    ));
}
