//! Cleaning up.
//!
//! Invariant: a good entry is never removed, and nothing at all while another process uses the store.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::lock::Mode;
use super::{Depth, Store, StoreError, entries};
use crate::digest::Digest;

/// What is cleaned up.
#[derive(Clone, Debug, Default)]
pub struct GcOptions {
    /// Only says what would be removed.
    pub dry_run: bool,
    /// Half-trained states of these runs stay; those of stored runs and of all others go.
    pub keep_states: BTreeSet<Digest>,
    /// Also removes entries that do not prove themselves (all files are hashed).
    pub corrupt: bool,
    /// Also removes entries of another version of the format, which this program does not read.
    pub outdated: bool,
}

/// Something that no longer serves.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Garbage {
    /// What it is, for people.
    pub kind: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

impl Store {
    /// Removes temporary files, quarantined entries, half-trained states, and the files of locks that nobody holds.
    /// Returns what was (or, in a dry run, would be) removed.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another process uses the store; otherwise when the disk refuses.
    pub fn gc(&self, options: &GcOptions) -> Result<Vec<Garbage>, StoreError> {
        if !self.root().is_dir() {
            return Ok(Vec::new());
        }
        let _alone = self.lock_store(Mode::Exclusive)?;
        let mut found = Vec::new();
        let mut add = |kind, path: PathBuf| -> Result<(), StoreError> {
            let bytes = size(&path).map_err(StoreError::io("look at", &path))?;
            found.push(Garbage { kind, path, bytes });
            Ok(())
        };
        for path in entries(&self.root().join("tmp"))? {
            add("temporary file", path)?;
        }
        for path in entries(&self.root().join("quarantine"))? {
            add("quarantined", path)?;
        }
        for path in entries(&self.root().join("partial"))? {
            let key = path.file_stem().and_then(|name| name.to_str()?.parse::<Digest>().ok());
            let keep =
                key.is_some_and(|key| options.keep_states.contains(&key) && !self.entry_path(key).exists());
            if !keep {
                add("half-trained state", path)?;
            }
        }
        for path in entries(&self.root().join("locks"))? {
            // The store's own lock is held right now, and is never removed: another process may be opening it.
            if path.file_name().is_some_and(|name| name != "store.lock") {
                add("lock file", path)?;
            }
        }
        if options.corrupt || options.outdated {
            let depth = if options.corrupt { Depth::Values } else { Depth::Manifest };
            for (key, entry) in self.list(depth)? {
                match entry {
                    Err(error) if error.is_corrupt() && options.corrupt => {
                        add("damaged entry", self.entry_path(key))?;
                    }
                    Err(error) if error.is_outdated() && options.outdated => {
                        add("entry of another version", self.entry_path(key))?;
                    }
                    _ => {}
                }
            }
        }
        if !options.dry_run {
            for garbage in &found {
                self.disk().remove(&garbage.path).map_err(StoreError::io("remove", &garbage.path))?;
            }
        }
        Ok(found)
    }
}

fn size(path: &Path) -> std::io::Result<u64> {
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_dir() {
        return Ok(meta.len());
    }
    fs::read_dir(path)?.try_fold(0, |sum, entry| Ok(sum + size(&entry?.path())?))
}
