//! Figure 4: wider networks instead of more experts, on fastMRI (Section 4.6).
//!
//! Invariant: the last row is the I2M2 of Figure 2, with narrow experts.

use super::figure2::{FINDINGS, auroc};
use super::{Benchmark, Chart, Layout, Row, Source};

/// Figure 4.
pub(super) static BENCHMARK: Benchmark = Benchmark {
    id: "figure4",
    title: "Figure 4",
    caption: "AUROC comparison with WideResNet models.",
    shows: "I2M2 with PreactResNet-18 against wider unimodal and inter-modality fastMRI models",
    studies: &["fastmri"],
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
    source,
    ..Benchmark::BLANK
};

fn source(row: &'static str, column: &'static str) -> Option<Source> {
    let model = match row {
        "magnitude" => "wide-magnitude",
        "phase" => "wide-phase",
        "inter" => "wide-inter",
        narrow => narrow,
    };
    Some(auroc(model, column))
}
