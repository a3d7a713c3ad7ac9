//! What can be wrong with a store.
//!
//! Invariant: every message names the path, what was expected, what was found, and what to do next.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {action} `{}`: {source}; {}", path.display(), io_remedy(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Written by another version of the format.
    #[error(
        "`{}`: expected schema version {expected}, found {found}; read it with the i2m2 that wrote it, or remove it \
         (`i2m2 store gc --outdated`)",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// What this i2m2 reads.
        expected: u32,
        /// What is there.
        found: String,
    },
    /// An entry is not what was stored.
    #[error(
        "the stored file `{}` is damaged or was edited: expected {expected}, found {found}; `i2m2 reproduce` moves its run \
         to quarantine and trains it again, or delete its folder",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was stored.
        expected: String,
        /// What is there.
        found: String,
    },
    /// An entry came without weights and logits.
    #[error(
        "`{}` is not in this store: the run was imported without weights and logits; import it with them, or let \
         `i2m2 reproduce` train it again",
        path.display()
    )]
    LeftOut {
        /// The file.
        path: PathBuf,
    },
    /// A half-trained state cannot be continued.
    #[error("the half-trained state `{}` cannot be used: {problem}; delete it to train the run from its beginning", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Somebody else is at work.
    #[error("the store `{}` is in use by another i2m2 process; wait until it has finished, then try again", path.display())]
    Busy {
        /// The store.
        path: PathBuf,
    },
    /// An outcome cannot be stored.
    #[error("the outcome of the run is not valid: {0}; this is a bug of the trainer, please report it")]
    Output(String),
    /// A value could not be put into its file format.
    #[error("cannot encode `{}`: {problem}; this is a bug, please report it", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        problem: String,
    },
    /// A bundle cannot be written or taken in.
    #[error("the bundle `{}`: expected {expected}, found {found}; {remedy}", path.display())]
    Bundle {
        /// The offending path.
        path: PathBuf,
        /// What a bundle holds there.
        expected: String,
        /// What is there.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
}

impl StoreError {
    /// For `map_err`: an I/O error with its action and path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        move |source| StoreError::Io { action, path: path.to_owned(), source }
    }

    /// Whether another version of the format wrote it: it is whole, but not for this program to read.
    pub fn is_outdated(&self) -> bool {
        matches!(self, StoreError::Version { .. })
    }

    /// Whether training the run again mends it.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, StoreError::Corrupt { .. })
    }
}

fn io_remedy(error: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::StorageFull | Kind::FileTooLarge | Kind::QuotaExceeded => {
            "there is no space left (or a limit on file sizes or a quota is reached): free some space (`i2m2 store gc` \
             helps) or choose another --out folder, then run the same command again; what is stored stays"
        }
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
            "check the permissions, or choose another --out folder"
        }
        Kind::Unsupported => "this file system cannot do that; choose an --out folder on a local disk",
        _ => "check the disk and the path, then run the same command again; what is stored stays",
    }
}
