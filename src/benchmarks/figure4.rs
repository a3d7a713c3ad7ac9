//! Figure 4: wider networks instead of more experts, on fastMRI (Section 5).
//!
//! Invariant: the last row is the I2M2 of Figure 2, with narrow experts.

use super::runs::knee::{FINDINGS, Model, auroc, run};
use super::{Benchmark, Chart, Kind, Layout, Needs, Row, Status};
use crate::engine::plan::Planner;
use crate::protocol::{DatasetName, Protocol};

/// Figure 4.
pub static BENCHMARK: Benchmark = Benchmark {
    id: "figure4",
    title: "Figure 4",
    caption: "AUROC comparison with WideResNet models.",
    shows: "I2M2 with PreactResNet-18 against wider unimodal and inter-modality fastMRI models",
    needs: &[Needs::Dataset(DatasetName::Fastmri)],
    kind: Kind::Figure,
    layout: Layout {
        checks: &[],
        columns: &FINDINGS,
        rows: &[
            Row::new("magnitude", "Magnitude (wide)"),
            Row::new("phase", "Phase (wide)"),
            Row::new("inter", "Inter-modality (wide)"),
            Row::new("i2m2", "I2M2"),
        ],
    },
    chart: Some(Chart::Bars),
    status: Status::Registered(plan),
    values: None,
};

const MODELS: [(&str, Model); 4] = [
    ("magnitude", Model::WideMagnitude),
    ("phase", Model::WidePhase),
    ("inter", Model::WideInter),
    ("i2m2", Model::I2m2),
];

fn plan(figure: &Benchmark, planner: &mut Planner<'_>, protocol: &Protocol) {
    let seeds = figure.seeds(planner, protocol);
    for (row, model) in MODELS {
        auroc(figure, planner, row, &seeds, |planner, seed| run(planner, protocol, model, seed));
    }
}
