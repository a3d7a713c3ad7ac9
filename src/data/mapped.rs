//! A file's bytes as they stand on disk: mapped, so that nothing is read before it is touched.
//!
//! Invariant: a map is read-only and private to its value. The file must not be cut while it is mapped.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

use super::DataError;

/// A file that is mapped into memory.
#[derive(Debug)]
pub struct Mapped(Option<Mmap>);

impl Mapped {
    /// Maps a regular file.
    ///
    /// # Errors
    /// [`DataError::Missing`] with this remedy if there is none; otherwise if it cannot be opened or mapped.
    pub fn open(path: &Path, expected: &str, remedy: &str) -> Result<Self, DataError> {
        let (file, size) = open(path, expected, remedy)?;
        Self::of(&file, size, path)
    }

    /// Maps a file that is open; nothing of an empty one.
    pub(super) fn of(file: &File, size: u64, path: &Path) -> Result<Self, DataError> {
        if size == 0 {
            return Ok(Mapped(None));
        }
        // SAFETY: the map is read-only and private to this value. Another process that writes to the file while it is mapped
        // could change bytes under us: whoever reads them takes plain numbers, for which every bit pattern is valid, and checks
        // all offsets against the length of the map.
        let map = unsafe { Mmap::map(file) }.map_err(DataError::io(path, "map it into memory"))?;
        Ok(Mapped(Some(map)))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// Opens a regular file and says how long it is.
pub(super) fn open(path: &Path, expected: &str, remedy: &str) -> Result<(File, u64), DataError> {
    let missing = DataError::open(path, expected, remedy);
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Err(missing(error)),
    };
    if !metadata.is_file() {
        return Err(missing(io::Error::other("it is no regular file")));
    }
    let file = File::open(path).map_err(missing)?;
    Ok((file, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_its_bytes_and_an_empty_one_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bytes");
        let open = || Mapped::open(&path, "bytes", "write some");
        assert!(open().unwrap_err().to_string().contains("write some"));
        std::fs::write(&path, b"").unwrap();
        assert!(open().unwrap().is_empty());
        std::fs::write(&path, b"abc").unwrap();
        assert_eq!(&open().unwrap()[..], b"abc");
        assert!(Mapped::open(folder.path(), "bytes", "write some").is_err());
    }
}
