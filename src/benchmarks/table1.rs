//! Table 1: AV-MNIST (Section 4.1).
//!
//! Invariant: each row is one model; the runs behind it are shared with every other row that starts from them.

use super::runs::avmnist::{Model, run};
use super::{Benchmark, Column, Kind, Layout, Needs, PaperFile, Row, Status};
use crate::engine::plan::Planner;
use crate::protocol::{DatasetName, Protocol};

/// Table 1.
pub static BENCHMARK: Benchmark = Benchmark {
    id: "table1",
    title: "Table 1",
    caption: "AV-MNIST accuracy comparison between various methods.",
    shows: "accuracy of unimodal, intra-modality, inter-modality and I2M2 models on AV-MNIST",
    needs: &[Needs::Dataset(DatasetName::Avmnist)],
    kind: Kind::Table,
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
    chart: None,
    status: Status::Registered(plan),
    values: Some(PaperFile { path: "paper/table1.csv", text: include_str!("../../paper/table1.csv") }),
};

const MODELS: [(&str, Model); 7] = [
    ("image", Model::Image),
    ("audio", Model::Audio),
    ("intra", Model::Intra),
    ("inter-lf", Model::InterLf),
    ("inter-lrtf", Model::InterLrtf),
    ("i2m2-lf", Model::I2m2Lf),
    ("i2m2-lrtf", Model::I2m2Lrtf),
];

fn plan(table: &Benchmark, planner: &mut Planner<'_>, protocol: &Protocol) {
    let seeds = table.seeds(planner, protocol);
    for (row, model) in MODELS {
        let cell = table
            .measured(("accuracy", row), "test_accuracy", &seeds, |seed| run(planner, protocol, model, seed));
        planner.cell(cell);
    }
}
