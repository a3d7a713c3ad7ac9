//! Figure 2: six models on fastMRI (Section 4.2).
//!
//! Invariant: bars stand in the paper's order; both of the metrics that Appendix B names are here, from the same runs.

use super::runs::knee::{Model, run};
use super::{Benchmark, Chart, Column, Kind, Layout, Needs, Row, Status};
use crate::engine::plan::Planner;
use crate::protocol::{DatasetName, Protocol};

const AUROC: &str = "AUROC";
const BALANCED: &str = "Balanced accuracy";

/// Figure 2.
pub static BENCHMARK: Benchmark = Benchmark {
    id: "figure2",
    title: "Figure 2",
    caption: "Results on fastMRI dataset.",
    shows: "AUROC of RSS, magnitude, phase, intra-modality, inter-modality and I2M2 models for four knee pathologies",
    needs: &[Needs::Dataset(DatasetName::Fastmri)],
    kind: Kind::Figure,
    layout: Layout {
        checks: &[],
        columns: &[
            Column::new("acl", "ACL").under(AUROC),
            Column::new("meniscus", "Meniscus").under(AUROC),
            Column::new("cartilage", "Cartilage").under(AUROC),
            Column::new("others", "Others").under(AUROC),
            Column::new("acl-balanced", "ACL").under(BALANCED),
            Column::new("meniscus-balanced", "Meniscus").under(BALANCED),
            Column::new("cartilage-balanced", "Cartilage").under(BALANCED),
            Column::new("others-balanced", "Others").under(BALANCED),
        ],
        rows: &[
            Row::new("rss", "RSS"),
            Row::new("magnitude", "Magnitude"),
            Row::new("phase", "Phase"),
            Row::new("intra", "Intra-modality"),
            Row::new("inter", "Inter-modality"),
            Row::new("i2m2", "I2M2"),
        ],
    },
    chart: Some(Chart::Bars),
    status: Status::Registered(plan),
    values: None,
};

const MODELS: [(&str, Model); 6] = [
    ("rss", Model::Rss),
    ("magnitude", Model::Magnitude),
    ("phase", Model::Phase),
    ("intra", Model::Intra),
    ("inter", Model::Inter),
    ("i2m2", Model::I2m2),
];

fn plan(figure: &Benchmark, planner: &mut Planner<'_>, protocol: &Protocol) {
    let seeds = figure.seeds(planner, protocol);
    for (row, model) in MODELS {
        for column in figure.layout.columns {
            let metric = match column.id.strip_suffix("-balanced") {
                Some(finding) => format!("test_balanced_accuracy.{finding}"),
                None => format!("test_auroc.{}", column.id),
            };
            let cell = figure
                .measured((column.id, row), &metric, &seeds, |seed| run(planner, protocol, model, seed));
            planner.cell(cell);
        }
    }
}
