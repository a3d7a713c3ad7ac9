//! Reading and writing files that people review: ranges and effects.
//!
//! Invariant: a file is there whole, as it was or as it will be, or not at all.

use std::io;
use std::path::Path;

/// The text of a file; `None` when there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Replaces a file, in a folder that is made where there is none.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let aside = path.with_extension("toml.tmp");
    std::fs::write(&aside, text).and_then(|()| std::fs::rename(&aside, path))
}
