//! The store's only way to change anything on disk.
//!
//! Invariant: a file is written whole to the disk (fsync) before anything is renamed onto its place, so a crash at any
//! instant leaves either the old state or the new. Behind a trait, so that tests can fail or "kill" any single step.

use std::fs;
use std::io;
use std::path::Path;

use crate::files;

/// What the store does to a disk.
pub trait Disk: Send + Sync {
    /// Creates a folder and its parents; fine if it is there.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// Writes a new file from parts and flushes it to the disk.
    fn write(&self, path: &Path, parts: &[&[u8]]) -> io::Result<()>;
    /// Moves a file or folder; a file replaces a file.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the entries of a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Removes a file, or a folder with all that is in it; fine if it is not there.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The file system.
pub struct FileSystem;

impl Disk for FileSystem {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn write(&self, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
        files::write_in_place(path, |out| parts.iter().try_for_each(|part| out.write_all(part)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        files::sync_folder(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        // Not following links: a link is removed, never what it points to.
        let removed = match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(error) => Err(error),
        };
        files::if_there(removed).map(Option::unwrap_or_default)
    }
}
