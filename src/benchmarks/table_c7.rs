//! Table C.7: how certain the experts of I2M2 are (Appendix C).
//!
//! Invariant: it trains nothing of its own; its columns read metrics of the I2M2 runs of Tables 1 and 3. The paper's column of
//! VQA-VS has no unit and is probably in bits (deviation V23), so it stands in nats, as printed, and in bits beside that.

use super::{Benchmark, Column, Heading, Layout, PaperFile, Row, Source};
use crate::metric::{ENTROPY, ENTROPY_BITS, LABEL_ENTROPY, LABEL_ENTROPY_BITS, Metric};

/// Table C.7.
pub(super) static BENCHMARK: Benchmark = Benchmark {
    id: "table-c7",
    title: "Table C.7",
    caption: "Entropy of individual experts. We compare the entropy of the label (y) distribution with the average \
              entropy of the predictions (ŷ) for individual experts.",
    shows: "entropy of the labels and of each expert's predictions, after fine-tuning within I2M2",
    studies: &["avmnist", "vqa-vs", "nlvr2"],
    layout: Layout {
        checks: &[],
        columns: &[
            Column::new("avmnist", "AV-MNIST"),
            Column::new("vqa-vs", "VQA-VS"),
            Column::new("vqa-vs-bits", "VQA-VS (bits)"),
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
    // x is the image everywhere.
    let second = if column == "avmnist" { "audio" } else { "text" };
    let (of_labels, of_expert) = match column {
        "vqa-vs-bits" => (&LABEL_ENTROPY_BITS, &ENTROPY_BITS),
        _ => (&LABEL_ENTROPY, &ENTROPY),
    };
    let entropy = |expert: &str| Metric::new(of_expert).of(expert);
    let metric = match row {
        "label" => Metric::new(of_labels),
        "first" => entropy("image"),
        "second" => entropy(second),
        _ => entropy("inter"),
    };
    Some(match column {
        "avmnist" => Source::model("avmnist", "i2m2-lf", "digits", metric),
        "nlvr2" => Source::model("nlvr2", "i2m2", "truth", metric.on("test1")),
        _ => Source::model("vqa-vs", "i2m2", "answer", metric.on("iid")),
    })
}
