//! npy arrays that are read row by row from the file, so that they take no memory.
//!
//! Invariant: rows are read at their place without a map: pages of a file larger than memory's budget never count as
//! ours, and a file that is cut meanwhile yields an error instead of a signal. The header is checked as for
//! [`Npy`](super::Npy).

use std::fs::File;
use std::io;
use std::path::Path;

use super::element::{self, Dtype, Element};
use super::{Dim, Header, expect, open};
use crate::data::DataError;

/// An npy array of at least one dimension, read row by row (a row is everything behind the first index).
///
/// No `Debug`: its content may be credentialed.
pub(crate) struct NpyRows {
    name: String,
    dtype: Dtype,
    dims: Vec<usize>,
    offset: u64,
    rows: Rows,
}

enum Rows {
    Resident(Vec<u8>),
    OnDisk(File),
}

impl NpyRows {
    /// Opens a file; arrays of at most `resident` bytes are read into memory at once.
    ///
    /// # Errors
    /// A missing or unreadable file, anything that is not a whole npy array of a known type, other dimensions than
    /// `dims`, and arrays in Fortran order or of big-endian elements.
    pub(crate) fn open(path: &Path, dims: &[Dim], resident: usize) -> Result<Self, DataError> {
        let (file, size) = open(path)?;
        let name = path.display().to_string();
        let read = |bytes: &mut Vec<u8>, offset| {
            read_at(&file, bytes, offset).map_err(DataError::io(path, "read it"))
        };
        let mut prefix = vec![0; Header::PREFIX.min(usize::try_from(size).unwrap_or(Header::PREFIX))];
        read(&mut prefix, 0)?;
        let length = Header::length(&name, &prefix)?;
        if length as u64 > size {
            return Err(DataError::Truncated { file: name, expected: length as u128, found: size });
        }
        let mut header = vec![0; length];
        read(&mut header, 0)?;
        let Header { dtype, big_endian, fortran, dims: found, offset } =
            Header::parse(&name, &header, size - length as u64)?;
        expect(&name, &found, dims)?;
        let foreign = |expected: &str, found: &str| {
            let expected =
                format!("{expected}, for example as `np.ascontiguousarray(a, a.dtype.newbyteorder('<'))`");
            Err(DataError::Malformed { file: name.clone(), expected, found: found.into() })
        };
        if fortran && found.iter().filter(|&&dim| dim > 1).count() > 1 {
            return foreign("an array in C order", "one in Fortran order");
        }
        if big_endian && dtype.size() > 1 {
            return foreign("little-endian elements", "big-endian ones");
        }
        // Header::parse has checked that the file holds exactly these bytes.
        let bytes = found.iter().product::<usize>() * dtype.size();
        let rows = if bytes <= resident {
            let mut all = vec![0; bytes];
            read(&mut all, offset as u64)?;
            Rows::Resident(all)
        } else {
            Rows::OnDisk(file)
        };
        Ok(NpyRows { name, dtype, dims: found, offset: offset as u64, rows })
    }

    /// The file's name, for messages.
    pub(crate) fn file(&self) -> &str {
        &self.name
    }

    /// Type of the elements.
    pub(crate) fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Dimensions, the first being the number of rows.
    pub(crate) fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.dims.first().copied().unwrap_or(0)
    }

    /// Bytes of one row.
    pub(crate) fn row_bytes(&self) -> usize {
        self.dims.iter().skip(1).product::<usize>() * self.dtype.size()
    }

    /// Reads the bytes of consecutive rows, as many as fill `out`, from row `first` on.
    ///
    /// # Errors
    /// When the file cannot be read any more, or the array ends before.
    pub(crate) fn read(&self, first: usize, out: &mut [u8]) -> io::Result<()> {
        let start = first * self.row_bytes();
        match &self.rows {
            Rows::Resident(all) => {
                let rows = all.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
                out.copy_from_slice(rows);
                Ok(())
            }
            Rows::OnDisk(file) => read_at(file, out, self.offset + start as u64),
        }
    }

    /// Converts bytes that [`NpyRows::read`] gave; `bytes` holds exactly `out.len()` elements.
    pub(crate) fn decode(&self, bytes: &[u8], out: &mut [f64]) {
        element::decode_f64(self.dtype, bytes, out);
    }

    /// All elements, of an array that is known to have the type `T`.
    ///
    /// # Errors
    /// Another type, or a file that cannot be read any more.
    pub(crate) fn elements<T: Element>(&self) -> Result<Vec<T>, DataError> {
        if self.dtype != T::DTYPE {
            return Err(DataError::Dtype {
                file: self.name.clone(),
                expected: T::DTYPE.code().into(),
                found: self.dtype.code().into(),
            });
        }
        let mut bytes = vec![0; self.rows() * self.row_bytes()];
        self.read(0, &mut bytes).map_err(DataError::io(Path::new(&self.name), "read it"))?;
        Ok(bytes.chunks_exact(self.dtype.size()).filter_map(T::from_le).collect())
    }
}

/// Reads at a place of the file, whatever others read of it.
fn read_at(file: &File, out: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, out, offset);
    #[cfg(not(unix))]
    {
        use std::io::{Read as _, Seek as _, SeekFrom};
        static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut file = file;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_same_in_memory_and_on_disk_and_a_cut_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.npy");
        let values: Vec<u16> = (0..60).collect();
        super::super::write(&mut File::create(&path).unwrap(), &[10, 2, 3], &values).unwrap();
        let dims = [Dim::UpTo(20), Dim::Is(2), Dim::Is(3)];
        let [resident, on_disk] = [1000, 0].map(|limit| NpyRows::open(&path, &dims, limit).unwrap());
        for rows in [&resident, &on_disk] {
            assert_eq!((rows.rows(), rows.row_bytes()), (10, 12));
            let mut bytes = [0; 24];
            rows.read(3, &mut bytes).unwrap();
            let mut decoded = [0.0; 12];
            rows.decode(&bytes, &mut decoded);
            assert!(decoded.iter().zip(18u16..).all(|(&a, b)| a == f64::from(b)));
            assert_eq!(rows.elements::<u16>().unwrap(), values);
            assert!(matches!(rows.elements::<u8>().unwrap_err(), DataError::Dtype { .. }));
            assert!(rows.read(9, &mut bytes).is_err(), "beyond the end");
        }
        File::options().write(true).open(&path).unwrap().set_len(150).unwrap();
        assert!(on_disk.read(8, &mut [0; 12]).is_err());
        let cut = NpyRows::open(&path, &dims, 0).err().unwrap();
        assert!(matches!(cut, DataError::Truncated { .. }), "{cut}");
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(NpyRows::open(&path, &dims, 0).err().unwrap(), DataError::BadMagic { .. }));
    }
}
