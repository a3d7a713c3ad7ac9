//! The datasets of an execution: opened at the first run that needs them, shared by all.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Resolved, Sources};
use crate::data::{Dataset, Identity, Prepared, Pretrained};
use crate::engine::Datasets;
use crate::study::{Recipe, Study};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Opens each dataset once.
pub(crate) struct Opened<'a> {
    sources: &'a Sources,
    studies: Vec<&'a Study>,
    prepared: Mutex<BTreeMap<&'static str, Arc<dyn Prepared>>>,
}

impl<'a> Opened<'a> {
    /// Nothing is opened yet.
    pub(crate) fn new(resolved: &'a Resolved) -> Self {
        let studies = resolved.selection.studies().collect();
        Opened { sources: &resolved.sources, studies, prepared: Mutex::default() }
    }

    /// The study that a dataset belongs to.
    fn study(&self, dataset: &str) -> Option<&Study> {
        self.studies.iter().copied().find(|study| study.dataset.id == dataset)
    }
}

impl Datasets for Opened<'_> {
    fn identity(&self, dataset: &str) -> Option<&Identity> {
        self.sources.identities.get(dataset)
    }

    fn credentialed(&self, dataset: &str) -> bool {
        // What is not known is not passed on.
        self.study(dataset).is_none_or(|study| study.dataset.credentialed)
    }

    fn open(&self, recipe: &Recipe) -> Result<Arc<dyn Dataset>, Cause> {
        let id = recipe.dataset.as_str();
        let absent = || format!("the dataset {id} is not part of the selection");
        let study = self.study(id).ok_or_else(absent)?;
        // Held while loading, so that two runs do not load one dataset twice.
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let dataset = match prepared.entry(study.dataset.id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let source = self.sources.places.get(id).ok_or_else(absent)?;
                entry.insert(study.dataset.open(source, &study.preparation)?)
            }
        };
        let lacks = || match recipe.population {
            Some(population) => format!(
                "{id} has no {} training rows of selection strength {}",
                population.rows, population.strength
            ),
            None => format!("{id} has no labels of the task {}", recipe.task.id),
        };
        dataset.view(&recipe.task.id, recipe.population).ok_or_else(|| lacks().into())
    }

    fn pretrained(&self, recipe: &Recipe) -> Result<Option<Pretrained>, Cause> {
        if recipe.pretrained().is_none() {
            return Ok(None);
        }
        let absent = || format!("the pretrained weights of {} are not part of the selection", recipe.dataset);
        let identity = self.sources.pretrained.get(recipe.dataset.as_str());
        Ok(Some(identity.and_then(Pretrained::of).ok_or_else(absent)?))
    }

    fn unchanged(&self, dataset: &str) -> Result<(), Cause> {
        Ok(self.sources.identities.get(dataset).map_or(Ok(()), Identity::unchanged)?)
    }
}
