//! What a dataset is, before any file is read: its modalities and tasks, what can be chosen, and how its files are handled.
//!
//! Invariant: a dataset is described once, by one [`DatasetSpec`] in its own folder; nothing outside of that folder asks for it
//! by name, and a dataset that only its user knows is handled like those of the registry.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::build::Build;
use super::fixture::Fixture;
use super::names::{UnknownName, differ};
use super::preparation::{Choice, Population, Preparation};
use super::{DataError, Dataset, Identity, StatCache, Task};

/// Everything about a dataset but its files.
pub struct DatasetSpec {
    /// Its name in studies, in folders and on the command line.
    pub id: &'static str,
    /// Its name in text.
    pub title: &'static str,
    /// What it holds of each example, in the order of [`Dataset::modalities`].
    pub modalities: &'static [ModalitySpec],
    /// What can be predicted; a choice may say of how many classes.
    pub tasks: fn(&Preparation) -> Vec<Task>,
    /// Names of its test splits, in the order of [`Dataset::test_splits`].
    pub test_splits: &'static [&'static str],
    /// Names of the parts of test splits that are measured on their own, in the order of [`Dataset::subsets`].
    pub subsets: &'static [&'static str],
    /// Names of the means over such parts, in the order of [`Dataset::averages`].
    pub averages: &'static [&'static str],
    /// Whether its rows, and what is computed row by row, must not be passed on.
    pub credentialed: bool,
    /// Whether it is synthetic by nature: there is no real data to stand in for.
    pub synthetic: bool,
    /// What is chosen between its files and what a network sees.
    pub choices: &'static [Choice],
    /// Where it comes from, how to get it and under which terms.
    pub explain: &'static str,
    /// How its files are identified and read.
    pub loader: &'static dyn Loader,
    /// How it is built from its sources, where it is.
    pub build: Option<&'static dyn Build>,
    /// What stands in for it where it is not here.
    pub fixture: Option<&'static dyn Fixture>,
}

impl fmt::Debug for DatasetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DatasetSpec").field(&self.id).finish()
    }
}

/// A modality of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModalitySpec {
    /// Its name.
    pub name: &'static str,
    /// What its samples are.
    pub kind: Kind,
    /// Dimensions of a sample at full size; those of a fixture may be smaller.
    pub dims: &'static [usize],
}

/// What a sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Features.
    Vector,
    /// Steps x channels.
    Series,
    /// Channels x height x width.
    Map,
    /// Images x channels x height x width: the images of an example, row-major.
    Images,
    /// Ids of a text's tokens, as whole numbers.
    Tokens,
}

impl Kind {
    /// The kind of arrays of these dimensions; `None` for something else. Tokens are told by their description alone.
    pub const fn of(dims: &[usize]) -> Option<Self> {
        match dims.len() {
            1 => Some(Kind::Vector),
            2 => Some(Kind::Series),
            3 => Some(Kind::Map),
            4 => Some(Kind::Images),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Vector => "vector",
            Kind::Series => "series",
            Kind::Map => "map",
            Kind::Images => "images",
            Kind::Tokens => "tokens",
        })
    }
}

/// A dataset in memory or mapped, shared by the runs that read it. Samples may be credentialed: implementors have no `Debug`.
pub trait Prepared: Send + Sync {
    /// What a run reads of it, with the targets of a task; `None` where that is not here.
    fn view(&self, task: &str, draw: Option<Population>) -> Option<Arc<dyn Dataset>>;

    /// Reads whatever is only read when a row is asked for.
    ///
    /// # Errors
    /// The first that cannot be read.
    fn read_all(&self) -> Result<(), DataError> {
        Ok(())
    }

    /// What was left out of the files, counted, and why.
    fn notes(&self) -> &[String] {
        &[]
    }
}

/// How a dataset's files are identified and read.
pub trait Loader: Sync {
    /// Identity of the files below `root`, and of how they are prepared.
    ///
    /// # Errors
    /// Files that are missing or unreadable.
    fn identity(
        &self,
        root: &Path,
        preparation: &Preparation,
        cache: &StatCache,
    ) -> Result<Identity, DataError>;

    /// Opens the files below `root`, of whose identity has been asked before.
    ///
    /// # Errors
    /// Everything that can be wrong with them.
    fn load(&self, root: &Path, preparation: &Preparation) -> Result<Arc<dyn Prepared>, DataError>;

    /// Whether the data below `root` was built with the paper's results in view.
    fn is_calibrated(&self, _root: &Path) -> bool {
        false
    }
}

/// Where a dataset's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The synthetic fixture, generated below this folder when it is not there yet.
    Fixture(PathBuf),
    /// A folder with the real files (or a rebuilt set) of this dataset.
    Folder(PathBuf),
}

impl DatasetSpec {
    /// The task of this id, of data that is prepared so.
    ///
    /// # Errors
    /// When there is none, with those that there are.
    pub fn task(&self, id: &str, preparation: &Preparation) -> Result<Task, UnknownName> {
        let mut tasks = (self.tasks)(preparation);
        match tasks.iter().position(|task| task.id == id) {
            Some(place) => Ok(tasks.swap_remove(place)),
            None => Err(UnknownName::new("task", self.id, id, tasks.into_iter().map(|task| task.id))),
        }
    }

    /// The place of a modality among [`DatasetSpec::modalities`].
    ///
    /// # Errors
    /// When there is none of this name, with those that there are.
    pub fn modality(&self, name: &str) -> Result<usize, UnknownName> {
        let found = self.modalities.iter().position(|modality| modality.name == name);
        found.ok_or_else(|| {
            let names = self.modalities.iter().map(|modality| modality.name);
            UnknownName::new("modality", self.id, name, names)
        })
    }

    /// A word for every choice: those that are given, and defaults.
    ///
    /// # Errors
    /// A choice that there is not, or a word that is not possible.
    pub fn prepare(&self, words: &BTreeMap<String, String>) -> Result<Preparation, DataError> {
        Preparation::new(self.id, self.choices, words)
    }

    /// The default of every choice.
    pub fn defaults(&self) -> Preparation {
        Preparation::defaults(self.choices)
    }

    /// The default of every choice for what is at a source: a fixture may be smaller than the data that it stands in for.
    ///
    /// # Errors
    /// A fixture whose choices the dataset does not have.
    pub fn defaults_at(&self, source: &Source) -> Result<Preparation, DataError> {
        let smaller = match source {
            Source::Fixture(_) => self.fixture.map_or(&[][..], |fixture| fixture.choices()),
            Source::Folder(_) => &[],
        };
        let words = smaller.iter().map(|&(key, word)| (key.to_owned(), word.to_owned()));
        self.prepare(&words.collect())
    }

    /// The folder of its files.
    fn folder(&self, source: &Source, preparation: &Preparation) -> Result<PathBuf, DataError> {
        match source {
            Source::Folder(folder) => Ok(folder.clone()),
            Source::Fixture(fixtures) => Ok(fixtures.join(self.stand_in(fixtures)?.folder(preparation))),
        }
    }

    fn stand_in(&self, fixtures: &Path) -> Result<&'static dyn Fixture, DataError> {
        self.fixture.ok_or_else(|| DataError::Missing {
            path: fixtures.join(self.id),
            expected: format!("data of {}, which has no synthetic stand-in", self.title),
            remedy: "pass the folder of its files with --data".to_owned(),
        })
    }

    /// Its identity: the digests of its files, through the stat cache. A fixture that is not there yet is made.
    ///
    /// # Errors
    /// Missing or unreadable files.
    pub fn identify(
        &self,
        source: &Source,
        preparation: &Preparation,
        cache: &StatCache,
    ) -> Result<Identity, DataError> {
        if let Source::Fixture(fixtures) = source {
            self.stand_in(fixtures)?.generate(fixtures, preparation, cache)?;
        }
        self.loader.identity(&self.folder(source, preparation)?, preparation, cache)
    }

    /// Opens it; [`DatasetSpec::identify`] has been asked before.
    ///
    /// # Errors
    /// Everything that can be wrong with its files.
    pub fn open(&self, source: &Source, preparation: &Preparation) -> Result<Arc<dyn Prepared>, DataError> {
        self.loader.load(&self.folder(source, preparation)?, preparation)
    }

    /// Hashes every file again and reads all of it as training would. What comes back was left out, as [`Prepared::notes`] says.
    ///
    /// # Errors
    /// A file that changed since `identity` was taken, or that cannot be read as the dataset.
    pub fn verify(&self, source: &Source, identity: &Identity) -> Result<Vec<String>, DataError> {
        identity.verify()?;
        let prepared = self.open(source, &self.defaults_at(source)?)?;
        prepared.read_all()?;
        Ok(prepared.notes().to_vec())
    }

    /// Whether what is at a source was built with the paper's results in view.
    pub fn is_calibrated(&self, source: &Source) -> bool {
        match source {
            Source::Folder(folder) => self.loader.is_calibrated(folder),
            Source::Fixture(_) => false,
        }
    }

    /// What contradicts itself in the description, if anything does.
    ///
    /// # Errors
    /// No modality, task or test split; names that cannot stand in a metric's or stand twice; targets that cannot be; a default
    /// that is not possible.
    pub fn check(&self) -> Result<(), String> {
        let tasks = (self.tasks)(&self.defaults());
        let modalities: Vec<&str> = self.modalities.iter().map(|modality| modality.name).collect();
        let ids: Vec<&str> = tasks.iter().map(|task| task.id.as_str()).collect();
        for (what, names) in [
            ("id", vec![self.id]),
            ("modalities", modalities),
            ("tasks", ids),
            ("test splits and their parts", [self.test_splits, self.subsets, self.averages].concat()),
        ] {
            differ(what, &names)?;
        }
        let measured = [self.test_splits, self.subsets, self.averages];
        if let Some(split) = measured.concat().iter().find(|split| ["train", "valid"].contains(split)) {
            return Err(format!("a test split is called `{split}`"));
        }
        for task in &tasks {
            task.target.check().map_err(|error| format!("task `{}`: {error}", task.id))?;
        }
        let unsound = self.choices.iter().find(|choice| !choice.words.contains(&choice.default));
        unsound.map_or(Ok(()), |choice| {
            Err(format!("choice `{}`: `{}` is not among its words", choice.key, choice.default))
        })
    }
}

impl PartialEq for DatasetSpec {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
