//! Renderings and frames of tables with made-up numbers.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use polars::prelude::{CsvReadOptions, ParquetReader, SerReader};

use super::schema::{RESULT_COLUMNS, SUMMARY_COLUMNS};
use super::*;
use crate::benchmarks;
use crate::digest::Digest;
use crate::engine::planner::{Context, Planner, canaries_of};
use crate::metric::{ACCURACY, Metric};
use crate::results::{Known, Observed, Reference};
use crate::study::{ProtocolName, Tier, resolve};

/// A report of made-up numbers: no run was trained for it, and its device says so.
pub(in crate::report) fn made_up(id: &str, tier: Tier, seeds: u64) -> Report {
    let protocol = resolve(ProtocolName::Paper, tier).unwrap();
    let canaries = protocol.studies.values().flat_map(|study| canaries_of(study).unwrap());
    let made_up = Digest::of(b"made up");
    let context = Context {
        tier,
        protocol: ProtocolName::Paper,
        changes: Vec::new(),
        seeds: (0..seeds).collect(),
        device_class: "made-up numbers".to_owned(),
        data: ["avmnist", "mimic"].map(|name| (name.to_owned(), made_up)).into(),
        numerics: canaries.map(|canary| (canary.name(), made_up)).collect(),
    };
    let benchmark = benchmarks::find(id).unwrap();
    let mut planner = Planner::new(&context);
    benchmark.plan(&mut planner, &protocol).unwrap();
    let plan = planner.finish();
    let value = |key: Digest, metric: &Metric| {
        let run = plan.runs.iter().find(|run| run.key == key)?;
        let accuracy = 67.0 + 0.5 * run.name.len() as f64 + 0.125 * run.seed as f64;
        Some(if *metric == Metric::test(&ACCURACY) { accuracy } else { accuracy / 50.0 })
    };
    let references = match tier {
        Tier::Smoke => benchmark.layout.columns.iter().map(|column| (column.id.to_owned(), 81.5)).collect(),
        _ => BTreeMap::new(),
    };
    let references =
        Some(Reference { label: "Bayes optimum".to_owned(), values: references, known: Known::Bound });
    let rebuilt = [made_up].into();
    let determinism = "bitwise".to_owned();
    let observed = Observed { value: &value, rebuilt: &rebuilt, declared: &protocol, determinism };
    let mut report = Report::assemble(benchmark, &plan, &observed).unwrap();
    report.references.extend(references.filter(|reference| !reference.values.is_empty()));
    report
}

fn export(format: Format, report: &Report) -> String {
    format.export(report).unwrap()
}

#[test]
fn tables_render_as_reviewed() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/tables");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (id, tier, seeds) in [
            ("table1", Tier::Smoke, 3),
            ("table1", Tier::Reduced, 1),
            ("table1", Tier::Paper, 5),
            ("table2", Tier::Paper, 5),
            ("table-c7", Tier::Paper, 5),
            ("table3", Tier::Paper, 5),
            ("table-b6", Tier::Paper, 5),
        ] {
            let report = made_up(id, tier, seeds);
            for format in [Format::Text, Format::Markdown, Format::Latex, Format::Csv] {
                let name = format!("{id}.{tier}.{}", format.extension());
                insta::assert_snapshot!(name, export(format, &report));
            }
        }
    });
}

#[test]
fn every_rendering_says_its_tier() {
    for tier in [Tier::Smoke, Tier::Reduced, Tier::Paper] {
        let report = made_up("table2", tier, 2);
        for format in [Format::Text, Format::Markdown, Format::Latex] {
            let text = export(format, &report).to_lowercase();
            assert!(text.contains(&format!("{tier} tier")) && text.contains("made-up numbers"), "{text}");
        }
        let csv = export(Format::Csv, &report);
        assert!(csv.lines().skip(1).all(|line| line.contains(&format!(",{tier},"))), "{csv}");
    }
}

#[test]
fn below_the_paper_tier_nothing_is_called_reproduced_or_different() {
    for tier in [Tier::Smoke, Tier::Reduced] {
        for id in ["table1", "table2", "table-c7"] {
            let report = made_up(id, tier, 3);
            for format in [Format::Text, Format::Markdown, Format::Latex, Format::Csv] {
                let text = export(format, &report);
                assert!(!text.contains("reproduced") && !text.contains("different"), "{text}");
            }
        }
    }
}

#[test]
fn a_single_seed_prints_no_deviation() {
    let report = made_up("table1", Tier::Reduced, 1);
    let text = export(Format::Text, &report);
    let row = text.lines().find(|line| line.starts_with("Image-only")).unwrap();
    assert_eq!(row.matches('±').count(), 1, "the paper's alone: {row}");
    let latex = export(Format::Latex, &report);
    let row = latex.lines().find(|line| line.starts_with("Image-only")).unwrap();
    assert_eq!(row.matches("\\pm").count(), 1, "the paper's alone: {row}");
}

#[test]
fn calibrated_cells_are_called_so_only_on_calibrated_data() {
    let verdicts = |text: String| text.matches("calibrated").count();
    let report = made_up("table1", Tier::Paper, 5);
    assert!(verdicts(export(Format::Csv, &report)) >= 7);
    assert_eq!(verdicts(export(Format::Csv, &made_up("table-c7", Tier::Paper, 5))), 0);
}

#[test]
fn claims_are_tested_at_the_paper_tier_alone() {
    assert!(made_up("table1", Tier::Smoke, 3).claims.is_empty());
    assert!(made_up("table1", Tier::Reduced, 1).claims.is_empty());
    let report = made_up("table1", Tier::Paper, 5);
    let about = crate::gate::claims().unwrap();
    let about = about.iter().filter(|claim| claim.is_about("table1")).count();
    assert!(about >= 4);
    assert_eq!(report.claims.len(), about);
    for format in [Format::Text, Format::Markdown] {
        assert_eq!(export(format, &report).matches("Claim ").count(), about);
    }
}

#[test]
fn frames_round_trip_through_both_formats() {
    let reports = [made_up("table1", Tier::Smoke, 3), made_up("table-c7", Tier::Smoke, 3)];
    let mut results = result_frame(&reports).unwrap();
    let mut summary = summary_frame(&reports).unwrap();
    assert_eq!((results.height(), summary.height()), (7 * 3 + 4 * 3, 7 + 16));
    for frame in [&mut results, &mut summary] {
        let parquet = ParquetReader::new(Cursor::new(write_parquet(frame).unwrap())).finish().unwrap();
        assert!(parquet.equals_missing(frame));
        let options = CsvReadOptions::default().with_schema(Some(frame.schema().clone()));
        let bytes = Cursor::new(write_csv(frame).unwrap());
        let csv = options.into_reader_with_file_handle(bytes).finish().unwrap();
        assert!(csv.equals_missing(frame), "{csv}\n{frame}");
    }
}

#[test]
fn results_that_mean_different_things_are_not_mixed() {
    let table = |tier| made_up("table1", tier, 2);
    let refused = |reports: &[Report], words: &str| {
        for frame in [result_frame, summary_frame] {
            let message = frame(reports).unwrap_err().to_string();
            assert!(message.contains(words) && message.contains("one by one"), "{message}");
        }
    };
    refused(&[table(Tier::Smoke), made_up("table2", Tier::Paper, 2)], "smoke tier");
    let mut released = made_up("table2", Tier::Smoke, 2);
    released.protocol = ProtocolName::Released;
    refused(&[table(Tier::Smoke), released], "protocol released");
    let mut elsewhere = made_up("table2", Tier::Smoke, 2);
    elsewhere.device_class = "another device".to_owned();
    refused(&[table(Tier::Smoke), elsewhere], "another device");
    refused(&[table(Tier::Smoke), table(Tier::Smoke)], "stands twice");
    let mut twice = table(Tier::Smoke);
    twice.cells[0].values[1].seed = 0;
    refused(&[twice], "seed 0 of `table1:accuracy:image` stands twice");
    let mut not_a_number = table(Tier::Smoke);
    not_a_number.cells[0].values[1].value = f64::NAN;
    refused(&[not_a_number], "is NaN");
}

/// The schema is a promise to readers: what `docs/SCHEMA.md` documents is what is written.
#[test]
fn the_documented_columns_are_the_columns() {
    let document = include_str!("../../docs/SCHEMA.md");
    let documented: Vec<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once('`').map(|(name, _)| name))
        .collect();
    let columns: Vec<&str> =
        RESULT_COLUMNS.concat().iter().chain(&SUMMARY_COLUMNS.concat()).map(|column| column.name).collect();
    assert_eq!(documented, columns);
}

/// Compiles a file, wants success, and gives what was said; `None` where there is no LaTeX.
fn pdflatex(folder: &std::path::Path, file: &str) -> Option<String> {
    let Ok(found) = std::process::Command::new("pdflatex").arg("--version").output() else {
        let _ = writeln!(std::io::stderr(), "skipped: pdflatex is not installed");
        return None;
    };
    assert!(found.status.success());
    let output = std::process::Command::new("pdflatex")
        .args(["-interaction=nonstopmode", "-halt-on-error", file])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    Some(said)
}

/// The document compiles as it is, with a figure that is there and with figures that are not.
#[test]
fn the_document_compiles_where_there_is_latex() {
    let with_rows = benchmarks::all().iter().filter(|benchmark| !benchmark.layout.rows.is_empty());
    let reports: Vec<Report> = with_rows.map(|benchmark| made_up(benchmark.id, Tier::Paper, 2)).collect();
    let folder = tempfile::tempdir().unwrap();
    let drawn = figure::from_report(reports.iter().find(|r| r.benchmark.id == "figure2").unwrap()).unwrap();
    std::fs::create_dir(folder.path().join("figure2.paper")).unwrap();
    let png = figure::png(&figure::svg(&drawn.unwrap()).unwrap(), 1.0).unwrap();
    std::fs::write(folder.path().join("figure2.paper/figure.png"), png).unwrap();
    let text = document(&reports, |report| format!("{}.paper", report.benchmark.id));
    std::fs::write(folder.path().join("report.tex"), text).unwrap();
    if let Some(said) = pdflatex(folder.path(), "report.tex") {
        assert!(said.contains("figure2.paper/figure.png"), "{said}");
    }
}

/// Every fragment compiles in a document that loads booktabs and amssymb.
#[test]
fn latex_compiles_where_there_is_latex() {
    let folder = tempfile::tempdir().unwrap();
    let mut document = "\\documentclass{article}\\usepackage{booktabs,amssymb}\\begin{document}\n".to_owned();
    for benchmark in benchmarks::all().iter().filter(|benchmark| !benchmark.layout.rows.is_empty()) {
        let mut report = made_up(benchmark.id, Tier::Paper, 2);
        report.device_class = "a $device_ % & ~ ^ # { } \\ <x>".to_owned();
        std::fs::write(folder.path().join(format!("{}.tex", benchmark.id)), export(Format::Latex, &report))
            .unwrap();
        document += &format!("\\begin{{table}}\\centering\\input{{{}}}\\end{{table}}\n", benchmark.id);
    }
    document += "\\end{document}\n";
    std::fs::write(folder.path().join("main.tex"), document).unwrap();
    pdflatex(folder.path(), "main.tex");
}
