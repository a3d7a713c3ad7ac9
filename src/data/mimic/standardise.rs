//! Standardising the raw arrays.
//!
//! Invariant: values that are not finite become 0 in raw units first, then every column is shifted and scaled by mean
//! and population standard deviation in f64, in a fixed order of summation; what comes out is finite.

use serde::{Deserialize, Serialize};

use crate::data::DataError;
use crate::data::formats::npy::Npy;

/// The rows whose mean and standard deviation standardise all of them (deviation M5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StandardiseOn {
    /// Train, validation and test rows together, as the released code does; the paper is silent.
    #[default]
    All,
    /// The train rows alone: nothing leaks from validation and test.
    Train,
}

/// Mean and scale of one column.
#[derive(Clone, Copy)]
struct Column {
    mean: f64,
    scale: f64,
}

/// Standardises an array whose last dimension is `columns` and returns its rows in `order`.
///
/// The statistics of a column are over all its values in the rows `fitted` (steps of a series included). A column
/// that holds one value throughout them is shifted to 0 and not scaled, where numpy would divide by zero.
pub(super) fn standardise(
    array: &Npy,
    columns: usize,
    fitted: &[u32],
    order: &[u32],
) -> Result<Vec<f32>, DataError> {
    let width = array.dims()[1..].iter().product();
    let mut row = vec![0.0; width];
    let statistics = statistics(array, columns, fitted, &mut row);
    // Which value is too large is not for a message: rows are credentialed.
    let too_large = || DataError::Value {
        file: array.file().to_owned(),
        row: None,
        expected: "values that can be standardised in 64-bit floats".into(),
        found: "values too large for that".into(),
    };
    if !statistics.iter().all(|column| column.mean.is_finite() && column.scale.is_finite()) {
        return Err(too_large());
    }
    let mut out = Vec::with_capacity(order.len() * width);
    for &index in order {
        read_clean(array, index, &mut row);
        let scaled = |(value, column): (&f64, &Column)| ((value - column.mean) / column.scale) as f32;
        out.extend(row.iter().zip(statistics.iter().cycle()).map(scaled));
    }
    if out.iter().all(|value| value.is_finite()) { Ok(out) } else { Err(too_large()) }
}

fn statistics(array: &Npy, columns: usize, fitted: &[u32], row: &mut [f64]) -> Vec<Column> {
    let count = (fitted.len() * row.len() / columns) as f64;
    let mut each = |add: &mut dyn FnMut(usize, f64)| {
        for &index in fitted {
            read_clean(array, index, row);
            row.iter().enumerate().for_each(|(i, &value)| add(i % columns, value));
        }
    };
    let (mut low, mut high) = (vec![f64::INFINITY; columns], vec![f64::NEG_INFINITY; columns]);
    let mut mean = vec![0.0; columns];
    each(&mut |column, value| {
        low[column] = low[column].min(value);
        high[column] = high[column].max(value);
        mean[column] += value;
    });
    mean.iter_mut().for_each(|sum| *sum /= count);
    let mut variance = vec![0.0; columns];
    each(&mut |column, value| variance[column] += (value - mean[column]) * (value - mean[column]));
    // Whether a column is constant is told by its range: rounding of the mean can leave a tiny, meaningless variance.
    let column = |i: usize| {
        if low[i] == high[i] {
            Column { mean: low[i], scale: 1.0 }
        } else {
            Column { mean: mean[i], scale: (variance[i] / count).sqrt() }
        }
    };
    (0..columns).map(column).collect()
}

/// Reads one row; what is not finite becomes 0.
fn read_clean(array: &Npy, index: u32, row: &mut [f64]) {
    array.read_f64(index as usize * row.len(), row);
    row.iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = 0.0);
}
