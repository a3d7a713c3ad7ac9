//! Figure 2: six models on fastMRI (Section 4.2).
//!
//! Invariant: bars stand in the paper's order; both of the metrics that Appendix B names are here, from the same runs.

use super::{Benchmark, Chart, Column, Layout, Row, Source};
use crate::metric::{AUROC, BALANCED_ACCURACY, Metric};

const UNDER_AUROC: &str = "AUROC";
const UNDER_BALANCED: &str = "Balanced accuracy";

/// Figure 2.
pub(super) static BENCHMARK: Benchmark = Benchmark {
    id: "figure2",
    title: "Figure 2",
    caption: "Results on fastMRI dataset.",
    shows: "AUROC of RSS, magnitude, phase, intra-modality, inter-modality and I2M2 models for four knee pathologies",
    studies: &["fastmri"],
    layout: Layout {
        checks: &[],
        columns: &[
            Column::new("acl", "ACL").under(UNDER_AUROC),
            Column::new("meniscus", "Meniscus").under(UNDER_AUROC),
            Column::new("cartilage", "Cartilage").under(UNDER_AUROC),
            Column::new("others", "Others").under(UNDER_AUROC),
            Column::new("acl-balanced", "ACL").under(UNDER_BALANCED),
            Column::new("meniscus-balanced", "Meniscus").under(UNDER_BALANCED),
            Column::new("cartilage-balanced", "Cartilage").under(UNDER_BALANCED),
            Column::new("others-balanced", "Others").under(UNDER_BALANCED),
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
    source,
    ..Benchmark::BLANK
};

/// Columns of the findings, in the paper's order, called as the questions of the task are.
pub(super) const FINDINGS: [Column; 4] = [
    Column::new("acl", "ACL"),
    Column::new("meniscus", "Meniscus"),
    Column::new("cartilage", "Cartilage"),
    Column::new("others", "Others"),
];

/// The test AUROC of a model for a finding.
pub(super) fn auroc(model: &'static str, finding: &str) -> Source {
    Source::model("fastmri", model, "knee", Metric::test(&AUROC).of(finding))
}

/// A row is called as its model is.
fn source(row: &'static str, column: &'static str) -> Option<Source> {
    Some(match column.strip_suffix("-balanced") {
        Some(finding) => Source::model("fastmri", row, "knee", Metric::test(&BALANCED_ACCURACY).of(finding)),
        None => auroc(row, column),
    })
}
