//! The content-addressed store of results, below `<out>/store/`:
//!
//! ```text
//! runs/<k0k1>/<key>/     manifest.json  weights.safetensors  logits.parquet  epochs.csv
//! partial/<key>.state    a half-trained run, replaced after epochs, removed when the run is stored
//! tmp/                   what is being written
//! quarantine/            what turned out to be damaged
//! locks/                 empty files that processes lock
//! ```
//!
//! Invariant: an entry exists whole or not at all: everything is written and flushed under `tmp/`, then renamed. Nothing
//! is used that does not prove itself: the key follows from the manifest, the manifest from its seal, each file from the
//! digest in the manifest.

mod disk;
mod entry;
mod error;
mod gc;
mod lock;
pub(crate) mod logits;
mod partial;
mod sealed;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod transfer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use disk::{Disk, FileSystem};
pub use entry::{Depth, Entry, Listed, Proved};
pub use error::StoreError;
pub use gc::{Garbage, GcOptions};
pub use lock::Lock;
pub use partial::PartialRun;
pub use transfer::{Imported, Payload};

use crate::digest::Digest;
use crate::files;
use lock::Mode;

/// A store of results. Opening one touches nothing; folders appear when something is written.
#[derive(Clone)]
pub struct Store {
    root: PathBuf,
    disk: Arc<dyn Disk>,
}

impl Store {
    /// The store of an `--out` folder: `<out>/store`.
    pub fn open(out: &Path) -> Self {
        Store::at(&out.join("store"))
    }

    /// The store at exactly this folder.
    pub fn at(root: &Path) -> Self {
        Store::on(root, Arc::new(FileSystem))
    }

    /// A store on another disk, for tests that fail or kill single steps.
    pub fn on(root: &Path, disk: Arc<dyn Disk>) -> Self {
        Store { root: root.to_owned(), disk }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Marks the store as in use while the lock lives; many processes may. Keeps [`Store::gc`] out.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another process cleans it up.
    pub fn share(&self) -> Result<Lock, StoreError> {
        self.lock_store(Mode::Shared)
    }

    fn lock_store(&self, mode: Mode) -> Result<Lock, StoreError> {
        let path = self.create("locks")?.join("store.lock");
        lock::try_lock(&path, mode)?.ok_or_else(|| StoreError::Busy { path: self.root.clone() })
    }

    /// The lock of one run; `None` while somebody else, in this process or another, has it.
    ///
    /// # Errors
    /// When the system refuses to create or lock the file.
    pub fn try_lock_run(&self, key: Digest) -> Result<Option<Lock>, StoreError> {
        lock::try_lock(&self.create("locks")?.join(format!("{key}.lock")), Mode::Exclusive)
    }

    /// Creates a folder of the store.
    fn create(&self, name: &str) -> Result<PathBuf, StoreError> {
        let path = self.root.join(name);
        self.disk.create_folder(&path).map_err(StoreError::io("create", &path))?;
        Ok(path)
    }

    /// A path in `tmp/` or `quarantine/` that nothing has yet.
    fn fresh(&self, folder: &str, name: &str) -> Result<PathBuf, StoreError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let folder = self.create(folder)?;
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{name}.{}-{number}", std::process::id()));
            if !path.exists() {
                return Ok(path);
            }
        }
    }

    /// On failure removes what was written aside; the first error is the one that is told.
    fn or_clean(
        &self,
        written: std::io::Result<()>,
        action: &'static str,
        path: &Path,
        aside: &Path,
    ) -> Result<(), StoreError> {
        written.map_err(|source| {
            // A leftover in tmp/ harms nothing, and `gc` removes it.
            let _ = self.disk.remove(aside);
            StoreError::Io { action, path: path.to_owned(), source }
        })
    }
}

/// The entries of a folder, sorted by name; none if it is not there.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let listed = files::if_there(fs::read_dir(folder)).and_then(|entries| {
        entries.into_iter().flatten().map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()
    });
    let mut paths = listed.map_err(StoreError::io("list", folder))?;
    paths.sort();
    Ok(paths)
}
