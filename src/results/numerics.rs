//! What a selection's networks compute on a device: digests of canaries, and whether they repeat.

use std::collections::BTreeMap;

use super::{ResultsError, Selection};
use crate::device::Device;
use crate::digest::Digest;
use crate::engine::manifest::Determinism;
use crate::engine::planner::canaries_of;
use crate::experiment::Canaries;

/// The numerics of a selection's networks.
pub(crate) struct Numerics {
    /// By canary.
    pub digests: BTreeMap<String, Digest>,
    /// What was found about repeating a run.
    pub determinism: Determinism,
}

impl Numerics {
    /// Takes the digests of a selection's canaries; those that are not known are trained.
    ///
    /// # Errors
    /// A canary that cannot be trained.
    pub(crate) fn measure(
        selection: &Selection,
        device: Device,
        canaries: &mut Canaries,
    ) -> Result<Self, ResultsError> {
        let mut all = Vec::new();
        for study in selection.studies() {
            all.extend(canaries_of(study)?);
        }
        canaries.learn(&all).map_err(ResultsError::Canary)?;
        // On the CPU, `tests/bits.rs` and `tests/crash.rs` hold it; on a GPU the canaries are trained twice and compared.
        let determinism = match device {
            Device::Cpu => Determinism::Bitwise,
            Device::Cuda { .. } if canaries.repeat(&all).map_err(ResultsError::Canary)? => {
                Determinism::SameDevice
            }
            Device::Cuda { .. } => Determinism::Statistical,
        };
        Ok(Numerics { digests: canaries.known().clone(), determinism })
    }
}
