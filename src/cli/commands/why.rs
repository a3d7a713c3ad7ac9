//! `i2m2 why`: the lineage of one number.

use std::path::Path;

use serde::Serialize;

use crate::cli::args::Selection;
use crate::cli::commands::check;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::resolve::Resolved;
use crate::cli::results::Results;
use crate::digest::Digest;
use crate::engine::Manifest;
use crate::engine::plan::CellId;
use crate::engine::store::{Depth, Store};
use crate::gate::{Judgement, Reading};
use crate::provenance::{Provenance, Tool};
use crate::report::{CellResult, Report};

#[derive(Serialize)]
struct Lineage {
    cell: CellId,
    tier: String,
    protocol: String,
    device_class: String,
    metric: String,
    unit: String,
    mean: Option<f64>,
    std: Option<f64>,
    paper: Option<Paper>,
    judgement: Judgement,
    range: Option<[f64; 2]>,
    missing: Option<String>,
    deviations: Vec<String>,
    runs: Vec<Lineal>,
}

#[derive(Serialize)]
struct Paper {
    printed: String,
    std: Option<f64>,
    n: Option<usize>,
    place: String,
}

/// A run behind the number.
#[derive(Serialize)]
struct Lineal {
    seed: u64,
    value: f64,
    #[serde(flatten)]
    run: Run,
    upstream: Vec<Run>,
}

/// What the store knows of a run.
#[derive(Serialize)]
struct Run {
    key: Digest,
    name: String,
    created: String,
    commit: String,
    machine: String,
    dataset: String,
    data: Digest,
    data_files: std::collections::BTreeMap<String, Digest>,
    weights: Digest,
    logits: Digest,
    changes: Vec<String>,
    wall_seconds: f64,
}

impl Run {
    fn of(manifest: &Manifest) -> Self {
        let Provenance { tool, machine } = &manifest.provenance;
        Run {
            key: manifest.key,
            name: manifest.name.clone(),
            created: manifest.created.clone(),
            commit: code(tool),
            machine: machine.cpu.clone(),
            dataset: manifest.dataset.name.to_string(),
            data: manifest.dataset.digest,
            data_files: manifest.dataset.files.clone(),
            weights: manifest.weights,
            logits: manifest.logits,
            changes: manifest.changes.iter().map(ToString::to_string).collect(),
            wall_seconds: manifest.spent.wall_seconds,
        }
    }
}

/// The code: version, commit, compiler.
fn code(tool: &Tool) -> String {
    let dirty = if tool.dirty == Some(true) { " with changes" } else { "" };
    format!("{} {}{dirty}, {}", tool.version, tool.commit, tool.rustc)
}

/// Prints where a cell's number comes from; trains nothing. The selection's id is that of the cell.
pub fn run(selection: &Selection, json: bool, expected: &Path, out: &Path) -> Result<Exit, Failure> {
    let cell = CellId::try_from(selection.id.clone()).map_err(Failure::usage)?;
    let selection =
        Selection { id: cell.benchmark.clone(), only: vec![cell.to_string()], ..selection.clone() };
    let resolved = Resolved::new(&selection, out.to_owned())?;
    let results = Results::values(&resolved)?;
    let found =
        results.reports.iter().find_map(|report| Some((report, report.cell(&cell.row, &cell.column)?)));
    let Some((report, result)) = found else {
        return Err(Failure::usage(format!(
            "there is no cell `{cell}`; `i2m2 plan {}` prints the cells",
            cell.benchmark
        )));
    };
    let range = check::expected(expected, report)?;
    let range =
        range.and_then(|expected| expected.cells.get(&cell.to_string()).map(|range| [range.low, range.high]));
    let lineage = lineage(report, result, range, &Store::open(out))?;
    if json {
        output::json(&lineage)?;
    } else {
        output::data(&text(&lineage))?;
    }
    Ok(if lineage.runs.is_empty() && lineage.mean.is_none() { Exit::NotMeasured } else { Exit::Success })
}

fn lineage(
    report: &Report,
    result: &CellResult,
    range: Option<[f64; 2]>,
    store: &Store,
) -> Result<Lineage, Failure> {
    let mut runs = Vec::new();
    for value in &result.values {
        let Some(entry) = store.find(value.key, Depth::Manifest)? else { continue };
        let mut upstream = Vec::new();
        for &key in &entry.manifest.upstream {
            upstream.extend(store.find(key, Depth::Manifest)?.map(|entry| Run::of(&entry.manifest)));
        }
        runs.push(Lineal { seed: value.seed, value: value.value, run: Run::of(&entry.manifest), upstream });
    }
    Ok(Lineage {
        cell: result.id.clone(),
        tier: report.tier.to_string(),
        protocol: report.protocol_words(),
        device_class: report.device_class.clone(),
        metric: result.metric.clone(),
        unit: result.unit.clone(),
        mean: result.mean(),
        std: result.summary().and_then(|summary| summary.std),
        paper: result.published.as_ref().map(|published| Paper {
            printed: published.printed.clone(),
            std: published.std,
            n: published.n,
            place: published.place.clone(),
        }),
        judgement: result.judgement.clone(),
        range,
        missing: result.missing.clone(),
        deviations: report.deviations.clone(),
        runs,
    })
}

fn text(lineage: &Lineage) -> String {
    let Lineage { cell, tier, protocol, device_class, metric, unit, judgement, .. } = lineage;
    let mut text =
        format!("{cell}: {metric} in {unit}; {tier} tier, {protocol} protocol, {device_class}\n\n");
    let mut line = |name: &str, words: String| text += &format!("{name:<11} {words}\n");
    line(
        "ours",
        match (lineage.mean, lineage.std) {
            (Some(mean), Some(std)) => format!("{mean:.4} ± {std:.4} over {} seeds", lineage.runs.len()),
            (Some(mean), None) => format!("{mean:.4}"),
            _ => "nothing".to_owned(),
        },
    );
    if let Some(paper) = &lineage.paper {
        let std = paper.std.map_or(String::new(), |std| format!(" ± {std}"));
        let n = paper.n.map_or(String::new(), |n| format!(", {n} runs"));
        line("paper", format!("{}{std}{n} ({})", paper.printed, paper.place));
    }
    let reason = if judgement.reason.is_empty() { String::new() } else { format!(": {}", judgement.reason) };
    line("verdict", format!("{}{reason}", judgement.verdict));
    for Reading { std, p_equal, p_apart, raw_p_equal, raw_p_apart, .. } in &judgement.readings {
        let std = format!("{std:?}").to_lowercase();
        line(
            "",
            format!(
                "{std} deviation: equal p {p_equal:.4} ({raw_p_equal:.4} alone), margin or more apart p {p_apart:.4} ({raw_p_apart:.4} alone)"
            ),
        );
    }
    if let Some(reading) = judgement.readings.first() {
        line(
            "",
            format!("a difference of {:.3} would be found with 80 % power", reading.minimum_detectable()),
        );
    }
    if let Some([low, high]) = lineage.range {
        line("range", format!("[{low:.3}, {high:.3}] is expected of a new run"));
    }
    if let Some(missing) = &lineage.missing {
        line("missing", missing.clone());
    }
    if !lineage.deviations.is_empty() {
        line(
            "deviations",
            format!("{} (`i2m2 deviations {}`)", lineage.deviations.join(", "), cell.benchmark),
        );
    }
    for Lineal { seed, value, run, upstream } in &lineage.runs {
        text += &format!("\nseed {seed}: {value:.4}\n");
        text += &words(run, "  ");
        for run in upstream {
            text += "    starts from\n";
            text += &words(run, "      ");
        }
    }
    text
}

fn words(run: &Run, indent: &str) -> String {
    let mut text = format!(
        "{indent}{} {}, {} in {:.1} s\n{indent}code {}; {}\n{indent}data {} {}, {} files\n{indent}weights {}, logits {}\n",
        run.name,
        run.key.short(),
        run.created,
        run.wall_seconds,
        run.commit,
        run.machine,
        run.dataset,
        run.data.short(),
        run.data_files.len(),
        run.weights.short(),
        run.logits.short(),
    );
    if !run.changes.is_empty() {
        text += &format!("{indent}changed: {}\n", run.changes.join(", "));
    }
    text
}
