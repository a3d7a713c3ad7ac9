//! A fixture of many files, which one digest in the manifest pins.
//!
//! Invariant: files are written when all of them together are the pinned ones, and are hashed before they are used.

use std::path::Path;

use rayon::prelude::*;

use super::SettingsError;
use super::files::pinned;
use crate::data::{DataError, StatCache};
use crate::digest::{Digest, Hasher};
use crate::files;

/// Files with their bytes, by path below the dataset's folder.
pub(in crate::data) type Rendered = Vec<(String, Vec<u8>)>;

/// The files of a fixture, by the name that its line in the manifest has.
pub(in crate::data) trait Bundle: Sync {
    /// The fixture's name in the manifest.
    fn name(&self) -> &'static str;

    /// Paths of the files below the dataset's folder, in the order of [`Bundle::render`].
    fn names(&self) -> Vec<String>;

    /// All files.
    ///
    /// # Errors
    /// What the writer of a format says.
    fn render(&self) -> Result<Rendered, String>;
}

/// One digest of many files.
pub(in crate::data) fn together<'a>(files: impl IntoIterator<Item = (&'a String, Digest)>) -> Digest {
    let mut hasher = Hasher::new("i2m2 synthetic files v1");
    for (name, digest) in files {
        hasher.field(name.as_bytes()).field(digest.bytes());
    }
    hasher.finish()
}

/// The digest of the files that are below a folder.
fn found(bundle: &dyn Bundle, folder: &Path, stats: &StatCache) -> Result<Digest, DataError> {
    let names = bundle.names();
    let digests: Vec<Result<Digest, DataError>> =
        names.par_iter().map(|name| Ok(stats.digest(&folder.join(name))?.0)).collect();
    let digests: Vec<Digest> = digests.into_iter().collect::<Result<_, _>>()?;
    Ok(together(names.iter().zip(digests)))
}

/// Writes the files below `out`, unless they are there as they should be. What `stats` knows is not hashed again.
///
/// # Errors
/// When the system refuses to write, or the bytes are not the pinned ones.
pub(in crate::data) fn generate(bundle: &dyn Bundle, out: &Path, stats: &StatCache) -> Result<(), DataError> {
    let expected = pinned(bundle.name())?;
    // A folder lists its files as its identity does, by their real paths.
    let folder = std::fs::canonicalize(out).unwrap_or_else(|_| out.to_owned());
    if self::found(bundle, &folder, stats).is_ok_and(|found| found == expected) {
        return Ok(());
    }
    let rendered = render(bundle, out)?;
    let found = together(rendered.iter().map(|(name, bytes)| (name, Digest::of(bytes))));
    if found != expected {
        let (file, expected) = (bundle.name().to_owned(), expected.to_string());
        return Err(SettingsError::Manifest { file, expected, found }.into());
    }
    write(&rendered, out)
}

/// Checks that the files below `out` have the pinned bytes.
///
/// # Errors
/// A file that is missing, or other bytes.
pub(in crate::data) fn verify(bundle: &dyn Bundle, out: &Path) -> Result<(), DataError> {
    let expected = pinned(bundle.name())?;
    let found = self::found(bundle, out, &StatCache::in_memory())?;
    if found == expected {
        return Ok(());
    }
    Err(SettingsError::Altered { file: out.display().to_string(), expected, found }.into())
}

/// Renders the files for the folder `out`, which is for messages.
pub(in crate::data) fn render(bundle: &dyn Bundle, out: &Path) -> Result<Rendered, DataError> {
    bundle.render().map_err(|found| DataError::Malformed {
        file: out.display().to_string(),
        expected: "files that their writers can make".to_owned(),
        found,
    })
}

/// Writes files below `out`.
///
/// # Errors
/// When the system refuses.
pub(in crate::data) fn write(rendered: &Rendered, out: &Path) -> Result<(), DataError> {
    rendered.par_iter().try_for_each(|(name, bytes)| Ok(files::write_again(&out.join(name), bytes)?))
}

/// The line that the manifest should hold, where it holds another.
#[cfg(test)]
pub(in crate::data) fn difference(bundle: &dyn Bundle) -> Option<String> {
    let rendered = bundle.render().unwrap_or_default();
    let names: Vec<&String> = rendered.iter().map(|(name, _)| name).collect();
    assert!(names.iter().copied().eq(&bundle.names()), "files that are announced, and those that are made");
    let found = together(rendered.iter().map(|(name, bytes)| (name, Digest::of(bytes))));
    (pinned(bundle.name()).ok() != Some(found)).then(|| format!("{found}  {}", bundle.name()))
}
