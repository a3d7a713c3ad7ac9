//! Choices between fastMRI's files and the numbers of its figures, which paper and released code leave open or differ in
//! (deviations F1 to F16).

use serde::{Deserialize, Serialize};

/// The four findings of the knee, in the order of the networks' heads and of the bits of a label: bit `h` of a label byte
/// says whether finding `h` is there (spec 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// Everything that is none of the others ("abnormal").
    Others,
    /// Meniscus tear.
    Meniscus,
    /// Anterior cruciate ligament.
    Acl,
    /// Cartilage.
    Cartilage,
}

impl Finding {
    /// All of them, in the order of the heads.
    pub const ALL: [Finding; 4] = [Finding::Others, Finding::Meniscus, Finding::Acl, Finding::Cartilage];

    /// As it stands in metrics and cells: `others`, `meniscus`, `acl`, `cartilage`.
    pub const fn name(self) -> &'static str {
        match self {
            Finding::Others => "others",
            Finding::Meniscus => "meniscus",
            Finding::Acl => "acl",
            Finding::Cartilage => "cartilage",
        }
    }
}

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

/// What examples are ranked by, head by head (deviation F6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// p(1).
    #[default]
    Probability,
    /// The logit of class 1 where there is one expert; for products, whose output is normalised, p(1) all the same.
    Class1Logit,
}

/// The split that the threshold of the balanced accuracy is chosen on (deviation F7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperatingPoint {
    /// The validation split.
    #[default]
    Valid,
    /// The very split that is reported.
    Test,
}

/// Weights of the classes in the loss of each head, from the labels of the training split (deviation F1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// n / (2 n_c).
    #[default]
    Balanced,
    /// 1 / n_c.
    Inverse,
    /// 1.
    None,
}
