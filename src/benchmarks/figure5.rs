//! Figure 5: questions that I2M2 answers and none of its experts does, and the sentence about them (Section 4.6).
//!
//! Invariant: it trains nothing of its own: the numbers are metrics of Table 3's I2M2 runs on VQA-VS. The paper defines neither what is
//! right nor over which questions (deviation V21), so every reading has its number, and its count.

use super::{Benchmark, Column, Layout, Row, Source};
use crate::metric::{FAILED, Metric, RESCUED, RESCUED_BEST};

/// Figure 5.
pub(super) static BENCHMARK: Benchmark = Benchmark {
    id: "figure5",
    title: "Figure 5",
    caption: "Visualization of samples from VQA-VS OOD test-sets.",
    shows: "how often I2M2 is right where each of its experts is wrong, on VQA-VS",
    studies: &["vqa-vs"],
    layout: Layout {
        checks: &[],
        columns: &[
            Column::new("ood-pooled", "all OOD questions"),
            Column::new("ood", "mean of nine OOD sets"),
            Column::new("iid", "IID"),
        ],
        rows: &[
            Row::new("rescued", "I2M2 right, of those that all experts get wrong"),
            Row::new("rescued-best", "the same, where only the most frequent answer is right"),
            Row::new("failed", "questions that all experts get wrong"),
        ],
    },
    // A column is called as its split is.
    source: |row, column| {
        let measure = match row {
            "rescued" => &RESCUED,
            "rescued-best" => &RESCUED_BEST,
            _ => &FAILED,
        };
        Some(Source::model("vqa-vs", "i2m2", "answer", Metric::new(measure).on(column)))
    },
    ..Benchmark::BLANK
};
