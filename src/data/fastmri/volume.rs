//! One raw volume: single-coil k-space and the RSS reconstruction, as fastMRI's HDF5 files hold them (spec 3.2).
//!
//! Invariant: what a header declares is held against the file's size and the geometry before memory is taken; slices are
//! read one at a time. The HDF5 library is only called through [`guarded`]: a panic in it is an error about the file.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use hdf5_pure::{Datatype, DatatypeByteOrder, File};

use super::Geometry;
use crate::data::DataError;

/// Slices of a volume, at most; fastMRI's have up to 50.
const MOST_SLICES: u64 = 4096;
/// Columns of a volume, at most; fastMRI's have up to 454.
const MOST_COLUMNS: u64 = 8192;

/// A volume that can be read.
pub struct Volume {
    name: String,
    kspace: hdf5_pure::Dataset,
    rss: hdf5_pure::Dataset,
    geometry: Geometry,
    /// Number of slices.
    pub slices: usize,
    /// Columns of k-space.
    pub columns: usize,
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
    // Nothing that the call could leave half-changed outlives it: the volume is dropped with the error.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| broken(error.to_string())),
        Err(_) => Err(broken("a structure that the HDF5 library stumbles over".to_owned())),
    }
}

impl Volume {
    /// Opens a volume and checks that it is one.
    ///
    /// # Errors
    /// A file that is missing or no HDF5, lacks a dataset, or has other types, ranks or sizes than fastMRI's.
    pub fn open(path: &Path, geometry: Geometry) -> Result<Self, DataError> {
        let name = path.display().to_string();
        let bytes = std::fs::metadata(path)
            .map_err(DataError::open(path, "a volume of fastMRI", "download it again"))?
            .len();
        let file = guarded(&name, "the header", || File::open_streaming(path))?;
        let dataset = |dataset: &str| {
            guarded(&name, &format!("the dataset `{dataset}`"), || file.dataset(dataset)).map_err(|error| {
                match error {
                    DataError::Malformed { found, .. } => DataError::MissingArray {
                        file: name.clone(),
                        expected: dataset.to_owned(),
                        found: guarded(&name, "the list of datasets", || file.root().datasets())
                            .map_or(found, |names| names.join(", ")),
                    },
                    error => error,
                }
            })
        };
        let (kspace, rss) = (dataset("kspace")?, dataset("reconstruction_rss")?);
        let shape = |dataset: &hdf5_pure::Dataset, of: &str| {
            guarded(&name, &format!("the shape of `{of}`"), || dataset.shape())
        };
        let wrong = |of: &str, expected: String, found: &[u64]| DataError::Shape {
            file: format!("{name}[{of}]"),
            expected,
            found: format!("{found:?}"),
        };
        let (rows, side) = (geometry.rows as u64, geometry.side as u64);
        let found = shape(&kspace, "kspace")?;
        let expected =
            || format!("(slices, {rows}, columns), at least one slice and no more than {MOST_SLICES}");
        let (slices, columns) = match found[..] {
            [slices, height, columns]
                if height == rows
                    && (1..=MOST_SLICES).contains(&slices)
                    && (1..=MOST_COLUMNS).contains(&columns) =>
            {
                (slices, columns)
            }
            _ => return Err(wrong("kspace", expected(), &found)),
        };
        let found = shape(&rss, "reconstruction_rss")?;
        if found != [slices, side, side] {
            return Err(wrong(
                "reconstruction_rss",
                format!("({slices}, {side}, {side}), as k-space has it"),
                &found,
            ));
        }
        let kind = guarded(&name, "the type of `kspace`", || kspace.datatype())?;
        if !is_complex(&kind) {
            return Err(DataError::Dtype {
                file: format!("{name}[kspace]"),
                expected: "complex64 (a compound of two little-endian 32-bit floats)".to_owned(),
                found: short(&kind),
            });
        }
        let kind = guarded(&name, "the type of `reconstruction_rss`", || rss.datatype())?;
        if !is_f32(&kind) {
            return Err(DataError::Dtype {
                file: format!("{name}[reconstruction_rss]"),
                expected: "little-endian 32-bit floats".to_owned(),
                found: short(&kind),
            });
        }
        // Compressed data may be smaller than what it stands for, but not beyond what deflate can do.
        let promised = slices * rows * columns * 8;
        if promised / 1100 > bytes {
            return Err(DataError::Truncated { file: name, expected: u128::from(promised), found: bytes });
        }
        Ok(Volume { name, kspace, rss, geometry, slices: slices as usize, columns: columns as usize })
    }

    /// k-space of a slice: rows x columns, real and imaginary parts.
    ///
    /// # Errors
    /// When it cannot be read, or holds what is no number.
    pub fn kspace(&self, slice: usize) -> Result<Vec<[f32; 2]>, DataError> {
        let values = self.read(&self.kspace, "kspace", slice, 2 * self.geometry.rows * self.columns)?;
        Ok(values.as_chunks::<2>().0.to_vec())
    }

    /// The RSS reconstruction of a slice: side x side.
    ///
    /// # Errors
    /// As [`Volume::kspace`].
    pub fn rss(&self, slice: usize) -> Result<Vec<f32>, DataError> {
        self.read(&self.rss, "reconstruction_rss", slice, self.geometry.side * self.geometry.side)
    }

    fn read(
        &self,
        dataset: &hdf5_pure::Dataset,
        of: &str,
        slice: usize,
        count: usize,
    ) -> Result<Vec<f32>, DataError> {
        let what = format!("slice {slice} of `{of}`");
        let bytes = guarded(&self.name, &what, || dataset.read_raw_rows(slice as u64, 1))?;
        if bytes.len() != 4 * count {
            let (expected, found) = (4 * count as u128, bytes.len() as u64);
            return Err(DataError::Truncated { file: format!("{}[{of}]", self.name), expected, found });
        }
        let values: Vec<f32> =
            bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(_) => Err(DataError::Value {
                file: format!("{}[{of}]", self.name),
                row: None,
                expected: "finite numbers".to_owned(),
                found: format!("NaN or infinity in slice {slice}"),
            }),
        }
    }
}

fn is_f32(kind: &Datatype) -> bool {
    matches!(
        kind,
        Datatype::FloatingPoint { size: 4, byte_order: DatatypeByteOrder::LittleEndian, layout }
            if *layout == hdf5_pure::FloatingPointLayout::IEEE754_BINARY32
    )
}

/// A compound of two floats, whatever they are called: `r` and `i` by h5py, `real` and `imag` by others.
fn is_complex(kind: &Datatype) -> bool {
    let Datatype::Compound { size: 8, members } = kind else { return false };
    let [real, imaginary] = &members[..] else { return false };
    (real.byte_offset, imaginary.byte_offset) == (0, 4)
        && real.name.starts_with('r')
        && imaginary.name.starts_with('i')
        && is_f32(&real.datatype)
        && is_f32(&imaginary.datatype)
}

/// A type in a few words: a compound may hold very many.
fn short(kind: &Datatype) -> String {
    format!("{kind:?}").chars().take(120).collect()
}
