//! Figure B.7: inter-modality and I2M2 models as noise grows, on fastMRI (Appendix B).
//!
//! Invariant: models are those of Figure 2, trained without noise; both see the same draws of it.

use super::runs::knee::{FINDINGS, Model, auroc, under_noise};
use super::{Benchmark, Chart, Kind, Layout, Needs, Row, Status};
use crate::engine::plan::Planner;
use crate::protocol::{DatasetName, Protocol};

const INTER: &str = "Inter-modality";
const I2M2: &str = "I2M2";

/// Figure B.7.
pub static BENCHMARK: Benchmark = Benchmark {
    id: "figure-b7",
    title: "Figure B.7",
    caption: "AUROC performance comparison for varying ricean-noise levels.",
    shows: "AUROC of inter-modality and I2M2 models as Rician noise is added to the test images",
    needs: &[Needs::Dataset(DatasetName::Fastmri)],
    kind: Kind::Figure,
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
    status: Status::Registered(plan),
    values: None,
};

fn plan(figure: &Benchmark, planner: &mut Planner<'_>, protocol: &Protocol) {
    let seeds = figure.seeds(planner, protocol);
    for row in figure.layout.rows {
        let Some((model, percent)) = model_and_percent(row.id) else { continue };
        auroc(figure, planner, row.id, &seeds, |planner, seed| {
            under_noise(planner, protocol, model, percent, seed)
        });
    }
}

/// What a row's id says.
fn model_and_percent(row: &str) -> Option<(Model, f64)> {
    let (model, percent) = row.split_once('@')?;
    let model = if model == "i2m2" { Model::I2m2 } else { Model::Inter };
    Some((model, percent.parse().ok()?))
}
