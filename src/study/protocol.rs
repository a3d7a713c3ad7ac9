//! The registered studies, resolved for a protocol and a tier.
//!
//! Invariant: adding a study adds its file and one line here.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::layered::{Fault, Node, unknown};
use super::{Change, ProtocolName, Study, StudyError, StudyFile, Tier, read};
use crate::data::{DatasetSpec, registry};

/// Every study, with its file.
pub(super) const REGISTRY: &[StudyFile<'static>] = &[
    file("avmnist", "paper/studies/avmnist.toml", include_str!("../../paper/studies/avmnist.toml")),
    file("mimic", "paper/studies/mimic.toml", include_str!("../../paper/studies/mimic.toml")),
    file("fastmri", "paper/studies/fastmri.toml", include_str!("../../paper/studies/fastmri.toml")),
    file("nlvr2", "paper/studies/nlvr2.toml", include_str!("../../paper/studies/nlvr2.toml")),
    file("vqa-vs", "paper/studies/vqa-vs.toml", include_str!("../../paper/studies/vqa-vs.toml")),
    file("generative", "paper/studies/generative.toml", include_str!("../../paper/studies/generative.toml")),
];

const fn file(id: &'static str, path: &'static str, text: &'static str) -> StudyFile<'static> {
    StudyFile { id, path, text }
}

/// All studies, as a protocol and a tier have them.
#[derive(Clone, Debug, PartialEq)]
pub struct Protocol {
    /// Paper or released.
    pub name: ProtocolName,
    /// Smoke, reduced or paper.
    pub tier: Tier,
    /// Values that were changed on the command line.
    pub changes: Vec<Change>,
    /// The studies, by id.
    pub studies: BTreeMap<String, Study>,
}

impl Protocol {
    /// A study by id.
    ///
    /// # Errors
    /// When none is registered under it.
    pub fn study(&self, id: &str) -> Result<&Study, StudyError> {
        self.studies.get(id).ok_or_else(|| StudyError::unknown("paper", "study", id, self.studies.keys()))
    }

    /// Sets the number of seeds of every study, as `--seeds` asks.
    pub fn set_seeds(&mut self, seeds: usize) {
        self.studies.values_mut().for_each(|study| study.seeds = seeds);
    }
}

/// The dataset of a registered study.
pub fn dataset_of(id: &str) -> Option<&'static DatasetSpec> {
    static DATASETS: LazyLock<BTreeMap<String, &'static DatasetSpec>> = LazyLock::new(|| {
        let studies = resolve(ProtocolName::Paper, Tier::Paper).map(|protocol| protocol.studies);
        studies.unwrap_or_default().into_iter().map(|(id, study)| (id, study.dataset)).collect()
    });
    DATASETS.get(id).copied()
}

/// The studies at a tier, from the files that are compiled in.
///
/// # Errors
/// A file that describes no study.
pub fn resolve(name: ProtocolName, tier: Tier) -> Result<Protocol, StudyError> {
    resolve_with(name, tier, &[])
}

/// The studies at a tier, with changes of single values laid over everything else. A change to what holds anyway is none.
///
/// # Errors
/// A change that names no value of a study, or gives one that cannot be trained with.
pub fn resolve_with(name: ProtocolName, tier: Tier, changes: &[Change]) -> Result<Protocol, StudyError> {
    for change in changes {
        let line = Node::parse("--set", change.as_str(), false)?;
        for (id, node) in line.table("")? {
            if !REGISTRY.iter().any(|file| file.id == id) {
                let studies = REGISTRY.iter().map(|file| file.id);
                return Err(Fault::new(node, "", unknown("study", id, studies)).into());
            }
        }
    }
    let mut protocol = Protocol { name, tier, changes: Vec::new(), studies: BTreeMap::new() };
    for &file in REGISTRY {
        let mut own: Vec<Change> =
            changes.iter().filter(|change| change.study() == file.id).cloned().collect();
        let with = |changes: &[Change]| read(file, registry::all(), name, tier, changes);
        let study = with(&own)?;
        // Without those that change nothing, one after the other: two that say the same are not both without effect.
        for index in (0..own.len()).rev() {
            let mut others = own.clone();
            others.remove(index);
            if with(&others).is_ok_and(|same| same == study) {
                own = others;
            }
        }
        protocol.changes.extend(own);
        protocol.studies.insert(file.id.to_owned(), study);
    }
    // As they were given.
    protocol.changes.sort_by_key(|change| changes.iter().position(|given| given == change));
    Ok(protocol)
}
