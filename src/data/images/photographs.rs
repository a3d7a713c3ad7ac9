//! Photographs as samples: read, decoded and transformed when they are asked for.
//!
//! Invariant: nothing decoded is kept, so memory does not grow with the number of images. The first image that cannot be read is
//! remembered as a fault, and its numbers are NaN.

use std::sync::OnceLock;

use rayon::prelude::*;
use serde::Deserialize;

use super::{Evaluation, ImageFolder, Missing, Policy, Rgb, Training, Variant};
use crate::data::DataError;
use crate::random::Stream;

/// What is done to images for training, at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::data) enum Augmentation {
    /// A crop, a mirror image and RandAugment, as the released code runs.
    AsReleased,
    /// The same, without the bugs of two operations.
    Fixed,
    /// Nothing.
    None,
}

impl Augmentation {
    fn policy(self) -> Option<Policy> {
        let variant = match self {
            Augmentation::AsReleased => Variant::AsReleased,
            Augmentation::Fixed => Variant::Fixed,
            Augmentation::None => return None,
        };
        Some(Policy { variant, ..Policy::default() })
    }
}

/// What is done where images are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::data) enum MissingImages {
    /// It is an error, which counts them.
    Stop,
    /// Their examples are left out, counted.
    Skip,
}

impl MissingImages {
    /// Images that are missing from a folder, counted and named, where there are any and that is no error.
    ///
    /// # Errors
    /// Any that are missing, where those stop.
    pub(in crate::data) fn noted(
        self,
        folder: &ImageFolder,
        missing: &Missing,
    ) -> Result<Option<String>, DataError> {
        match self {
            MissingImages::Stop => folder.expect_none(missing)?,
            MissingImages::Skip => {}
        }
        Ok((!missing.names.is_empty()).then(|| missing.to_string()))
    }
}

/// The images of a dataset, as squares of normalised channels.
pub(in crate::data) struct Photographs {
    folder: ImageFolder,
    evaluation: Evaluation,
    training: Option<Training>,
    fault: OnceLock<String>,
}

impl Photographs {
    /// Those of a folder, of so many columns and rows once they are transformed.
    pub(in crate::data) fn new(folder: ImageFolder, side: usize, augmentation: Augmentation) -> Self {
        let training = augmentation.policy().map(|policy| Training { side, policy });
        Photographs { folder, evaluation: Evaluation { side }, training, fault: OnceLock::new() }
    }

    /// Numbers of an image.
    pub(in crate::data) fn width(&self) -> usize {
        3 * self.evaluation.side * self.evaluation.side
    }

    /// Whether training sees other images than evaluation.
    pub(in crate::data) fn augments(&self) -> bool {
        self.training.is_some()
    }

    /// Writes an image as evaluation sees it.
    pub(in crate::data) fn write(&self, name: &str, out: &mut [f32]) {
        self.transformed(name, out, |image| self.evaluation.apply(image));
    }

    /// Writes an image as training sees it.
    pub(in crate::data) fn write_augmented(&self, name: &str, stream: &mut Stream, out: &mut [f32]) {
        match &self.training {
            Some(training) => self.transformed(name, out, |image| training.apply(image, stream)),
            None => self.write(name, out),
        }
    }

    fn transformed(&self, name: &str, out: &mut [f32], transform: impl FnOnce(&Rgb) -> Vec<f32>) {
        match self.folder.read(name) {
            Ok(image) => out.copy_from_slice(&transform(&image)),
            Err(error) => {
                out.fill(f32::NAN);
                self.fault.get_or_init(|| error.to_string());
            }
        }
    }

    /// Why an image could not be read, if that has happened.
    pub(in crate::data) fn fault(&self) -> Option<&str> {
        self.fault.get().map(String::as_str)
    }

    /// Decodes every image.
    ///
    /// # Errors
    /// The first of these names that cannot be read or decoded.
    pub(in crate::data) fn read_all(&self, names: &[String]) -> Result<(), DataError> {
        let broken: Vec<DataError> =
            names.par_iter().filter_map(|name| self.folder.read(name).err()).collect();
        broken.into_iter().next().map_or(Ok(()), Err)
    }
}
