//! What all networks share: how their parameters come to be, what they are called, and how they are reached.
//!
//! Invariant: a parameter's dotted name (`image.encoder.conv0.weight`) is its place in checkpoints, in the optimiser's
//! order, and its path in the seed tree, so initial values depend on (seed, name) alone.

use dfdx::prelude::Tensor;

use crate::ops::simd::Real;
use crate::ops::{Backend, OpError, Parameter};
use crate::random::Seeds;

/// One running statistic, a number per channel.
pub type Buffer<E, D> = Tensor<(usize,), E, D>;

/// Everything a network learns or keeps, by name, in a fixed order.
pub struct NamedTensors<'a, E: Real, D: Backend<E>> {
    /// What is trained, or frozen.
    pub parameters: Vec<(String, &'a mut Parameter<E, D>)>,
    /// BatchNorm's running statistics: kept in checkpoints, not trained, not counted.
    pub buffers: Vec<(String, &'a mut Buffer<E, D>)>,
}

impl<E: Real, D: Backend<E>> Default for NamedTensors<'_, E, D> {
    fn default() -> Self {
        NamedTensors { parameters: Vec::new(), buffers: Vec::new() }
    }
}

/// A network or a part of one.
pub trait Module<E: Real, D: Backend<E>> {
    /// Adds everything it holds to `named_tensors`; names start with `prefix` and a dot.
    fn named_tensors<'a>(&'a mut self, prefix: &str, named_tensors: &mut NamedTensors<'a, E, D>);
}

/// Initial values of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initializer {
    /// Uniform between minus and plus this.
    Uniform(f64),
    /// Normal around zero with this standard deviation.
    Normal(f64),
    /// The same value everywhere.
    Constant(f64),
}

/// Where a network is being built: on a device, at a node of the seed tree.
pub struct Scope<D> {
    device: D,
    seeds: Seeds,
}

impl<D> Scope<D> {
    /// The scope of a whole model.
    pub fn new(device: D, seeds: Seeds) -> Self {
        Scope { device, seeds }
    }
}

impl<D: Clone> Scope<D> {
    /// Where tensors are made.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// The node of the seed tree.
    pub fn seeds(&self) -> &Seeds {
        &self.seeds
    }

    /// The scope of the part called `name`.
    pub fn within(&self, name: &str) -> Self {
        Scope { device: self.device.clone(), seeds: self.seeds.child(name) }
    }

    /// A new parameter called `name`, with its own stream of random numbers.
    pub fn parameter<E: Real>(
        &self,
        name: &str,
        dims: &[usize],
        initializer: Initializer,
    ) -> Result<Parameter<E, D>, OpError>
    where
        D: Backend<E>,
    {
        let mut stream = self.seeds.child(name).stream();
        let values = (0..dims.iter().product::<usize>()).map(|_| match initializer {
            Initializer::Uniform(bound) => E::of(stream.uniform_in(-bound, bound)),
            Initializer::Normal(deviation) => E::of(deviation * stream.normal()),
            Initializer::Constant(value) => E::of(value),
        });
        Parameter::new(&self.device, dims, values.collect())
    }
}
