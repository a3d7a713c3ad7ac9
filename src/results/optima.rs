//! What a report's references say of its table: where something is known, and which cells are no better than a control.

use super::{CellResult, Known, Reference, Report};
use crate::metric::Direction;

impl Report {
    /// The places where something is known, in the order of the layout: columns, then points of curves (`@0.5`).
    pub(crate) fn known_places(&self) -> Vec<&'static str> {
        let layout = &self.benchmark.layout;
        let columns = layout.columns.iter().map(|column| column.id);
        let points = layout.rows.iter().filter_map(|row| Some(&row.id[row.id.rfind('@')?..]));
        let mut places: Vec<&str> = Vec::new();
        for place in columns.chain(points) {
            let known = self.references.iter().any(|reference| reference.values.contains_key(place));
            if known && !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }

    /// The negative controls among its references.
    pub(crate) fn controls(&self) -> impl Iterator<Item = &Reference> {
        self.references.iter().filter(|reference| reference.known == Known::Control)
    }

    /// The best of their kinds that belong into its figure of curves.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = &Reference> {
        self.references.iter().filter(|reference| reference.known == Known::Bound)
    }

    /// The cells that are no better than a predictor that looks at nothing.
    pub(crate) fn no_better_than_controls(&self) -> Vec<&CellResult> {
        let beaten = |cell: &&CellResult| {
            // Of an entropy neither more nor less is better.
            if cell.metric.direction() == Direction::Neither {
                return false;
            }
            let mut reached = self.controls().filter_map(|control| control.values.get(&cell.id.column));
            reached.any(|&control| cell.summary().is_some_and(|ours| ours.mean <= control))
        };
        self.cells.iter().filter(beaten).collect()
    }
}
