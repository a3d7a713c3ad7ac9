//! Choices between fastMRI's files and what a network sees, which paper and released code leave open or differ in (deviations F2,
//! F3 and F12).

use serde::{Deserialize, Serialize};

/// How magnitudes are scaled before a network sees them (deviation F3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MagnitudeNorm {
    /// As they are in the file, of the order of 1e-5.
    None,
    /// Divided by the largest of the (cropped) slice.
    #[default]
    SliceMax,
    /// Divided by the largest of the (cropped) volume.
    VolumeMax,
    /// Less the slice's mean, divided by its standard deviation.
    SliceZscore,
}

/// What is done with annotations of a whole study, which the file puts at slice 0 (deviation F12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StudyLevel {
    /// They count as findings of slice 0.
    #[default]
    Slice0,
    /// They count for nothing.
    Ignore,
}

/// Whose magnitude and phase are the two modalities (deviation F2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Space {
    /// Of the complex image: the inverse Fourier transform of k-space.
    #[default]
    Image,
    /// Of k-space itself.
    Kspace,
}

/// What is chosen between a cache and what a network sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// How magnitudes are scaled (deviation F3).
    pub magnitude_norm: MagnitudeNorm,
    /// What annotations of whole studies count for (deviation F12).
    pub study_level: StudyLevel,
}
