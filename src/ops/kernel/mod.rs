//! The two micro-kernels under every dense op: [`project`] (weights times activations) and [`correlate`] (their
//! gradient); and the product of matrices under the ops of tokens, [`matmul`].
//!
//! Invariant: an output of [`project`] is one chain of fused multiply-adds in the order of its terms, whatever the
//! blocking; an output of [`correlate`] is eight such chains, lane `i % 8` of each row's run, summed by the fixed tree
//! of [`Lanes::sum`](crate::ops::simd::Lanes::sum). So no bit depends on how a caller cuts outputs into blocks and
//! threads.

#[cfg(feature = "cuda")]
pub(crate) mod ceiling;
#[cfg(feature = "cuda")]
pub(crate) mod columns;
mod correlate;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
mod dot;
pub(crate) mod matmul;
mod project;
#[cfg(test)]
mod tests;
#[cfg(feature = "cuda")]
pub(crate) mod tile;
mod transpose;

pub(crate) use correlate::{Pairs, Window, add_lanes, correlate, correlate_lanes, correlate_unchecked};
pub(crate) use dot::Dot;
pub(crate) use project::{Layout, Operands, Rows, Start, project, project_unchecked};
pub(crate) use transpose::{transpose_add, transpose_strided};

/// One product of a sum: where its weight and its input stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    /// Offset of the weight from the beginning of the output's row of weights.
    pub weight: u32,
    /// Offset of the first element of the input run.
    pub input: u32,
}

impl Term {
    /// The terms of a matrix product: `count` weights `weight_stride` apart, inputs `input_stride` apart.
    ///
    /// # Panics
    /// If an offset exceeds 32 bits.
    pub(crate) fn strided(count: usize, weight_stride: usize, input_stride: usize) -> Vec<Term> {
        (0..count).map(|k| Term::at(k * weight_stride, k * input_stride)).collect()
    }

    /// A term at the given offsets.
    ///
    /// # Panics
    /// If an offset exceeds 32 bits.
    pub(crate) fn at(weight: usize, input: usize) -> Term {
        assert!(
            weight <= u32::MAX as usize && input <= u32::MAX as usize,
            "an op's operand exceeds 2^32 elements"
        );
        Term { weight: weight as u32, input: input as u32 }
    }
}
