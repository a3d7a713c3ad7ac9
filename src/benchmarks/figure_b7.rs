//! Figure B.7: inter-modality and I2M2 models as noise grows, on fastMRI (Appendix B).
//!
//! Invariant: models are those of Figure 2, trained without noise; both see the same draws of it.

use super::figure2::FINDINGS;
use super::{Benchmark, Chart, Layout, ModelCell, Needs, Row, Source, Status};
use crate::metric::{AUROC, Metric};

const INTER: &str = "Inter-modality";
const I2M2: &str = "I2M2";

/// Figure B.7.
pub(super) static BENCHMARK: Benchmark = Benchmark {
    id: "figure-b7",
    title: "Figure B.7",
    caption: "AUROC performance comparison for varying ricean-noise levels.",
    shows: "AUROC of inter-modality and I2M2 models as Rician noise is added to the test images",
    needs: &[Needs::Study("fastmri")],
    layout: Layout {
        checks: &[],
        columns: &FINDINGS,
        rows: &[
            Row::new("inter@0", "0 %").under(INTER),
            Row::new("inter@2", "2 %").under(INTER),
            Row::new("inter@4", "4 %").under(INTER),
            Row::new("inter@5", "5 %").under(INTER),
            Row::new("inter@10", "10 %").under(INTER),
            Row::new("inter@15", "15 %").under(INTER),
            Row::new("inter@20", "20 %").under(INTER),
            Row::new("inter@25", "25 %").under(INTER),
            Row::new("i2m2@0", "0 %").under(I2M2),
            Row::new("i2m2@2", "2 %").under(I2M2),
            Row::new("i2m2@4", "4 %").under(I2M2),
            Row::new("i2m2@5", "5 %").under(I2M2),
            Row::new("i2m2@10", "10 %").under(I2M2),
            Row::new("i2m2@15", "15 %").under(I2M2),
            Row::new("i2m2@20", "20 %").under(I2M2),
            Row::new("i2m2@25", "25 %").under(I2M2),
        ],
    },
    chart: Some(Chart::Curves { x: "Noise (% of the peak)" }),
    status: Status::Registered,
    source,
    values: None,
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
