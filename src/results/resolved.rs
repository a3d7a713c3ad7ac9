//! A selection on this machine: what was asked for, and what was measured once for it.
//!
//! Invariant: everything behind the command line works with a [`Resolved`]; a plan follows from it without any I/O.

use std::path::{Path, PathBuf};

use super::numerics::Numerics;
use super::{ResultsError, Selection, Sources, canaries};
use crate::benchmarks::Benchmark;
use crate::data::StatCache;
use crate::device::Device;
use crate::engine::plan::Plan;
use crate::experiment::Canaries;

/// A device that was chosen.
#[derive(Clone, Debug)]
pub(crate) struct ChosenDevice {
    /// Where it is.
    pub device: Device,
    /// `cpu`, or the GPU model.
    pub class: String,
    /// Why it is this one, where that is worth telling.
    pub note: Option<String>,
}

/// What a selection is resolved for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To read results: the results folder stays as it is.
    Read,
    /// To train: what was measured for that is kept for later calls.
    Train,
}

/// What a selection means on this machine.
pub(crate) struct Resolved {
    /// What was asked for.
    pub selection: Selection,
    /// Where runs are computed.
    pub device: ChosenDevice,
    /// Where its data is.
    pub sources: Sources,
    /// What its networks compute here, as digests.
    pub numerics: Numerics,
    /// The results folder.
    pub out: PathBuf,
    files: StatCache,
}

impl Resolved {
    /// Looks for the data of a selection, in `data` if it is real, and measures what is not known of its networks' numerics.
    ///
    /// # Errors
    /// Fixtures that cannot be made, a device that cannot train.
    pub(crate) fn new(
        selection: Selection,
        device: ChosenDevice,
        data: Option<&Path>,
        out: PathBuf,
        purpose: Purpose,
    ) -> Result<Self, ResultsError> {
        let mut canaries = Canaries::new(device.device, canaries::known(&out, device.device));
        let numerics = Numerics::measure(&selection, device.device, &mut canaries)?;
        let files = StatCache::open(&out);
        let sources = Sources::find(&selection, data, &out, &files)?;
        if purpose == Purpose::Train && canaries.trained() > 0 {
            canaries::keep(&out, device.device, canaries.known())?;
        }
        // Digests of real data may have taken hours, whatever they were taken for.
        if !sources.identities.is_empty() && (purpose == Purpose::Train || sources.are_real()) {
            files.save()?;
        }
        Ok(Resolved { selection, device, sources, numerics, out, files })
    }

    /// Keeps the digests of files that were too new for it when this was resolved: to be called when everything is trained.
    ///
    /// # Errors
    /// Files that are gone, a folder that cannot be written.
    pub(crate) fn keep_digests(&self) -> Result<(), ResultsError> {
        for file in self.sources.identities.values().flat_map(|identity| &identity.files) {
            self.files.digest(&file.path)?;
        }
        Ok(self.files.save()?)
    }

    /// The plan of all selected cells, with only the runs that they need.
    ///
    /// # Errors
    /// A benchmark that asks a study for what it lacks, or a run without a key.
    pub(crate) fn plan(&self) -> Result<Plan, ResultsError> {
        self.plan_of(&self.selection.benchmarks)
    }

    /// The plan of the selected cells of these benchmarks.
    ///
    /// # Errors
    /// As [`Resolved::plan`].
    pub(crate) fn plan_of(&self, benchmarks: &[&Benchmark]) -> Result<Plan, ResultsError> {
        let (class, numerics) = (self.device.class.clone(), self.numerics.digests.clone());
        self.selection.plan(benchmarks, class, self.sources.digests(), numerics)
    }

    /// Fails when no cell is selected, or none of them can be measured here.
    ///
    /// # Errors
    /// [`ResultsError::NotMeasured`].
    pub(crate) fn measurable(&self, plan: &Plan) -> Result<(), ResultsError> {
        self.selection.measurable(plan, &self.sources.missing)
    }
}
