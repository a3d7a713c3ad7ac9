//! Low-rank tensor fusion of two feature vectors (LRTF of Section 4.1).
//!
//! Invariant: factors and rank weights are Xavier-normal as PyTorch computes the fans of their shapes, the bias is
//! zero; with `trainable` off (deviation A3) all four stay at their initial values, and are not counted.

use dfdx::prelude::Tape;

use super::module::{Initializer, Module, NamedTensors, Scope};
use crate::ops::lrtf::{Fusion, low_rank_fusion};
use crate::ops::simd::Real;
use crate::ops::{Backend, Features, OpError, Parameter};

/// The fusion: a factor of rank x (features + 1) x outputs per modality, rank weights, and a bias.
pub struct LowRank<E: Real, D: Backend<E>> {
    factors: [Parameter<E, D>; 2],
    weights: Parameter<E, D>,
    bias: Parameter<E, D>,
}

impl<E: Real, D: Backend<E>> LowRank<E, D> {
    /// A fresh fusion of `features` of the two modalities into `output` numbers.
    pub fn new(
        scope: &Scope<D>,
        features: [usize; 2],
        rank: usize,
        output: usize,
        trainable: bool,
    ) -> Result<Self, OpError> {
        // torch.nn.init counts fan_in = dims[1] * receptive field, fan_out = dims[0] * receptive field.
        let factor = |index: usize| {
            let rows = features[index] + 1;
            let deviation = (2.0 / ((rows + rank) * output) as f64).sqrt();
            let name = format!("factor{index}");
            Ok(frozen_unless(
                trainable,
                scope.parameter(&name, &[rank, rows, output], Initializer::Normal(deviation))?,
            ))
        };
        let weights =
            scope.parameter("weight", &[1, rank], Initializer::Normal((2.0 / (1 + rank) as f64).sqrt()))?;
        let bias = scope.parameter("bias", &[1, output], Initializer::Constant(0.0))?;
        Ok(LowRank {
            factors: [factor(0)?, factor(1)?],
            weights: frozen_unless(trainable, weights),
            bias: frozen_unless(trainable, bias),
        })
    }

    /// Features of both modalities (features x batch each) to outputs x batch.
    pub fn forward<T: Tape<E, D>>(
        &self,
        first: Features<E, D, T>,
        second: Features<E, D, T>,
    ) -> Result<Features<E, D, T>, OpError> {
        let [factor0, factor1] = &self.factors;
        let fusion = Fusion { factors: [factor0, factor1], weights: &self.weights, bias: &self.bias };
        low_rank_fusion(first, second, &fusion)
    }
}

fn frozen_unless<E: Real, D: Backend<E>>(trainable: bool, parameter: Parameter<E, D>) -> Parameter<E, D> {
    Parameter { needs_grad: trainable, ..parameter }
}

impl<E: Real, D: Backend<E>> Module<E, D> for LowRank<E, D> {
    fn named_tensors<'a>(&'a mut self, prefix: &str, named_tensors: &mut NamedTensors<'a, E, D>) {
        let [first, second] = &mut self.factors;
        named_tensors.parameters.push((format!("{prefix}.factor0"), first));
        named_tensors.parameters.push((format!("{prefix}.factor1"), second));
        named_tensors.parameters.push((format!("{prefix}.weight"), &mut self.weights));
        named_tensors.parameters.push((format!("{prefix}.bias"), &mut self.bias));
    }
}
