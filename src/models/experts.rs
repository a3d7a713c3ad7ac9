//! The experts of a run, side by side.
//!
//! Invariant: names are `<expert>.<path>`, and `backbone.<path>` of what they share; experts, parameters and buffers are always in the same order.

use dfdx::prelude::Tape;

use super::input::Inputs;
use super::module::{Module, NamedTensors, Scope};
use super::shared::{BACKBONE, PassFeatures, Shared};
use super::{Expert, ModelError};
use crate::data::Modality;
use crate::data::names::is_plain;
use crate::ops::norm_relu_pool::Statistics;
use crate::ops::simd::Real;
use crate::ops::{Backend, Features};
use crate::random::Seeds;
use crate::study::Network;

/// Named experts that are trained as one model: the product of experts.
pub struct Experts<E: Real, D: Backend<E>> {
    shared: Option<Shared<E, D>>,
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
        Experts::on(scope, None, experts, modalities, logits)
    }

    /// The same with a backbone that heads among them share.
    ///
    /// # Errors
    /// As [`Experts::new`].
    pub fn on<'a>(
        scope: &Scope<D>,
        shared: Option<Shared<E, D>>,
        experts: impl IntoIterator<Item = (&'a str, &'a Network)>,
        modalities: &[Modality],
        logits: usize,
    ) -> Result<Self, ModelError> {
        let (mut built, mut looked_at) = (Vec::new(), Vec::new());
        looked_at.extend(shared.iter().flat_map(Shared::modalities));
        for (name, network) in experts {
            let expert = Expert::new(&scope.within(name), network, modalities, shared.as_ref(), logits)?;
            looked_at.extend(expert.modalities());
            built.push((name.to_owned(), expert));
        }
        let names: Vec<String> = built.iter().map(|(name, _)| name.clone()).collect();
        let unique = names.iter().all(|name| names.iter().filter(|other| *other == name).count() == 1);
        if !unique || !names.iter().all(|name| is_plain(name) && name != BACKBONE) {
            return Err(ModelError::Names(names));
        }
        if built.is_empty() {
            return Err(ModelError::Nothing);
        }
        looked_at.sort_unstable();
        looked_at.dedup();
        Ok(Experts { shared, experts: built, modalities: looked_at })
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
    ///
    /// # Errors
    /// A batch without a modality that is looked at, or the device.
    pub fn logits<T: Tape<E, D>>(
        &mut self,
        inputs: &Inputs<E, D>,
        statistics: Statistics,
    ) -> Result<Vec<Features<E, D, T>>, ModelError> {
        self.noisy_logits(inputs, statistics, None)
    }

    /// The same with dropout and stochastic depth, where the networks have any, drawn from a node of the seed tree.
    ///
    /// # Errors
    /// As [`Experts::logits`].
    pub fn noisy_logits<T: Tape<E, D>>(
        &mut self,
        inputs: &Inputs<E, D>,
        statistics: Statistics,
        noise: Option<&Seeds>,
    ) -> Result<Vec<Features<E, D, T>>, ModelError> {
        let mut features = match &self.shared {
            Some(shared) => shared.features(inputs, noise)?,
            None => PassFeatures::new(),
        };
        let experts = self.experts.iter_mut();
        experts.map(|(_, expert)| expert.logits(inputs, &mut features, statistics)).collect()
    }

    /// Everything the experts learn or keep, by `<expert>.<path>`; what they share by `backbone.<path>`.
    pub fn named_tensors(&mut self) -> NamedTensors<'_, E, D> {
        let mut named_tensors = NamedTensors::default();
        if let Some(shared) = &mut self.shared {
            shared.named_tensors(BACKBONE, &mut named_tensors);
        }
        for (name, expert) in &mut self.experts {
            expert.named_tensors(name, &mut named_tensors);
        }
        named_tensors
    }
}
