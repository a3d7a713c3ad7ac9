//! One raw volume: single-coil k-space and the RSS reconstruction, as fastMRI's HDF5 files hold them.
//!
//! Invariant: an open volume's arrays have the shapes and types of a scan and agree in their number of slices; slices are
//! read one at a time, and hold finite numbers.

use std::path::Path;

use super::Geometry;
use super::container::{Array, Container, Element};
use crate::data::DataError;

/// Slices of a volume, at most; fastMRI's have up to 50.
const MOST_SLICES: u64 = 4096;
/// Columns of a volume, at most; fastMRI's have up to 454.
const MOST_COLUMNS: u64 = 8192;

/// A volume that can be read.
pub struct Volume {
    kspace: Array,
    rss: Array,
    /// Number of slices, at least 1.
    pub slices: usize,
    /// Columns of k-space, at least 1.
    pub columns: usize,
}

impl Volume {
    /// Opens a volume and checks that it is one.
    ///
    /// # Errors
    /// A file that is missing or no HDF5, lacks a dataset or a part of one, or has other types, ranks or sizes than
    /// fastMRI's.
    pub fn open(path: &Path, geometry: Geometry) -> Result<Self, DataError> {
        let container = Container::open(path)?;
        let kspace = container.array("kspace", Element::Complex)?;
        let [slices, rows, columns] = kspace.dims;
        if rows != geometry.rows as u64 || slices > MOST_SLICES || columns > MOST_COLUMNS {
            return Err(DataError::Shape {
                expected: format!(
                    "(slices, {}, columns), up to {MOST_SLICES} slices and {MOST_COLUMNS} columns",
                    geometry.rows
                ),
                found: format!("{:?}", kspace.dims),
                file: kspace.name,
            });
        }
        let rss = container.array("reconstruction_rss", Element::Real)?;
        let expected = [slices, geometry.side as u64, geometry.side as u64];
        if rss.dims != expected {
            return Err(DataError::Shape {
                expected: format!("{expected:?}, as many slices as k-space has"),
                found: format!("{:?}", rss.dims),
                file: rss.name,
            });
        }
        Ok(Volume { kspace, rss, slices: slices as usize, columns: columns as usize })
    }

    /// k-space of a slice: rows x columns, real and imaginary parts.
    ///
    /// # Errors
    /// When it cannot be read, or holds what is no number.
    pub fn kspace(&self, slice: usize) -> Result<Vec<[f32; 2]>, DataError> {
        Ok(self.kspace.row(slice)?.as_chunks::<2>().0.to_vec())
    }

    /// The RSS reconstruction of a slice: side x side.
    ///
    /// # Errors
    /// As [`Volume::kspace`].
    pub fn rss(&self, slice: usize) -> Result<Vec<f32>, DataError> {
        self.rss.row(slice)
    }
}
