//! What a deviation changes: the same benchmark with it switched.
//!
//! Invariant: both sides differ in the deviation's changes alone.

use super::{CellResult, Report};
use crate::gate::effects::{Effect, Measurement, between};
use crate::study::{Change, Deviation};

/// The difference that switching a deviation makes to a benchmark; `None` where no run of a selected cell is another.
pub(crate) fn effect(
    deviation: &Deviation,
    changes: &[Change],
    (ours, switched): (&Report, &Report),
    today: String,
) -> Option<Effect> {
    let rows = between(&measurements(ours), &measurements(switched));
    if rows.is_empty() {
        return None;
    }
    let mut data: Vec<_> = ours.cells.iter().filter_map(|cell| cell.sample.data).collect();
    data.sort_unstable();
    data.dedup();
    Some(Effect {
        deviation: deviation.id.clone(),
        changes: changes.to_vec(),
        benchmark: ours.benchmark.id.to_owned(),
        tier: ours.tier,
        protocol: ours.protocol,
        device_class: ours.device_class.clone(),
        data,
        measured: today,
        rows,
    })
}

fn measurements(report: &Report) -> Vec<Measurement> {
    let cell = |cell: &CellResult| Measurement {
        row: cell.id.row.clone(),
        column: cell.id.column.clone(),
        metric: cell.metric.clone(),
        values: cell.values.iter().map(|value| (value.seed, value.value, value.key)).collect(),
    };
    report.cells.iter().map(cell).collect()
}
