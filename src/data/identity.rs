//! Which data a result was computed from: SHA-256 of every file, through a cache of what the file system says.
//!
//! Invariant: a digest from the cache is that of the file's present content, as far as size, modification time and
//! inode can tell; a file that was modified so recently that a further change might leave them as they are is
//! hashed, never looked up. Names in an identity never lead out of the dataset's folder.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{DataError, FileIdentity, Identity, Stat};
use crate::digest::{Digest, Hasher};
use crate::files;

/// A modification is only trusted to show in the time stamp when it is older than this.
const SETTLED_NS: i128 = 2_000_000_000;

/// Digests of files by what the file system said when they were taken, kept in a JSON file between calls.
pub struct StatCache {
    path: Option<PathBuf>,
    entries: Mutex<BTreeMap<PathBuf, Entry>>,
    /// Whether something was learnt that the file does not hold.
    learnt: AtomicBool,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Entry {
    stat: Stat,
    digest: Digest,
}

/// The JSON file.
#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    files: BTreeMap<PathBuf, Entry>,
}

const VERSION: u32 = 1;

impl StatCache {
    /// The cache kept in `--out DIR`. A missing, unreadable or broken cache is an empty one: it is rebuilt.
    pub fn open(out: &Path) -> Self {
        let path = out.join("stat-cache.json");
        let saved = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Saved>(&bytes).ok());
        let entries =
            saved.filter(|saved| saved.version == VERSION).map(|saved| saved.files).unwrap_or_default();
        StatCache { path: Some(path), entries: Mutex::new(entries), learnt: AtomicBool::new(false) }
    }

    /// A cache that is forgotten at the end.
    pub fn in_memory() -> Self {
        StatCache { path: None, entries: Mutex::default(), learnt: AtomicBool::new(false) }
    }

    /// Keeps the cache for the next call, if it learnt something.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self) -> Result<(), DataError> {
        let Some(path) = self.path.as_ref().filter(|_| self.learnt.load(Ordering::Relaxed)) else {
            return Ok(());
        };
        let saved = Saved { version: VERSION, files: self.lock().clone() };
        Ok(files::write_with(path, |out| Ok(serde_json::to_writer_pretty(out, &saved)?))?)
    }

    /// Digest and stat of a file, from the cache where its stat is as it was.
    ///
    /// # Errors
    /// A file that is missing, unreadable, or changes while it is read.
    pub fn digest(&self, path: &Path) -> Result<(Digest, Stat), DataError> {
        let stat = stat(path)?;
        // The lock is not held while hashing: two threads may hash one file, and find the same.
        if let Some(entry) = self.lock().get(path).filter(|entry| entry.stat == stat) {
            return Ok((entry.digest, stat));
        }
        let (digest, stat) = hash(path)?;
        if now() - stat.modified > SETTLED_NS {
            self.lock().insert(path.to_owned(), Entry { stat, digest });
            self.learnt.store(true, Ordering::Relaxed);
        }
        Ok((digest, stat))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Entry>> {
        // Entries are inserted whole, so a panic elsewhere leaves none half-written.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Identity {
    /// The identity of the files called `names` below `root`, read by the loader `loader` (name and version) with
    /// `choices` (a canonical text of every preparation choice).
    ///
    /// The digest does not depend on where `root` is, nor on the order of `names`.
    ///
    /// # Errors
    /// A file that is missing, unreadable, changes while it is read, or lies outside of `root`.
    pub fn of(
        root: &Path,
        names: &[&str],
        loader: &str,
        choices: &str,
        cache: &StatCache,
    ) -> Result<Self, DataError> {
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        let real_root = real(root)?;
        let file = |name: &&str| {
            let path = within(&real_root, root, name)?;
            let (digest, stat) = cache.digest(&path)?;
            Ok(FileIdentity { name: (*name).to_owned(), path, digest, stat })
        };
        // All are looked at, so that the error is always the same one: the first in the order of the names.
        let files: Vec<Result<FileIdentity, DataError>> = names.par_iter().map(file).collect();
        let files: Vec<FileIdentity> = files.into_iter().collect::<Result<_, _>>()?;
        let mut hasher = Hasher::new("i2m2 dataset v1");
        hasher.field(loader.as_bytes()).field(choices.as_bytes());
        for file in &files {
            hasher.field(file.name.as_bytes()).field(file.digest.bytes());
        }
        Ok(Identity { digest: hasher.finish(), files })
    }

    /// Checks, cheaply, that no file has changed since: a file whose stat has moved is hashed again.
    ///
    /// # Errors
    /// [`DataError::Changed`] names the first file with other content; a file that is gone or unreadable.
    pub fn unchanged(&self) -> Result<(), DataError> {
        let moved = |file: &&FileIdentity| !matches!(stat(&file.path), Ok(now) if now == file.stat);
        self.files.iter().filter(moved).try_for_each(verify)
    }

    /// Hashes every file again.
    ///
    /// # Errors
    /// As [`Identity::unchanged`].
    pub fn verify(&self) -> Result<(), DataError> {
        self.files.iter().try_for_each(verify)
    }
}

fn verify(file: &FileIdentity) -> Result<(), DataError> {
    let (found, _) = hash(&file.path)?;
    if found == file.digest {
        return Ok(());
    }
    Err(DataError::Changed { file: file.path.display().to_string(), expected: file.digest, found })
}

/// The real path of `name` below `root`; refused when it, or a symbolic link on the way, leads elsewhere.
///
/// # Errors
/// [`DataError::Outside`], or a file that is missing.
pub(crate) fn inside(root: &Path, name: &str) -> Result<PathBuf, DataError> {
    within(&real(root)?, root, name)
}

/// That a file of the dataset `id` is there; a missing one is told with how to get it.
///
/// # Errors
/// [`DataError::Missing`].
pub(crate) fn present(root: &Path, name: &str, (id, title): (&str, &str)) -> Result<(), DataError> {
    let path = root.join(name);
    let remedy = format!("`i2m2 data explain {id}` says how to get the files and where to put them");
    fs::metadata(&path).map(drop).map_err(DataError::open(&path, &format!("a file of {title}"), &remedy))
}

/// [`inside`], where the root's real path is known.
fn within(real_root: &Path, root: &Path, name: &str) -> Result<PathBuf, DataError> {
    let outside = |found: String| DataError::Outside { path: root.join(name), root: root.to_owned(), found };
    if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(outside("its name leads elsewhere".to_owned()));
    }
    // Only what stands below the root can lead out of it, and only by a link.
    let mut path = real_root.to_owned();
    for part in Path::new(name).components() {
        path.push(part);
        let here = fs::symlink_metadata(&path).map_err(missing(&root.join(name)))?;
        if here.is_symlink() {
            let real_path = real(&root.join(name))?;
            let stays = real_path.starts_with(real_root);
            return if stays { Ok(real_path) } else { Err(outside(real_path.display().to_string())) };
        }
    }
    Ok(path)
}

fn real(path: &Path) -> Result<PathBuf, DataError> {
    fs::canonicalize(path).map_err(missing(path))
}

fn missing(path: &Path) -> impl FnOnce(io::Error) -> DataError {
    DataError::open(path, "a data file", "check the folder given with --data")
}

fn stat(path: &Path) -> Result<Stat, DataError> {
    fs::metadata(path).and_then(|metadata| stat_of(&metadata)).map_err(missing(path))
}

fn stat_of(metadata: &Metadata) -> io::Result<Stat> {
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    let inode = 0;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(Stat { size: metadata.len(), modified: nanoseconds(metadata.modified()?), inode })
}

fn now() -> i128 {
    nanoseconds(SystemTime::now())
}

fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}

/// Hashes a file that must not change meanwhile.
fn hash(path: &Path) -> Result<(Digest, Stat), DataError> {
    let before = stat(path)?;
    let file = File::open(path).map_err(missing(path))?;
    let digest = Digest::of_reader(file).map_err(DataError::io(path, "read it"))?;
    if stat(path)? != before {
        let changed = io::Error::other("it changed meanwhile");
        return Err(DataError::io(path, "read it undisturbed")(changed));
    }
    Ok((digest, before))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A dataset of two files, last modified long ago.
    fn dataset() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        put(folder.path(), "a.bin", b"first", 1000);
        put(folder.path(), "sub/b.bin", b"second", 1000);
        folder
    }

    fn put(root: &Path, name: &str, content: &[u8], modified: u64) {
        let path = root.join(name);
        fs::write(&path, content).unwrap();
        touch(&path, modified);
    }

    fn touch(path: &Path, modified: u64) {
        let time = UNIX_EPOCH + Duration::from_secs(modified);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    const NAMES: [&str; 2] = ["a.bin", "sub/b.bin"];

    fn identity(root: &Path, cache: &StatCache) -> Identity {
        Identity::of(root, &NAMES, "test 1", "", cache).unwrap()
    }

    #[test]
    fn an_identity_is_that_of_names_contents_loader_and_choices() {
        let (one, two) = (dataset(), dataset());
        let cache = StatCache::in_memory();
        let first = identity(one.path(), &cache);
        assert_eq!(first.digest, identity(two.path(), &cache).digest);
        assert_eq!(first.files[0].digest, Digest::of(b"first"));
        let other = |names: &[&str], loader, choices| {
            Identity::of(one.path(), names, loader, choices, &cache).unwrap().digest
        };
        assert_eq!(first.digest, other(&["sub/b.bin", "a.bin"], "test 1", ""));
        assert_ne!(first.digest, other(&["a.bin"], "test 1", ""));
        assert_ne!(first.digest, other(&NAMES, "test 2", ""));
        assert_ne!(first.digest, other(&NAMES, "test 1", "train"));
        put(two.path(), "a.bin", b"First", 1000);
        touch(&two.path().join("a.bin"), 1001);
        assert_ne!(first.digest, identity(two.path(), &cache).digest);
    }

    #[test]
    fn the_cache_answers_while_the_stat_is_as_it_was() {
        let (data, out) = (dataset(), tempfile::tempdir().unwrap());
        let cache = StatCache::open(out.path());
        let first = identity(data.path(), &cache);
        cache.save().unwrap();
        // Rewritten in place with the same size and time: only hashing could tell, so the cache still answers.
        put(data.path(), "a.bin", b"FIRST", 1000);
        let cache = StatCache::open(out.path());
        assert_eq!(identity(data.path(), &cache).digest, first.digest);
        assert!(matches!(first.verify(), Err(DataError::Changed { .. })));
        // The same size at another time is seen.
        touch(&data.path().join("a.bin"), 1001);
        assert_ne!(identity(data.path(), &cache).digest, first.digest);
    }

    #[test]
    fn a_file_modified_just_now_is_never_looked_up() {
        let data = dataset();
        let cache = StatCache::in_memory();
        let path = data.path().join("a.bin");
        fs::write(&path, b"third").unwrap();
        cache.digest(&path).unwrap();
        assert!(cache.lock().is_empty());
    }

    #[test]
    fn a_change_is_named_and_a_touch_is_none() {
        let data = dataset();
        let identity = identity(data.path(), &StatCache::in_memory());
        identity.unchanged().unwrap();
        touch(&data.path().join("sub/b.bin"), 2000);
        identity.unchanged().unwrap();
        identity.verify().unwrap();
        put(data.path(), "sub/b.bin", b"SECOND", 3000);
        let error = identity.unchanged().unwrap_err();
        assert!(matches!(error, DataError::Changed { .. }) && error.to_string().contains("b.bin"), "{error}");
        fs::remove_file(data.path().join("sub/b.bin")).unwrap();
        assert!(matches!(identity.unchanged(), Err(DataError::Missing { .. })));
    }

    #[test]
    fn a_broken_cache_is_rebuilt() {
        let (data, out) = (dataset(), tempfile::tempdir().unwrap());
        let path = out.path().join("stat-cache.json");
        for broken in
            ["", "{", "[]", r#"{"version": 99, "files": {}}"#, r#"{"version": 1, "files": {"a": 1}}"#]
        {
            fs::write(&path, broken).unwrap();
            let cache = StatCache::open(out.path());
            identity(data.path(), &cache);
            cache.save().unwrap();
            assert_eq!(StatCache::open(out.path()).lock().len(), 2, "{broken}");
        }
    }

    #[test]
    fn names_stay_inside_the_folder() {
        let data = dataset();
        let root = data.path().join("sub");
        for name in ["../a.bin", "/etc/hostname", "./b.bin/../../a.bin"] {
            assert!(matches!(inside(&root, name), Err(DataError::Outside { .. })), "{name}");
        }
        assert!(matches!(inside(&root, "none.bin"), Err(DataError::Missing { .. })));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(data.path().join("a.bin"), root.join("out.bin")).unwrap();
            std::os::unix::fs::symlink("b.bin", root.join("in.bin")).unwrap();
            assert!(matches!(inside(&root, "out.bin"), Err(DataError::Outside { .. })));
            inside(&root, "in.bin").unwrap();
        }
    }
}
