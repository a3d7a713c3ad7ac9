//! Three-dimensional arrays in HDF5 files, read row by row ("row": everything behind the first index).
//!
//! Invariant: this is the one place that calls the HDF5 library. What a file declares is held against its bytes before
//! memory is taken for it, and a panic of the library is an error about the file. What was never written is an error too:
//! the library would read it as zeros.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use hdf5_pure::{Chunk, Datatype, DatatypeByteOrder, File, FloatingPointLayout, Layout};

use crate::data::DataError;

/// Bytes of a chunk, at most: h5py's own choices are below 1 MB, whole slices below 10 MB.
const LARGEST_CHUNK: u64 = 64 << 20;
/// Chunks of an array, at most.
const MOST_CHUNKS: u64 = 1 << 16;
/// Bytes that deflate makes of one, at most.
const INFLATION: u64 = 1032;
/// The filters that h5py offers without plugins and that lose nothing: deflate, shuffle, fletcher32.
const FILTERS: [u16; 3] = [1, 2, 3];

/// Types of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// A little-endian float of 32 bits.
    Real,
    /// Two of them, the real and the imaginary part.
    Complex,
}

impl Element {
    /// Floats of an element.
    fn floats(self) -> usize {
        match self {
            Element::Real => 1,
            Element::Complex => 2,
        }
    }

    fn bytes(self) -> u64 {
        4 * self.floats() as u64
    }

    fn name(self) -> &'static str {
        match self {
            Element::Real => "little-endian 32-bit floats",
            Element::Complex => "complex64 (a compound of two little-endian 32-bit floats)",
        }
    }

    fn is(self, kind: &Datatype) -> bool {
        match self {
            Element::Real => matches!(
                kind,
                Datatype::FloatingPoint { size: 4, byte_order: DatatypeByteOrder::LittleEndian, layout }
                    if *layout == FloatingPointLayout::IEEE754_BINARY32
            ),
            Element::Complex => {
                let Datatype::Compound { size: 8, members } = kind else { return false };
                let [real, imaginary] = &members[..] else { return false };
                // h5py calls them r and i.
                matches!((&*real.name, &*imaginary.name), ("r", "i") | ("real", "imag"))
                    && (real.byte_offset, imaginary.byte_offset) == (0, 4)
                    && [real, imaginary].into_iter().all(|part| Element::Real.is(&part.datatype))
            }
        }
    }
}

/// An open HDF5 file.
pub(super) struct Container {
    name: String,
    bytes: u64,
    datasets: Vec<String>,
    file: File,
}

impl Container {
    /// Opens a file and reads the names of its datasets.
    ///
    /// # Errors
    /// A file that is missing, unreadable, or no HDF5.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let name = path.display().to_string();
        let bytes = std::fs::metadata(path)
            .map_err(DataError::open(path, "a volume of fastMRI", "download it again"))?
            .len();
        let file = guarded(&name, "the header", || File::open_streaming(path))?;
        let datasets = guarded(&name, "the list of datasets", || file.root().datasets())?;
        Ok(Container { name, bytes, datasets, file })
    }

    /// Opens an array of three dimensions and checks what it declares.
    ///
    /// # Errors
    /// A dataset that is missing, has another type or rank, is stored in a way that scans are not, or promises more than
    /// the file holds.
    pub(super) fn array(&self, dataset: &str, element: Element) -> Result<Array, DataError> {
        if !self.datasets.iter().any(|name| name == dataset) {
            return Err(DataError::MissingArray {
                file: self.name.clone(),
                expected: dataset.to_owned(),
                found: if self.datasets.is_empty() { "none".to_owned() } else { self.datasets.join(", ") },
            });
        }
        let name = format!("{}[{dataset}]", self.name);
        let dataset = guarded(&name, "the header", || self.file.dataset(dataset))?;
        let kind = guarded(&name, "the type", || dataset.datatype())?;
        if !element.is(&kind) {
            // A compound may hold very many members.
            let found = format!("{kind:?}").chars().take(120).collect();
            return Err(DataError::Dtype { file: name, expected: element.name().to_owned(), found });
        }
        let shape = guarded(&name, "the shape", || dataset.shape())?;
        let dims = <[u64; 3]>::try_from(&shape[..]).ok().filter(|dims| !dims.contains(&0));
        let Some(dims) = dims else {
            return Err(DataError::Shape {
                file: name,
                expected: "three dimensions (slices, rows, columns), none of them 0".to_owned(),
                found: format!("{shape:?}"),
            });
        };
        let array = Array { name, dims, element, dataset };
        array.check_storage(self.bytes)?;
        Ok(array)
    }
}

/// An array of an HDF5 file, all of which is there.
pub(super) struct Array {
    /// File and dataset, for messages: `volume.h5[kspace]`.
    pub name: String,
    /// Slices, rows and columns, none of them 0.
    pub dims: [u64; 3],
    element: Element,
    dataset: hdf5_pure::Dataset,
}

impl Array {
    /// Holds what is declared against the bytes of the file.
    fn check_storage(&self, bytes: u64) -> Result<(), DataError> {
        let declared = self
            .dims
            .iter()
            .try_fold(u128::from(self.element.bytes()), |product, &dim| product.checked_mul(u128::from(dim)));
        let Some(declared) = declared else { return Err(self.truncated(u128::MAX, bytes)) };
        let filters = self.dataset.filters();
        if let Some(filter) = filters.iter().find(|filter| !FILTERS.contains(filter)) {
            return Err(
                self.malformed("the filters deflate, shuffle and fletcher32", format!("number {filter}"))
            );
        }
        match guarded(&self.name, "the layout", || self.dataset.layout())? {
            Layout::Compact { size } if u128::from(size) == declared => Ok(()),
            Layout::Contiguous { address: Some(address), size } if u128::from(size) == declared => {
                let end = u128::from(address) + declared;
                if end > u128::from(bytes) { Err(self.truncated(end, bytes)) } else { Ok(()) }
            }
            Layout::Contiguous { address: None, .. } => {
                Err(self.malformed("stored elements", "a dataset that was never written".to_owned()))
            }
            Layout::Chunked { chunk_shape, .. } => {
                let inflation = u128::from(if filters.contains(&1) { INFLATION } else { 1 });
                if declared > u128::from(bytes) * inflation {
                    return Err(self.truncated(declared.div_ceil(inflation), bytes));
                }
                self.check_chunks(&chunk_shape, bytes)
            }
            other => {
                Err(self.malformed(&format!("{declared} bytes, as the shape says"), format!("{other:?}")))
            }
        }
    }

    /// Every chunk is there, once, and lies within the file.
    fn check_chunks(&self, edges: &[u64], bytes: u64) -> Result<(), DataError> {
        let size = edges.iter().try_fold(self.element.bytes(), |size, &edge| size.checked_mul(edge));
        if edges.len() != 3 || !size.is_some_and(|size| (1..=LARGEST_CHUNK).contains(&size)) {
            let expected = format!("chunks of three dimensions and at most {LARGEST_CHUNK} bytes");
            return Err(self.malformed(&expected, format!("chunks of {edges:?}")));
        }
        let expected =
            self.dims.iter().zip(edges).map(|(dim, edge)| dim.div_ceil(*edge)).fold(1, u64::saturating_mul);
        if expected > MOST_CHUNKS {
            return Err(self.malformed(&format!("at most {MOST_CHUNKS} chunks"), expected.to_string()));
        }
        let mut chunks = guarded(&self.name, "the index of chunks", || self.dataset.chunks())?;
        chunks.sort_unstable_by(|a, b| a.offset.cmp(&b.offset));
        chunks.dedup_by(|a, b| a.offset == b.offset);
        let inside = |chunk: &&Chunk| chunk.offset.iter().zip(&self.dims).all(|(offset, dim)| offset < dim);
        let there = chunks.iter().filter(inside).count() as u64;
        if there != expected {
            let found = format!("{there} (the others were never written)");
            return Err(self.malformed(&format!("{expected} chunks"), found));
        }
        let end = |chunk: &Chunk| u128::from(chunk.address) + u128::from(chunk.storage_size);
        match chunks.iter().map(end).max() {
            Some(end) if end > u128::from(bytes) => Err(self.truncated(end, bytes)),
            _ => Ok(()),
        }
    }

    /// Reads a row: the floats of its elements, all of them finite.
    ///
    /// # Errors
    /// A file that is damaged there or changed since, and a NaN or infinity.
    pub(super) fn row(&self, row: usize) -> Result<Vec<f32>, DataError> {
        let what = format!("slice {row}");
        let bytes = guarded(&self.name, &what, || self.dataset.read_raw_rows(row as u64, 1))?;
        let expected = self.dims[1] * self.dims[2] * self.element.bytes();
        if bytes.len() as u64 != expected {
            return Err(self.truncated(expected.into(), bytes.len() as u64));
        }
        let values: Vec<f32> =
            bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        if values.iter().all(|value| value.is_finite()) {
            return Ok(values);
        }
        Err(DataError::Value {
            file: self.name.clone(),
            row: None,
            expected: "finite numbers".to_owned(),
            found: format!("NaN or infinity in slice {row}"),
        })
    }

    fn truncated(&self, expected: u128, found: u64) -> DataError {
        DataError::Truncated { file: self.name.clone(), expected, found }
    }

    fn malformed(&self, expected: &str, found: String) -> DataError {
        DataError::Malformed { file: self.name.clone(), expected: expected.to_owned(), found }
    }
}

/// Calls the HDF5 library.
fn guarded<T>(
    file: &str,
    what: &str,
    call: impl FnOnce() -> Result<T, hdf5_pure::Error>,
) -> Result<T, DataError> {
    let broken = |found: String| DataError::Malformed {
        file: file.to_owned(),
        expected: format!("an HDF5 file of which {what} can be read"),
        found,
    };
    // Nothing that the call could leave half-changed outlives it: the file is dropped with the error.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| broken(error.to_string())),
        Err(_) => Err(broken("a structure that the HDF5 library stumbles over".to_owned())),
    }
}
