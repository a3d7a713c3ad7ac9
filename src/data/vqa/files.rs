//! The files of VQA-VS below its folder, and which of them a preparation reads.
//!
//! Invariant: an identity covers every file that is read, images among them; images that are missing are counted and named, and
//! are passed over only where that was chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::choices::{Choices, FIXTURE};
use super::coco;
use super::ood::{OodSet, OodSets};
use super::part::Part;
use super::question::Questions;
use super::test_annotations::TestAnnotations;
use super::{ID, TITLE};
use crate::data::identity::{inside, present};
use crate::data::images::{ImageFolder, Limits, MissingImages};
use crate::data::tokens::Texts;
use crate::data::{DataError, Identity, Preparation, StatCache};

/// Changes whenever this loader makes other values of the same files.
const LOADER: &str = "vqa-vs 1";
/// The folder of all photographs.
const COCO: &str = "coco";
/// The official evaluation's file, which lists the nine sets where they have no files of their own.
const TEST_ANNOTATIONS: &str = "test_annotations.json";

/// The photographs of questions, and what is said of those that are missing.
pub(super) struct Images {
    /// Where they are.
    pub(super) folder: ImageFolder,
    /// Their names in that folder, by id.
    pub(super) names: BTreeMap<u64, String>,
    /// How many are missing and which, where any are.
    pub(super) missing: Option<String>,
}

impl Images {
    /// Finds the photographs of these ids.
    ///
    /// # Errors
    /// No folder, names that lead out of it, and missing images where those stop.
    pub(super) fn find(
        root: &Path,
        ids: impl IntoIterator<Item = u64>,
        missing: MissingImages,
    ) -> Result<Self, DataError> {
        let folder = ImageFolder::open(&root.join(COCO), Limits::default())?;
        let (names, gone) = coco::found(&folder, ids)?;
        let missing = missing.noted(&folder, &gone)?;
        Ok(Images { folder, names, missing })
    }
}

/// Reads the questions of a part.
pub(super) fn questions(root: &Path, part: Part) -> Result<Questions, DataError> {
    let [questions, _] = part.files();
    present(root, questions, (ID, TITLE))?;
    Questions::read(&inside(root, questions)?)
}

/// Reads the nine sets: from their own files, or from the official evaluation's where there are none.
pub(super) fn sets(root: &Path) -> Result<OodSets, DataError> {
    if has_own_files(root) {
        return OodSets::read(root);
    }
    Ok(TestAnnotations::read(&inside(root, TEST_ANNOTATIONS)?)?.sets)
}

fn has_own_files(root: &Path) -> bool {
    root.join("OOD-Test").is_dir() || !root.join(TEST_ANNOTATIONS).exists()
}

/// Identity of the prepared data, for keys.
///
/// # Errors
/// Files that are missing, unreadable or outside of `root`; missing images where those stop.
pub(super) fn identity(
    root: &Path,
    preparation: &Preparation,
    cache: &StatCache,
) -> Result<Identity, DataError> {
    let choices = Choices::of(preparation)?;
    let mut names: BTreeSet<String> = BTreeSet::new();
    names.extend(Part::ALL.iter().flat_map(|part| part.files()).map(str::to_owned));
    names.extend(Texts::files().map(str::to_owned));
    match has_own_files(root) {
        true => names.extend(OodSet::ALL.map(OodSet::file)),
        false => drop(names.insert(TEST_ANNOTATIONS.to_owned())),
    }
    names.iter().try_for_each(|name| present(root, name, (ID, TITLE)))?;
    let mut ids = BTreeSet::new();
    for part in Part::ALL {
        ids.extend(questions(root, part)?.list.iter().map(|question| question.image));
    }
    let images = Images::find(root, ids, choices.missing_images)?;
    names.extend(images.names.values().map(|name| format!("{COCO}/{name}")));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Identity::of(root, &names, LOADER, &preparation.text(&[FIXTURE]), cache)
}
