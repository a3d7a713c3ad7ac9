//! The margins of equivalence, from `paper/margins.toml`.
//!
//! Invariant: a margin stands there with its reason, declared before any result; none stands in the code.

use serde::Deserialize;

use crate::engine::plan::CellId;
use crate::metric::Unit;

const FILE: &str = "paper/margins.toml";

/// How far our mean may lie from the published one and still count as the same result.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Margin {
    /// The benchmark it holds for.
    pub benchmark: String,
    /// The rows it holds for; all when empty.
    #[serde(default)]
    pub rows: Vec<String>,
    /// The columns it holds for; all when empty.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Largest difference, in `unit`.
    pub margin: f64,
    /// Unit of the cells.
    pub unit: Unit,
    /// Why this much.
    pub reason: String,
}

/// Why the margins could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{FILE}: {found}, expected {expected}; correct the file and build again")]
pub(crate) struct MarginError {
    found: String,
    expected: &'static str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Margins {
    margin: Vec<Margin>,
}

/// Every margin, in the file's order.
///
/// # Errors
/// A file that is no list of margins, or has one that no test could use.
pub(crate) fn margins() -> Result<Vec<Margin>, MarginError> {
    read(include_str!("../../paper/margins.toml"))
}

fn read(text: &str) -> Result<Vec<Margin>, MarginError> {
    let read: Margins = toml::from_str(text)
        .map_err(|error| MarginError { found: error.to_string(), expected: "a list of [[margin]]" })?;
    for margin in &read.margin {
        if !margin.margin.is_finite() || margin.margin <= 0.0 {
            let found = format!("a margin of {} for {}", margin.margin, margin.benchmark);
            return Err(MarginError { found, expected: "a finite number above 0" });
        }
    }
    Ok(read.margin)
}

impl Margin {
    /// Whether it is the margin of this cell.
    pub(crate) fn holds(&self, id: &CellId) -> bool {
        let among = |ids: &[String], id: &String| ids.is_empty() || ids.contains(id);
        self.benchmark == id.benchmark && among(&self.rows, &id.row) && among(&self.columns, &id.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmarks::{self, Published};
    use crate::gate::claims;

    #[test]
    fn every_published_cell_of_a_registered_benchmark_has_one_margin_in_its_unit() {
        let margins = margins().unwrap();
        for benchmark in benchmarks::all().iter() {
            // A setting has no margin: it is the printed one or it is not.
            let measured = benchmarks::published(benchmark).unwrap().into_iter();
            let setting = |metric: &str| ["learning_rate", "weight_decay"].contains(&metric);
            for (id, published) in measured.filter(|(_, published)| !setting(&published.metric)) {
                let holding: Vec<&Margin> = margins.iter().filter(|margin| margin.holds(&id)).collect();
                assert_eq!(holding.len(), 1, "{id}");
                assert_eq!(holding[0].unit, published.unit, "{id}");
            }
        }
        assert!(margins.iter().all(|margin| !margin.reason.is_empty()));
    }

    /// No margin is wider than half of a difference that a claim of the paper is about.
    #[test]
    fn no_margin_could_hide_a_claimed_difference() {
        let margins = margins().unwrap();
        let mean = |id: &CellId| Published::of(id).unwrap().map(|published| published.mean);
        let mut held = 0;
        for claim in claims().unwrap() {
            for statement in claim.comparisons.iter().filter(|statement| statement.by != Some(0.0)) {
                let below = statement.below.cell().and_then(mean);
                let (Some(above), Some(below)) = (mean(&statement.above), below) else { continue };
                for cell in statement.cells() {
                    let Some(margin) = margins.iter().find(|margin| margin.holds(cell)) else { continue };
                    held += 1;
                    // What the paper's own numbers contradict is no difference that it shows.
                    let claimed = above - below;
                    assert!(claimed <= 0.0 || margin.margin <= 0.5 * claimed + 1e-9, "{cell}: {claimed}");
                }
            }
        }
        assert!(held > 50, "{held}");
    }

    #[test]
    fn a_file_that_is_wrong_says_where() {
        let with = |margin: &str| {
            format!("[[margin]]\nbenchmark = \"t\"\nmargin = {margin}\nunit = \"percent\"\nreason = \"r\"\n")
        };
        assert_eq!(read(&with("1.0")).unwrap().len(), 1);
        for (text, word) in [
            (with("0.0"), "above 0"),
            (with("nan"), "above 0"),
            (with("inf"), "above 0"),
            (with("\"wide\""), "line 3"),
            ("[[margin]\n".to_owned(), "line 1"),
            (with("1.0") + "colour = 1\n", "colour"),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains("paper/margins.toml") && error.contains(word), "{error}");
        }
    }
}
