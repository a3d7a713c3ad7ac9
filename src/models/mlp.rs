//! Linear layers and the two-layer perceptron of every head and of the static encoder.
//!
//! Invariant: PyTorch's default initialisation, weight and bias from U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

use dfdx::prelude::Tape;

use super::module::{Initializer, Module, NamedTensors, Scope};
use crate::ops::linear::{self, linear};
use crate::ops::simd::Real;
use crate::ops::{Backend, Features, OpError, Parameter};
use crate::study::Activation;

/// A linear layer: weight (outputs x inputs) and bias.
pub struct Linear<E: Real, D: Backend<E>> {
    /// Outputs x inputs.
    pub weight: Parameter<E, D>,
    /// Outputs.
    pub bias: Parameter<E, D>,
}

impl<E: Real, D: Backend<E>> Linear<E, D> {
    /// A fresh layer.
    pub fn new(scope: &Scope<D>, inputs: usize, outputs: usize) -> Result<Self, OpError> {
        let initializer = Initializer::Uniform(1.0 / (inputs as f64).sqrt());
        Ok(Linear {
            weight: scope.parameter("weight", &[outputs, inputs], initializer)?,
            bias: scope.parameter("bias", &[outputs], initializer)?,
        })
    }
}

impl<E: Real, D: Backend<E>> Module<E, D> for Linear<E, D> {
    fn named_tensors<'a>(&'a mut self, prefix: &str, named_tensors: &mut NamedTensors<'a, E, D>) {
        named_tensors.parameters.push((format!("{prefix}.weight"), &mut self.weight));
        named_tensors.parameters.push((format!("{prefix}.bias"), &mut self.bias));
    }
}

/// MLP(inputs, hidden, outputs): linear, non-linearity, linear.
pub struct Mlp<E: Real, D: Backend<E>> {
    hidden: Linear<E, D>,
    activation: Activation,
    output: Linear<E, D>,
}

impl<E: Real, D: Backend<E>> Mlp<E, D> {
    /// A fresh perceptron.
    pub fn new(
        scope: &Scope<D>,
        [inputs, hidden, outputs]: [usize; 3],
        activation: Activation,
    ) -> Result<Self, OpError> {
        Ok(Mlp {
            hidden: Linear::new(&scope.within("hidden"), inputs, hidden)?,
            activation,
            output: Linear::new(&scope.within("output"), hidden, outputs)?,
        })
    }
}

impl<E: Real, D: Backend<E>> Mlp<E, D> {
    /// Features x batch to outputs x batch.
    pub fn forward<T: Tape<E, D>>(&self, x: Features<E, D, T>) -> Result<Features<E, D, T>, OpError> {
        let activation = match self.activation {
            Activation::Relu => linear::Activation::Relu,
            Activation::LeakyRelu { slope } => linear::Activation::LeakyRelu { slope },
        };
        let hidden = linear(x, &self.hidden.weight, &self.hidden.bias, activation)?;
        linear(hidden, &self.output.weight, &self.output.bias, linear::Activation::Identity)
    }
}

impl<E: Real, D: Backend<E>> Module<E, D> for Mlp<E, D> {
    fn named_tensors<'a>(&'a mut self, prefix: &str, named_tensors: &mut NamedTensors<'a, E, D>) {
        self.hidden.named_tensors(&format!("{prefix}.hidden"), named_tensors);
        self.output.named_tensors(&format!("{prefix}.output"), named_tensors);
    }
}
