//! Which recording stands beside which image.
//!
//! Invariant: the pairing depends on the labels, the sizes of the pools, the share and the seed alone. For one seed,
//! raising the share only brings rows back to their own recording; every other row keeps what it had.

use super::clips::{CLASSES, Clips, Pool};
use crate::random::Seeds;

/// What a row hears: a spoken digit, and a noise if the build has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sound {
    /// Number of the spoken digit.
    pub clip: u32,
    /// Number of the noise.
    pub noise: Option<u32>,
}

/// The sound of each row when nothing is out of place: recordings of the row's label in turn, noises in turn.
pub(super) fn aligned(labels: &[u8], speech: &Clips, noise: Option<&Clips>, pool: Pool) -> Vec<Sound> {
    let clips = speech.pool(pool);
    let noises = noise.map(|noise| noise.pool(pool));
    let each = clips.len() / CLASSES;
    let mut heard = [0; CLASSES];
    let sound = |(row, &label): (usize, &u8)| {
        let label = usize::from(label);
        let clip = clips[label * each + heard[label] % each];
        heard[label] += 1;
        Sound { clip, noise: noises.map(|noises| noises[row % noises.len()]) }
    };
    labels.iter().enumerate().map(sound).collect()
}

/// For each row the row whose sound it gets: its own with probability `share`, otherwise an independently drawn
/// row of the same file (which may be any row, its own too).
///
/// Stands for the generator appending recordings in the order in which its workers finished.
pub(super) fn sources(rows: usize, share: f64, seeds: &Seeds) -> Vec<u32> {
    let mut stream = seeds.stream();
    (0..rows as u32)
        .map(|row| {
            // Both are drawn for every row, so that rows do not depend on each other's outcome.
            let stays = stream.chance(share);
            let other = stream.below(rows as u64) as u32;
            if stays { row } else { other }
        })
        .collect()
}

/// Share of the rows whose sound says their label.
pub(super) fn agreement(labels: &[u8], sources: &[u32]) -> f64 {
    let agree = labels.iter().zip(sources).filter(|(label, source)| **label == labels[**source as usize]);
    agree.count() as f64 / labels.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_met_and_raising_it_only_brings_rows_back() {
        let rows = 20_000;
        let seeds = Seeds::root(0).child("test");
        let low = sources(rows, 0.3, &seeds);
        let high = sources(rows, 0.4, &seeds);
        let kept = |sources: &[u32]| (0u32..).zip(sources).filter(|(row, source)| row == *source).count();
        assert!((kept(&low) as f64 / rows as f64 - 0.3).abs() < 0.015);
        assert!((0u32..).zip(low.iter().zip(&high)).all(|(row, (low, high))| low == high || *high == row));
        assert!(kept(&high) > kept(&low));
        assert_eq!(kept(&sources(rows, 1.0, &seeds)), rows);
        let labels: Vec<u8> = (0..rows).map(|row| (row % 10) as u8).collect();
        assert!((agreement(&labels, &low) - (0.3 + 0.7 / 10.0)).abs() < 0.015);
    }
}
