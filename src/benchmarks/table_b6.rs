//! Table B.6: learning rates and weight decay for fastMRI (Appendix B).
//!
//! Invariant: it measures nothing: it prints what the protocol holds for the paper tier, whatever tier is asked for, so
//! that a slip in `paper/protocol/` shows as a cell that differs.

use super::runs::knee::{Model, settings};
use super::{Benchmark, Column, Kind, Layout, PaperFile, Row, Status};
use crate::engine::plan::Planner;
use crate::protocol::{Protocol, Tier, resolve_with};

/// Table B.6.
pub static BENCHMARK: Benchmark = Benchmark {
    id: "table-b6",
    title: "Table B.6",
    caption: "Learning rates (LR) and weight decay (WD) for fastMRI dataset.",
    shows: "the hyper-parameters that a grid search chose for each fastMRI model",
    needs: &[],
    kind: Kind::Table,
    layout: Layout {
        checks: &[],
        columns: &[Column::new("learning-rate", "LR"), Column::new("weight-decay", "WD")],
        rows: &[
            Row::new("magnitude", "Magnitude-only"),
            Row::new("phase", "Phase-only"),
            Row::new("intra", "Intra-modality"),
            Row::new("inter", "Inter-modality"),
            Row::new("i2m2", "Inter+Intra-modality"),
        ],
    },
    chart: None,
    status: Status::Registered(plan),
    values: Some(PaperFile { path: "paper/table-b6.csv", text: include_str!("../../paper/table-b6.csv") }),
};

const MODELS: [(&str, Model); 5] = [
    ("magnitude", Model::Magnitude),
    ("phase", Model::Phase),
    ("intra", Model::Intra),
    ("inter", Model::Inter),
    ("i2m2", Model::I2m2),
];

fn plan(table: &Benchmark, planner: &mut Planner<'_>, protocol: &Protocol) {
    // The smoke tier has rates of its own, which the paper says nothing about.
    let full = resolve_with(protocol.name, Tier::Paper, &protocol.changes);
    for (row, model) in MODELS {
        for (column, metric) in [("learning-rate", "learning_rate"), ("weight-decay", "weight_decay")] {
            planner.cell(match &full {
                Ok(full) => {
                    let run = settings(full, model);
                    let value = if metric == "learning_rate" { run.learning_rate } else { run.weight_decay };
                    table.configured(column, row, metric, value)
                }
                Err(error) => table.unmeasured(column, row, metric, &error.to_string()),
            });
        }
    }
}
