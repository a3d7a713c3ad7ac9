//! Table 5: the effect of pre-training, on fastMRI (Section 5).
//!
//! Invariant: the second row is the I2M2 of Figure 2; the first differs from it in where its experts start alone.

use super::runs::knee::{FINDINGS, Model, auroc, run};
use super::{Benchmark, CheckHead, Kind, Layout, Needs, PaperFile, Row, Status};
use crate::engine::plan::Planner;
use crate::protocol::{DatasetName, Protocol};

/// Table 5.
pub static BENCHMARK: Benchmark = Benchmark {
    id: "table5",
    title: "Table 5",
    caption: "Effect of pre-training.",
    shows: "AUROC of I2M2 on fastMRI with and without separately trained experts to start from",
    needs: &[Needs::Dataset(DatasetName::Fastmri)],
    kind: Kind::Table,
    layout: Layout {
        checks: &[CheckHead { group: "Pre-training", head: "" }],
        columns: &FINDINGS,
        rows: &[Row::checked("scratch", &[false]), Row::checked("pretrained", &[true])],
    },
    chart: None,
    status: Status::Registered(plan),
    values: Some(PaperFile { path: "paper/table5.csv", text: include_str!("../../paper/table5.csv") }),
};

fn plan(table: &Benchmark, planner: &mut Planner<'_>, protocol: &Protocol) {
    let seeds = table.seeds(planner, protocol);
    for (row, model) in [("scratch", Model::I2m2Scratch), ("pretrained", Model::I2m2)] {
        auroc(table, planner, row, &seeds, |planner, seed| run(planner, protocol, model, seed));
    }
}
