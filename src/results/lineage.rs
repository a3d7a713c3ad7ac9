//! Where one number comes from: its runs with their code, data and machine, and what was judged of it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::ranges::expected;
use super::{CellResult, Report, ResultsError};
use crate::digest::Digest;
use crate::engine::Manifest;
use crate::engine::plan::CellId;
use crate::engine::store::{Depth, Store};
use crate::gate::Judgement;
use crate::provenance::{Provenance, Tool};

/// The lineage of a cell.
#[derive(Debug, Serialize)]
pub(crate) struct Lineage {
    /// The cell.
    pub cell: CellId,
    /// Smoke, reduced or paper.
    pub tier: String,
    /// The protocol with its changes.
    pub protocol: String,
    /// `cpu`, or the GPU model.
    pub device_class: String,
    /// What is measured.
    pub metric: String,
    /// In which unit.
    pub unit: String,
    /// Over the seeds.
    pub mean: Option<f64>,
    /// Over the seeds.
    pub std: Option<f64>,
    /// What the paper prints.
    pub paper: Option<Paper>,
    /// The verdict and what it rests on.
    pub judgement: Judgement,
    /// The expected range.
    pub range: Option<[f64; 2]>,
    /// Why values are missing, if any are.
    pub missing: Option<String>,
    /// Ids of the deviations that touch the benchmark.
    pub deviations: Vec<String>,
    /// One per seed.
    pub runs: Vec<SeedRun>,
}

/// A number of the paper.
#[derive(Debug, Serialize)]
pub(crate) struct Paper {
    /// The mean as it is printed.
    pub printed: String,
    /// The deviation.
    pub std: Option<f64>,
    /// Runs behind it.
    pub n: Option<usize>,
    /// Where it stands.
    pub place: String,
}

/// A run behind the number.
#[derive(Debug, Serialize)]
pub(crate) struct SeedRun {
    /// Root of its seed tree.
    pub seed: u64,
    /// Its value of the cell.
    pub value: f64,
    /// What the store knows of it.
    #[serde(flatten)]
    pub run: Run,
    /// The runs that it starts from.
    pub upstream: Vec<Run>,
}

/// What the store knows of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    /// Its identity.
    pub key: Digest,
    /// For people.
    pub name: String,
    /// When it was stored.
    pub created: String,
    /// The code: version, commit, compiler.
    pub commit: String,
    /// The processor.
    pub machine: String,
    /// The dataset.
    pub dataset: String,
    /// Digest of the prepared data.
    pub data: Digest,
    /// Digests of its files.
    pub data_files: BTreeMap<String, Digest>,
    /// Digest of the weights.
    pub weights: Digest,
    /// Digest of the test logits.
    pub logits: Digest,
    /// Changed values of the protocol.
    pub changes: Vec<String>,
    /// Seconds that it took.
    pub wall_seconds: f64,
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

fn code(tool: &Tool) -> String {
    let dirty = if tool.dirty == Some(true) { " with changes" } else { "" };
    format!("{} {}{dirty}, {}", tool.version, tool.commit, tool.rustc)
}

impl Lineage {
    /// The lineage of a report's cell; its expected range stands in `folder`.
    ///
    /// # Errors
    /// A store or ranges that cannot be read.
    pub(crate) fn of(
        report: &Report,
        result: &CellResult,
        folder: &Path,
        store: &Store,
    ) -> Result<Self, ResultsError> {
        let expected = expected(folder, report)?;
        let range = expected.and_then(|expected| expected.cells.get(&result.id.to_string()).cloned());
        let mut runs = Vec::new();
        for value in &result.values {
            let Some(entry) = store.find(value.key, Depth::Manifest)? else { continue };
            let mut upstream = Vec::new();
            for &key in &entry.manifest.upstream {
                upstream.extend(store.find(key, Depth::Manifest)?.map(|entry| Run::of(&entry.manifest)));
            }
            let run = Run::of(&entry.manifest);
            runs.push(SeedRun { seed: value.seed, value: value.value, run, upstream });
        }
        Ok(Lineage {
            cell: result.id.clone(),
            tier: report.tier.to_string(),
            protocol: report.protocol_words(),
            device_class: report.device_class.clone(),
            metric: result.metric.name(),
            unit: result.unit().to_string(),
            mean: result.mean(),
            std: result.std(),
            paper: result.published.as_ref().map(|published| Paper {
                printed: published.printed.clone(),
                std: published.std,
                n: published.n,
                place: published.place.clone(),
            }),
            judgement: result.judgement.clone(),
            range: range.map(|range| [range.low, range.high]),
            missing: result.missing.clone(),
            deviations: report.deviations.clone(),
            runs,
        })
    }
}
