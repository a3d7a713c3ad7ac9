//! Known optima of the synthetic data behind a plan's cells.
//!
//! Invariant: what is known stands with the fixture of the dataset; here it is only put at the places of a table.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Known, Reference, ResultsError};
use crate::data::fixture::{Optima, Predictor};
use crate::engine::plan::Plan;
use crate::metric::Metric;
use crate::study::{Recipe, Study};

/// What is known of the synthetic data of these studies.
///
/// # Errors
/// Settings that describe nothing.
pub(super) fn optima<'a>(
    studies: impl Iterator<Item = &'a Study>,
) -> Result<BTreeMap<&'static str, Vec<Optima>>, ResultsError> {
    let known = |study: &Study| {
        let fixture = study.dataset.fixture;
        let optima = fixture.map(|fixture| fixture.optima(&study.preparation)).transpose()?;
        Ok((study.dataset.id, optima.unwrap_or_default()))
    };
    studies.collect::<Vec<_>>().into_par_iter().map(known).collect()
}

/// A line for each kind of predictor, of what is known of a plan's cells: at their columns, or at the selection strengths that
/// they were drawn with.
pub(super) fn references(plan: &Plan, optima: &BTreeMap<&'static str, Vec<Optima>>) -> Vec<Reference> {
    let mut lines: BTreeMap<Predictor, BTreeMap<String, f64>> = BTreeMap::new();
    for cell in &plan.cells {
        let Some(recipe) = cell.runs.first().map(|run| &plan.runs[run.0].recipe) else { continue };
        let known = optima.get(recipe.dataset.as_str()).into_iter().flatten();
        for known in known.filter(|known| is_of(known, recipe, &cell.metric)) {
            let place =
                known.strength.map_or_else(|| cell.id.column.clone(), |strength| format!("@{strength}"));
            for &(predictor, value) in &known.values {
                lines.entry(predictor).or_default().insert(place.clone(), value);
            }
        }
    }
    let line = |(predictor, values): (Predictor, _)| Reference {
        label: predictor.label().to_owned(),
        values,
        known: if predictor.is_bound() { Known::Bound } else { Known::Optimum },
    };
    lines.into_iter().map(line).collect()
}

/// Whether optima are those of what a recipe's metric measures.
fn is_of(known: &Optima, recipe: &Recipe, metric: &Metric) -> bool {
    let split = known.split.unwrap_or("test");
    let of = Metric { head: known.question.clone(), ..Metric::new(known.measure).on(split) };
    known.task == recipe.task.id
        && known.strength == recipe.population.map(|population| population.strength)
        && of == *metric
}
