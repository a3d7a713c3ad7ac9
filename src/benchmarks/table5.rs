//! Table 5: the effect of pre-training, on fastMRI (Section 5).
//!
//! Invariant: listed with the paper's numbers; it plans no runs until its models are built.

use super::{Benchmark, CheckHead, Column, Kind, Layout, Needs, PaperFile, Row, Status};

/// Table 5.
pub static BENCHMARK: Benchmark = Benchmark {
    id: "table5",
    title: "Table 5",
    caption: "Effect of pre-training.",
    shows: "AUROC of I2M2 on fastMRI with and without separately trained experts to start from",
    needs: &[Needs::Unread("fastMRI")],
    kind: Kind::Table,
    layout: Layout {
        checks: &[CheckHead { group: "Pre-training", head: "" }],
        columns: &[
            Column::new("acl", "ACL"),
            Column::new("meniscus", "Meniscus"),
            Column::new("cartilage", "Cartilage"),
            Column::new("others", "Others"),
        ],
        rows: &[Row::checked("scratch", &[false]), Row::checked("pretrained", &[true])],
    },
    chart: None,
    status: Status::NotYet("the PreactResNet-18 models and the fastMRI reader are not built yet"),
    values: Some(PaperFile { path: "paper/table5.csv", text: include_str!("../../paper/table5.csv") }),
};
