//! Files that exist whole or not at all.
//!
//! Invariant: a reader sees the old content or the new, never a part: written aside in the same folder, flushed to
//! the disk, then renamed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::DataError;

/// Writes a file atomically; `fill` writes its content. Its folder is created when it is not there.
///
/// # Errors
/// When the system refuses to write (a full disk, no permission); the target is then as it was, and what was written
/// aside is removed.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), DataError> {
    let written = aside(path).and_then(|aside| {
        let result = write_aside(&aside, fill).and_then(|()| fs::rename(&aside, path));
        if result.is_err() {
            // The first error is the one to tell; a leftover is harmless and named as such.
            let _ = fs::remove_file(&aside);
        }
        result
    });
    written.and_then(|()| sync_folder(path)).map_err(DataError::io(path, "write it"))
}

/// A name in the same folder that no other writer uses.
fn aside(path: &Path) -> io::Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| io::Error::other("it does not name a file"))?;
    let folder = parent(path);
    fs::create_dir_all(folder)?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Ok(folder.join(format!(".{}.{}-{number}.partial", name.to_string_lossy(), std::process::id())))
}

fn write_aside(aside: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(aside)?);
    fill(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Makes the rename itself durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(parent(path))?.sync_all() } else { Ok(()) }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_content_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/file");
        write(&path, |out| out.write_all(b"old")).unwrap();
        let error = write(&path, |out| {
            out.write_all(b"half of the new")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert!(matches!(&error, DataError::Io { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
