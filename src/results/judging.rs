//! Verdicts of a table.
//!
//! Invariant: all cells of a table are judged together, so that looking at many of them makes no finding likelier; what was made
//! with a changed protocol is compared with nothing.

use super::CellResult;
use crate::engine::plan::Plan;
use crate::gate::{Case, Judgement, MarginError, judge, margins};

/// Judges all cells of a table together; `family` of its cells can have a verdict.
pub(super) fn judge_cells(cells: &mut [CellResult], plan: &Plan, family: usize) -> Result<(), MarginError> {
    let margins = margins()?;
    let ours: Vec<Vec<f64>> = cells.iter().map(CellResult::numbers).collect();
    let cases: Vec<Case<'_>> = cells
        .iter()
        .zip(&ours)
        .map(|(cell, ours)| Case {
            ours,
            declared: cell.sample.declared,
            published: cell.published.as_ref(),
            calibrated: cell.is_calibrated(),
            margin: margins.iter().find(|margin| margin.holds(&cell.id)).map(|margin| margin.margin),
        })
        .collect();
    let mut judged = judge(&cases, plan.tier, family);
    for ((judged, cell), ours) in judged.iter_mut().zip(cells.iter()).zip(&ours) {
        if let Some(setting) = cell.configured {
            *judged = Judgement::of_a_setting(setting, cell.published.as_ref());
        } else if !plan.changes.is_empty() && !ours.is_empty() {
            *judged = Judgement::of_a_changed_protocol(ours, cell.published.as_ref(), plan.tier);
        } else if cell.metric.is_of_the_data() && !ours.is_empty() {
            *judged = Judgement::of_the_data(ours, cell.published.as_ref(), plan.tier);
        }
        judged.rebuilt = cell.sample.rebuilt;
    }
    for (cell, judged) in cells.iter_mut().zip(judged) {
        cell.judgement = judged;
    }
    Ok(())
}
