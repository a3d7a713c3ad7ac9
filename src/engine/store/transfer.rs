//! Bundles: folders that carry runs from one store to another.
//!
//! `bundle.json` names the format; `runs/<key>/` holds the files of an entry. Invariant: a bundle is never trusted: only
//! folders named by a key and files of known names are read, links are refused, and an entry proves itself before it is
//! taken in. Weights and logits of credentialed data stay behind unless they are asked for: the
//! agreements under which such data is used (`docs/DATA_LICENCES.md`) let nothing of it be passed on.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entry::{EPOCHS, LEFT_OUT, LOGITS, MANIFEST, WEIGHTS, read};
use super::{Depth, Store, StoreError, entries};
use crate::digest::Digest;
use crate::files;

const BUNDLE: &str = "bundle.json";
const FORMAT: &str = "i2m2 bundle";
const VERSION: u32 = 1;

/// What of a run goes into a bundle besides manifest and epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Weights and logits of every run, those of credentialed data included.
    Everything,
    /// Weights and logits of runs on open or synthetic data.
    OpenData,
    /// Neither.
    MetricsOnly,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Runs taken in.
    pub taken: Vec<Digest>,
    /// Runs that were here already.
    pub known: Vec<Digest>,
}

#[derive(Serialize, Deserialize)]
struct ArchiveHeader {
    format: String,
    version: u32,
}

impl Store {
    /// Writes every stored run into a new folder; returns how many. A damaged entry stops it.
    ///
    /// # Errors
    /// When the folder is there already, when an entry is damaged, when the disk refuses.
    pub fn export(&self, to: &Path, payload: Payload) -> Result<usize, StoreError> {
        if fs::symlink_metadata(to).is_ok() {
            return Err(refused(to, "no such file or folder yet", "one", "name a new folder"));
        }
        let aside = files::folder_beside(to).map_err(StoreError::io("create", to))?;
        let count = self.export_to(aside.path(), payload)?;
        let disk = self.disk();
        let moved = disk.rename(aside.path(), to).and_then(|()| disk.sync_folder(files::parent(to)));
        moved.map_err(StoreError::io("write", to))?;
        Ok(count)
    }

    fn export_to(&self, to: &Path, payload: Payload) -> Result<usize, StoreError> {
        let disk = self.disk();
        let create = |path: &Path| disk.create_folder(path).map_err(StoreError::io("create", path));
        let write =
            |path: &Path, bytes: &[u8]| disk.write(path, &[bytes]).map_err(StoreError::io("write", path));
        let sync = |path: &Path| disk.sync_folder(path).map_err(StoreError::io("flush", path));
        create(&to.join("runs"))?;
        let head = ArchiveHeader { format: FORMAT.to_owned(), version: VERSION };
        let head = serde_json::to_vec_pretty(&head)
            .map_err(|e| StoreError::Encode { path: to.join(BUNDLE), problem: e.to_string() })?;
        write(&to.join(BUNDLE), &head)?;
        let mut count = 0;
        for (key, entry) in self.list(Depth::Values)? {
            let entry = entry?;
            let whole = entry.complete
                && match payload {
                    Payload::Everything => true,
                    Payload::OpenData => !entry.manifest.credentialed(),
                    Payload::MetricsOnly => false,
                };
            let (from, folder) = (self.entry_path(key), to.join("runs").join(key.to_string()));
            create(&folder)?;
            let names: &[&str] =
                if whole { &[MANIFEST, EPOCHS, WEIGHTS, LOGITS] } else { &[MANIFEST, EPOCHS] };
            for name in names {
                let bytes = fs::read(from.join(name)).map_err(StoreError::io("read", &from.join(name)))?;
                write(&folder.join(name), &bytes)?;
            }
            if !whole {
                write(&folder.join(LEFT_OUT), b"")?;
            }
            sync(&folder)?;
            count += 1;
        }
        sync(&to.join("runs"))?;
        sync(to)?;
        Ok(count)
    }

    /// Takes in the runs of a bundle that are not here yet (or are here without weights and logits). All of it is
    /// proved before any of it is stored.
    ///
    /// # Errors
    /// [`StoreError::Bundle`] or [`StoreError::Corrupt`] when the bundle is not what an export writes; nothing is then
    /// taken in.
    pub fn import(&self, from: &Path) -> Result<Imported, StoreError> {
        let head_path = from.join(BUNDLE);
        plain_file(&head_path)?;
        let head = fs::read(&head_path).map_err(StoreError::io("read", &head_path))?;
        let head: ArchiveHeader = serde_json::from_slice(&head).map_err(|e| {
            refused(
                &head_path,
                "the head of a bundle",
                &e.to_string(),
                "name a folder that `i2m2 store export` wrote",
            )
        })?;
        if head.format != FORMAT || head.version != VERSION {
            let found = format!("{}, version {}", head.format, head.version);
            return Err(refused(
                &head_path,
                &format!("{FORMAT}, version {VERSION}"),
                &found,
                "import it with the i2m2 that wrote it",
            ));
        }
        let mut found = Vec::new();
        for folder in entries(&from.join("runs"))? {
            found.push((prove(&folder)?, folder));
        }
        let _shared = self.share()?;
        let mut imported = Imported::default();
        for ((key, complete), folder) in found {
            let _lock =
                self.try_lock_run(key)?.ok_or_else(|| StoreError::Busy { path: self.root().to_owned() })?;
            let here = self.find(key, Depth::Manifest)?;
            if here.is_some_and(|entry| entry.complete || !complete) {
                imported.known.push(key);
                continue;
            }
            let mut files = Vec::new();
            for name in names(complete) {
                let path = folder.join(name);
                files.push((*name, fs::read(&path).map_err(StoreError::io("read", &path))?));
            }
            let files: Vec<_> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
            self.put_files(key, &files)?;
            // What was stored is what counts, whatever happened to the bundle since it was proved.
            if let Err(error) = self.find(key, Depth::Files) {
                self.quarantine(key)?;
                return Err(error);
            }
            imported.taken.push(key);
        }
        Ok(imported)
    }
}

fn names(complete: bool) -> &'static [&'static str] {
    if complete { &[MANIFEST, EPOCHS, WEIGHTS, LOGITS] } else { &[MANIFEST, EPOCHS, LEFT_OUT] }
}

/// Proves one run of a bundle: its key, and whether it is complete.
fn prove(folder: &Path) -> Result<(Digest, bool), StoreError> {
    let odd = |path: &Path, expected: &str, found: &str| {
        refused(path, expected, found, "do not import it; export it again where it comes from")
    };
    let meta = fs::symlink_metadata(folder).map_err(StoreError::io("look at", folder))?;
    let key = folder.file_name().and_then(|name| name.to_str()?.parse::<Digest>().ok());
    let (true, Some(key)) = (meta.is_dir(), key) else {
        return Err(odd(folder, "a folder named by the key of a run", "something else"));
    };
    let complete = fs::symlink_metadata(folder.join(LEFT_OUT)).is_err();
    for path in entries(folder)? {
        plain_file(&path)?;
        if !names(complete).iter().any(|name| path.file_name().is_some_and(|found| found == *name)) {
            return Err(odd(&path, "only the files of a run", "another file"));
        }
    }
    read(folder, key, Depth::Values)?;
    Ok((key, complete))
}

fn plain_file(path: &Path) -> Result<(), StoreError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => Ok(()),
        Ok(_) => {
            Err(refused(path, "a plain file", "a link or a folder", "do not import it; export it again"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(refused(path, "a file", "nothing", "name a folder that `i2m2 store export` wrote"))
        }
        Err(source) => Err(StoreError::Io { action: "look at", path: path.to_owned(), source }),
    }
}

fn refused(path: &Path, expected: &str, found: &str, remedy: &'static str) -> StoreError {
    StoreError::Bundle {
        path: PathBuf::from(path),
        expected: expected.to_owned(),
        found: found.to_owned(),
        remedy,
    }
}
