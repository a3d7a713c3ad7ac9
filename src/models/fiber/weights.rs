//! A plan of tensors, and the tensors.
//!
//! Invariant: tensor number i of the [`Weights`] is what number i of the [`Plan`] describes.

use std::collections::HashSet;
use std::sync::Arc;

use super::FiberError;
use crate::models::{Initializer, NamedTensors};
use crate::ops::simd::Real;
use crate::ops::{Backend, Parameter};
use crate::random::Seeds;

/// One tensor of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Its published name.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<usize>,
    /// Its values in a fresh network.
    pub initializer: Initializer,
    /// Whether it is a table of relative positions, which fits windows of another size after it was resized.
    pub positions: bool,
}

/// All tensors of a network, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan(pub Vec<Spec>);

/// A tensor's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(usize);

/// Where a plan grows: below a dotted prefix.
pub(super) struct Namer<'a> {
    plan: &'a mut Plan,
    prefix: String,
}

impl<'a> Namer<'a> {
    /// The top.
    pub(super) fn new(plan: &'a mut Plan) -> Self {
        Namer { plan, prefix: String::new() }
    }

    /// Below a name.
    pub(super) fn within(&mut self, name: impl std::fmt::Display) -> Namer<'_> {
        Namer { prefix: format!("{}{name}.", self.prefix), plan: self.plan }
    }

    /// The prefix, without its last dot.
    pub(super) fn path(&self) -> String {
        self.prefix.trim_end_matches('.').to_owned()
    }

    /// A new tensor.
    pub(super) fn tensor(&mut self, name: &str, dims: &[usize], initializer: Initializer) -> Slot {
        let spec = Spec {
            name: format!("{}{name}", self.prefix),
            dims: dims.to_vec(),
            initializer,
            positions: false,
        };
        self.plan.0.push(spec);
        Slot(self.plan.0.len() - 1)
    }

    /// A new table of relative positions of a window.
    pub(super) fn positions(&mut self, name: &str, window: usize, heads: usize) -> Slot {
        let rows = (2 * window - 1) * (2 * window - 1);
        let slot = self.tensor(name, &[rows, heads], Initializer::Normal(0.02));
        self.plan.0[slot.0].positions = true;
        slot
    }
}

/// The tensors of a network. A clone shares their memory.
#[derive(Clone, Debug)]
pub struct Weights<E: Real, D: Backend<E>> {
    pub(super) plan: Arc<Plan>,
    pub(super) parameters: Vec<Parameter<E, D>>,
}

impl<E: Real, D: Backend<E>> Weights<E, D> {
    /// Fresh values; each depends on (seed, name) alone.
    pub(super) fn fresh(device: &D, plan: Plan, seeds: &Seeds) -> Result<Self, FiberError> {
        let parameters = plan.0.iter().map(|spec| {
            let mut stream = seeds.child(&spec.name).stream();
            let count = spec.dims.iter().product::<usize>();
            let values = (0..count).map(|_| match spec.initializer {
                Initializer::Uniform(bound) => E::of(stream.uniform_in(-bound, bound)),
                Initializer::Normal(deviation) => E::of(deviation * stream.normal()),
                Initializer::Constant(value) => E::of(value),
            });
            Parameter::new(device, &spec.dims, values.collect())
        });
        let parameters = parameters.collect::<Result<_, _>>()?;
        Ok(Weights { plan: Arc::new(plan), parameters })
    }

    /// What the tensors are.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn get(&self, slot: Slot) -> &Parameter<E, D> {
        &self.parameters[slot.0]
    }

    /// The tensor of a published name.
    pub fn by_name(&self, name: &str) -> Option<&Parameter<E, D>> {
        let place = self.plan.0.iter().position(|spec| spec.name == name)?;
        Some(&self.parameters[place])
    }

    /// The tensors, in order.
    pub fn parameters(&self) -> &[Parameter<E, D>] {
        &self.parameters
    }

    /// The tensors, in order, to be changed.
    pub fn parameters_mut(&mut self) -> &mut [Parameter<E, D>] {
        &mut self.parameters
    }

    /// Everything that is learned, by its published name.
    pub fn named_tensors(&mut self) -> NamedTensors<'_, E, D> {
        let names = self.plan.0.iter().map(|spec| spec.name.clone());
        NamedTensors { parameters: names.zip(&mut self.parameters).collect(), buffers: Vec::new() }
    }

    /// The same tensors, none of which is trained.
    #[must_use]
    pub fn frozen(self) -> Self {
        Weights { parameters: self.parameters.into_iter().map(Parameter::frozen).collect(), plan: self.plan }
    }
}

impl Plan {
    /// Number of values of all tensors.
    pub fn values(&self) -> usize {
        self.0.iter().map(|spec| spec.dims.iter().product::<usize>()).sum()
    }

    /// The names.
    pub(super) fn names(&self) -> HashSet<&str> {
        self.0.iter().map(|spec| spec.name.as_str()).collect()
    }
}
