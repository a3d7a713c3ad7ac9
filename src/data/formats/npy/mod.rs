//! numpy's npy arrays: reading, memory-mapping and writing.
//!
//! Invariant: an [`Npy`] holds exactly the elements that its dimensions say, in C order and little-endian, whatever
//! the file's order was; it takes no memory before the header has been checked against the bytes that are there.
//!
//! The crate `npyz` is not used: it reserves what a header's length field claims before it looks at the file, and
//! multiplies dimensions without a check, which overflows on a header that lies. It reads a stream element by element, so
//! it maps nothing, and its errors name no file.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;

use super::super::DataError;
use super::super::mapped::{self, Mapped};
pub(crate) use element::{Dtype, Element};
pub(super) use header::Header;
pub(crate) use rows::NpyRows;

mod element;
mod header;
mod rows;

/// What a dimension must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dim {
    /// Exactly this.
    Is(usize),
    /// At least 1, at most this.
    UpTo(usize),
}

/// An npy array: its elements in C order, little-endian.
///
/// No `Debug`: its content may be credentialed.
pub(crate) struct Npy {
    file: String,
    dtype: Dtype,
    dims: Vec<usize>,
    bytes: Bytes,
    start: usize,
}

enum Bytes {
    Owned(Vec<u8>),
    Mapped(Mapped),
}

impl Bytes {
    fn all(&self) -> &[u8] {
        match self {
            Bytes::Owned(bytes) => bytes,
            Bytes::Mapped(map) => map,
        }
    }
}

impl Npy {
    /// Reads a whole file into memory.
    ///
    /// # Errors
    /// A missing or unreadable file, and anything that is not a whole npy array of a known type.
    pub(crate) fn read(path: &Path) -> Result<Self, DataError> {
        let (mut file, size) = open(path)?;
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.read_to_end(&mut bytes).map_err(DataError::io(path, "read it"))?;
        Self::parse(path.display().to_string(), Bytes::Owned(bytes))
    }

    /// Maps a file into memory; pages come in as they are touched. An array in Fortran order or of big-endian
    /// elements is read and converted instead.
    ///
    /// The file must not be cut while it is mapped; [`Identity`](crate::data::Identity) checks before and after a
    /// run that it was not changed.
    ///
    /// # Errors
    /// As [`Npy::read`].
    pub(crate) fn map(path: &Path) -> Result<Self, DataError> {
        let (file, size) = open(path)?;
        let map = Mapped::of(&file, size, path)?;
        Self::parse(path.display().to_string(), Bytes::Mapped(map))
    }

    fn parse(file: String, bytes: Bytes) -> Result<Self, DataError> {
        let all = bytes.all();
        let length = Header::length(&file, &all[..all.len().min(Header::PREFIX)])?;
        let Some(header) = all.get(..length) else {
            return Err(DataError::Truncated { file, expected: length as u128, found: all.len() as u64 });
        };
        let header = Header::parse(&file, header, (all.len() - length) as u64)?;
        Ok(Self::new(file, header, bytes))
    }

    /// An array whose header has been read from elsewhere; `data` holds its elements as they stand in the file.
    pub(super) fn from_data(file: String, mut header: Header, data: Vec<u8>) -> Self {
        header.offset = 0;
        Self::new(file, header, Bytes::Owned(data))
    }

    fn new(file: String, header: Header, bytes: Bytes) -> Self {
        let Header { dtype, big_endian, fortran, dims, offset } = header;
        let fortran =
            fortran && bytes.all().len() > offset && dims.iter().filter(|&&dim| dim > 1).count() > 1;
        let swapped = big_endian && dtype.size() > 1;
        if !fortran && !swapped {
            return Npy { file, dtype, dims, bytes, start: offset };
        }
        let data = &bytes.all()[offset..];
        let mut data = if fortran { c_order(data, dtype.size(), &dims) } else { data.to_vec() };
        if swapped {
            data.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
        }
        Npy { file, dtype, dims, bytes: Bytes::Owned(data), start: 0 }
    }

    /// The file's name, for messages; an array of an archive is `im.npz[ep_tdata]`.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Type of the elements.
    pub(crate) fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Dimensions; empty for a scalar.
    pub(crate) fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Number of elements.
    pub(crate) fn elements(&self) -> usize {
        self.bytes().len() / self.dtype.size()
    }

    /// Checks the dimensions.
    ///
    /// # Errors
    /// Another number of dimensions, or one that is not what it must be.
    pub(crate) fn expect(&self, dims: &[Dim]) -> Result<(), DataError> {
        expect(&self.file, &self.dims, dims)
    }

    /// The elements' bytes, in C order and little-endian.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes.all()[self.start..]
    }

    /// The elements without a copy, where they are f32 and stand aligned (they do in every file that numpy writes).
    pub(crate) fn as_f32(&self) -> Option<&[f32]> {
        if self.dtype != Dtype::F32 || cfg!(target_endian = "big") {
            return None;
        }
        // SAFETY: every bit pattern is a valid f32; `align_to` splits off what is not aligned.
        let (before, values, after) = unsafe { self.bytes().align_to::<f32>() };
        (before.is_empty() && after.is_empty()).then_some(values)
    }

    /// Converts the `out.len()` elements from number `start` on to 32-bit floats.
    ///
    /// # Panics
    /// If the array ends before `start + out.len()`.
    pub(crate) fn read_f32(&self, start: usize, out: &mut [f32]) {
        element::decode_f32(self.dtype, self.part(start, out.len()), out);
    }

    /// Converts the `out.len()` elements from number `start` on to 64-bit floats.
    ///
    /// # Panics
    /// If the array ends before `start + out.len()`.
    pub(crate) fn read_f64(&self, start: usize, out: &mut [f64]) {
        element::decode_f64(self.dtype, self.part(start, out.len()), out);
    }

    fn part(&self, start: usize, len: usize) -> &[u8] {
        &self.bytes()[start * self.dtype.size()..(start + len) * self.dtype.size()]
    }

    /// All elements as 32-bit floats.
    pub(crate) fn to_f32(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.elements()];
        self.read_f32(0, &mut out);
        out
    }

    /// All elements as labels below `classes` (at most 256).
    ///
    /// # Errors
    /// Elements that are no integers, and a label outside of its range, with its row.
    pub(crate) fn to_labels(&self, classes: usize) -> Result<Vec<u32>, DataError> {
        if !self.dtype.is_integer() {
            return Err(DataError::Dtype {
                file: self.file.clone(),
                expected: "any integer".into(),
                found: self.dtype.code().into(),
            });
        }
        let mut wide = vec![0.0; self.elements()];
        self.read_f64(0, &mut wide);
        let label = |(row, &value): (usize, &f64)| {
            // Every label that is in range is exact in a double.
            if value >= 0.0 && value < classes.min(1 << 32) as f64 {
                return Ok(value as u32);
            }
            Err(DataError::Label {
                file: self.file.clone(),
                row: Some(row),
                classes,
                found: value.to_string(),
            })
        };
        wide.iter().enumerate().map(label).collect()
    }
}

/// Writes an array as `numpy.save` would, byte for byte.
///
/// # Errors
/// When `out` refuses, or when `values` does not hold as many elements as `dims` says.
pub(crate) fn write<T: Element>(
    out: &mut (impl Write + ?Sized),
    dims: &[usize],
    values: &[T],
) -> io::Result<()> {
    if dims.iter().product::<usize>() != values.len() {
        let message = format!("{} values do not fill an array of shape {dims:?}", values.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    write_header::<T>(out, dims)?;
    let mut buffer = Vec::with_capacity(1 << 16);
    for part in values.chunks(1 << 13) {
        buffer.clear();
        part.iter().for_each(|value| value.put_le(&mut buffer));
        out.write_all(&buffer)?;
    }
    Ok(())
}

/// Writes the header of an array whose elements the caller writes itself, in C order and little-endian.
///
/// # Errors
/// When `out` refuses.
pub(crate) fn write_header<T: Element>(out: &mut (impl Write + ?Sized), dims: &[usize]) -> io::Result<()> {
    out.write_all(&Header::write(T::DTYPE, dims))
}

/// Checks dimensions against what they must be.
pub(super) fn expect(file: &str, found: &[usize], expected: &[Dim]) -> Result<(), DataError> {
    let fits = |(&found, expected): (&usize, &Dim)| match *expected {
        Dim::Is(dim) => found == dim,
        Dim::UpTo(most) => (1..=most).contains(&found),
    };
    if found.len() == expected.len() && found.iter().zip(expected).all(fits) {
        return Ok(());
    }
    let list = expected
        .iter()
        .map(|dim| match dim {
            Dim::Is(dim) => dim.to_string(),
            Dim::UpTo(most) => format!("1 to {most}"),
        })
        .collect::<Vec<_>>();
    Err(DataError::Shape {
        file: file.to_owned(),
        expected: format!("[{}]", list.join(", ")),
        found: format!("{found:?}"),
    })
}

/// Opens a regular file and says how long it is.
pub(super) fn open(path: &Path) -> Result<(File, u64), DataError> {
    mapped::open(path, "a data file", "check the folder given with --data")
}

/// Reorders Fortran-order elements of `size` bytes to C order.
fn c_order(data: &[u8], size: usize, dims: &[usize]) -> Vec<u8> {
    let strides: Vec<usize> = dims
        .iter()
        .scan(size, |stride, &dim| {
            let this = *stride;
            *stride *= dim;
            Some(this)
        })
        .collect();
    let mut index = vec![0; dims.len()];
    let mut from = 0;
    let mut out = Vec::with_capacity(data.len());
    for _ in 0..data.len() / size {
        out.extend_from_slice(&data[from..from + size]);
        // One step of the last index, carried over to those before it.
        for axis in (0..dims.len()).rev() {
            index[axis] += 1;
            from += strides[axis];
            if index[axis] < dims[axis] {
                break;
            }
            from -= strides[axis] * dims[axis];
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests;
