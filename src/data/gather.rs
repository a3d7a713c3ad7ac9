//! Picking rows into a batch.
//!
//! Invariant: the batch is innermost: `out[feature * rows.len() + i]` is feature `feature` of row `rows[i]`.

/// Rows that are transposed together: a cache line's worth of writes, and few enough streams to read.
const BLOCK: usize = 8;

/// Gathers rows of `width` values from a row-major array.
///
/// # Panics
/// If `out` has not `width * rows.len()` elements, or a row is not there.
pub fn gather_rows(values: &[f32], width: usize, rows: &[u32], out: &mut [f32]) {
    assert_eq!(out.len(), width * rows.len(), "a batch needs room for every feature of every row");
    if rows.is_empty() {
        return;
    }
    for (block, picked) in rows.chunks(BLOCK).enumerate() {
        let mut sources: [&[f32]; BLOCK] = [&[]; BLOCK];
        for (source, &row) in sources.iter_mut().zip(picked) {
            *source = &values[row as usize * width..][..width];
        }
        for (feature, out) in out.chunks_exact_mut(rows.len()).enumerate() {
            let out = &mut out[block * BLOCK..][..picked.len()];
            match <&mut [f32; BLOCK]>::try_from(&mut *out) {
                // A whole block: its length is known, so the loop is unrolled.
                Ok(out) => out.iter_mut().zip(&sources).for_each(|(out, source)| *out = source[feature]),
                Err(_) => out.iter_mut().zip(&sources).for_each(|(out, source)| *out = source[feature]),
            }
        }
    }
}

/// Gathers rows of `width` values that are made one by one.
///
/// # Panics
/// If `out` has not `width * rows.len()` elements.
pub(in crate::data) fn gather_made(
    width: usize,
    rows: &[u32],
    out: &mut [f32],
    mut make: impl FnMut(u32, &mut [f32]),
) {
    assert_eq!(out.len(), width * rows.len(), "a batch needs room for every feature of every row");
    if let [row] = rows {
        return make(*row, out);
    }
    let mut sample = vec![0.0; width];
    for (place, &row) in rows.iter().enumerate() {
        make(row, &mut sample);
        out.iter_mut().skip(place).step_by(rows.len()).zip(&sample).for_each(|(out, value)| *out = *value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_batch_size_holds_every_feature_of_every_row() {
        let width = 7;
        let values: Vec<f32> = (0..20 * width).map(|i| i as f32).collect();
        for size in 0..=19 {
            let rows: Vec<u32> = (0..size).map(|i| (i * 13 + 5) % 20).collect();
            let mut out = vec![f32::NAN; rows.len() * width];
            gather_rows(&values, width, &rows, &mut out);
            for (i, &row) in rows.iter().enumerate() {
                for feature in 0..width {
                    assert_eq!(out[feature * rows.len() + i], values[row as usize * width + feature]);
                }
            }
        }
    }
}
