//! Negative controls of a table: what predictors reach that look at nothing.
//!
//! Invariant: they go through the same metrics as the cells, on the same test split; only logits or labels are replaced.

use super::stored::StoredRun;
use super::{Known, Opened, Reference, Report, ResultsError};
use crate::engine::store::Store;
use crate::experiment::faults::Fault;
use crate::random::Seeds;

/// Every example gets one label; and labels that belong to other examples. By column, from the first seed of its last row,
/// which has the most experts. Nothing of a column whose metric does not follow from logits and labels alone.
pub(super) fn controls(
    report: &Report,
    store: &Store,
    opened: &Opened<'_>,
) -> Result<Vec<Reference>, ResultsError> {
    let control = |label: &str| Reference {
        label: label.to_owned(),
        values: Default::default(),
        known: Known::Control,
    };
    let mut found = [
        (Fault::Constant, control("control: one label for all")),
        (Fault::Labels, control("control: labels permuted")),
    ];
    for column in report.benchmark.layout.columns {
        let mut cells =
            report.cells.iter().filter(|cell| cell.id.column == column.id && !cell.values.is_empty());
        let Some(cell) = cells.next_back() else { continue };
        let Some(run) = StoredRun::read(cell.values[0].key, store, opened)? else { continue };
        let seeds = Seeds::root(0).child("control").child(cell.id.to_string());
        for (fault, reference) in &mut found {
            if let Some(value) = run.metrics_with((*fault, 1.0), &seeds).value(&cell.metric) {
                reference.values.insert(column.id.to_owned(), value);
            }
        }
    }
    let references = found.into_iter().map(|(_, reference)| reference);
    Ok(references.filter(|reference| !reference.values.is_empty()).collect())
}
