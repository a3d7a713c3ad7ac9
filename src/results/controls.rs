//! Negative controls of a table: what predictors reach that look at nothing.
//!
//! Invariant: they go through the same metrics as the cells, on the same test split; only logits or labels are replaced. A cell that
//! a control would reproduce, too, is not called reproduced.

use super::stored::StoredRun;
use super::{CellResult, Known, Opened, Reference, Report, ResultsError};
use crate::engine::store::Store;
use crate::experiment::faults::Fault;
use crate::gate::Verdict;
use crate::metric::{ENTROPY, ENTROPY_BITS, FAILED, RESCUED, RESCUED_BEST};
use crate::random::Seeds;

/// A predictor that looks at nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
enum Control {
    /// Every example gets one label.
    #[strum(to_string = "one label for all")]
    Constant,
    /// Labels belong to other examples.
    #[strum(to_string = "labels permuted")]
    Permuted,
    /// Every class is as likely as any other: what an entropy is compared with.
    #[strum(to_string = "all classes alike")]
    Uniform,
}

/// What controls reach, by column.
pub(super) struct Controls(Vec<(Control, String, f64)>);

impl Controls {
    /// Of a report's cells, from the first seed of each column's last row, which has the most experts. Nothing of a column whose
    /// metric does not follow from logits and labels alone, or whose logits are not here.
    pub(super) fn of(report: &Report, store: &Store, opened: &Opened<'_>) -> Result<Self, ResultsError> {
        let mut found = Vec::new();
        for column in report.benchmark.layout.columns {
            let cells = report.cells.iter().filter(|cell| cell.id.column == column.id);
            let Some(cell) = cells.rev().find(|cell| !cell.values.is_empty()) else { continue };
            let Some(run) = StoredRun::read(cell.values[0].key, store, opened)? else { continue };
            let mut add = |control, value: f64| found.push((control, column.id.to_owned(), value));
            let classes = run.manifest.recipe.task.classes() as f64;
            match cell.metric.measure {
                measure if measure == &ENTROPY => add(Control::Uniform, libm::log(classes)),
                measure if measure == &ENTROPY_BITS => add(Control::Uniform, libm::log2(classes)),
                _ => {}
            }
            // Of what a product does with its experts, one predictor says nothing.
            if [&ENTROPY, &ENTROPY_BITS, &RESCUED, &RESCUED_BEST, &FAILED].contains(&cell.metric.measure) {
                continue;
            }
            let seeds = Seeds::root(0).child("control").child(cell.id.to_string());
            for (control, fault) in [(Control::Constant, Fault::Constant), (Control::Permuted, Fault::Labels)]
            {
                if let Some(value) = run.metrics_with((fault, 1.0), &seeds).value(&cell.metric) {
                    add(control, value);
                }
            }
        }
        Ok(Controls(found))
    }

    /// As they are printed beside a table.
    pub(super) fn references(&self) -> impl Iterator<Item = Reference> {
        [Control::Constant, Control::Permuted, Control::Uniform].into_iter().filter_map(|control| {
            let values = self.0.iter().filter(|(known, ..)| *known == control);
            let values: std::collections::BTreeMap<_, _> =
                values.map(|(_, column, value)| (column.clone(), *value)).collect();
            let label = format!("control: {control}");
            (!values.is_empty()).then_some(Reference { label, values, known: Known::Control })
        })
    }

    /// Takes back the verdict on every cell that a control would reproduce, too, and on those of which no control is known.
    pub(super) fn withhold(&self, cells: &mut [CellResult]) {
        for cell in cells.iter_mut().filter(|cell| cell.judgement.verdict == Verdict::Reproduced) {
            let (Some(published), Some(margin)) = (&cell.published, cell.judgement.margin) else { continue };
            let mut known = self.0.iter().filter(|(_, column, _)| *column == cell.id.column).peekable();
            let reason = match known.peek() {
                None => Some("no control could be measured: its logits or its data are not here".to_owned()),
                Some(_) => known.find(|(.., value)| (value - published.mean).abs() <= margin).map(
                    |(control, _, value)| {
                        format!("a predictor that looks at nothing ({control}: {value:.2}) would be, too")
                    },
                ),
            };
            if let Some(reason) = reason {
                cell.judgement.withhold(&reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmarks::{self, Published};
    use crate::gate::{Case, Sample, judge};
    use crate::study::Tier;

    /// A cell of the neoplasms column with these values, judged at the paper tier within a margin.
    fn judged(ours: &[f64], published: Published, margin: f64) -> CellResult {
        let benchmark = benchmarks::find("table2").unwrap();
        let case = Case {
            ours,
            declared: ours.len(),
            published: Some(&published),
            calibrated: false,
            margin: Some(margin),
        };
        CellResult {
            id: benchmark.cell_id("icd9-140-239", "intra"),
            metric: crate::metric::Metric::test(&crate::metric::ACCURACY),
            values: Vec::new(),
            configured: None,
            judgement: judge(&[case], Tier::Paper, 1).swap_remove(0),
            published: Some(published),
            missing: None,
            sample: Sample::default(),
        }
    }

    fn published(mean: f64) -> Published {
        let cell = benchmarks::find("table2").unwrap().cell_id("icd9-140-239", "intra");
        Published { mean, ..Published::of(&cell).unwrap().unwrap() }
    }

    #[test]
    fn what_a_constant_predictor_reaches_is_not_reproduced() {
        let constant = [91.42; 5];
        let cell = judged(&constant, published(91.42), 1.0);
        assert_eq!(cell.judgement.verdict, Verdict::Reproduced);
        let controls = Controls(vec![(Control::Constant, "icd9-140-239".to_owned(), 91.42)]);
        let mut cells = [cell.clone()];
        controls.withhold(&mut cells);
        assert_eq!(cells[0].judgement.verdict, Verdict::Inconclusive);
        assert!(cells[0].judgement.reason.contains("one label for all: 91.42"), "{:?}", cells[0].judgement);
        // A control of another column says nothing, so none is known.
        let elsewhere = Controls(vec![(Control::Constant, "mortality".to_owned(), 76.0)]);
        let mut cells = [cell];
        elsewhere.withhold(&mut cells);
        assert!(cells[0].judgement.reason.contains("no control"), "{:?}", cells[0].judgement);
    }

    #[test]
    fn what_controls_are_far_from_stays_reproduced() {
        let controls = Controls(vec![(Control::Constant, "icd9-140-239".to_owned(), 91.42)]);
        let mut cells = [judged(&[95.0, 95.1, 94.9, 95.0, 95.1], published(95.0), 1.0)];
        controls.withhold(&mut cells);
        assert_eq!(cells[0].judgement.verdict, Verdict::Reproduced);
    }
}
