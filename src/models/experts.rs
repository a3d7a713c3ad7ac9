//! The experts of a run, side by side.
//!
//! Invariant: names are `<expert>.<path>`; experts, parameters and buffers are always in the same order.

use dfdx::prelude::Tape;

use super::input::Inputs;
use super::module::{Module, NamedTensors, Scope};
use super::{Expert, ModelError};
use crate::data::Modality;
use crate::data::names::is_plain;
use crate::ops::norm_relu_pool::Statistics;
use crate::ops::simd::Real;
use crate::ops::{Backend, Features};
use crate::study::Network;

/// Named experts that are trained as one model: the product of experts.
pub struct Experts<E: Real, D: Backend<E>> {
    experts: Vec<(String, Expert<E, D>)>,
    modalities: Vec<usize>,
}

impl<E: Real, D: Backend<E>> Experts<E, D> {
    /// Builds experts with fresh weights for data of these modalities, with so many logits. An expert's initial weights depend on
    /// the scope's seed and its own name alone, not on its neighbours.
    pub fn new<'a>(
        scope: &Scope<D>,
        experts: impl IntoIterator<Item = (&'a str, &'a Network)>,
        modalities: &[Modality],
        logits: usize,
    ) -> Result<Self, ModelError> {
        let (mut built, mut looked_at) = (Vec::new(), Vec::new());
        for (name, network) in experts {
            let expert = Expert::new(&scope.within(name), network, modalities, logits)?;
            looked_at.extend(expert.modalities());
            built.push((name.to_owned(), expert));
        }
        let names: Vec<String> = built.iter().map(|(name, _)| name.clone()).collect();
        let unique = names.iter().all(|name| names.iter().filter(|other| *other == name).count() == 1);
        if !unique || !names.iter().all(|name| is_plain(name)) {
            return Err(ModelError::Names(names));
        }
        if built.is_empty() {
            return Err(ModelError::Nothing);
        }
        looked_at.sort_unstable();
        looked_at.dedup();
        Ok(Experts { experts: built, modalities: looked_at })
    }

    /// The modalities that some expert looks at, in the dataset's order.
    pub fn modalities(&self) -> &[usize] {
        &self.modalities
    }

    /// The experts' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.experts.iter().map(|(name, _)| name.as_str())
    }

    /// Logits of every expert, classes x batch each; with a gradient tape each carries its own.
    pub fn logits<T: Tape<E, D>>(
        &mut self,
        inputs: &Inputs<E, D>,
        statistics: Statistics,
    ) -> Result<Vec<Features<E, D, T>>, ModelError> {
        self.experts.iter_mut().map(|(_, expert)| expert.logits(inputs, statistics)).collect()
    }

    /// Everything the experts learn or keep, by `<expert>.<path>`.
    pub fn named_tensors(&mut self) -> NamedTensors<'_, E, D> {
        let mut named_tensors = NamedTensors::default();
        for (name, expert) in &mut self.experts {
            expert.named_tensors(name, &mut named_tensors);
        }
        named_tensors
    }
}
