//! Table 5: the effect of pre-training, on fastMRI (Section 5).
//!
//! Invariant: the second row is the I2M2 of Figure 2; the first differs from it in where its experts start alone.

use super::figure2::{FINDINGS, auroc};
use super::{Benchmark, CheckHeading, Layout, PaperFile, Row};

/// Table 5.
pub(super) static BENCHMARK: Benchmark = Benchmark {
    id: "table5",
    title: "Table 5",
    caption: "Effect of pre-training.",
    shows: "AUROC of I2M2 on fastMRI with and without separately trained experts to start from",
    studies: &["fastmri"],
    layout: Layout {
        checks: &[CheckHeading { group: "Pre-training", head: "" }],
        columns: &FINDINGS,
        rows: &[Row::checked("scratch", &[false]), Row::checked("pretrained", &[true])],
    },
    source: |row, column| Some(auroc(if row == "scratch" { "i2m2-scratch" } else { "i2m2" }, column)),
    values: Some(PaperFile { path: "paper/table5.csv", text: include_str!("../../paper/table5.csv") }),
    ..Benchmark::BLANK
};
