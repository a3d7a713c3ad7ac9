//! The rows of one modality, in whichever form they are stored.
//!
//! Invariant: a pixel is `(stored value / 255) as f32` with the division in double precision, so that the same
//! values give the same bits from bytes, floats, or scores and bases.

use std::io;
use std::sync::Arc;

use super::gather::transpose;
use crate::data::DataError;
use crate::data::formats::npy::{Dtype, NpyRows};

/// What stored values are divided by.
const WHITE: f64 = 255.0;

/// One modality of one file.
pub(super) enum Samples {
    /// A row of the array for each row; or, with numbers, the row that a number names.
    Rows {
        /// The array.
        array: Arc<NpyRows>,
        /// For each row its row in the array.
        numbers: Option<Vec<u32>>,
    },
    /// A row is its scores times the bases.
    Scores {
        /// `[rows, components]`.
        scores: Vec<f32>,
        /// `[components, features]`.
        bases: Vec<f32>,
        /// Components.
        components: usize,
    },
}

impl Samples {
    /// Writes rows, batch innermost.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub(super) fn gather(
        &self,
        rows: impl ExactSizeIterator<Item = usize>,
        out: &mut [f32],
    ) -> io::Result<()> {
        match self {
            Samples::Rows { array, numbers } => {
                let (count, size) = (rows.len(), array.row_bytes());
                let mut bytes = vec![0; count * size];
                for (row, bytes) in rows.zip(bytes.chunks_exact_mut(size)) {
                    array.read(numbers.as_ref().map_or(row, |numbers| numbers[row] as usize), bytes)?;
                }
                gather_bytes(array, &bytes, count, out);
            }
            Samples::Scores { scores, bases, components } => {
                let features = bases.len() / components;
                let scores: Vec<&[f32]> =
                    rows.map(|row| &scores[row * components..(row + 1) * components]).collect();
                let mut values = Vec::new();
                transpose(scores.len(), out, |i, first, part| {
                    values.clear();
                    values.resize(part.len(), 0.0);
                    for (&score, basis) in scores[i].iter().zip(bases.chunks_exact(features)) {
                        for (value, &weight) in values.iter_mut().zip(&basis[first..]) {
                            *value += f64::from(score) * f64::from(weight);
                        }
                    }
                    shrink(&values, part);
                });
            }
        }
        Ok(())
    }

    /// Checks that every value is a number.
    ///
    /// # Errors
    /// The first row that holds something else, or a file that cannot be read.
    pub(super) fn check_finite(&self) -> Result<(), DataError> {
        let Samples::Rows { array, .. } = self else { return Ok(()) };
        if array.dtype().is_integer() {
            return Ok(());
        }
        let mut bytes = vec![0; array.row_bytes()];
        let mut values = vec![0.0; array.row_bytes() / array.dtype().size()];
        for row in 0..array.rows() {
            array.read(row, &mut bytes).map_err(DataError::io(array.file().as_ref(), "read it"))?;
            array.decode(&bytes, &mut values);
            if let Some(found) = values.iter().find(|value| !value.is_finite()) {
                return Err(DataError::Value {
                    file: array.file().to_owned(),
                    row: Some(row),
                    expected: "finite numbers".into(),
                    found: found.to_string(),
                });
            }
        }
        Ok(())
    }
}

fn gather_bytes(array: &NpyRows, bytes: &[u8], count: usize, out: &mut [f32]) {
    let size = array.row_bytes();
    if array.dtype() == Dtype::U8 {
        let shades: [f32; 256] = std::array::from_fn(|value| (value as f64 / WHITE) as f32);
        transpose(count, out, |i, first, part| {
            for (out, &byte) in part.iter_mut().zip(&bytes[i * size + first..]) {
                *out = shades[usize::from(byte)];
            }
        });
        return;
    }
    let width = array.dtype().size();
    let mut values = Vec::new();
    transpose(count, out, |i, first, part| {
        values.clear();
        values.resize(part.len(), 0.0);
        let start = i * size + first * width;
        array.decode(&bytes[start..start + part.len() * width], &mut values);
        shrink(&values, part);
    });
}

fn shrink(values: &[f64], out: &mut [f32]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = (value / WHITE) as f32;
    }
}
