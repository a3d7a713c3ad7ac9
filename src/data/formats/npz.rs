//! numpy's npz archives: npy arrays in a zip file, stored or deflated.
//!
//! Invariant: an entry is inflated into memory only after its own npy header agrees with the dimensions that the
//! caller expects, with the size that the archive declares, and with what its compressed bytes can possibly hold.
//! Nothing is ever written to the disk under a name that an archive gives.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek};
use std::path::Path;

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::super::DataError;
use super::npy::{self, Dim, Element, Header, Npy};

/// No deflate stream expands more than this.
const DEFLATE_LIMIT: u64 = 1032;

/// An archive that is open for reading.
pub(crate) struct Npz {
    file: String,
    archive: ZipArchive<BufReader<File>>,
}

impl Npz {
    /// Opens an archive and reads its directory.
    ///
    /// # Errors
    /// A missing or unreadable file, or one that is no zip archive.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let (mut opened, size) = npy::open(path)?;
        let file = path.display().to_string();
        let mut magic = [0; 4];
        let start = size.min(4) as usize;
        opened
            .read_exact(&mut magic[..start])
            .and_then(|()| opened.rewind())
            .map_err(DataError::io(path, "read it"))?;
        if &magic[..start] != b"PK\x03\x04" && &magic[..start] != b"PK\x05\x06" {
            let found = match &magic[..start] {
                [] => "nothing (it is empty)".to_owned(),
                start => format!("`{}`", start.escape_ascii()),
            };
            return Err(DataError::BadMagic {
                file,
                expected: "an npz archive of numpy arrays".into(),
                found,
            });
        }
        let archive = ZipArchive::new(BufReader::new(opened)).map_err(|error| zip_error(&file, error))?;
        Ok(Npz { file, archive })
    }

    /// Names of the arrays, sorted, without `.npy`.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .archive
            .file_names()
            .filter_map(Result::ok)
            .filter_map(|name| name.strip_suffix(".npy").map(str::to_owned))
            .collect();
        names.sort_unstable();
        names
    }

    /// Dimensions of an array, from its header; checked as in [`Npz::array`].
    ///
    /// # Errors
    /// As [`Npz::array`].
    pub(crate) fn dims(&mut self, name: &str, expected: &[Dim]) -> Result<Vec<usize>, DataError> {
        Ok(self.entry(name, expected)?.1.dims)
    }

    /// Reads an array whose dimensions are as expected.
    ///
    /// # Errors
    /// A missing array, dimensions that are not as expected, sizes that do not agree, a failed checksum.
    pub(crate) fn array(&mut self, name: &str, expected: &[Dim]) -> Result<Npy, DataError> {
        let place = self.place(name);
        let (mut entry, header, size) = self.entry(name, expected)?;
        // Grows with the bytes that really come; one byte more than declared is enough to find a lie.
        let mut data = Vec::new();
        entry.by_ref().take(size + 1).read_to_end(&mut data).map_err(|error| broken(&place, &error))?;
        drop(entry);
        if data.len() as u64 != size {
            let (expected, found) = (u128::from(size), data.len() as u64);
            return Err(DataError::Truncated { file: place, expected, found });
        }
        Ok(Npy::from_data(place, header, data))
    }

    fn place(&self, name: &str) -> String {
        format!("{}[{name}]", self.file)
    }

    /// An entry behind its npy header, the header, and the bytes of its elements.
    fn entry(&mut self, name: &str, expected: &[Dim]) -> Result<(impl Read, Header, u64), DataError> {
        let place = self.place(name);
        let Some(index) = self.archive.index_for_name(&format!("{name}.npy")) else {
            let names = self.names();
            let found = if names.is_empty() { "no arrays".to_owned() } else { names.join(", ") };
            return Err(DataError::MissingArray {
                file: self.file.clone(),
                expected: name.to_owned(),
                found,
            });
        };
        let mut entry = self.archive.by_index(index).map_err(|error| zip_error(&place, error))?;
        let (size, compressed) = (entry.size(), entry.compressed_size());
        let possible = match entry.compression() {
            CompressionMethod::Stored => compressed,
            CompressionMethod::Deflated => compressed.saturating_mul(DEFLATE_LIMIT),
            other => {
                let (expected, found) = ("a stored or deflated entry".into(), other.to_string());
                return Err(DataError::Malformed { file: place, expected, found });
            }
        };
        if size > possible {
            return Err(DataError::TooLarge {
                file: place,
                expected: format!("at most {possible} bytes from {compressed} compressed ones"),
                found: format!("{size} bytes declared"),
            });
        }
        let mut header = Vec::new();
        let prefix = Header::PREFIX as u64;
        entry.by_ref().take(prefix).read_to_end(&mut header).map_err(|error| broken(&place, &error))?;
        let length = Header::length(&place, &header)?;
        let rest = length.saturating_sub(header.len()) as u64;
        entry.by_ref().take(rest).read_to_end(&mut header).map_err(|error| broken(&place, &error))?;
        if header.len() < length || size < length as u64 {
            let (expected, found) = (length as u128, header.len() as u64);
            return Err(DataError::Truncated { file: place, expected, found });
        }
        // Version 1 headers of 10 and 11 bytes would end within the prefix; numpy never writes them.
        if header.len() > length {
            let (expected, found) = ("an npy header with its fields".into(), "an empty one".into());
            return Err(DataError::Malformed { file: place, expected, found });
        }
        let data = size - length as u64;
        let header = Header::parse(&place, &header, data)?;
        npy::expect(&place, &header.dims, expected)?;
        Ok((entry, header, data))
    }
}

fn zip_error(file: &str, error: ZipError) -> DataError {
    match error {
        ZipError::Io(error) => broken(file, &error),
        other => DataError::Malformed {
            file: file.to_owned(),
            expected: "a whole npz archive".into(),
            found: other.to_string(),
        },
    }
}

/// While inflating, an I/O error is almost always broken content: a bad checksum, a stream that ends early.
fn broken(file: &str, error: &io::Error) -> DataError {
    DataError::Malformed {
        file: file.to_owned(),
        expected: "a whole npz archive".into(),
        found: format!("a broken one ({error})"),
    }
}

/// How an archive's entries are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// As they are, like `numpy.savez`: the same bytes with every version of every library.
    Stored,
    /// Deflated, like `numpy.savez_compressed`: for tests of the reader.
    #[cfg(test)]
    Deflated,
}

/// Builds an archive in memory, entry by entry; its bytes depend on the arrays alone (no clock, no permissions).
pub(crate) struct NpzBuilder {
    zip: ZipWriter<Cursor<Vec<u8>>>,
    packing: Packing,
}

impl NpzBuilder {
    /// An empty archive.
    pub(crate) fn new(packing: Packing) -> Self {
        NpzBuilder { zip: ZipWriter::new(Cursor::new(Vec::new())), packing }
    }

    /// Adds an array.
    ///
    /// # Errors
    /// When `values` does not hold as many elements as `dims` says, or the name is there already.
    pub(crate) fn add<T: Element>(&mut self, name: &str, dims: &[usize], values: &[T]) -> io::Result<()> {
        let method = match self.packing {
            Packing::Stored => CompressionMethod::Stored,
            #[cfg(test)]
            Packing::Deflated => CompressionMethod::Deflated,
        };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644)
            .large_file(values.len().saturating_mul(T::DTYPE.size()) > (u32::MAX / 2) as usize);
        self.zip.start_file(format!("{name}.npy"), options)?;
        npy::write(&mut self.zip, dims, values)
    }

    /// The archive's bytes.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        Ok(self.zip.finish()?.into_inner())
    }

    /// Writes the archive to a file.
    #[cfg(test)]
    pub(crate) fn write(self, path: &Path) -> io::Result<()> {
        std::fs::write(path, self.finish()?)
    }
}

#[cfg(test)]
mod tests;
