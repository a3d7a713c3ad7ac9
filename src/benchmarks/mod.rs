//! The paper's list of tables and figures.
//!
//! Invariant: a benchmark describes what the paper prints, and for each cell its study, model and metric, as static data and a
//! pure function; it trains nothing, reads no file and knows neither store nor report.

mod figure1;
mod figure2;
mod figure3;
mod figure4;
mod figure5;
mod figure_b6;
mod figure_b7;
mod layout;
mod published;
mod registry;
mod source;
mod table1;
mod table2;
mod table3;
mod table5;
mod table_b6;
mod table_c7;
mod teams;

use crate::engine::plan::CellId;
use crate::metric::Unit;
use crate::study::{Protocol, dataset_of};

pub(crate) use layout::{Chart, CheckHeading, Column, Heading, Layout, Row};
pub(crate) use published::{Published, PublishedError, published};
pub(crate) use registry::{UnknownBenchmark, all, find};
pub(crate) use source::{EnsembleCell, ModelCell, Setting, SettingCell, Source};

/// A table or figure of the paper.
#[derive(Debug)]
pub(crate) struct Benchmark {
    /// What it is called on the command line: `table2`.
    pub id: &'static str,
    /// What the paper calls it: `Table 2`.
    pub title: &'static str,
    /// The paper's caption, without the title.
    pub caption: &'static str,
    /// What it shows, in one line.
    pub shows: &'static str,
    /// The studies that it reads.
    pub studies: &'static [&'static str],
    /// Its rows and columns.
    pub layout: Layout,
    /// How it is drawn, if it is.
    pub chart: Option<Chart>,
    /// Where the number of a cell comes from, by the ids of its row and column.
    pub source: fn(&'static str, &'static str) -> Option<Source>,
    /// Its file in `paper/`, for tables.
    values: Option<PaperFile>,
}

/// A file of `paper/`, compiled in.
#[derive(Debug)]
struct PaperFile {
    path: &'static str,
    text: &'static str,
}

impl Benchmark {
    /// What most of them have in common: drawn as a table, without published values.
    const BLANK: Benchmark = Benchmark {
        id: "",
        title: "",
        caption: "",
        shows: "",
        studies: &[],
        layout: Layout::NONE,
        chart: None,
        source: |_, _| None,
        values: None,
    };

    /// The studies that it reads.
    pub(crate) fn studies(&self) -> impl Iterator<Item = &'static str> {
        self.studies.iter().copied()
    }

    /// Whether its data is synthetic by nature, so that it has the smoke tier alone.
    pub(crate) fn is_synthetic(&self) -> bool {
        self.studies().filter_map(dataset_of).any(|dataset| dataset.synthetic)
    }

    /// How many seeds it runs with.
    pub(crate) fn seeds(&self, protocol: &Protocol) -> usize {
        self.studies().filter_map(|study| Some(protocol.study(study).ok()?.seeds)).max().unwrap_or(0)
    }

    /// The unit of one of its cells; `None` for a cell that it does not have.
    pub(crate) fn unit(&self, column: &str, row: &str) -> Option<Unit> {
        let row = self.layout.rows.iter().find(|found| found.id == row)?;
        let column = self.layout.columns.iter().find(|found| found.id == column)?;
        Some((self.source)(row.id, column.id)?.metric().unit())
    }

    /// Whether a cell is a result of training that this build can measure: no setting, no property of the data.
    pub(crate) fn is_a_result(&self, id: &CellId) -> bool {
        let row = self.layout.rows.iter().find(|row| row.id == id.row);
        let column = self.layout.columns.iter().find(|column| column.id == id.column);
        let source = row.zip(column).and_then(|(row, column)| (self.source)(row.id, column.id));
        let trained = |source: &Source| matches!(source, Source::Model(_) | Source::Ensemble(_));
        source.is_some_and(|source| trained(&source) && !source.metric().is_of_the_data())
    }

    /// The address of one of its cells.
    pub(crate) fn cell_id(&self, column: &str, row: &str) -> CellId {
        CellId { benchmark: self.id.to_owned(), column: column.to_owned(), row: row.to_owned() }
    }

    /// A figure that the paper does not have, for tests of drawing.
    #[cfg(test)]
    pub(crate) fn made_up(layout: Layout, chart: Chart) -> Benchmark {
        Benchmark {
            id: "figure0",
            title: "Figure 0",
            caption: "Made-up numbers.",
            shows: "made-up numbers",
            layout,
            chart: Some(chart),
            ..Benchmark::BLANK
        }
    }
}

#[cfg(test)]
mod tests;
