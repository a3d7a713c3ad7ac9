//! Table 1: AV-MNIST (Section 4.1).
//!
//! Invariant: each row is one model; the runs behind it are shared with every other row that starts from them.

use super::{Benchmark, Column, Layout, PaperFile, Row, Source};
use crate::metric::{ACCURACY, Metric};

/// Table 1.
pub(super) static BENCHMARK: Benchmark = Benchmark {
    id: "table1",
    title: "Table 1",
    caption: "AV-MNIST accuracy comparison between various methods.",
    shows: "accuracy of unimodal, intra-modality, inter-modality and I2M2 models on AV-MNIST",
    studies: &["avmnist"],
    layout: Layout {
        checks: &[],
        columns: &[Column::new("accuracy", "Accuracy")],
        rows: &[
            Row::new("image", "Image-only"),
            Row::new("audio", "Audio-only"),
            Row::new("intra", "Intra-modality"),
            Row::new("inter-lf", "LF").under("Inter-modality"),
            Row::new("inter-lrtf", "LRTF").under("Inter-modality"),
            Row::new("i2m2-lf", "LF").under("I2M2"),
            Row::new("i2m2-lrtf", "LRTF").under("I2M2"),
        ],
    },
    // A row is called as its model is.
    source: |row, _| Some(Source::model("avmnist", row, "digits", Metric::test(&ACCURACY))),
    values: Some(PaperFile { path: "paper/table1.csv", text: include_str!("../../paper/table1.csv") }),
    ..Benchmark::BLANK
};
