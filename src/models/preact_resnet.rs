//! PreAct-ResNet with GroupNorm, of fastMRI (Section 4.2): a 3x3 stem, stages of pre-activation basic blocks, mean-pooling,
//! and one linear layer that holds all heads. WideResNet-20-3 is the same with other sizes (Figure 4).
//!
//! Invariant: no convolution has a bias; every stage but the first halves the side; there is no norm after the stem nor
//! after the last block, as in the released code.

use dfdx::prelude::{HasShape, PutTape, ReshapeTo, SplitTape, Tape};

use super::mlp::Linear;
use super::module::{Initializer, Module, NamedTensors, Scope};
use crate::ops::add::add;
use crate::ops::average_pool::average_pool;
use crate::ops::concat::concat;
use crate::ops::conv2d::{InputGradient, conv2d};
use crate::ops::flatten::flatten_maps;
use crate::ops::group_norm::group_norm_relu;
use crate::ops::linear::{Activation, linear};
use crate::ops::simd::Real;
use crate::ops::{Backend, Features, Maps, OpError, Parameter};

/// Sizes of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the stem.
    pub stem: usize,
    /// Channels of each stage.
    pub widths: Vec<usize>,
    /// Blocks of each stage.
    pub blocks: usize,
    /// Groups of every GroupNorm.
    pub groups: usize,
    /// Side of what the linear layer sees.
    pub pool: usize,
}

impl Sizes {
    /// Whether maps of this height and width can be pooled to `pool` x `pool` after the last stage.
    pub fn fit(&self, height: usize, width: usize) -> bool {
        let halvings = self.widths.len().saturating_sub(1);
        let after = |side: usize| (0..halvings).fold(side, |side, _| side.div_ceil(2));
        after(height) >= self.pool && after(width) >= self.pool
    }
}

/// What a training step of these sizes keeps, in numbers: for each example and, beside that, for the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Activations until backward, and the gradients that are alive at a time.
    pub per_example: u64,
    /// Weights, gradients, and the optimiser's two moments; the best epoch and the state that is being saved.
    pub network: u64,
}

impl Sizes {
    /// What a step on maps of this height and width keeps.
    pub fn kept(&self, height: usize, width: usize, logits: usize) -> Kept {
        let (mut height, mut width) = (height as u64, width as u64);
        let map = |channels: usize, height: u64, width: u64| channels as u64 * height * width;
        let (mut activations, mut weights) =
            (map(self.inputs + self.stem, height, width), (9 * self.inputs * self.stem) as u64);
        let (mut inputs, mut largest) = (self.stem, map(self.stem, height, width));
        for (stage, &outputs) in self.widths.iter().enumerate() {
            for block in 0..self.blocks {
                // The normed input, and of the output's size: first convolution, its norm, second convolution, sum.
                activations += map(inputs, height, width);
                if stage > 0 && block == 0 {
                    (height, width) = (height.div_ceil(2), width.div_ceil(2));
                }
                let changes = stage > 0 && block == 0 || inputs != outputs;
                activations += (4 + u64::from(changes)) * map(outputs, height, width);
                largest = largest.max(map(outputs, height, width));
                let shortcut = if changes { inputs * outputs } else { 0 };
                weights += (9 * (inputs + outputs) * outputs + 2 * (inputs + outputs) + shortcut) as u64;
                inputs = outputs;
            }
        }
        weights += ((inputs * self.pool * self.pool + 1) * logits) as u64;
        Kept { per_example: activations + 4 * largest, network: 6 * weights }
    }
}

/// GroupNorm's parameters.
struct Norm<E: Real, D: Backend<E>> {
    weight: Parameter<E, D>,
    bias: Parameter<E, D>,
}

/// a = ReLU(GN(x)); conv(ReLU(GN(conv(a)))) + (x, or a 1x1 convolution of a where size or width changes).
struct Block<E: Real, D: Backend<E>> {
    norms: [Norm<E, D>; 2],
    convolutions: [Parameter<E, D>; 2],
    shortcut: Option<Parameter<E, D>>,
    stride: usize,
}

/// The network, from maps to logits.
pub struct PreactResnet<E: Real, D: Backend<E>> {
    stem: Parameter<E, D>,
    blocks: Vec<Block<E, D>>,
    heads: Linear<E, D>,
    groups: usize,
    pool: usize,
}

impl<E: Real, D: Backend<E>> Norm<E, D> {
    fn new(scope: &Scope<D>, channels: usize) -> Result<Self, OpError> {
        Ok(Norm {
            weight: scope.parameter("weight", &[channels], Initializer::Constant(1.0))?,
            bias: scope.parameter("bias", &[channels], Initializer::Constant(0.0))?,
        })
    }

    fn relu<T: Tape<E, D>>(&self, x: Maps<E, D, T>, groups: usize) -> Result<Maps<E, D, T>, OpError> {
        group_norm_relu(x, &self.weight, &self.bias, groups)
    }
}

/// Kaiming-normal weights with fan_out: standard deviation sqrt(2 / (kernel^2 outputs)).
fn convolution<E: Real, D: Backend<E>>(
    scope: &Scope<D>,
    [outputs, inputs, kernel]: [usize; 3],
) -> Result<Parameter<E, D>, OpError> {
    let deviation = (2.0 / (kernel * kernel * outputs) as f64).sqrt();
    scope.parameter("weight", &[outputs, inputs, kernel, kernel], Initializer::Normal(deviation))
}

impl<E: Real, D: Backend<E>> Block<E, D> {
    fn new(scope: &Scope<D>, [inputs, outputs]: [usize; 2], stride: usize) -> Result<Self, OpError> {
        let within = |name: &str| scope.within(name);
        let shortcut = if stride != 1 || inputs != outputs {
            Some(convolution(&within("shortcut"), [outputs, inputs, 1])?)
        } else {
            None
        };
        Ok(Block {
            norms: [Norm::new(&within("norm0"), inputs)?, Norm::new(&within("norm1"), outputs)?],
            convolutions: [
                convolution(&within("conv0"), [outputs, inputs, 3])?,
                convolution(&within("conv1"), [outputs, outputs, 3])?,
            ],
            shortcut,
            stride,
        })
    }

    fn forward<T: Tape<E, D>>(&self, x: Maps<E, D, T>, groups: usize) -> Result<Maps<E, D, T>, OpError> {
        let (x, tape) = x.split_tape();
        let (active, tape) = self.norms[0].relu(x.clone().put_tape(tape), groups)?.split_tape();
        let y = active.clone().put_tape(tape);
        let y = conv2d(y, &self.convolutions[0], self.stride, InputGradient::Needed)?;
        let y = self.norms[1].relu(y, groups)?;
        let y = conv2d(y, &self.convolutions[1], 1, InputGradient::Needed)?;
        // A tensor that two ops read has one gradient, to which both add, whichever tape they are on.
        let shortcut = match &self.shortcut {
            Some(weight) => {
                conv2d(active.put_tape(T::default()), weight, self.stride, InputGradient::Needed)?
            }
            None => x.put_tape(T::default()),
        };
        add(y, shortcut)
    }
}

impl<E: Real, D: Backend<E>> PreactResnet<E, D> {
    /// A fresh network with `logits` outputs.
    pub fn new(scope: &Scope<D>, sizes: &Sizes, logits: usize) -> Result<Self, OpError> {
        let stem = convolution(&scope.within("stem"), [sizes.stem, sizes.inputs, 3])?;
        let (mut blocks, mut inputs) = (Vec::new(), sizes.stem);
        for (stage, &outputs) in sizes.widths.iter().enumerate() {
            for index in 0..sizes.blocks {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let scope = scope.within(&block_name(stage * sizes.blocks + index));
                blocks.push(Block::new(&scope, [inputs, outputs], stride)?);
                inputs = outputs;
            }
        }
        let heads = Linear::new(&scope.within("heads"), inputs * sizes.pool * sizes.pool, logits)?;
        Ok(PreactResnet { stem, blocks, heads, groups: sizes.groups, pool: sizes.pool })
    }

    /// Maps of each modality (channels, height, width, batch), stacked as channels, to logits x batch. No gradient of the
    /// maps themselves is computed.
    pub fn forward<T: Tape<E, D>>(&self, maps: &[&Maps<E, D>]) -> Result<Features<E, D, T>, OpError> {
        let x = stack(maps)?.put_tape(T::default());
        let mut x = conv2d(x, &self.stem, 1, InputGradient::Unneeded)?;
        for block in &self.blocks {
            x = block.forward(x, self.groups)?;
        }
        let features = flatten_maps(average_pool(x, self.pool)?)?;
        linear(features, &self.heads.weight, &self.heads.bias, Activation::Identity)
    }
}

/// Early fusion: the channels of all maps, in order.
fn stack<E: Real, D: Backend<E>>(maps: &[&Maps<E, D>]) -> Result<Maps<E, D>, OpError> {
    const OP: &str = "stack";
    let Some((first, others)) = maps.split_first() else {
        return Err(OpError::shape(OP, "at least one modality", "none"));
    };
    let &(mut channels, height, width, batch) = first.shape();
    if others.is_empty() {
        return Ok((*first).clone());
    }
    let mut features = flatten_maps((*first).clone())?;
    for other in others {
        if (other.shape().1, other.shape().2) != (height, width) {
            return Err(OpError::shape(
                OP,
                format!("maps of {height} x {width}"),
                format!("{:?}", other.shape()),
            ));
        }
        channels += other.shape().0;
        features = concat(features, flatten_maps((*other).clone())?)?;
    }
    features.try_reshape_like(&(channels, height, width, batch)).map_err(OpError::device(OP))
}

fn block_name(index: usize) -> String {
    format!("block{index}")
}

impl<E: Real, D: Backend<E>> Module<E, D> for PreactResnet<E, D> {
    fn named_tensors<'a>(&'a mut self, prefix: &str, named_tensors: &mut NamedTensors<'a, E, D>) {
        named_tensors.parameters.push((format!("{prefix}.stem.weight"), &mut self.stem));
        for (index, block) in self.blocks.iter_mut().enumerate() {
            let prefix = format!("{prefix}.{}", block_name(index));
            let [norm0, norm1] = &mut block.norms;
            let [conv0, conv1] = &mut block.convolutions;
            for (name, parameter) in [
                ("norm0.weight", &mut norm0.weight),
                ("norm0.bias", &mut norm0.bias),
                ("conv0.weight", conv0),
                ("norm1.weight", &mut norm1.weight),
                ("norm1.bias", &mut norm1.bias),
                ("conv1.weight", conv1),
            ] {
                named_tensors.parameters.push((format!("{prefix}.{name}"), parameter));
            }
            if let Some(shortcut) = &mut block.shortcut {
                named_tensors.parameters.push((format!("{prefix}.shortcut.weight"), shortcut));
            }
        }
        self.heads.named_tensors(&format!("{prefix}.heads"), named_tensors);
    }
}
