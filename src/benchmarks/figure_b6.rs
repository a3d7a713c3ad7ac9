//! Figure B.6: VQA score on the nine test sets outside of the distribution (Appendix C).
//!
//! Invariant: it trains nothing of its own: the runs are those of Table 3, and the mean over its panels is Table 3's OOD column.

use super::{Benchmark, Chart, Column, Layout, Row, Source};
use crate::metric::{Metric, SCORE};

/// Figure B.6.
pub(super) static BENCHMARK: Benchmark = Benchmark {
    id: "figure-b6",
    title: "Figure B.6",
    caption: "VQA score on various OOD VQA-VS test sets.",
    shows: "VQA score of image, text, intra-modality, inter-modality and I2M2 models on nine OOD test sets",
    studies: &["vqa-vs"],
    layout: Layout {
        checks: &[],
        // The shortcut is in the question, in the image, or in both.
        columns: &[
            Column::new("qt", "QT"),
            Column::new("kw", "KW"),
            Column::new("kwp", "KWP"),
            Column::new("qt-kw", "QT+KW"),
            Column::new("ko", "KO"),
            Column::new("kop", "KOP"),
            Column::new("qt-ko", "QT+KO"),
            Column::new("kw-ko", "KW+KO"),
            Column::new("qt-kw-ko", "QT+KW+KO"),
        ],
        rows: &[
            Row::new("image", "Image-only"),
            Row::new("text", "Text-only"),
            Row::new("intra", "Intra-modality"),
            Row::new("inter", "Inter-modality"),
            Row::new("i2m2", "I2M2"),
        ],
    },
    chart: Some(Chart::Bars),
    // A row is called as its model is, a column as its test set.
    source: |row, column| Some(Source::model("vqa-vs", row, "answer", Metric::new(&SCORE).on(column))),
    ..Benchmark::BLANK
};
