//! Our autograd ops on dfdx tensors: one folder per op, its CPU kernel and its CUDA kernel (a `.cu`) beside it.
//!
//! Layout invariant: activations are **batch innermost**: [`Maps`] `(channels, height, width, batch)`, [`Features`]
//! `(features, batch)`, [`Series`] `(steps, features, batch)`. Every kernel is vectorised over the batch (and so over
//! outputs), whatever the number of channels. [`Tokens`] alone are the other way round, rows of
//! features: one operand of a matrix product. Those of one sample are neighbours.
//!
//! Bit invariant: a kernel's result depends on its inputs alone: not on the instruction set, the number of threads
//! or what else runs. Reductions run in a fixed order over eight fixed lanes ([`simd`]); parallel parts write
//! disjoint outputs ([`parallel`]).
//!
//! Gradient invariant: an op adds to the gradients of its inputs (`+=`), and takes the gradient of its output out of
//! the map, which frees it early.

pub mod activate;
pub(crate) mod add;
pub mod add_scaled;
pub mod attention;
pub(crate) mod average_pool;
pub(crate) mod concat;
pub mod conv2d;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod drop;
pub mod embedding;
mod error;
pub(crate) mod flatten;
#[cfg(feature = "cuda")]
pub(crate) mod gather;
pub(crate) mod group_norm;
pub mod gru;
pub(crate) mod kernel;
pub mod layer_norm;
pub mod linear;
pub mod lrtf;
pub mod mean_tokens;
pub mod norm_relu_pool;
pub mod normalize;
pub mod optimizer;
mod parallel;
mod parameter;
pub(crate) mod parity;
pub mod product_of_experts;
pub mod rows;
mod scratch;
pub mod simd;
#[cfg(test)]
pub(crate) mod testing;
pub mod token_linear;
mod tokens;
pub mod transpose;

use dfdx::prelude::{Device, NoneTape, Tensor};

pub use error::OpError;
pub use parameter::Parameter;
pub use tokens::{add, beside, fork};
pub use transpose::{from_features, to_features};

/// Feature maps `(channels, height, width, batch)`.
pub type Maps<E, D, T = NoneTape> = Tensor<(usize, usize, usize, usize), E, D, T>;
/// Features `(features, batch)`.
pub type Features<E, D, T = NoneTape> = Tensor<(usize, usize), E, D, T>;
/// A series of features `(steps, features, batch)`.
pub type Series<E, D, T = NoneTape> = Tensor<(usize, usize, usize), E, D, T>;

/// Tokens `(samples x tokens, features)`: the rows that transformers work on.
pub type Tokens<E, D, T = NoneTape> = Tensor<(usize, usize), E, D, T>;

/// A device that has all our ops.
pub trait Backend<E: simd::Real>:
    Device<E>
    + activate::Activate<E>
    + add::AddMaps<E>
    + add_scaled::AddScaled<E>
    + attention::Attention<E>
    + average_pool::AveragePool<E>
    + concat::Concat<E>
    + conv2d::Conv2d<E>
    + drop::DropUnits<E>
    + embedding::Embedding<E>
    + group_norm::GroupNormRelu<E>
    + gru::Gru<E>
    + layer_norm::LayerNorm<E>
    + linear::Linear<E>
    + lrtf::LowRankFusion<E>
    + mean_tokens::MeanTokens<E>
    + norm_relu_pool::NormReluPool<E>
    + normalize::Normalize<E>
    + optimizer::Update<E>
    + product_of_experts::ProductOfExperts<E>
    + product_of_experts::SoftTargets<E>
    + rows::GatherRows<E>
    + token_linear::TokenLinear<E>
    + transpose::Transpose<E>
{
}

impl<E, D> Backend<E> for D
where
    E: simd::Real,
    D: Device<E>
        + activate::Activate<E>
        + add::AddMaps<E>
        + add_scaled::AddScaled<E>
        + attention::Attention<E>
        + average_pool::AveragePool<E>
        + concat::Concat<E>
        + conv2d::Conv2d<E>
        + drop::DropUnits<E>
        + embedding::Embedding<E>
        + group_norm::GroupNormRelu<E>
        + gru::Gru<E>
        + layer_norm::LayerNorm<E>
        + linear::Linear<E>
        + lrtf::LowRankFusion<E>
        + mean_tokens::MeanTokens<E>
        + norm_relu_pool::NormReluPool<E>
        + normalize::Normalize<E>
        + optimizer::Update<E>
        + product_of_experts::ProductOfExperts<E>
        + product_of_experts::SoftTargets<E>
        + rows::GatherRows<E>
        + token_linear::TokenLinear<E>
        + transpose::Transpose<E>,
{
}
