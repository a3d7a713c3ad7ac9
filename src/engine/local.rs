//! Training in this process.

use super::{TrainFailure, Trainer};
use crate::device::Device;
use crate::experiment::{self, Job, Observer, RunOutput, TrainError};

/// Trains with [`experiment::train`] on a device of this machine.
pub struct Local(pub Device);

impl Trainer for Local {
    fn train(
        &self,
        job: &Job<'_>,
        resume: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<RunOutput, TrainFailure> {
        experiment::train(self.0, job, resume, observer).map_err(|error| match error {
            TrainError::Checkpoint(_) => TrainFailure::State(Box::new(error)),
            _ => TrainFailure::Other(Box::new(error)),
        })
    }
}
