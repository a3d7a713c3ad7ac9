//! What can be wrong with data.
//!
//! Invariant: every message names the file, what was expected, what was found and what to do next. No message holds
//! the content of a credentialed row: loaders of such data give neither row nor value.

use std::path::{Path, PathBuf};

use crate::digest::Digest;

mod settings;

pub(crate) use settings::{SettingsError, require};

/// Why a dataset could not be read, written or trusted.
///
/// `file` is the path as the user gave it; an array inside an archive is `im.npz[ep_tdata]`.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder is not there.
    #[error("{}: expected {expected}, found nothing there; {remedy}", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What to do.
        remedy: String,
    },
    /// An archive lacks an array.
    #[error(
        "{file}: expected an array called `{expected}`, found {found}; check that this is the right file, or convert it again"
    )]
    MissingArray {
        /// The archive.
        file: String,
        /// The array.
        expected: String,
        /// The names that are there.
        found: String,
    },
    /// A file ends before what its header promises, or its header promises something else.
    #[error(
        "{file}: expected {expected} bytes of data, as its header says, found {found}: it is truncated, or its header is wrong; copy, download or convert it again"
    )]
    Truncated {
        /// The file.
        file: String,
        /// Bytes that the header promises.
        expected: u128,
        /// Bytes that are there.
        found: u64,
    },
    /// The first bytes are not those of the format.
    #[error(
        "{file}: expected {expected}, found a file that begins with {found}; check that this is the right file, or download it again"
    )]
    BadMagic {
        /// The file.
        file: String,
        /// The format.
        expected: String,
        /// Its first bytes.
        found: String,
    },
    /// The format's own structure is broken.
    #[error("{file}: expected {expected}, found {found}; copy, download or convert it again")]
    Malformed {
        /// The file.
        file: String,
        /// What the format demands.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The elements have the wrong type.
    #[error(
        "{file}: expected elements of type {expected}, found {found}; convert the array, for example with numpy's `astype`"
    )]
    Dtype {
        /// The file.
        file: String,
        /// The types that can be read here.
        expected: String,
        /// The type that is there.
        found: String,
    },
    /// The array has the wrong dimensions.
    #[error(
        "{file}: expected shape {expected}, found {found}; check that this is the right file, or convert it again"
    )]
    Shape {
        /// The file.
        file: String,
        /// Dimensions that can be read here.
        expected: String,
        /// Dimensions that are there.
        found: String,
    },
    /// A value cannot be used.
    #[error("{file}{}: expected {expected}, found {found}; repair or rebuild the file", at(*row))]
    Value {
        /// The file.
        file: String,
        /// Row, counted from 0; never given for credentialed data.
        row: Option<usize>,
        /// What can be used.
        expected: String,
        /// What is there; for credentialed data only that it is something else.
        found: String,
    },
    /// A label is outside of its range.
    #[error("{file}{}: expected labels from 0 to {}, found {found}; check that this is the right file of labels", at(*row), classes.saturating_sub(1))]
    Label {
        /// The file.
        file: String,
        /// Row, counted from 0; never given for credentialed data.
        row: Option<usize>,
        /// Number of classes.
        classes: usize,
        /// What is there; for credentialed data only that it is something else.
        found: String,
    },
    /// A choice is out of range.
    #[error(
        "{option}: expected {expected}, found {found}; choose another value, `--help` says which are possible"
    )]
    Choice {
        /// The choice.
        option: String,
        /// What can be chosen.
        expected: String,
        /// What was chosen.
        found: String,
    },
    /// A file is larger than anything that can be right.
    #[error(
        "{file}: expected {expected}, found {found}: refused before taking memory; check that this is the right file"
    )]
    TooLarge {
        /// The file.
        file: String,
        /// The limit.
        expected: String,
        /// What the file claims.
        found: String,
    },
    /// A data file is not the one that the plan was made for.
    #[error(
        "{file}: expected the content with SHA-256 {expected}, found {found}: it has changed since the plan was made; results of this run are void, run the command again"
    )]
    Changed {
        /// The file.
        file: String,
        /// Its digest when the plan was made.
        expected: Digest,
        /// Its digest now.
        found: Digest,
    },
    /// A path leads out of the dataset's folder.
    #[error("{}: expected a file inside {}, found one outside of it ({found}); put a copy inside the folder, or pass the folder that holds it", path.display(), root.display())]
    Outside {
        /// The path, as named.
        path: PathBuf,
        /// The dataset's folder.
        root: PathBuf,
        /// Where it leads.
        found: String,
    },
    /// A synthetic fixture cannot be made.
    #[error(transparent)]
    Fixture(#[from] SettingsError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] crate::files::WriteError),
    /// The operating system refused.
    #[error(
        "{file}: expected to {action}, found: {source}; check permissions and free space, then run the command again"
    )]
    Io {
        /// The file.
        file: String,
        /// What was tried: `open it`, `read it`.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
}

fn at(row: Option<usize>) -> String {
    row.map_or_else(String::new, |row| format!(", row {row}"))
}

impl DataError {
    /// For `map_err`: an I/O error of `path` while trying to do `action`.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let file = path.display().to_string();
        move |source| DataError::Io { file, action, source }
    }

    /// For opening: a missing file says what should be there and what to do, anything else is I/O.
    pub fn open(path: &Path, expected: &str, remedy: &str) -> impl FnOnce(std::io::Error) -> Self {
        let (path, expected, remedy) = (path.to_owned(), expected.to_owned(), remedy.to_owned());
        move |source| match source.kind() {
            std::io::ErrorKind::NotFound => DataError::Missing { path, expected, remedy },
            _ => DataError::Io { file: path.display().to_string(), action: "open it", source },
        }
    }
}
