//! The static list of benchmarks.
//!
//! Invariant: the order is the paper's; adding a benchmark adds its module and one line here.

use crate::data::{did_you_mean, nearest};

use super::{
    Benchmark, figure_b6, figure_b7, figure1, figure2, figure3, figure4, figure5, table_b6, table_c7, table1,
    table2, table3, table5,
};

static REGISTRY: &[&Benchmark] = &[
    &figure1::BENCHMARK,
    &table1::BENCHMARK,
    &figure2::BENCHMARK,
    &table2::BENCHMARK,
    &table3::BENCHMARK,
    &figure3::BENCHMARK,
    &figure4::BENCHMARK,
    &figure5::BENCHMARK,
    &table5::BENCHMARK,
    &table_b6::BENCHMARK,
    &figure_b6::BENCHMARK,
    &figure_b7::BENCHMARK,
    &table_c7::BENCHMARK,
];

/// No benchmark has this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no benchmark `{asked}`{}; `i2m2 list` shows them all", did_you_mean(*.nearest))]
pub(crate) struct UnknownBenchmark {
    /// What was asked for.
    pub asked: String,
    /// The registered or known benchmark with the nearest name.
    pub nearest: Option<&'static str>,
}

/// Every table and figure, in the paper's order.
pub(crate) fn all() -> &'static [&'static Benchmark] {
    REGISTRY
}

/// The benchmark of this id; case does not matter.
pub(crate) fn find(id: &str) -> Result<&'static Benchmark, UnknownBenchmark> {
    let wanted = id.trim().to_lowercase();
    if let Some(found) = REGISTRY.iter().find(|benchmark| benchmark.id == wanted) {
        return Ok(found);
    }
    let nearest = nearest(&wanted, REGISTRY.iter().map(|benchmark| benchmark.id));
    Err(UnknownBenchmark { asked: id.to_owned(), nearest })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::benchmarks::published;
    use crate::engine::plan::CellId;

    #[test]
    fn registry_layouts_and_paper_files_agree() {
        for benchmark in all() {
            let layout = &benchmark.layout;
            let cells: BTreeSet<CellId> = layout
                .rows
                .iter()
                .flat_map(|row| layout.columns.iter().map(|column| benchmark.cell_id(column.id, row.id)))
                .collect();
            assert_eq!(cells.len(), layout.rows.len() * layout.columns.len(), "{}", benchmark.id);
            assert!(layout.rows.iter().all(|row| row.checks.len() == layout.checks.len()));
            let values: BTreeSet<CellId> = published(benchmark).unwrap().into_keys().collect();
            let is_table = benchmark.id.starts_with("table");
            // A column that the paper does not have is in another unit.
            let in_bits = |cell: &CellId| cell.column.ends_with("-bits");
            let printed = cells.iter().filter(|cell| is_table && !in_bits(cell)).cloned().collect();
            assert_eq!(values, printed, "{}: only tables print numbers", benchmark.id);
            assert!(!cells.is_empty(), "{}", benchmark.id);
        }
    }

    /// Every file of `paper/` with values belongs to exactly one benchmark.
    #[test]
    fn no_paper_file_is_left_over() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("paper");
        let mut found: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".csv"))
            .collect();
        found.sort();
        let mut named: Vec<String> =
            all().iter().filter_map(|b| b.values.as_ref()).map(|file| file.path[6..].to_owned()).collect();
        named.sort();
        assert_eq!(found, named);
    }

    #[test]
    fn ids_are_unique_and_deviations_name_only_known_ones() {
        let ids: BTreeSet<&str> = all().iter().map(|benchmark| benchmark.id).collect();
        assert_eq!(ids.len(), all().len());
        for deviation in crate::study::deviations().unwrap() {
            assert!(deviation.benchmarks.iter().all(|id| ids.contains(id.as_str())), "{}", deviation.id);
        }
    }

    #[test]
    fn a_near_miss_gets_a_suggestion() {
        assert_eq!(find("Table2").unwrap().id, "table2");
        assert_eq!(find("tabel2").unwrap_err().nearest, Some("table2"));
        assert_eq!(find("tablec7").unwrap_err().nearest, Some("table-c7"));
        assert_eq!(find("zzz").unwrap_err().nearest, None);
        insta::assert_snapshot!(
            find("tabel1").unwrap_err(),
            @"there is no benchmark `tabel1`; did you mean `table1`?; `i2m2 list` shows them all"
        );
    }
}
