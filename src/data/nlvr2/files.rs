//! From NLVR2's files below its folder to its rows.
//!
//! Invariant: rows stand in the order of the files; an identity covers every file that is read, images among them. Images that are missing
//! are counted and named, and their examples are left out only where that was chosen.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::choices::Choices;
use super::dataset::{Nlvr2Dataset, Rows};
use super::examples::{Example, Examples};
use super::{ID, TEST1, TITLE};
use crate::data::identity::{inside, present};
use crate::data::images::{ImageFolder, Limits, MissingImages, Photographs};
use crate::data::tokens::Texts;
use crate::data::{DataError, Identity, Loaded, Modality, Preparation, StatCache};

/// Changes whenever this loader makes other values of the same files.
const LOADER: &str = "nlvr2 1";
/// Splits that are trained on, chosen by and tested on, as the identifiers name them.
pub(super) const SPLITS: [&str; 3] = ["train", "dev", TEST1];

/// The file of a split, below the dataset's folder.
pub(super) fn file(split: &str) -> String {
    format!("nlvr2/data/{split}.json")
}

/// The examples of a split.
///
/// # Errors
/// A file that is missing or broken, and one of another split.
fn examples(root: &Path, split: &str) -> Result<Examples, DataError> {
    let name = file(split);
    present(root, &name, (ID, TITLE))?;
    let examples = Examples::read(&inside(root, &name)?)?;
    match examples.list.first().filter(|example| example.identifier.split != split) {
        None => Ok(examples),
        Some(other) => Err(DataError::Value {
            file: root.join(name).display().to_string(),
            row: None,
            expected: format!("examples of the split {split}"),
            found: other.identifier.to_string(),
        }),
    }
}

/// What is there of the images of all splits.
struct Images {
    folder: ImageFolder,
    /// Their names.
    there: BTreeSet<String>,
    missing: BTreeSet<String>,
    note: Option<String>,
}

impl Images {
    fn find(root: &Path, splits: &[Examples], choice: MissingImages) -> Result<Self, DataError> {
        let folder = ImageFolder::open(root, Limits::default())?;
        let all = splits.iter().flat_map(|examples| &examples.list).flat_map(Example::images);
        let mut there: BTreeSet<String> = all.collect();
        let missing = folder.missing(there.iter().cloned())?;
        let note = choice.noted(&folder, &missing)?;
        let missing: BTreeSet<String> = missing.names.into_iter().collect();
        there.retain(|name| !missing.contains(name));
        Ok(Images { folder, there, missing, note })
    }
}

fn all(root: &Path) -> Result<[Examples; 3], DataError> {
    let [train, dev, test] = SPLITS.map(|split| examples(root, split));
    Ok([train?, dev?, test?])
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
    Texts::files().iter().try_for_each(|name| present(root, name, (ID, TITLE)))?;
    let images = Images::find(root, &all(root)?, choices.missing_images)?;
    let files = SPLITS.map(file).into_iter().chain(Texts::files().map(str::to_owned));
    let names: Vec<String> = files.chain(images.there).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Identity::of(root, &names, LOADER, &preparation.text(&[]), cache)
}

/// Opens the files below `root`.
///
/// # Errors
/// Everything that can be wrong with them.
pub(super) fn load(root: &Path, preparation: &Preparation) -> Result<Nlvr2Dataset, DataError> {
    let Choices { side, length, augmentation, missing_images } = Choices::of(preparation)?;
    let splits = all(root)?;
    let images = Images::find(root, &splits, missing_images)?;
    let mut notes: Vec<String> = images.note.into_iter().collect();
    let mut named = SPLITS.into_iter();
    let splits = splits.map(|examples| {
        let before = examples.list.len();
        let rows = rows(examples, &images.missing);
        let (name, left_out) = (named.next().unwrap_or_default(), before - rows.labels.len());
        if left_out > 0 {
            notes.push(format!("{name}: {left_out} sentences left out, whose images are missing"));
        }
        rows
    });
    Ok(Nlvr2Dataset {
        splits,
        photographs: Photographs::new(images.folder, side, augmentation),
        texts: Texts::open(root, length)?,
        modalities: [Modality::new("images", [2, 3, side, side]), Modality::tokens("sentence", length)],
        tests: [TEST1.to_owned()],
        notes,
        loaded: Loaded::new(),
    })
}

fn rows(examples: Examples, missing: &BTreeSet<String>) -> Rows {
    let (mut rows, mut pairs, mut texts): (Rows, HashMap<[String; 2], u32>, HashMap<String, u32>) =
        Default::default();
    for example in examples.list {
        let images = example.images();
        if images.iter().any(|name| missing.contains(name)) {
            continue;
        }
        let row = rows.labels.len() as u32;
        let pair = *pairs.entry(images).or_insert_with_key(|images| {
            rows.names.push(images.clone());
            rows.names.len() as u32 - 1
        });
        rows.pairs.push(pair);
        rows.texts.push(*texts.entry(example.sentence.clone()).or_insert(row));
        rows.sentences.push(example.sentence);
        rows.labels.push(u32::from(example.label));
    }
    rows
}
