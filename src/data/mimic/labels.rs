//! Labels of the three tasks.
//!
//! Invariant: a label is read from columns that hold nothing but 0 and 1; an error names the array alone.

use crate::data::DataError;
use crate::data::formats::npy::Npy;

/// Mortality, six classes: the first of the columns 1 to 5 (at most 24 h, 48 h, 72 h, 30 days, 1 year) that is set,
/// otherwise 0. The paper's text says "one week" where the files hold 30 days (deviation M3).
pub(super) fn mortality(adm_labels: &Npy, order: &[u32]) -> Result<Vec<u32>, DataError> {
    label_rows(adm_labels, order, 1..6, |row| {
        (1..6u32).find(|&column| row[column as usize] > 0.0).unwrap_or(0)
    })
}

/// Whether an admission belongs to one ICD-9 group.
pub(super) fn icd9(y_icd9: &Npy, column: usize, order: &[u32]) -> Result<Vec<u32>, DataError> {
    label_rows(y_icd9, order, column..column + 1, |row| u32::from(row[column] > 0.0))
}

fn label_rows(
    array: &Npy,
    order: &[u32],
    used: std::ops::Range<usize>,
    label: impl Fn(&[f64]) -> u32,
) -> Result<Vec<u32>, DataError> {
    let mut row = vec![0.0; array.dims()[1]];
    let mut read = |&index: &u32| {
        array.read_f64(index as usize * row.len(), &mut row);
        if row[used.clone()].iter().all(|&value| value == 0.0 || value == 1.0) {
            return Ok(label(&row));
        }
        Err(DataError::Label {
            file: array.file().to_owned(),
            row: None,
            classes: 2,
            found: "another value".into(),
        })
    };
    order.iter().map(&mut read).collect()
}
