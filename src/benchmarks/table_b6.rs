//! Table B.6: learning rates and weight decay for fastMRI (Appendix B).
//!
//! Invariant: listed with the paper's numbers; it plans no runs until its grid search is built.

use super::{Benchmark, Column, Kind, Layout, Needs, PaperFile, Row, Status};

/// Table B.6.
pub static BENCHMARK: Benchmark = Benchmark {
    id: "table-b6",
    title: "Table B.6",
    caption: "Learning rates (LR) and weight decay (WD) for fastMRI dataset.",
    shows: "the hyper-parameters that a grid search chose for each fastMRI model",
    needs: &[Needs::Unread("fastMRI")],
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
    status: Status::NotYet("the PreactResNet-18 models and the fastMRI reader are not built yet"),
    values: Some(PaperFile { path: "paper/table-b6.csv", text: include_str!("../../paper/table-b6.csv") }),
};
