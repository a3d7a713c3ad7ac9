//! The data loader of the CPU: batches in host memory are all that it needs.

use dfdx::prelude::Cpu;

use super::host::HostLoader;
use super::{Epoch, StepFailed, TrainingDevice, Work};
use crate::data::{Dataset, Split};
use crate::experiment::learner::Learner;
use crate::models::ModelError;
use crate::ops::optimizer::StepStats;

impl TrainingDevice for Cpu {
    type DataLoader<'a> = HostLoader<'a, Cpu>;
    const EVALUATION_BATCH: usize = 120;

    fn data_loader<'a>(
        &self,
        data: &'a dyn Dataset,
        modalities: &[usize],
    ) -> Result<HostLoader<'a, Cpu>, ModelError> {
        Ok(HostLoader::new(self, data, modalities))
    }

    fn train(
        loader: &mut HostLoader<'_, Cpu>,
        learner: &mut Learner<f32, Cpu>,
        epoch: &Epoch<'_>,
        on_step: &mut dyn FnMut(StepStats, usize),
    ) -> Result<(), StepFailed> {
        loader.train(learner, epoch, on_step)
    }

    fn evaluate(
        loader: &mut HostLoader<'_, Cpu>,
        split: Split,
        batch_size: usize,
        work: Work<'_, Cpu>,
    ) -> Result<(), ModelError> {
        loader.evaluate(split, batch_size, work)
    }
}
