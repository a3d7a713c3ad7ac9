//! Table 3: NLVR2 and VQA-VS (Sections 4.4 and 4.5).
//!
//! Invariant: each row is one model of each study; the OOD column is the plain mean of nine test sets, from one prediction of the
//! IID test split.

use super::{Benchmark, CheckHeading, Column, Layout, PaperFile, Row, Source};
use crate::metric::{ACCURACY, Metric, SCORE};

/// Table 3.
pub(super) static BENCHMARK: Benchmark = Benchmark {
    id: "table3",
    title: "Table 3",
    caption: "Accuracy and VQA score for NLVR2 and VQA-VS respectively. I2M2 obtains comparable performance to inter \
              modality method for NLVR2, while outperforming it for VQA-VS. I and T denote the image and text \
              modalities respectively. Best results are highlighted in bold.",
    shows: "accuracy on NLVR2 and VQA score on VQA-VS of image, text, intra-modality, inter-modality and I2M2 models",
    studies: &["nlvr2", "vqa-vs"],
    layout: Layout {
        checks: &[
            CheckHeading { group: "Intra", head: "I" },
            CheckHeading { group: "Intra", head: "T" },
            CheckHeading { group: "Inter", head: "" },
        ],
        columns: &[
            Column::new("nlvr2", "NLVR2"),
            Column::new("vqa-vs-iid", "IID").under("VQA-VS"),
            Column::new("vqa-vs-ood", "OOD").under("VQA-VS"),
        ],
        rows: &[
            Row::checked("image", &[true, false, false]),
            Row::checked("text", &[false, true, false]),
            Row::checked("intra", &[true, true, false]),
            Row::checked("inter", &[false, false, true]),
            Row::checked("i2m2", &[true, true, true]),
        ],
    },
    // A row is called as its model is.
    source: |row, column| {
        Some(match column {
            "nlvr2" => Source::model("nlvr2", row, "truth", Metric::new(&ACCURACY).on("test1")),
            "vqa-vs-iid" => Source::model("vqa-vs", row, "answer", Metric::new(&SCORE).on("iid")),
            _ => Source::model("vqa-vs", row, "answer", Metric::new(&SCORE).on("ood")),
        })
    },
    values: Some(PaperFile { path: "paper/table3.csv", text: include_str!("../../paper/table3.csv") }),
    ..Benchmark::BLANK
};
