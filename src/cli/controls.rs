//! Negative controls of a table: what predictors reach that look at nothing.
//!
//! Invariant: they go through the same metrics as the cells, on the same test split; only logits or labels are replaced.

use std::collections::BTreeMap;

use crate::cli::datasets::Opened;
use crate::cli::failure::Failure;
use crate::data::Split;
use crate::engine::Datasets;
use crate::engine::store::{Depth, Store};
use crate::experiment::faults::{Fault, metrics_with};
use crate::random::Seeds;
use crate::report::{CellResult, Known, Reference, Report};

/// Every example gets one label; and labels that belong to other examples. By column, from the first seed of its last row,
/// which has the most experts. Nothing of a column whose metric does not follow from logits and labels alone.
pub fn controls(report: &Report, store: &Store, opened: &Opened<'_>) -> Result<Vec<Reference>, Failure> {
    let mut found =
        [("control: one label for all", Fault::Constant), ("control: labels permuted", Fault::Labels)].map(
            |(label, fault)| {
                let reference =
                    Reference { label: label.to_owned(), values: BTreeMap::new(), known: Known::Control };
                (fault, reference)
            },
        );
    for column in report.benchmark.layout.columns {
        let mut cells =
            report.cells.iter().filter(|cell| cell.id.column == column.id && !cell.values.is_empty());
        let Some(cell) = cells.next_back() else { continue };
        for (fault, reference) in &mut found {
            if let Some(value) = control(cell, *fault, store, opened)? {
                reference.values.insert(column.id.to_owned(), value);
            }
        }
    }
    let references = found.into_iter().map(|(_, reference)| reference);
    Ok(references.filter(|reference| !reference.values.is_empty()).collect())
}

fn control(
    cell: &CellResult,
    fault: Fault,
    store: &Store,
    opened: &Opened<'_>,
) -> Result<Option<f64>, Failure> {
    let Some(seed) = cell.values.first() else { return Ok(None) };
    let Some(entry) = store.find(seed.key, Depth::Manifest)?.filter(|entry| entry.complete) else {
        return Ok(None);
    };
    let logits: Vec<Vec<f32>> =
        store.logits(&entry.manifest)?.into_iter().map(|expert| expert.logits).collect();
    let recipe = &entry.manifest.recipe;
    let data = opened.open(recipe).map_err(|error| Failure::internal(anyhow::anyhow!("{error}")))?;
    let seeds = Seeds::root(0).child("control").child(cell.id.to_string());
    let labels = data.labels(Split::Test);
    let metrics = metrics_with(&logits, labels, (recipe.task, &recipe.evaluation), (fault, 1.0), &seeds);
    Ok(metrics.get(&cell.metric).copied())
}
