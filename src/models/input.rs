//! A batch as the networks see it.
//!
//! Invariant: batch innermost, but for images and texts, whose samples are whole; and of the dimensions that the dataset declares.

use dfdx::prelude::HasShape;

use super::ModelError;
use super::fiber::{Images, Text};
use crate::data::tokens::Tokenizer;
use crate::data::{Kind, Modality};
use crate::ops::simd::Real;
use crate::ops::{self, Backend, Features, OpError};

/// One modality of a batch.
pub enum Input<E: Real, D: Backend<E>> {
    /// Maps: channels, height, width, batch.
    Maps(ops::Maps<E, D>),
    /// Vectors: features, batch.
    Vectors(Features<E, D>),
    /// Series: steps, channels, batch.
    Series(ops::Series<E, D>),
    /// Images: those of all examples one after the other, channels, height, width.
    Images(Images<E, D>),
    /// Texts: those of all examples one after the other.
    Tokens(Text),
}

/// A batch: whichever modalities are needed, each at its place among the dataset's.
pub struct Inputs<E: Real, D: Backend<E>>(pub Vec<Option<Input<E, D>>>);

impl<E: Real, D: Backend<E>> Input<E, D> {
    /// A batch of `batch` samples of a modality, all zero.
    ///
    /// # Errors
    /// When the device has no room, or a modality is of no kind that a network reads.
    pub fn zeros(device: &D, modality: &Modality, batch: usize) -> Result<Self, ModelError> {
        let room = OpError::device("input");
        Ok(match (modality.kind, &modality.dims[..]) {
            (Kind::Vector, &[features]) => {
                Input::Vectors(device.try_zeros_like(&(features, batch)).map_err(room)?)
            }
            (Kind::Series, &[steps, channels]) => {
                Input::Series(device.try_zeros_like(&(steps, channels, batch)).map_err(room)?)
            }
            (Kind::Map, &[channels, height, width]) => {
                Input::Maps(device.try_zeros_like(&(channels, height, width, batch)).map_err(room)?)
            }
            (Kind::Images, &[images, channels, height, width]) => Input::Images(
                device.try_zeros_like(&(batch * images, channels, height, width)).map_err(room)?,
            ),
            (Kind::Tokens, &[length]) => Input::Tokens(Text::of_zeros(batch, length)?),
            _ => {
                let expected = format!("those of a {}", modality.kind);
                let Modality { name, dims, .. } = modality.clone();
                return Err(ModelError::Dims { expected, modality: name, found: dims });
            }
        })
    }

    /// Overwrites the batch; `values` has as many elements.
    ///
    /// # Errors
    /// Numbers that are no ids where tokens are expected.
    pub fn fill(&mut self, values: &[E]) -> Result<(), ModelError> {
        match self {
            Input::Maps(maps) => maps.copy_from(values),
            Input::Vectors(vectors) => vectors.copy_from(values),
            Input::Series(series) => series.copy_from(values),
            Input::Images(images) => images.copy_from(values),
            Input::Tokens(text) => {
                let numbers: Vec<f64> = values.iter().copied().map(Real::to_f64).collect();
                *text = Text::from_numbers(&numbers, Tokenizer::PAD, text.length())?;
            }
        }
        Ok(())
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
            Input::Images(images) => {
                let (_, channels, height, width) = *images.shape();
                vec![channels, height, width]
            }
            Input::Tokens(text) => vec![text.length()],
        }
    }
}

impl<E: Real, D: Backend<E>> Inputs<E, D> {
    /// All-zero batches of `batch` samples of the modalities at `needed`.
    ///
    /// # Errors
    /// When the device has no room, or a modality is of no kind that a network reads.
    pub fn zeros(
        device: &D,
        modalities: &[Modality],
        needed: &[usize],
        batch: usize,
    ) -> Result<Self, ModelError> {
        let input = |(index, modality)| {
            needed.contains(&index).then(|| Input::zeros(device, modality, batch)).transpose()
        };
        Ok(Inputs(modalities.iter().enumerate().map(input).collect::<Result<_, _>>()?))
    }

    /// The modality with this index.
    ///
    /// # Errors
    /// When the batch is without it.
    pub fn get(&self, index: usize) -> Result<&Input<E, D>, ModelError> {
        self.0.get(index).and_then(Option::as_ref).ok_or(ModelError::Missing(index))
    }
}
