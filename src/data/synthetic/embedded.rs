//! A fixture whose settings are compiled in, and whose layout says how they become files.
//!
//! Invariant: what is known of it follows from the very settings that it is generated from.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::files::{generate, verify};
use super::references::{References, references};
use super::settings::{FixtureSettings, Layout};
use crate::data::fixture::{Fixture, Optima, Predictor};
use crate::data::{DataError, Preparation, StatCache};
use crate::metric::ACCURACY;

/// The embedded fixture of a layout.
pub struct Embedded<L>(PhantomData<fn() -> L>);

impl<L> Embedded<L> {
    /// It.
    #[expect(clippy::new_without_default, reason = "it is for statics")]
    pub const fn new() -> Self {
        Embedded(PhantomData)
    }
}

impl<L: Layout> Fixture for Embedded<L> {
    fn folder(&self, _: &Preparation) -> PathBuf {
        L::FOLDER.into()
    }

    fn generate(&self, fixtures: &Path, _: &Preparation, stats: &StatCache) -> Result<(), DataError> {
        generate::<L>(&fixtures.join(L::FOLDER), stats)
    }

    fn verify(&self, fixtures: &Path, _: &Preparation) -> Result<(), DataError> {
        verify::<L>(&fixtures.join(L::FOLDER))
    }

    fn optima(&self, _: &Preparation) -> Result<Vec<Optima>, DataError> {
        let settings = FixtureSettings::<L>::embedded()?;
        let strengths: Vec<Option<f64>> = match settings.rendering.strengths() {
            [] => vec![None],
            several => several.iter().copied().map(Some).collect(),
        };
        let tasks = settings.tasks.iter().map(|task| task.task.as_str());
        let places: Vec<_> =
            tasks.flat_map(|task| strengths.iter().map(move |&strength| (task, strength))).collect();
        let one = |&(task, strength): &(&str, Option<f64>)| {
            let at = strength.map(|strength| settings.clone().with_strength(strength));
            let known = references(at.as_ref().unwrap_or(&settings), task)?;
            let values = Predictor::ALL.iter().filter_map(|&kind| Some((kind, known.best(kind)?))).collect();
            Ok(Optima {
                task: task.to_owned(),
                question: None,
                strength,
                split: None,
                measure: &ACCURACY,
                values,
            })
        };
        places.par_iter().map(one).collect()
    }
}

impl References {
    /// The accuracy of the best of a kind, where it is looked for.
    fn best(&self, predictor: Predictor) -> Option<f64> {
        match predictor {
            Predictor::Bayes => Some(self.bayes),
            Predictor::Product => None,
            Predictor::LogAdditive => Some(self.log_additive),
            Predictor::First => Some(self.first_only),
            Predictor::Second => Some(self.second_only),
            Predictor::Majority => Some(self.majority),
        }
    }
}
