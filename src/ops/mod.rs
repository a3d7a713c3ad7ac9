//! Our autograd ops on dfdx tensors: one folder per op, its CPU kernel (and later its CUDA kernel) beside it.
//!
//! Layout invariant: activations are **batch innermost**: `(channels, height, width, batch)`, `(features, batch)`,
//! `(steps, features, batch)`. Every kernel is vectorised over the batch (and so over outputs), whatever the number
//! of channels.
//!
//! Bit invariant: a kernel's result depends on its inputs alone: not on the instruction set, the number of threads
//! or what else runs. Reductions run in a fixed order over eight fixed lanes ([`simd`]); parallel parts write
//! disjoint outputs.

pub mod gru;
pub mod kernel;
pub mod lrtf;
pub mod math;
pub mod optimizer;
pub mod product_of_experts;
pub mod provisional;
pub mod simd;
pub use provisional::*;
