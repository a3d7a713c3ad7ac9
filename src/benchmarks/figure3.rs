//! Figure 3: ensembles with as many parameters as I2M2, on fastMRI (Section 4.6).
//!
//! Invariant: an ensemble is an evaluation of runs that Figure 2 has trained, never trained itself.

use super::figure2::{FINDINGS, auroc};
use super::{Benchmark, Chart, EnsembleCell, Layout, Row, Source};
use crate::metric::{AUROC, Metric};

/// Figure 3.
pub(super) static BENCHMARK: Benchmark = Benchmark {
    id: "figure3",
    title: "Figure 3",
    caption: "AUROC performance for models with identical parameter count.",
    shows: "I2M2 against ensembles of fastMRI models with the same number of parameters",
    studies: &["fastmri"],
    layout: Layout {
        checks: &[],
        columns: &FINDINGS,
        rows: &[
            Row::new("magnitude", "3 × magnitude"),
            Row::new("phase", "3 × phase"),
            Row::new("magnitude-phase", "Magnitude + phase"),
            Row::new("magnitude-phase-inter", "Magnitude + phase + inter"),
            Row::new("i2m2", "I2M2"),
        ],
    },
    chart: Some(Chart::Bars),
    source,
    ..Benchmark::BLANK
};

/// Rows that are ensembles, with the models of their members.
const ENSEMBLES: [(&str, &[&str]); 4] = [
    ("magnitude", &["magnitude"; 3]),
    ("phase", &["phase"; 3]),
    ("magnitude-phase", &["magnitude", "phase"]),
    ("magnitude-phase-inter", &["magnitude", "phase", "inter"]),
];

fn source(row: &'static str, column: &'static str) -> Option<Source> {
    match ENSEMBLES.iter().find(|(name, _)| *name == row) {
        None => Some(auroc(row, column)),
        Some(&(name, models)) => Some(Source::Ensemble(EnsembleCell {
            study: "fastmri",
            name,
            models,
            task: "knee",
            metric: Metric::test(&AUROC).of(column),
        })),
    }
}
