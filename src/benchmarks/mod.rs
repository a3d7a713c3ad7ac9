//! The paper's list of tables and figures.
//!
//! Invariant: a benchmark describes what the paper prints and which runs its cells need, as static data and a pure
//! function; it trains nothing, reads no file and knows neither store nor report.

mod figure1;
mod figure2;
mod figure3;
mod figure4;
mod figure_b7;
mod figures;
mod layout;
mod published;
mod registry;
mod runs;
mod table1;
mod table2;
mod table3;
mod table5;
mod table_b6;
mod table_c7;

use crate::engine::plan::{Cell, CellId, Planner};
use crate::protocol::{DatasetName, Protocol};

pub use layout::{Chart, CheckHead, Column, Head, Layout, Row};
pub use published::{Published, PublishedError, published};
pub use registry::{UnknownBenchmark, all, find, nearest};

/// A table or figure of the paper.
#[derive(Debug)]
pub struct Benchmark {
    /// What it is called on the command line: `table2`.
    pub id: &'static str,
    /// What the paper calls it: `Table 2`.
    pub title: &'static str,
    /// The paper's caption, without the title.
    pub caption: &'static str,
    /// What it shows, in one line.
    pub shows: &'static str,
    /// The data it needs.
    pub needs: &'static [Needs],
    /// Table or figure.
    pub kind: Kind,
    /// Its rows and columns; empty for a figure that is not registered yet.
    pub layout: Layout,
    /// How it is drawn, if it is.
    pub chart: Option<Chart>,
    /// Whether it can be reproduced.
    pub status: Status,
    /// Its file in `paper/`, for tables.
    values: Option<PaperFile>,
}

/// Table or figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Printed numbers.
    Table,
    /// A plot.
    Figure,
}

/// Data that a benchmark needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// A dataset that is read here.
    Dataset(DatasetName),
    /// A dataset that is not read here yet, by its name in the paper.
    Unread(&'static str),
}

impl Needs {
    /// The dataset's name in the paper.
    pub fn title(self) -> &'static str {
        match self {
            Needs::Dataset(DatasetName::Avmnist) => "AV-MNIST",
            Needs::Dataset(DatasetName::Mimic) => "MIMIC-III",
            Needs::Dataset(DatasetName::Fastmri) => "fastMRI",
            Needs::Dataset(DatasetName::Generative) => "the paper's generative model",
            Needs::Unread(title) => title,
        }
    }
}

/// Whether a benchmark can be reproduced.
#[derive(Clone, Copy)]
pub enum Status {
    /// Its cells are planned by this function.
    Registered(fn(&Benchmark, &mut Planner<'_>, &Protocol)),
    /// Known, but its models or data are not built yet.
    NotYet(&'static str),
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Status::Registered(_) => f.write_str("Registered"),
            Status::NotYet(why) => write!(f, "NotYet({why})"),
        }
    }
}

/// A file of `paper/`, compiled in.
#[derive(Debug)]
struct PaperFile {
    path: &'static str,
    text: &'static str,
}

impl Benchmark {
    /// Whether it can be reproduced.
    pub fn is_registered(&self) -> bool {
        matches!(self.status, Status::Registered(_))
    }

    /// Whether its data is synthetic by nature, so that it has the smoke tier alone.
    pub fn is_synthetic(&self) -> bool {
        self.needs.contains(&Needs::Dataset(DatasetName::Generative))
    }

    /// Adds its runs and cells to a plan; one that is not registered yet gets unmeasured cells with the reason.
    pub fn plan(&self, planner: &mut Planner<'_>, protocol: &Protocol) {
        match self.status {
            Status::Registered(plan) => plan(self, planner, protocol),
            Status::NotYet(why) => {
                for row in self.layout.rows {
                    for column in self.layout.columns {
                        planner.cell(self.unmeasured(column.id, row.id, "", why));
                    }
                }
            }
        }
    }

    /// The address of one of its cells.
    pub fn cell_id(&self, column: &str, row: &str) -> CellId {
        CellId { benchmark: self.id.to_owned(), column: column.to_owned(), row: row.to_owned() }
    }

    /// The root seeds it runs with: the first of the plan's, as many as the protocol wants.
    fn seeds(&self, planner: &Planner<'_>, protocol: &Protocol) -> Vec<u64> {
        planner.context().seeds.iter().copied().take(protocol.seeds(self.id)).collect()
    }

    /// A figure that the paper does not have, for tests of drawing.
    #[cfg(test)]
    pub fn made_up(layout: Layout, chart: Chart) -> Benchmark {
        Benchmark {
            id: "figure0",
            title: "Figure 0",
            caption: "Made-up numbers.",
            shows: "made-up numbers",
            needs: &[],
            kind: Kind::Figure,
            layout,
            chart: Some(chart),
            status: Status::NotYet("it is made up"),
            values: None,
        }
    }

    fn unmeasured(&self, column: &str, row: &str, metric: &str, why: &str) -> Cell {
        Cell {
            id: self.cell_id(column, row),
            metric: metric.to_owned(),
            runs: Vec::new(),
            unmeasured: Some(why.to_owned()),
            configured: None,
        }
    }

    /// A cell whose value stands in the protocol.
    fn configured(&self, column: &str, row: &str, metric: &str, value: f64) -> Cell {
        Cell {
            id: self.cell_id(column, row),
            metric: metric.to_owned(),
            runs: Vec::new(),
            unmeasured: None,
            configured: Some(value),
        }
    }

    /// A cell whose value is a metric of one run per seed; `run` gives `None` where the data is not here.
    fn measured(
        &self,
        (column, row): (&str, &str),
        metric: &str,
        seeds: &[u64],
        mut run: impl FnMut(u64) -> Option<crate::engine::plan::RunIndex>,
    ) -> Cell {
        match seeds.iter().map(|&seed| run(seed)).collect::<Option<Vec<_>>>() {
            Some(runs) if !runs.is_empty() => Cell {
                id: self.cell_id(column, row),
                metric: metric.to_owned(),
                runs,
                unmeasured: None,
                configured: None,
            },
            Some(_) => self.unmeasured(column, row, metric, "no seeds were asked for"),
            None => self.unmeasured(column, row, metric, "its data is not here"),
        }
    }
}

#[cfg(test)]
mod tests;
