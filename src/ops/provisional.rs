//! Provisional.
#![allow(missing_docs)]
use super::simd::Real;
use dfdx::prelude::*;

#[derive(Debug, thiserror::Error)]
pub enum OpError {
    #[error("{op}: expected {expected}, found {found}")]
    Shape { op: &'static str, expected: String, found: String },
    #[error("device: {0}")]
    Device(String),
}
impl OpError {
    pub fn shape(op: &'static str, expected: impl ToString, found: impl ToString) -> Self {
        OpError::Shape { op, expected: expected.to_string(), found: found.to_string() }
    }
    pub fn device(error: impl std::fmt::Debug) -> Self {
        OpError::Device(format!("{error:?}"))
    }
}

pub struct Parameter<E: Real, D: Memory<E>> {
    pub dims: Vec<usize>,
    pub value: Tensor<(usize,), E, D>,
    pub needs_grad: bool,
}

pub trait Memory<E: Real>: ZerosTensor<E> + TensorFromVec<E> + CopySlice<E> {}
impl<E: Real, D: ZerosTensor<E> + TensorFromVec<E> + CopySlice<E>> Memory<E> for D {}
