//! Table C.7: how certain the experts of I2M2 are (Appendix C).
//!
//! Invariant: it trains nothing of its own; the AV-MNIST column reads metrics of Table 1's I2M2-LF runs.

use super::runs::avmnist::{Model, run};
use super::{Benchmark, Column, Head, Kind, Layout, Needs, PaperFile, Row, Status};
use crate::engine::plan::Planner;
use crate::protocol::{DatasetName, Protocol};

/// Table C.7.
pub static BENCHMARK: Benchmark = Benchmark {
    id: "table-c7",
    title: "Table C.7",
    caption: "Entropy of individual experts. We compare the entropy of the label (y) distribution with the average \
              entropy of the predictions (ŷ) for individual experts.",
    shows: "entropy of the labels and of each expert's predictions, after fine-tuning within I2M2",
    needs: &[Needs::Dataset(DatasetName::Avmnist), Needs::Unread("VQA-VS"), Needs::Unread("NLVR2")],
    kind: Kind::Table,
    layout: Layout {
        checks: &[],
        columns: &[
            Column::new("avmnist", "AV-MNIST"),
            Column::new("vqa-vs", "VQA-VS"),
            Column::new("nlvr2", "NLVR2"),
        ],
        rows: &[
            Row { head: Head::math("H(y)", r"$H(y)$"), ..Row::new("label", "") },
            Row { head: Head::math("H(ŷ | x)", r"$H(\hat{y} \mid x)$"), ..Row::new("first", "") },
            Row { head: Head::math("H(ŷ | x′)", r"$H(\hat{y} \mid x')$"), ..Row::new("second", "") },
            Row { head: Head::math("H(ŷ | x,x′)", r"$H(\hat{y} \mid x, x')$"), ..Row::new("inter", "") },
        ],
    },
    chart: None,
    status: Status::Registered(plan),
    values: Some(PaperFile { path: "paper/table-c7.csv", text: include_str!("../../paper/table-c7.csv") }),
};

const METRICS: [(&str, &str); 4] = [
    ("label", "label_entropy"),
    ("first", "entropy.image"),
    ("second", "entropy.audio"),
    ("inter", "entropy.inter"),
];

fn plan(table: &Benchmark, planner: &mut Planner<'_>, protocol: &Protocol) {
    let seeds = table.seeds(planner, protocol);
    for (row, metric) in METRICS {
        let cell = table
            .measured(("avmnist", row), metric, &seeds, |seed| run(planner, protocol, Model::I2m2Lf, seed));
        planner.cell(cell);
        for (column, name) in [("vqa-vs", "VQA-VS"), ("nlvr2", "NLVR2")] {
            let why = format!("the models and data of {name} are not built yet");
            planner.cell(table.unmeasured(column, row, metric, &why));
        }
    }
}
