//! The layers that all parts are made of: they know their tensors by number.
//!
//! Invariant: fresh weights are N(0, 0.02), biases 0, and norms 1 and 0.

use dfdx::prelude::Tape;

use super::FiberError;
use super::run::ForwardPass;
use super::weights::{Namer, Slot};
use crate::models::Initializer;
use crate::ops::activate::{Function, activate};
use crate::ops::layer_norm::layer_norm;
use crate::ops::simd::Real;
use crate::ops::token_linear::{token_linear, token_linear_of_input};
use crate::ops::{Backend, Tokens};

const WEIGHT: Initializer = Initializer::Normal(0.02);
const ZERO: Initializer = Initializer::Constant(0.0);

/// A linear layer.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    weight: Slot,
    bias: Option<Slot>,
}

impl Linear {
    pub(super) fn new(mut namer: Namer<'_>, inputs: usize, outputs: usize) -> Self {
        Linear {
            weight: namer.tensor("weight", &[outputs, inputs], WEIGHT),
            bias: Some(namer.tensor("bias", &[outputs], ZERO)),
        }
    }

    pub(super) fn without_bias(mut namer: Namer<'_>, inputs: usize, outputs: usize) -> Self {
        Linear { weight: namer.tensor("weight", &[outputs, inputs], WEIGHT), bias: None }
    }

    /// A convolution whose kernels do not overlap, of square kernels.
    pub(super) fn of_patches(mut namer: Namer<'_>, channels: usize, side: usize, outputs: usize) -> Self {
        Linear {
            weight: namer.tensor("weight", &[outputs, channels, side, side], WEIGHT),
            bias: Some(namer.tensor("bias", &[outputs], ZERO)),
        }
    }

    pub(super) fn forward<E: Real, D: Backend<E>, T: Tape<E, D>>(
        &self,
        run: &ForwardPass<'_, E, D>,
        x: Tokens<E, D, T>,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        let bias = self.bias.map(|bias| run.weights.get(bias));
        Ok(token_linear(x, run.weights.get(self.weight), bias)?)
    }

    /// The same of what was given from outside: it has no gradient.
    pub(super) fn of_input<E: Real, D: Backend<E>, T: Tape<E, D>>(
        &self,
        run: &ForwardPass<'_, E, D>,
        x: Tokens<E, D>,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        let bias = self.bias.map(|bias| run.weights.get(bias));
        Ok(token_linear_of_input(x, run.weights.get(self.weight), bias)?)
    }
}

/// A LayerNorm.
#[derive(Clone, Debug)]
pub(super) struct Norm {
    weight: Slot,
    bias: Slot,
}

impl Norm {
    pub(super) fn new(mut namer: Namer<'_>, features: usize) -> Self {
        Norm {
            weight: namer.tensor("weight", &[features], Initializer::Constant(1.0)),
            bias: namer.tensor("bias", &[features], ZERO),
        }
    }

    pub(super) fn forward<E: Real, D: Backend<E>, T: Tape<E, D>>(
        &self,
        run: &ForwardPass<'_, E, D>,
        x: Tokens<E, D, T>,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        Ok(layer_norm(x, run.weights.get(self.weight), run.weights.get(self.bias))?)
    }
}

/// Two linear layers with a GELU between them.
#[derive(Clone, Debug)]
pub(super) struct FeedForward {
    pub(super) first: Linear,
    pub(super) second: Linear,
}

impl FeedForward {
    pub(super) fn forward<E: Real, D: Backend<E>, T: Tape<E, D>>(
        &self,
        run: &ForwardPass<'_, E, D>,
        x: Tokens<E, D, T>,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        let inner = activate(self.first.forward(run, x)?, Function::Gelu)?;
        self.second.forward(run, inner)
    }
}
