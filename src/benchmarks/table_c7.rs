//! Table C.7: how certain the experts of I2M2 are (Appendix C).
//!
//! Invariant: it trains nothing of its own; the AV-MNIST column reads metrics of Table 1's I2M2-LF runs.

use super::{Benchmark, Column, Heading, Layout, Needs, PaperFile, Row, Source};
use crate::metric::{ENTROPY, LABEL_ENTROPY, Metric};

/// Table C.7.
pub(super) static BENCHMARK: Benchmark = Benchmark {
    id: "table-c7",
    title: "Table C.7",
    caption: "Entropy of individual experts. We compare the entropy of the label (y) distribution with the average \
              entropy of the predictions (ŷ) for individual experts.",
    shows: "entropy of the labels and of each expert's predictions, after fine-tuning within I2M2",
    needs: &[Needs::Study("avmnist"), Needs::Unread("VQA-VS"), Needs::Unread("NLVR2")],
    layout: Layout {
        checks: &[],
        columns: &[
            Column::new("avmnist", "AV-MNIST"),
            Column::new("vqa-vs", "VQA-VS"),
            Column::new("nlvr2", "NLVR2"),
        ],
        rows: &[
            Row { head: Heading::math("H(y)", r"$H(y)$"), ..Row::new("label", "") },
            Row { head: Heading::math("H(ŷ | x)", r"$H(\hat{y} \mid x)$"), ..Row::new("first", "") },
            Row { head: Heading::math("H(ŷ | x′)", r"$H(\hat{y} \mid x')$"), ..Row::new("second", "") },
            Row {
                head: Heading::math("H(ŷ | x,x′)", r"$H(\hat{y} \mid x, x')$"), ..Row::new("inter", "")
            },
        ],
    },
    source,
    values: Some(PaperFile { path: "paper/table-c7.csv", text: include_str!("../../paper/table-c7.csv") }),
    ..Benchmark::BLANK
};

fn source(row: &'static str, column: &'static str) -> Option<Source> {
    let entropy = |expert: &str| Metric::new(&ENTROPY).of(expert);
    let metric = match row {
        "label" => Metric::new(&LABEL_ENTROPY),
        "first" => entropy("image"),
        "second" => entropy("audio"),
        _ => entropy("inter"),
    };
    Some(match column {
        "avmnist" => Source::model("avmnist", "i2m2-lf", "digits", metric),
        "vqa-vs" => Source::Unread { metric, why: "the models and data of VQA-VS are not built yet" },
        _ => Source::Unread { metric, why: "the models and data of NLVR2 are not built yet" },
    })
}
