//! LeNet(c, L) of AV-MNIST: stages of convolution, BatchNorm, ReLU and 2x2 max-pool (Section 4.1).
//!
//! Invariant: stage 0 is a 5x5 convolution from one channel to c, every later one 3x3 and doubles the channels; no
//! convolution has a bias, and all keep the side, which the pool then halves (rounding down).

use dfdx::prelude::Tape;

use super::module::{Initializer, Module, NamedTensors, Scope};
use crate::ops::conv2d::{InputGradient, conv2d};
use crate::ops::flatten::flatten_maps;
use crate::ops::norm_relu_pool::{Running, Statistics, norm_relu_pool};
use crate::ops::simd::Real;
use crate::ops::{Backend, Features, Maps, OpError, Parameter};

/// Convolution, BatchNorm, ReLU, max-pool.
struct Stage<E: Real, D: Backend<E>> {
    convolution: Parameter<E, D>,
    norm_weight: Parameter<E, D>,
    norm_bias: Parameter<E, D>,
    running: Running<E, D>,
}

/// The encoder: a map of one channel to a vector of features.
pub struct Lenet<E: Real, D: Backend<E>> {
    stages: Vec<Stage<E, D>>,
}

/// Features that LeNet(channels, stages) makes of maps of this size; `None` where the maps are too small, or have
/// more than one channel.
pub(super) fn features(channels: usize, stages: usize, dims: &[usize]) -> Option<usize> {
    let &[1, height, width] = dims else { return None };
    let (height, width) = (height >> stages, width >> stages);
    let last = channels << stages.checked_sub(1)?;
    Some(last * height * width).filter(|&features| features > 0)
}

impl<E: Real, D: Backend<E>> Lenet<E, D> {
    /// A fresh encoder: Kaiming-uniform convolutions with gain sqrt 2, U(-sqrt(6/fan_in), sqrt(6/fan_in)).
    pub fn new(scope: &Scope<D>, channels: usize, stages: usize) -> Result<Self, OpError> {
        let stage = |index: usize| {
            let (inputs, kernel) = if index == 0 { (1, 5) } else { (channels << (index - 1), 3) };
            let outputs = channels << index;
            let fan_in = inputs * kernel * kernel;
            let initializer = Initializer::Uniform((6.0 / fan_in as f64).sqrt());
            let norm = scope.within(&format!("norm{index}"));
            Ok(Stage {
                convolution: scope.within(&format!("conv{index}")).parameter(
                    "weight",
                    &[outputs, inputs, kernel, kernel],
                    initializer,
                )?,
                norm_weight: norm.parameter("weight", &[outputs], Initializer::Constant(1.0))?,
                norm_bias: norm.parameter("bias", &[outputs], Initializer::Constant(0.0))?,
                running: Running::new(scope.device(), outputs)?,
            })
        };
        Ok(Lenet { stages: (0..stages).map(stage).collect::<Result<_, OpError>>()? })
    }

    /// Maps (1, height, width, batch) to features x batch. The gradient of the maps themselves is not computed.
    pub fn forward<T: Tape<E, D>>(
        &mut self,
        mut x: Maps<E, D, T>,
        statistics: Statistics,
    ) -> Result<Features<E, D, T>, OpError> {
        for (index, stage) in self.stages.iter_mut().enumerate() {
            let wanted = if index == 0 { InputGradient::Unneeded } else { InputGradient::Needed };
            x = conv2d(x, &stage.convolution, 1, wanted)?;
            x = norm_relu_pool(x, &stage.norm_weight, &stage.norm_bias, &mut stage.running, statistics)?;
        }
        flatten_maps(x)
    }
}

impl<E: Real, D: Backend<E>> Module<E, D> for Lenet<E, D> {
    fn named_tensors<'a>(&'a mut self, prefix: &str, named_tensors: &mut NamedTensors<'a, E, D>) {
        for (index, stage) in self.stages.iter_mut().enumerate() {
            named_tensors.parameters.push((format!("{prefix}.conv{index}.weight"), &mut stage.convolution));
            named_tensors.parameters.push((format!("{prefix}.norm{index}.weight"), &mut stage.norm_weight));
            named_tensors.parameters.push((format!("{prefix}.norm{index}.bias"), &mut stage.norm_bias));
            named_tensors
                .buffers
                .push((format!("{prefix}.norm{index}.running_mean"), &mut stage.running.mean));
            named_tensors
                .buffers
                .push((format!("{prefix}.norm{index}.running_var"), &mut stage.running.variance));
        }
    }
}
