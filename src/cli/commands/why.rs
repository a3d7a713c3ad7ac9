//! `i2m2 why`: the lineage of one number.

use std::path::Path;

use crate::cli::args::Selection;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::resolve::to_read;
use crate::engine::plan::CellId;
use crate::engine::store::Store;
use crate::gate::Reading;
use crate::results::{self, Lineage, Run, SeedRun};

/// Prints where a cell's number comes from; trains nothing. The selection's id is that of the cell.
pub(crate) fn run(selection: &Selection, json: bool, expected: &Path, out: &Path) -> Result<Exit, Failure> {
    let cell = CellId::try_from(selection.id.clone()).map_err(Failure::usage)?;
    let selection =
        Selection { id: cell.benchmark.clone(), only: vec![cell.to_string()], ..selection.clone() };
    let resolved = to_read(&selection, out)?;
    let reports = results::values(&resolved)?;
    let found = reports.iter().find_map(|report| Some((report, report.cell(&cell.row, &cell.column)?)));
    let Some((report, result)) = found else {
        return Err(Failure::usage(format!(
            "there is no cell `{cell}`; `i2m2 plan {}` prints the cells",
            cell.benchmark
        )));
    };
    let lineage = Lineage::of(report, result, expected, &Store::open(out))?;
    output::shown(json, &lineage, || text(&lineage))?;
    Ok(if lineage.runs.is_empty() && lineage.mean.is_none() { Exit::NotMeasured } else { Exit::Success })
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
    line("verdict", format!("{}{reason}", judgement.words()));
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
    for SeedRun { seed, value, run, upstream } in &lineage.runs {
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
