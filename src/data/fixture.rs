//! What stands in for a dataset where it is not here: synthetic files in its own format, with a known optimum.
//!
//! Invariant: a fixture's bytes follow from its settings alone and are pinned in `fixtures/MANIFEST.sha256`; what is known of
//! it is said for each task, whatever table shows it.

use std::path::{Path, PathBuf};

use super::preparation::Preparation;
use super::{DataError, StatCache};
use crate::metric::Measure;

/// The synthetic data of a dataset.
pub trait Fixture: Sync {
    /// Where the dataset's loader finds it, below the folder of all fixtures.
    fn folder(&self, preparation: &Preparation) -> PathBuf;

    /// The words of choices that the fixture needs in place of the dataset's defaults, such as smaller images.
    fn choices(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Makes whatever is not there as it should be, below the folder of all fixtures. What `stats` knows is not hashed again.
    ///
    /// # Errors
    /// When the system refuses, or the bytes are not the pinned ones.
    fn generate(
        &self,
        fixtures: &Path,
        preparation: &Preparation,
        stats: &StatCache,
    ) -> Result<(), DataError>;

    /// Checks that the files are there, with the pinned bytes.
    ///
    /// # Errors
    /// A file that is missing or has other bytes.
    fn verify(&self, fixtures: &Path, preparation: &Preparation) -> Result<(), DataError>;

    /// The known optima, of every task and population.
    ///
    /// # Errors
    /// Settings that describe nothing.
    fn optima(&self, preparation: &Preparation) -> Result<Vec<Optima>, DataError>;
}

/// The best that predictors of each kind can reach, at the population level.
#[derive(Clone, Debug, PartialEq)]
pub struct Optima {
    /// Which task.
    pub task: String,
    /// Which of its questions, where it asks several.
    pub question: Option<String>,
    /// At which selection strength, where there are several.
    pub strength: Option<f64>,
    /// On which test split, or part or mean of several, where the only one is not called `test`.
    pub split: Option<&'static str>,
    /// What the values are of.
    pub measure: &'static Measure,
    /// In the measure's unit.
    pub values: Vec<(Predictor, f64)>,
}

/// A kind of predictor whose best is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Predictor {
    /// The posterior: whatever sees both modalities.
    Bayes,
    /// The product of the posteriors given x, x' and both: experts that were trained one by one.
    Product,
    /// f(x, y) + g(x', y): what intra-modality models can do.
    LogAdditive,
    /// From x alone.
    First,
    /// From x' alone.
    Second,
    /// Always the most frequent label.
    Majority,
}

impl Predictor {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Predictor; 6] = [
        Predictor::Bayes,
        Predictor::Product,
        Predictor::LogAdditive,
        Predictor::First,
        Predictor::Second,
        Predictor::Majority,
    ];

    /// In words.
    pub const fn label(self) -> &'static str {
        match self {
            Predictor::Bayes => "Bayes (Eq. 2)",
            Predictor::Product => "product of the best experts, each trained alone",
            Predictor::LogAdditive => "best log-additive f(x, y) + g(x', y)",
            Predictor::First => "best from x alone",
            Predictor::Second => "best from x' alone",
            Predictor::Majority => "majority class",
        }
    }

    /// Whether it bounds a method of the paper that sees both modalities: what curves are shown beside.
    pub const fn is_bound(self) -> bool {
        matches!(self, Predictor::Bayes | Predictor::LogAdditive)
    }
}
