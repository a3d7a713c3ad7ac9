//! Our autograd ops on dfdx tensors: one folder per op, its CPU kernel (and later its CUDA kernel) beside it.
//!
//! Layout invariant: activations are **batch innermost**: `(channels, height, width, batch)`, `(features, batch)`,
//! `(steps, features, batch)`. Every kernel is vectorised over the batch (and so over outputs), whatever the number
//! of channels.
//!
//! Bit invariant: a kernel's result depends on its inputs alone: not on the instruction set, the number of threads
//! or what else runs. Reductions run in a fixed order over eight fixed lanes ([`simd`]); parallel parts write
//! disjoint outputs.
//!
//! Gradient invariant: an op adds to the gradients of its inputs (`+=`), and takes the gradient of its output out of
//! the map, which frees it early.

pub mod error;
pub mod gru;
pub mod kernel;
pub mod lrtf;
pub mod math;
pub mod optimizer;
pub mod parameter;
pub mod product_of_experts;
pub mod simd;
#[cfg(test)]
pub(crate) mod testing;

use dfdx::prelude::{NoneTape, Tensor};

pub use error::OpError;
pub use parameter::Parameter;

/// Features `(features, batch)`.
pub type Features<E, D, T = NoneTape> = Tensor<(usize, usize), E, D, T>;
/// A series of features `(steps, features, batch)`.
pub type Series<E, D, T = NoneTape> = Tensor<(usize, usize, usize), E, D, T>;
