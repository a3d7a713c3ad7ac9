//! The paper's models at full size on random inputs, for examples and benches.
#![allow(dead_code, reason = "each program uses its share")]

pub(crate) mod rate;

use dfdx::prelude::{Cpu, NoneTape};
use i2m2::experiment::Learner;
use i2m2::experiment::workload::{BATCH, Workload};
use i2m2::models::{Input, Inputs};
use i2m2::ops::norm_relu_pool::Statistics;
use i2m2::random::Seeds;

/// A model, its optimiser, and one batch that it learns from again and again.
pub(crate) struct Model {
    pub learner: Learner<f32, Cpu>,
    inputs: Inputs<f32, Cpu>,
    labels: Vec<u32>,
}

impl Model {
    /// A model of a study (`avmnist/i2m2-lf`) at the paper's sizes.
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        Model::with(name, BATCH, &[])
    }

    /// The same with another batch and other sides of the images.
    pub(crate) fn with(name: &str, batch: usize, sides: &[usize]) -> anyhow::Result<Self> {
        let workload = Workload::new(name, batch, sides)?;
        let (device, seeds) = (Cpu::default(), Seeds::root(0));
        let mut inputs = Inputs(Vec::new());
        for (m, modality) in workload.modalities.iter().enumerate() {
            let mut stream = seeds.child("input").child(m).stream();
            let count = batch * modality.features();
            let mut input = Input::zeros(&device, modality, batch)?;
            input.fill(&(0..count).map(|_| stream.uniform() as f32).collect::<Vec<_>>())?;
            inputs.0.push(Some(input));
        }
        let mut stream = seeds.child("labels").stream();
        let values = workload.task.target.labels().unwrap_or_default();
        let labels: Vec<u32> = (0..batch).map(|_| stream.below(values) as u32).collect();
        Ok(Model { learner: workload.learner(&device)?, inputs, labels })
    }

    /// Logits of the batch, as in an evaluation.
    pub(crate) fn evaluate(&mut self) -> anyhow::Result<()> {
        self.learner.experts.logits::<NoneTape>(&self.inputs, Statistics::Running)?;
        Ok(())
    }

    /// One training step; gives the loss.
    pub(crate) fn step(&mut self) -> anyhow::Result<f64> {
        Ok(self.learner.step(&self.inputs, &self.labels)?)
    }
}
