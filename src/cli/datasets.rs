//! The datasets of an execution: opened at the first run that needs them, shared by all.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::resolve::Resolved;
use crate::data::{self, Dataset, Identity, Prepared, Source};
use crate::engine::Datasets;
use crate::protocol::{DatasetName, Preparation, Recipe};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Opens each dataset once.
pub struct Opened<'a> {
    sources: &'a BTreeMap<DatasetName, Source>,
    identities: &'a BTreeMap<DatasetName, Identity>,
    preparation: Preparation,
    prepared: Mutex<BTreeMap<DatasetName, Prepared>>,
}

impl<'a> Opened<'a> {
    /// Nothing is opened yet.
    pub fn new(resolved: &'a Resolved) -> Self {
        Opened {
            sources: &resolved.sources,
            identities: &resolved.identities,
            preparation: resolved.protocol.preparation(),
            prepared: Mutex::default(),
        }
    }
}

impl Datasets for Opened<'_> {
    fn identity(&self, dataset: DatasetName) -> Option<&Identity> {
        self.identities.get(&dataset)
    }

    fn open(&self, recipe: &Recipe) -> Result<Arc<dyn Dataset>, Cause> {
        let name = recipe.task.dataset();
        // Held while loading, so that two runs do not load one dataset twice.
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let dataset = match prepared.entry(name) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let source = self.sources.get(&name);
                let source =
                    source.ok_or_else(|| format!("the dataset {name} is not part of the selection"))?;
                entry.insert(data::open(name, source, self.preparation)?)
            }
        };
        let lacks = || match recipe.population {
            Some(population) => format!(
                "{name} has no {} training rows of selection strength {}",
                population.rows, population.strength
            ),
            None => format!("{name} has no labels of the task {}", recipe.task),
        };
        dataset.of(recipe).ok_or_else(|| lacks().into())
    }

    fn unchanged(&self, dataset: DatasetName) -> Result<(), Cause> {
        Ok(self.identities.get(&dataset).map_or(Ok(()), Identity::unchanged)?)
    }
}
