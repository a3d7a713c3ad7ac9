//! A batch as the networks see it.
//!
//! Invariant: batch innermost, and of the dimensions that the dataset declares.

use dfdx::prelude::HasShape;

use super::ModelError;
use crate::ops::simd::Real;
use crate::ops::{self, Backend, Features, OpError};
use crate::protocol::Modality;

/// One modality of a batch.
pub enum Input<E: Real, D: Backend<E>> {
    /// Maps: channels, height, width, batch.
    Maps(ops::Maps<E, D>),
    /// Vectors: features, batch.
    Vectors(Features<E, D>),
    /// Series: steps, channels, batch.
    Series(ops::Series<E, D>),
}

/// A batch: whichever modalities are needed.
pub struct Inputs<E: Real, D: Backend<E>>(pub [Option<Input<E, D>>; 3]);

/// Dimensions of one sample of each modality; empty for one that the data does not have.
pub type Dims<'a> = [&'a [usize]; 3];

impl<E: Real, D: Backend<E>> Default for Inputs<E, D> {
    fn default() -> Self {
        Inputs([None, None, None])
    }
}

impl<E: Real, D: Backend<E>> Input<E, D> {
    /// A batch of `batch` samples of dimensions `dims` (one: vector, two: series, three: map), all zero.
    pub fn zeros(device: &D, modality: Modality, dims: &[usize], batch: usize) -> Result<Self, ModelError> {
        Ok(match *dims {
            [features] => {
                Input::Vectors(device.try_zeros_like(&(features, batch)).map_err(OpError::device("input"))?)
            }
            [steps, channels] => Input::Series(
                device.try_zeros_like(&(steps, channels, batch)).map_err(OpError::device("input"))?,
            ),
            [channels, height, width] => Input::Maps(
                device.try_zeros_like(&(channels, height, width, batch)).map_err(OpError::device("input"))?,
            ),
            _ => {
                let expected = "one to three dimensions".to_owned();
                return Err(ModelError::Dims { expected, modality, found: dims.to_vec() });
            }
        })
    }

    /// Overwrites the batch; `values` has as many elements.
    pub fn fill(&mut self, values: &[E]) {
        match self {
            Input::Maps(maps) => maps.copy_from(values),
            Input::Vectors(vectors) => vectors.copy_from(values),
            Input::Series(series) => series.copy_from(values),
        }
    }

    /// The dimensions of one sample.
    pub fn dims(&self) -> Vec<usize> {
        match self {
            Input::Maps(maps) => {
                let (channels, height, width, _) = *maps.shape();
                vec![channels, height, width]
            }
            Input::Vectors(vectors) => vec![vectors.shape().0],
            Input::Series(series) => vec![series.shape().0, series.shape().1],
        }
    }
}

impl<E: Real, D: Backend<E>> Inputs<E, D> {
    /// One modality.
    ///
    /// # Errors
    /// When the batch is without it.
    pub fn get(&self, modality: Modality) -> Result<&Input<E, D>, ModelError> {
        self.0[modality as usize].as_ref().ok_or(ModelError::Missing(modality))
    }
}
