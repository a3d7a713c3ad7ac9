//! The time-series encoders of MIMIC-III: all hidden states of a GRU, with or without a linear layer per step.
//!
//! Invariant: PyTorch's GRU initialisation, every weight and bias from U(-1/sqrt(hidden), 1/sqrt(hidden)); the states
//! of all steps are kept, step after step.

use dfdx::prelude::Tape;

use super::mlp::Linear;
use super::module::{Initializer, Module, NamedTensors, Scope};
use crate::ops::flatten::flatten_series;
use crate::ops::gru::{Weights, gru};
use crate::ops::linear::{Activation, linear_per_step};
use crate::ops::simd::Real;
use crate::ops::{self, Backend, Features, OpError, Parameter};

/// A GRU layer, and a linear layer on each of its states if there is a projection.
pub struct Series<E: Real, D: Backend<E>> {
    weight_ih: Parameter<E, D>,
    weight_hh: Parameter<E, D>,
    bias_ih: Parameter<E, D>,
    bias_hh: Parameter<E, D>,
    projection: Option<Linear<E, D>>,
}

impl<E: Real, D: Backend<E>> Series<E, D> {
    /// A fresh encoder of `inputs` channels. Gate order: reset, update, new.
    pub fn new(
        scope: &Scope<D>,
        inputs: usize,
        hidden: usize,
        projection: Option<usize>,
    ) -> Result<Self, OpError> {
        let initializer = Initializer::Uniform(1.0 / (hidden as f64).sqrt());
        let gru = scope.within("gru");
        Ok(Series {
            weight_ih: gru.parameter("weight_ih", &[3 * hidden, inputs], initializer)?,
            weight_hh: gru.parameter("weight_hh", &[3 * hidden, hidden], initializer)?,
            bias_ih: gru.parameter("bias_ih", &[3 * hidden], initializer)?,
            bias_hh: gru.parameter("bias_hh", &[3 * hidden], initializer)?,
            projection: projection
                .map(|outputs| Linear::new(&scope.within("projection"), hidden, outputs))
                .transpose()?,
        })
    }

    /// Series (steps, channels, batch) to (steps * features) x batch. The gradient of the series is not computed.
    pub fn forward<T: Tape<E, D>>(&self, x: ops::Series<E, D, T>) -> Result<Features<E, D, T>, OpError> {
        let weights = Weights {
            input: &self.weight_ih,
            hidden: &self.weight_hh,
            input_bias: &self.bias_ih,
            hidden_bias: &self.bias_hh,
        };
        let states = gru(x, &weights, false)?;
        let states = match &self.projection {
            Some(projection) => {
                linear_per_step(states, &projection.weight, &projection.bias, Activation::Identity)?
            }
            None => states,
        };
        flatten_series(states)
    }
}

impl<E: Real, D: Backend<E>> Module<E, D> for Series<E, D> {
    fn named_tensors<'a>(&'a mut self, prefix: &str, named_tensors: &mut NamedTensors<'a, E, D>) {
        named_tensors.parameters.push((format!("{prefix}.gru.weight_ih"), &mut self.weight_ih));
        named_tensors.parameters.push((format!("{prefix}.gru.weight_hh"), &mut self.weight_hh));
        named_tensors.parameters.push((format!("{prefix}.gru.bias_ih"), &mut self.bias_ih));
        named_tensors.parameters.push((format!("{prefix}.gru.bias_hh"), &mut self.bias_hh));
        if let Some(projection) = &mut self.projection {
            projection.named_tensors(&format!("{prefix}.projection"), named_tensors);
        }
    }
}
