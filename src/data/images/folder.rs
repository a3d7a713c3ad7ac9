//! A folder of images, read by names that a data file gives.
//!
//! Invariant: no name leads out of the folder, by itself or by a link; what is missing is found and counted before training.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{Limits, Rgb, decode};
use crate::data::DataError;
use crate::data::identity::inside;

/// Names of missing images that a message holds.
const NAMED: usize = 5;

/// A folder of images.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    root: PathBuf,
    limits: Limits,
}

/// Which images are not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// How many names were looked for, each once.
    pub asked: usize,
    /// Those that are not there, in order of their names.
    pub names: Vec<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} images are missing", self.names.len(), self.asked)?;
        let named = self.names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        match self.names.len() {
            0 => Ok(()),
            count if count <= NAMED => write!(f, ": {named}"),
            _ => write!(f, ": {named}, ..."),
        }
    }
}

impl ImageFolder {
    /// The images below `root`.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn open(root: &Path, limits: Limits) -> Result<Self, DataError> {
        if root.is_dir() {
            return Ok(ImageFolder { root: root.to_owned(), limits });
        }
        Err(DataError::Missing {
            path: root.to_owned(),
            expected: "a folder of images".into(),
            remedy: "check the folder given with --data".into(),
        })
    }

    /// Reads and decodes an image.
    ///
    /// # Errors
    /// A name that leads elsewhere, a file that is missing or unreadable, and those of [`decode`].
    pub fn read(&self, name: &str) -> Result<Rgb, DataError> {
        let path = inside(&self.root, name)?;
        let file = path.display().to_string();
        let input = File::open(&path).map_err(DataError::io(&path, "open it"))?;
        let length = input.metadata().map_err(DataError::io(&path, "read its size"))?.len();
        self.limits.check_bytes(&file, length)?;
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        // One byte more than allowed is enough to refuse a file that grows meanwhile.
        let most = self.limits.file_bytes.saturating_add(1);
        input.take(most).read_to_end(&mut bytes).map_err(DataError::io(&path, "read it"))?;
        decode(&file, &bytes, &self.limits)
    }

    /// Whether an image is there.
    ///
    /// # Errors
    /// A name that leads elsewhere, or what the system refuses.
    pub fn has(&self, name: &str) -> Result<bool, DataError> {
        match inside(&self.root, name) {
            Ok(_) => Ok(true),
            Err(DataError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Which of these images are not there. Names may come more than once.
    ///
    /// # Errors
    /// A name that leads elsewhere, or what the system refuses.
    pub fn missing(&self, names: impl IntoIterator<Item = String>) -> Result<Missing, DataError> {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let asked = names.len();
        let mut missing = Vec::new();
        for name in names {
            if !self.has(&name)? {
                missing.push(name);
            }
        }
        Ok(Missing { asked, names: missing })
    }

    /// That all of these images are there.
    ///
    /// # Errors
    /// Those of [`ImageFolder::missing`], and an error that counts what is missing and names some.
    pub fn expect_all(&self, names: impl IntoIterator<Item = String>) -> Result<(), DataError> {
        self.expect_none(&self.missing(names)?)
    }

    /// That none is missing.
    ///
    /// # Errors
    /// An error that counts what is missing and names some.
    pub(in crate::data) fn expect_none(&self, missing: &Missing) -> Result<(), DataError> {
        if missing.names.is_empty() {
            return Ok(());
        }
        Err(DataError::Missing {
            path: self.root.clone(),
            expected: format!("{} images ({missing})", missing.asked),
            remedy: "download the missing images, or remove their examples".into(),
        })
    }
}
