//! How tokens of a square grid are taken: patches of pixels, windows (shifted or not), and cells of two by two.
//!
//! Invariant: windows and the tokens in them stand row by row; a merged cell's tokens stand column by column (Swin).

use std::sync::Arc;

use super::FiberError;
use super::config::{CHANNELS, PATCH};
use crate::ops::rows::Index;

/// Windows of a grid.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    /// From the grid to windows.
    pub(super) cut: Index,
    /// From windows to the grid.
    pub(super) back: Index,
    /// Where a shifted grid wraps around: tokens of one window with different labels are no neighbours.
    pub(super) labels: Option<Arc<[u8]>>,
    /// Tokens of a window.
    pub(super) tokens: usize,
}

impl Windows {
    /// Windows of `window` tokens a side of a grid of `side`, rolled by `shift` rows up and columns to the left first.
    pub(super) fn new(side: usize, window: usize, shift: usize) -> Result<Self, FiberError> {
        let across = side / window;
        let mut places = Vec::with_capacity(side * side);
        for (row, column) in (0..across).flat_map(|row| (0..across).map(move |column| (row, column))) {
            for (i, j) in (0..window).flat_map(|i| (0..window).map(move |j| (i, j))) {
                places.push((row * window + i, column * window + j));
            }
        }
        let rolled = |place: usize| (place + shift) % side;
        let rows = places.iter().map(|&(row, column)| (rolled(row) * side + rolled(column)) as u32);
        let cut = Index::new(rows.collect(), side * side)?;
        // The bands of the rolled grid: windows that did not move, the rest of the last ones, and what came around.
        let band = |place: usize| u8::from(place >= side - window) + u8::from(place >= side - shift);
        let label = |&(row, column): &(usize, usize)| 3 * band(row) + band(column);
        let labels = (shift > 0).then(|| places.iter().map(label).collect());
        Ok(Windows { back: cut.inverse()?, cut, labels, tokens: window * window })
    }
}

/// The order that puts the four tokens of each cell of two by two behind each other.
pub(super) fn cells(side: usize) -> Result<Index, FiberError> {
    let half = side / 2;
    let cell = |row: usize, column: usize| {
        [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(i, j)| ((2 * row + i) * side + 2 * column + j) as u32)
    };
    let rows = (0..half).flat_map(|row| (0..half).flat_map(move |column| cell(row, column)));
    Ok(Index::new(rows.collect(), side * side)?)
}

/// The order that puts the pixels of each patch behind each other (channels, then rows), of images of this side as runs of a
/// patch's width.
pub(super) fn patches(side: usize) -> Result<Index, FiberError> {
    let across = side / PATCH;
    let mut runs = Vec::with_capacity(CHANNELS * side * across);
    for (row, column) in (0..across).flat_map(|row| (0..across).map(move |column| (row, column))) {
        for (channel, i) in (0..CHANNELS).flat_map(|channel| (0..PATCH).map(move |i| (channel, i))) {
            runs.push(((channel * side + row * PATCH + i) * across + column) as u32);
        }
    }
    Ok(Index::new(runs, CHANNELS * side * across)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_a_rolled_grid() {
        let plain = Windows::new(4, 2, 0).unwrap();
        assert_eq!(plain.cut.rows()[..8], [0, 1, 4, 5, 2, 3, 6, 7]);
        assert!(plain.labels.is_none());
        let shifted = Windows::new(4, 2, 1).unwrap();
        assert_eq!(shifted.cut.rows()[..8], [5, 6, 9, 10, 7, 4, 11, 8]);
        // The last window holds all four corners of the grid: four labels.
        assert_eq!(shifted.labels.unwrap()[..], [0, 0, 0, 0, 1, 2, 1, 2, 3, 3, 6, 6, 4, 5, 7, 8]);
    }

    #[test]
    fn cells_stand_column_by_column() {
        assert_eq!(cells(4).unwrap().rows()[..8], [0, 4, 1, 5, 2, 6, 3, 7]);
    }

    #[test]
    fn patches_are_channels_of_rows() {
        let patches = patches(8).unwrap();
        assert_eq!(patches.rows()[..6], [0, 2, 4, 6, 16, 18]);
        assert_eq!(patches.rows()[12..14], [1, 3]);
    }
}
