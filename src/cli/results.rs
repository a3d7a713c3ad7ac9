//! From a resolved selection and the store to reports, and to the files of a benchmark.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::benchmarks::{Benchmark, Needs};
use crate::cli::controls::controls;
use crate::cli::datasets::Opened;
use crate::cli::device;
use crate::cli::failure::Failure;
use crate::cli::resolve::{self, Resolved};
use crate::data::synthetic::knee::{self, KneeReferences, KneeSettings};
use crate::data::synthetic::{self, References, Settings};
use crate::data::{self, Source, atomic};
use crate::digest::Digest;
use crate::engine::plan::Plan;
use crate::engine::store::{Depth, Store};
use crate::protocol::{DatasetName, Preparation, Task, Tier};
use crate::report::figure::Figure;
use crate::report::{self, Known, Observed, Reference, Report, figure};

/// What the store has of a selection.
pub struct Results {
    /// One report per benchmark.
    pub reports: Vec<Report>,
}

impl Results {
    /// Reads the store, for people: with the known optima of synthetic data, and negative controls. Trains nothing.
    pub fn read(resolved: &Resolved) -> Result<Self, Failure> {
        let mut results = Results::values(resolved)?;
        if resolved.tier == Tier::Smoke {
            let (store, opened) = (Store::open(&resolved.out), Opened::new(resolved));
            for report in &mut results.reports {
                report.references = references(report.benchmark, resolved.protocol.preparation())?;
                report.references.extend(controls(report, &store, &opened)?);
            }
        }
        Ok(results)
    }

    /// Reads the store, for the gate: finding optima takes longer than everything else.
    pub fn values(resolved: &Resolved) -> Result<Self, Failure> {
        let store = Store::open(&resolved.out);
        let calibrated_data = resolved.sources.iter().any(|(&name, source)| match source {
            Source::Folder(folder) => data::is_calibrated(name, folder),
            Source::Fixture(_) => false,
        });
        let plans: Vec<(&'static Benchmark, Plan)> = resolved
            .benchmarks
            .par_iter()
            .map(|&benchmark| (benchmark, resolved.plan_of(&[benchmark])))
            .collect();
        // Tables share runs, and proving a manifest takes longer than anything else here.
        let runs: BTreeSet<Digest> =
            plans.iter().flat_map(|(_, plan)| &plan.runs).map(|run| run.key).collect();
        let metrics: BTreeMap<Digest, BTreeMap<String, f64>> = runs
            .into_par_iter()
            .filter_map(|key| {
                let found = store.find(key, Depth::Manifest).transpose()?;
                Some(found.map(|entry| (key, entry.manifest.metrics)))
            })
            .collect::<Result<_, _>>()?;
        let report = |(benchmark, plan): &(&'static Benchmark, Plan)| {
            let observed = Observed {
                value: &|key, metric| metrics.get(&key)?.get(metric).copied(),
                calibrated_data,
                determinism: device::spelled(resolved.determinism).to_owned(),
                references: Vec::new(),
            };
            Report::assemble(benchmark, plan, &observed)
        };
        Ok(Results { reports: plans.par_iter().map(report).collect::<Result<_, _>>()? })
    }

    /// Writes frames, tables and figures of every benchmark to `<out>/<benchmark>.<tier>/`; returns the folders.
    pub fn write(&self, resolved: &Resolved) -> Result<Vec<PathBuf>, Failure> {
        let mut folders = Vec::new();
        for report in &self.reports {
            let folder = resolved.out.join(folder_of(report));
            let put =
                |file: &str, bytes: &[u8]| atomic::write(&folder.join(file), |out| out.write_all(bytes));
            let reports = std::slice::from_ref(report);
            let mut frame = report::result_frame(reports)?;
            put("frame.parquet", &report::write_parquet(&mut frame)?)?;
            put("frame.csv", &report::write_csv(&mut frame)?)?;
            let mut summary = report::summary_frame(reports)?;
            put("summary.parquet", &report::write_parquet(&mut summary)?)?;
            put("summary.csv", &report::write_csv(&mut summary)?)?;
            for format in
                [report::Format::Text, report::Format::Markdown, report::Format::Latex, report::Format::Csv]
            {
                let exporter = format.exporter();
                put(&format!("table.{}", exporter.extension()), exporter.export(report)?.as_bytes())?;
            }
            if !report.references.is_empty() {
                put("references.csv", report::references_csv(report)?.as_bytes())?;
            }
            if let Some(figure) = figure::from_report(report)? {
                picture(&folder, "figure", &figure)?;
            }
            folders.push(folder);
        }
        Ok(folders)
    }
}

/// Writes a figure as `<name>.svg` and `<name>.png`, the latter with 300 dots per inch at the width of a page.
pub fn picture(folder: &Path, name: &str, drawn: &Figure) -> Result<(), Failure> {
    let svg = figure::svg(drawn)?;
    atomic::write(&folder.join(format!("{name}.svg")), |out| out.write_all(svg.as_bytes()))?;
    let png = figure::png(&svg, 3.0)?;
    Ok(atomic::write(&folder.join(format!("{name}.png")), |out| out.write_all(&png))?)
}

/// The folder of a report's files within the results folder.
pub fn folder_of(report: &Report) -> String {
    format!("{}.{}{}", report.benchmark.id, report.tier, resolve::suffix(report))
}

const BAYES: &str = "Bayes (Eq. 2)";
const LOG_ADDITIVE: &str = "best log-additive f(x, y) + g(x', y)";
const FIRST_ALONE: &str = "best from x alone";
const SECOND_ALONE: &str = "best from x' alone";

/// Known optima of the synthetic data behind a benchmark's columns.
fn references(benchmark: &Benchmark, preparation: Preparation) -> Result<Vec<Reference>, Failure> {
    if benchmark.needs.contains(&Needs::Dataset(DatasetName::Fastmri)) {
        return knee_references(benchmark, preparation);
    }
    if benchmark.needs.contains(&Needs::Dataset(DatasetName::Generative)) {
        return sweep_references();
    }
    let columns: &[(&str, Task)] = match benchmark.id {
        "table1" => &[("accuracy", Task::Digits)],
        "table2" => &[
            ("mortality", Task::Mortality),
            ("icd9-140-239", Task::Neoplasms),
            ("icd9-460-519", Task::Respiratory),
        ],
        _ => return Ok(Vec::new()),
    };
    let mut known = Vec::new();
    for &(column, task) in columns {
        known.push((column, synthetic::references(task.dataset(), task)?));
    }
    Ok(lines(&known))
}

/// The same of the generative model, by selection strength.
fn sweep_references() -> Result<Vec<Reference>, Failure> {
    let settings = Settings::embedded(DatasetName::Generative)?;
    let one = |&strength: &f64| {
        let population = settings.clone().with_strength(strength);
        Ok((format!("@{strength}"), synthetic::references_for(&population, Task::Generated)?))
    };
    Ok(lines(&settings.strengths().par_iter().map(one).collect::<Result<Vec<_>, Failure>>()?))
}

/// A line for each kind of predictor, of what is known at each place.
fn lines(known: &[(impl ToString, References)]) -> Vec<Reference> {
    let line = |label: &str, known_as, value: fn(&References) -> f64| Reference {
        label: label.to_owned(),
        values: known.iter().map(|(place, references)| (place.to_string(), value(references))).collect(),
        known: known_as,
    };
    vec![
        line(BAYES, Known::Bound, |r| r.bayes),
        line(LOG_ADDITIVE, Known::Bound, |r| r.log_additive),
        line(FIRST_ALONE, Known::Optimum, |r| r.first_only),
        line(SECOND_ALONE, Known::Optimum, |r| r.second_only),
        line("majority class", Known::Optimum, |r| r.majority),
    ]
}

/// The same of fastMRI: AUROC of each finding.
fn knee_references(benchmark: &Benchmark, preparation: Preparation) -> Result<Vec<Reference>, Failure> {
    let settings = KneeSettings::embedded(preparation.knee_fixture).map_err(Failure::internal)?;
    let known = knee::references(&settings);
    let columns = |known: &KneeReferences| {
        let name = known.finding.name();
        benchmark.layout.columns.iter().any(|column| column.id == name).then(|| name.to_owned())
    };
    let line = |label: &str, value: fn(&KneeReferences) -> f64| Reference {
        label: label.to_owned(),
        values: known.iter().filter_map(|known| Some((columns(known)?, value(known)))).collect(),
        known: Known::Optimum,
    };
    Ok(vec![
        line(BAYES, |r| r.bayes),
        line(LOG_ADDITIVE, |r| r.log_additive),
        line(FIRST_ALONE, |r| r.first_only),
        line(SECOND_ALONE, |r| r.second_only),
    ])
}
