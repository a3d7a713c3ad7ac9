//! Table B.6: learning rates and weight decay for fastMRI (Appendix B).
//!
//! Invariant: it measures nothing: it prints what the study file holds for the paper tier, whatever tier is asked for, so that a
//! slip in it shows as a cell that differs.

use super::{Benchmark, Column, Layout, PaperFile, Row, Setting, SettingCell, Source};

/// Table B.6.
pub(super) static BENCHMARK: Benchmark = Benchmark {
    id: "table-b6",
    title: "Table B.6",
    caption: "Learning rates (LR) and weight decay (WD) for fastMRI dataset.",
    shows: "the hyper-parameters that a grid search chose for each fastMRI model",
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
    source: |row, column| {
        let setting = if column == "learning-rate" { Setting::LearningRate } else { Setting::WeightDecay };
        Some(Source::Setting(SettingCell { study: "fastmri", model: row, task: "knee", setting }))
    },
    values: Some(PaperFile { path: "paper/table-b6.csv", text: include_str!("../../paper/table-b6.csv") }),
    ..Benchmark::BLANK
};
