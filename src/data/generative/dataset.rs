//! The paper's own generative model (Figure 1) as a dataset: vectors x and x' with labels, a file for each selection strength.
//!
//! Invariant: nested samples. A draw is an order of the training split, and a run on n rows reads the first n in it;
//! validation and test split are the same for every draw and every n.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use super::CLASSES;
use super::fixture::{self, SPLITS, Vectors};
use crate::data::formats::npy::Dim;
use crate::data::formats::npz::Npz;
use crate::data::synthetic::FixtureSettings;
use crate::data::{
    DataError, Dataset, Identity, Modality, Population, Split, StatCache, Targets, gather_rows,
    identity as files,
};
use crate::random::Seeds;

/// Changes whenever this loader makes other values of the same files.
const LOADER: &str = "generative 2";
/// Rows of a split at most, and features of a modality.
const MOST: [usize; 2] = [10_000_000, 10_000];

/// The populations of a sweep, each with its selection strength.
pub struct Sweep {
    populations: Vec<(f64, Arc<[Part; 3]>)>,
}

/// One split.
struct Part {
    /// Row after row, of x and of x'.
    values: [Vec<f32>; 2],
    modalities: [Modality; 2],
    labels: Vec<u32>,
}

/// A population, and the rows of it that a run trains on.
pub struct GenerativeDataset {
    parts: Arc<[Part; 3]>,
    train: Vec<u32>,
    train_labels: Vec<u32>,
}

/// Identity of the files, for keys.
///
/// # Errors
/// A file that is missing, unreadable, or outside of `root`.
pub fn identity(root: &Path, cache: &StatCache) -> Result<Identity, DataError> {
    let strengths = FixtureSettings::<Vectors>::embedded()?.rendering.strengths;
    let names: Vec<String> = strengths.into_iter().map(fixture::file).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Identity::of(root, &names, LOADER, "", cache)
}

/// Loads all populations below `root`.
///
/// # Errors
/// A file that is missing or broken, or has other arrays, shapes or types than the generator writes.
pub fn load(root: &Path) -> Result<Arc<Sweep>, DataError> {
    let strengths = FixtureSettings::<Vectors>::embedded()?.rendering.strengths;
    let one = |&strength: &f64| {
        let mut npz = Npz::open(&files::inside(root, &fixture::file(strength))?)?;
        let [train, valid, test] = SPLITS.map(|split| part(&mut npz, split));
        Ok((strength, Arc::new([train?, valid?, test?])))
    };
    Ok(Arc::new(Sweep { populations: strengths.iter().map(one).collect::<Result<_, DataError>>()? }))
}

fn part(npz: &mut Npz, split: &str) -> Result<Part, DataError> {
    let labels = npz.array(&format!("y_{split}"), &[Dim::UpTo(MOST[0])])?;
    let rows = labels.dims()[0];
    let mut vectors = |name: &str| -> Result<(Vec<f32>, usize), DataError> {
        let array = npz.array(&format!("{name}_{split}"), &[Dim::Is(rows), Dim::UpTo(MOST[1])])?;
        let values = array.to_f32();
        if !values.iter().all(|value| value.is_finite()) {
            return Err(DataError::Value {
                file: array.file().to_owned(),
                row: None,
                expected: "finite values".into(),
                found: "NaN or infinity".into(),
            });
        }
        Ok((values, array.dims()[1]))
    };
    let (first, second) = (vectors("x")?, vectors("x'")?);
    let labels = labels.to_labels(CLASSES)?;
    let modalities = [Modality::new("first", [first.1]), Modality::new("second", [second.1])];
    Ok(Part { values: [first.0, second.0], modalities, labels })
}

impl Sweep {
    /// A population; `None` where the sweep has no such strength, or not so many rows.
    pub fn draw(&self, population: Population) -> Option<GenerativeDataset> {
        let (_, parts) = self.populations.iter().find(|(strength, _)| *strength == population.strength)?;
        let labels = &parts[0].labels;
        if !(1..=labels.len()).contains(&population.rows) {
            return None;
        }
        let order = Seeds::root(population.draw).child("generative draw");
        let mut train = order.stream().permutation(labels.len());
        train.truncate(population.rows);
        let train_labels = train.iter().map(|&row| labels[row as usize]).collect();
        Some(GenerativeDataset { parts: Arc::clone(parts), train, train_labels })
    }
}

impl GenerativeDataset {
    fn part(&self, split: Split) -> &Part {
        match split {
            Split::Train => &self.parts[0],
            Split::Valid => &self.parts[1],
            Split::Test(_) => &self.parts[2],
        }
    }
}

impl Dataset for GenerativeDataset {
    fn modalities(&self) -> &[Modality] {
        &self.parts[0].modalities
    }

    fn len(&self, split: Split) -> usize {
        self.targets(split).len()
    }

    fn targets(&self, split: Split) -> Targets<'_> {
        Targets::Labels(match split {
            Split::Train => &self.train_labels,
            Split::Valid | Split::Test(_) => &self.part(split).labels,
        })
    }

    fn gather(&self, split: Split, modality: usize, rows: &[u32], out: &mut [f32]) {
        let part = self.part(split);
        let rows: Cow<'_, [u32]> = match split {
            Split::Train => rows.iter().map(|&row| self.train[row as usize]).collect(),
            Split::Valid | Split::Test(_) => rows.into(),
        };
        gather_rows(&part.values[modality], part.modalities[modality].features(), &rows, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::formats::npz::{NpzBuilder, Packing};
    use crate::data::synthetic;

    #[test]
    fn samples_are_nested_and_the_rest_is_shared() {
        let folder = tempfile::tempdir().unwrap();
        synthetic::generate::<Vectors>(folder.path(), &StatCache::in_memory()).unwrap();
        let sweep = load(folder.path()).unwrap();
        let most = FixtureSettings::<Vectors>::embedded().unwrap().rendering.rows[0];
        let draw = |strength, rows| sweep.draw(Population { strength, rows, draw: 7 });
        let (few, many) = (draw(2.0, 250).unwrap(), draw(2.0, 4000).unwrap());
        assert_eq!((few.len(Split::Train), many.len(Split::Train)), (250, 4000));
        assert_eq!(few.targets(Split::Train).labels(), &many.targets(Split::Train).labels()[..250]);
        assert_eq!(few.targets(Split::TEST).labels(), many.targets(Split::TEST).labels());
        let row = |data: &GenerativeDataset| {
            let mut out = vec![0.0; 16];
            data.gather(Split::Train, 1, &[249], &mut out);
            out
        };
        assert_eq!(row(&few), row(&many));
        assert!(draw(2.5, 250).is_none() && draw(2.0, 0).is_none() && draw(2.0, most + 1).is_none());
        assert_ne!(row(&few), row(&draw(3.0, 250).unwrap()));
        let other = sweep.draw(Population { strength: 2.0, rows: 250, draw: 8 }).unwrap();
        assert_ne!(row(&few), row(&other));
        assert_eq!(other.targets(Split::Valid).labels(), few.targets(Split::Valid).labels());
        // The whole split in another order.
        let labels = |number| {
            let all = sweep.draw(Population { strength: 2.0, rows: most, draw: number }).unwrap();
            let mut labels = all.targets(Split::Train).labels().to_vec();
            labels.sort_unstable();
            labels
        };
        assert_eq!(labels(1), labels(2));
    }

    #[test]
    fn broken_files_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        synthetic::generate::<Vectors>(folder.path(), &StatCache::in_memory()).unwrap();
        let broken = |x: f32, label: u8, rows: usize| {
            let mut npz = NpzBuilder::new(Packing::Stored);
            for split in SPLITS {
                npz.add(&format!("x_{split}"), &[2, 3], &[x; 6]).unwrap();
                npz.add(&format!("x'_{split}"), &[rows, 3], &vec![0.0f32; 3 * rows]).unwrap();
                npz.add(&format!("y_{split}"), &[2], &[0, label]).unwrap();
            }
            npz.write(&folder.path().join("strength-3.npz")).unwrap();
            load(folder.path()).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(broken(0.0, 3, 2), Ok(()));
        for (error, word) in [
            (broken(f32::NAN, 3, 2), "finite"),
            (broken(0.0, 4, 2), "y_train"),
            (broken(0.0, 3, 5), "x'_train"),
        ] {
            let error = error.unwrap_err();
            assert!(error.contains(word) && error.contains("strength-3.npz"), "{error}");
        }
        std::fs::remove_file(folder.path().join("strength-3.npz")).unwrap();
        assert!(load(folder.path()).err().unwrap().to_string().contains("strength-3.npz"));
    }
}
