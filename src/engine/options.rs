//! How a plan is executed.
//!
//! Invariant: nothing here changes a number.

use super::manifest::Determinism;

/// How a plan is executed.
#[derive(Clone, Debug)]
pub struct Options {
    /// Runs side by side, at least 1.
    pub jobs: usize,
    /// Threads in all; each job has its share, at least 1, and a run that nothing else can run beside has all of them.
    pub threads: usize,
    /// A half-trained state is saved after an epoch when that takes at most this share of the time since the last save: long
    /// epochs always are, and runs of a second are not slowed down. Infinite: after every epoch.
    pub save_share: f64,
    /// The determinism class of the device, as measured; recorded in manifests.
    pub determinism: Determinism,
}

impl Default for Options {
    /// One job per core, states at 2 % of the time, bitwise (CPU).
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Options { jobs: cores, threads: cores, save_share: 0.02, determinism: Determinism::Bitwise }
    }
}
