//! Which volumes train, validate and test (deviation F10).
//!
//! Invariant: the split depends on the set of ids alone: sorted, then scikit-learn's `train_test_split` with seed 0, twice.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::data::DataError;
use crate::data::names::is_plain;
use crate::data::shuffle::numpy_permutation;

/// A line of the real file list that names no volume.
const STRAY: &str = "Knee data";

/// What a volume is for, as a cache's index says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Trained on.
    Train,
    /// Chooses the checkpoint.
    Valid,
    /// Reported.
    Test,
}

/// 70 % train; of the rest, the first half tests, the second validates.
pub fn split(ids: &[String]) -> BTreeMap<String, Part> {
    let mut sorted: Vec<&String> = ids.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let (train, rest) = train_test_split(&sorted, 3, 10);
    let (test, valid) = train_test_split(&rest, 1, 2);
    [(train, Part::Train), (valid, Part::Valid), (test, Part::Test)]
        .into_iter()
        .flat_map(|(ids, split)| ids.into_iter().map(move |id| (id.clone(), split)))
        .collect()
}

/// scikit-learn's: the first ceil(n part / whole) of a permutation are held out, the others are kept.
fn train_test_split<'a>(ids: &[&'a String], part: usize, whole: usize) -> (Vec<&'a String>, Vec<&'a String>) {
    let order = numpy_permutation(0, ids.len() as u32);
    let held_out = (ids.len() * part).div_ceil(whole);
    let taken = |order: &[u32]| order.iter().map(|&index| ids[index as usize]).collect();
    (taken(&order[held_out..]), taken(&order[..held_out]))
}

/// The ids of `knee_file_list.csv`, one a line, without a header.
///
/// # Errors
/// A file that cannot be read, or a line that is no name of a file.
pub(super) fn file_list(path: &Path) -> Result<Vec<String>, DataError> {
    let text = std::fs::read_to_string(path).map_err(DataError::open(
        path,
        "fastMRI+'s list of volumes, knee_file_list.csv",
        "download it from fastMRI+, or leave --file-list out",
    ))?;
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, id)| !id.is_empty() && *id != STRAY);
    lines
        .map(|(row, id)| {
            is_plain(id).then(|| id.to_owned()).ok_or_else(|| DataError::Value {
                file: path.display().to_string(),
                row: Some(row),
                expected: "the name of a volume, without a folder and without an ending".to_owned(),
                found: format!("`{id}`"),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn count(split: &BTreeMap<String, Part>, wanted: Part) -> usize {
        split.values().filter(|&&found| found == wanted).count()
    }

    #[test]
    fn the_order_of_the_ids_does_not_matter() {
        let ids: Vec<String> = (0..40).map(|i| format!("file{i}")).collect();
        let mut reversed = ids.clone();
        reversed.reverse();
        let found = split(&ids);
        assert_eq!(found, split(&reversed));
        assert_eq!([Part::Train, Part::Valid, Part::Test].map(|s| count(&found, s)), [28, 6, 6]);
        assert!(split(&[]).is_empty());
        assert_eq!(split(&ids[..1]).len(), 1);
    }

    /// scripts/golden_fastmri.py: scikit-learn's split of the real list, as `id split` lines.
    #[test]
    fn the_real_list_is_split_as_scikit_learn_does() {
        let Some(folder) = crate::data::shared_data("fastmri_plus") else { return };
        let ids = file_list(&folder.join("knee_file_list.csv")).unwrap();
        assert_eq!(ids.len(), 1_172);
        let found = split(&ids);
        assert_eq!([Part::Train, Part::Valid, Part::Test].map(|s| count(&found, s)), [820, 176, 176]);
        let lines: String =
            found.iter().map(|(id, split)| format!("{id} {split:?}\n").to_lowercase()).collect();
        let golden = include_str!("../../../fixtures/golden/fastmri_split.sha256");
        assert_eq!(Digest::of(lines.as_bytes()).to_string(), golden.trim());
    }
}
