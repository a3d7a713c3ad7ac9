//! The paper's models at full size on random inputs, for examples and benches.
#![allow(dead_code, reason = "each program uses its share")]

use dfdx::prelude::{Cpu, NoneTape};
use i2m2::experiment::Learner;
use i2m2::experiment::rehearsal::BATCH;
use i2m2::experiment::rehearsal::Subject;
use i2m2::models::{Input, Inputs};
use i2m2::ops::norm_relu_pool::Statistics;
use i2m2::protocol::Modality;
use i2m2::random::Seeds;

/// A model, its optimiser, and one batch that it learns from again and again.
pub struct Model {
    pub learner: Learner<f32, Cpu>,
    inputs: Inputs<f32, Cpu>,
    labels: Vec<u8>,
}

impl Model {
    /// A model of [`MODELS`] at the paper's sizes.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        Model::with(name, BATCH, [28, 112])
    }

    /// The same with another batch and other sides of the images.
    pub fn with(name: &str, batch: usize, sides: [usize; 2]) -> anyhow::Result<Self> {
        let subject = Subject::new(name, batch, sides)?;
        let (device, seeds) = (Cpu::default(), Seeds::root(0));
        let mut inputs = Inputs::default();
        for (m, modality) in [Modality::First, Modality::Second].into_iter().enumerate() {
            let mut stream = seeds.child("input").child(m).stream();
            let count = batch * subject.dims[m].iter().product::<usize>();
            let mut input = Input::zeros(&device, modality, &subject.dims[m], batch)?;
            input.fill(&(0..count).map(|_| stream.uniform() as f32).collect::<Vec<_>>());
            inputs.0[m] = Some(input);
        }
        let mut stream = seeds.child("labels").stream();
        let labels: Vec<u8> = (0..batch).map(|_| stream.below(subject.task.labels() as u64) as u8).collect();
        Ok(Model { learner: subject.learner(&device)?, inputs, labels })
    }

    /// Logits of the batch, as in an evaluation.
    pub fn evaluate(&mut self) -> anyhow::Result<()> {
        self.learner.experts.logits::<NoneTape>(&self.inputs, Statistics::Running)?;
        Ok(())
    }

    /// One training step; gives the loss.
    pub fn step(&mut self) -> anyhow::Result<f64> {
        Ok(self.learner.step(&self.inputs, &self.labels)?)
    }
}
