//! Where datasets are, and what they are: the identities of those that are here.
//!
//! Invariant: real data never stands where a fixture is asked for, nor the other way round.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{ResultsError, Selection};
use crate::data::{DataError, DatasetSpec, Identity, Source, StatCache, UnknownName, pretrained};
use crate::digest::Digest;
use crate::experiment::fixture_weights;
use crate::study::Study;

/// The datasets of a selection.
#[derive(Clone, Default)]
pub(crate) struct Sources {
    /// Where each is.
    pub places: BTreeMap<&'static str, Source>,
    /// Identities of those that are here; pretrained weights that their studies start from belong to them.
    pub identities: BTreeMap<&'static str, Identity>,
    /// The pretrained weights that the studies of these datasets start from.
    pub pretrained: BTreeMap<&'static str, Identity>,
    /// Why one is not.
    pub missing: BTreeMap<&'static str, String>,
    /// Digests of data that stands in for the published files, built with the published values of the cells that `paper/` marks as
    /// calibrated.
    pub rebuilt: BTreeSet<Digest>,
}

/// Where a dataset is, given the folder of real data: DIR/<name> where there is such a folder, otherwise DIR itself;
/// data that is synthetic by nature is a fixture whatever is given.
pub(crate) fn source(spec: &DatasetSpec, data: Option<&Path>, out: &Path) -> Source {
    match data.filter(|_| !spec.synthetic) {
        None => Source::Fixture(out.join("fixtures")),
        Some(folder) => {
            let below = folder.join(spec.id);
            Source::Folder(if below.is_dir() { below } else { folder.to_owned() })
        }
    }
}

/// The pretrained weights that a study starts from, if it starts from any. A fixture that is not there yet is made.
fn weights(
    study: &Study,
    source: &Source,
    data: Option<&Path>,
    cache: &StatCache,
) -> Result<Option<Identity>, DataError> {
    let Some(backbone) = &study.backbone else { return Ok(None) };
    let Some(id) = &backbone.pretrained else { return Ok(None) };
    let unknown = || {
        UnknownName::new("pretrained weights", &study.id, id, pretrained::all().iter().map(|spec| spec.id))
    };
    let spec = pretrained::find(id).ok_or_else(|| DataError::Choice {
        option: "backbone.pretrained".to_owned(),
        expected: unknown().possible(),
        found: format!("`{id}`"),
    })?;
    let path = match source {
        Source::Fixture(fixtures) => fixture_weights(&fixtures.join(spec.id), &backbone.fiber)?,
        Source::Folder(folder) => {
            let beside = data.map(|data| spec.path(data)).filter(|path| path.is_file());
            beside.unwrap_or_else(|| spec.path(folder))
        }
    };
    spec.identify(&path, cache).map(Some)
}

impl Sources {
    /// Finds the datasets of a selection. A fixture that is not there yet is made.
    ///
    /// # Errors
    /// A fixture that cannot be made.
    pub(crate) fn find(
        selection: &Selection,
        data: Option<&Path>,
        out: &Path,
        cache: &StatCache,
    ) -> Result<Self, ResultsError> {
        let mut found = Sources::default();
        for study in selection.studies() {
            let spec = study.dataset;
            let source = source(spec, data, out);
            let identity = spec.identify(&source, &study.preparation, cache);
            let pretrained = weights(study, &source, data, cache);
            match identity.and_then(|identity| Ok((identity, pretrained?))) {
                Ok((mut identity, pretrained)) => {
                    if let Some(pretrained) = pretrained {
                        identity = identity.with(&pretrained);
                        found.pretrained.insert(spec.id, pretrained);
                    }
                    found.rebuilt.extend(spec.is_calibrated(&source).then_some(identity.digest));
                    found.identities.insert(spec.id, identity);
                }
                // A fixture that cannot be made is the disk's fault, not the data's.
                Err(error) if matches!(source, Source::Fixture(_)) => return Err(error.into()),
                // Whatever is wrong with the data is told when a cell asks for it; other tables can go on.
                Err(error) => drop(found.missing.insert(spec.id, error.to_string())),
            }
            found.places.insert(spec.id, source);
        }
        Ok(found)
    }

    /// Digests of the datasets that are here.
    pub(crate) fn digests(&self) -> BTreeMap<String, Digest> {
        self.identities.iter().map(|(&id, identity)| (id.to_owned(), identity.digest)).collect()
    }

    /// Whether some of it is real.
    pub(crate) fn are_real(&self) -> bool {
        self.places.values().any(|source| matches!(source, Source::Folder(_)))
    }
}
