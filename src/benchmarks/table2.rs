//! Table 2: MIMIC-III (Section 4.3).
//!
//! Invariant: each row is one model, each column one task with runs of its own.

use super::{Benchmark, CheckHeading, Column, Layout, PaperFile, Row, Source};
use crate::metric::{ACCURACY, Metric};

/// Table 2.
pub(super) static BENCHMARK: Benchmark = Benchmark {
    id: "table2",
    title: "Table 2",
    caption: "Accuracy on MIMIC-III for mortality and ICD code prediction. I2M2 obtains higher performance in \
              comparison to static (S) and time-series (T) uni-modal models, intra-modality modeling and \
              inter-modality modeling.",
    shows: "accuracy of static, time-series, intra-modality, inter-modality and I2M2 models on three clinical tasks",
    studies: &["mimic"],
    layout: Layout {
        checks: &[
            CheckHeading { group: "Intra", head: "S" },
            CheckHeading { group: "Intra", head: "T" },
            CheckHeading { group: "Inter", head: "" },
        ],
        columns: &[
            Column::new("mortality", "Mortality"),
            Column::new("icd9-140-239", "140 – 239").under("ICD-9"),
            Column::new("icd9-460-519", "460 – 519").under("ICD-9"),
        ],
        rows: &[
            Row::checked("static", &[true, false, false]),
            Row::checked("series", &[false, true, false]),
            Row::checked("intra", &[true, true, false]),
            Row::checked("inter", &[false, false, true]),
            Row::checked("i2m2", &[true, true, true]),
        ],
    },
    // A row is called as its model is, a column as its task.
    source: |row, column| Some(Source::model("mimic", row, column, Metric::test(&ACCURACY))),
    values: Some(PaperFile { path: "paper/table2.csv", text: include_str!("../../paper/table2.csv") }),
    ..Benchmark::BLANK
};
