//! The idx files of MNIST.
//!
//! Invariant: an [`Idx`] holds exactly the bytes that its dimensions say; the header's dimensions are checked against
//! the file's length before anything is read.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::super::DataError;
use crate::digest::Digest;

/// Type code of unsigned bytes, the only one that MNIST uses.
const UNSIGNED_BYTES: u8 = 0x08;

/// An array of unsigned bytes.
pub(crate) struct Idx {
    /// Dimensions; the first is the number of images or labels.
    pub dims: Vec<usize>,
    /// The elements, last index fastest.
    pub bytes: Vec<u8>,
    /// SHA-256 of the whole file.
    pub digest: Digest,
}

/// Reads an idx file of unsigned bytes with `N` dimensions.
///
/// # Errors
/// A missing or unreadable file, another magic number, or a length other than the header's.
pub(crate) fn read<const N: usize>(path: &Path) -> Result<Idx, DataError> {
    let file = || path.display().to_string();
    let remedy = "download MNIST's four idx files, unpack them (gunzip), and pass their folder with --mnist";
    let mut input = File::open(path).map_err(DataError::open(path, "an idx file of MNIST", remedy))?;
    let length = input.metadata().map_err(DataError::io(path, "read its size"))?.len();
    let mut header = vec![0; 4 + 4 * N];
    let magic = [0, 0, UNSIGNED_BYTES, N as u8];
    let whole = match input.read_exact(&mut header) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
        Err(error) => return Err(DataError::io(path, "read it")(error)),
    };
    let present = usize::try_from(length).unwrap_or(usize::MAX).min(4);
    if header[..present] != magic[..present] || present == 0 {
        let found = match present {
            0 => "nothing (it is empty)".to_owned(),
            _ if header.starts_with(&[0x1f, 0x8b]) => "gzip's magic number; unpack it (gunzip)".to_owned(),
            _ => hexadecimal(&header[..present]),
        };
        let expected =
            format!("an idx file of {N}-dimensional bytes, which begins with {}", hexadecimal(&magic));
        return Err(DataError::BadMagic { file: file(), expected, found });
    }
    if !whole {
        return Err(DataError::Truncated { file: file(), expected: header.len() as u128, found: length });
    }
    let dims: Vec<u32> = header[4..]
        .chunks_exact(4)
        .map(|bytes| bytes.iter().fold(0, |value, &byte| value << 8 | u32::from(byte)))
        .collect();
    let available = length - header.len() as u64;
    let expected = dims.iter().try_fold(1u128, |product, &dim| product.checked_mul(u128::from(dim)));
    if expected != Some(u128::from(available)) {
        let expected = expected.unwrap_or(u128::MAX);
        return Err(DataError::Truncated { file: file(), expected, found: available });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(available).unwrap_or(0));
    input.take(available).read_to_end(&mut bytes).map_err(DataError::io(path, "read it"))?;
    if bytes.len() as u64 != available {
        let found = bytes.len() as u64;
        return Err(DataError::Truncated { file: file(), expected: u128::from(available), found });
    }
    let digest = Digest::of_reader(header.as_slice().chain(bytes.as_slice()))
        .map_err(DataError::io(path, "read it"))?;
    Ok(Idx { dims: dims.into_iter().map(|dim| dim as usize).collect(), bytes, digest })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bytes(bytes: &[u8]) -> Result<Idx, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images");
        std::fs::write(&path, bytes).unwrap();
        read::<3>(&path)
    }

    #[test]
    fn reads_what_the_header_says() {
        let idx = read_bytes(&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 9, 8, 7, 6]).unwrap();
        assert_eq!((idx.dims, idx.bytes), (vec![2, 1, 2], vec![9, 8, 7, 6]));
    }

    #[test]
    fn what_is_not_a_whole_idx_file_is_refused() {
        let error = |bytes: &[u8]| read_bytes(bytes).err().unwrap();
        let truncated = error(&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 9, 8, 7]);
        assert!(matches!(truncated, DataError::Truncated { expected: 4, found: 3, .. }), "{truncated}");
        let longer = error(&[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 9, 8]);
        assert!(matches!(longer, DataError::Truncated { .. }), "{longer}");
        let huge = error(&[&[0, 0, 8, 3][..], &[255; 12]].concat());
        assert!(matches!(huge, DataError::Truncated { .. }), "{huge}");
        assert!(matches!(error(&[0, 0, 8, 3, 0, 0]), DataError::Truncated { .. }));
        assert!(matches!(error(&[]), DataError::BadMagic { .. }));
        assert!(matches!(error(&[0, 0, 8, 1, 0, 0, 0, 1, 5]), DataError::BadMagic { .. }));
        assert!(matches!(error(&[0, 0, 0x0d, 3, 0, 0, 0, 1]), DataError::BadMagic { .. }));
        assert!(error(&[0x1f, 0x8b, 8, 0]).to_string().contains("gunzip"));
        assert!(matches!(read::<3>(Path::new("nowhere")).err().unwrap(), DataError::Missing { .. }));
    }
}
