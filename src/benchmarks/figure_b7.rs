//! Figure B.7: inter-modality and I2M2 models as noise grows, on fastMRI (Appendix B).
//!
//! Invariant: models are those of Figure 2, trained without noise; both see the same draws of it.

use super::figure2::FINDINGS;
use super::layout::points;
use super::{Benchmark, Chart, Layout, ModelCell, Row, Source};
use crate::metric::{AUROC, Metric};

/// By method and noise.
static CURVES: [[Row; 8]; 2] = [
    points!("inter", "Inter-modality", " %", [0, 2, 4, 5, 10, 15, 20, 25]),
    points!("i2m2", "I2M2", " %", [0, 2, 4, 5, 10, 15, 20, 25]),
];

/// Figure B.7.
pub(super) static BENCHMARK: Benchmark = Benchmark {
    id: "figure-b7",
    title: "Figure B.7",
    caption: "AUROC performance comparison for varying ricean-noise levels.",
    shows: "AUROC of inter-modality and I2M2 models as Rician noise is added to the test images",
    studies: &["fastmri"],
    layout: Layout { checks: &[], columns: &FINDINGS, rows: CURVES.as_flattened() },
    chart: Some(Chart::Curves { x: "Noise (% of the peak)" }),
    source,
    ..Benchmark::BLANK
};

/// A row's id is a model and the noise.
fn source(row: &'static str, column: &'static str) -> Option<Source> {
    let (model, percent) = row.split_once('@')?;
    Some(Source::Model(ModelCell {
        study: "fastmri",
        model,
        task: "knee",
        metric: Metric::test(&AUROC).of(column),
        population: None,
        noise: percent.parse().ok()?,
    }))
}
