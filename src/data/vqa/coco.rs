//! The photographs of COCO that questions are about.
//!
//! Invariant: an id stands in the training or in the validation folder, never in both; the training folder is looked in first.

use std::collections::{BTreeMap, BTreeSet};

use crate::data::DataError;
use crate::data::images::{ImageFolder, Missing};

/// Where an image may be: `train2014` first.
fn names(image: u64) -> [String; 2] {
    ["train2014", "val2014"].map(|part| format!("{part}/COCO_{part}_{image:012}.jpg"))
}

/// The name of an image below the folder, if it is there.
///
/// # Errors
/// What the system refuses, and links that lead out of the folder.
pub fn find(folder: &ImageFolder, image: u64) -> Result<Option<String>, DataError> {
    for name in names(image) {
        if folder.has(&name)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The names of those of these images that are there, by id, and the others.
///
/// # Errors
/// Those of [`find`].
pub fn found(
    folder: &ImageFolder,
    images: impl IntoIterator<Item = u64>,
) -> Result<(BTreeMap<u64, String>, Missing), DataError> {
    let images: BTreeSet<u64> = images.into_iter().collect();
    let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
    for image in images {
        match find(folder, image)? {
            Some(name) => drop(found.insert(image, name)),
            // Both names do not exist: the first stands for them.
            None => missing.push(names(image)[0].clone()),
        }
    }
    let asked = found.len() + missing.len();
    Ok((found, Missing { asked, names: missing }))
}

/// The names of all of these images, by id.
///
/// # Errors
/// Those of [`find`], and images that are in neither folder, counted and named.
pub fn resolve(
    folder: &ImageFolder,
    images: impl IntoIterator<Item = u64>,
) -> Result<BTreeMap<u64, String>, DataError> {
    let (found, missing) = found(folder, images)?;
    folder.expect_none(&missing)?;
    Ok(found)
}
