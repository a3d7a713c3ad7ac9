//! `i2m2 data`: build, verify, status, explain.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::args::{BuildAvmnist, BuildCommand, BuildFastmri, DataCommand};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::{output, resolve};
use crate::data::avmnist::{self, BuildOptions, NoiseOptions, Stage};
use crate::data::fastmri::{self, Geometry};
use crate::data::{self, Identity, Source, StatCache};
use crate::protocol::{DatasetName, Preparation};

/// Runs a data command.
pub fn run(command: &DataCommand, out: Option<&Path>, quiet: bool) -> Result<Exit, Failure> {
    let results = resolve::out(out);
    match command {
        DataCommand::Build(BuildCommand::Avmnist(options)) => build_avmnist(options, out, quiet),
        DataCommand::Build(BuildCommand::Fastmri(options)) => build_fastmri(options, out, quiet),
        DataCommand::Verify { dataset, data, json } => verify(*dataset, data.as_deref(), *json, &results),
        DataCommand::Status { dataset, data, json } => status(*dataset, data.as_deref(), *json, &results),
        DataCommand::Explain { dataset } => {
            output::data(data::explain(*dataset))?;
            Ok(Exit::Success)
        }
    }
}

fn build_avmnist(options: &BuildAvmnist, out: Option<&Path>, quiet: bool) -> Result<Exit, Failure> {
    let Some(out) = out else {
        return Err(Failure::usage(
            "data build needs --out DIR, the folder to build, for example --out data/avmnist",
        ));
    };
    let mut build = BuildOptions::new(options.mnist.clone(), options.fsdd.clone(), out.to_owned());
    build.noise = match (options.noise_power, &options.esc) {
        (0.0, _) => None,
        (power, Some(esc)) => Some(NoiseOptions { esc: esc.clone(), power }),
        (_, None) => return Err(Failure::usage("--noise-power needs --esc DIR, the folder of ESC clips")),
    };
    if let Some(share) = options.misalignment {
        build.aligned_share = share;
    }
    build.components = options.pca_components;
    build.seed = options.build_seed;
    let bar = if output::bars(quiet) { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let report = avmnist::build(&build, &|stage: Stage| {
        bar.set_message(stage.to_string());
        bar.tick();
    });
    bar.finish_and_clear();
    let report = report.map_err(Failure::not_measured)?;
    output::json(&report)?;
    output::note(&format!(
        "built {} ({:.1} MB), digest {}",
        out.display(),
        report.bytes as f64 / 1e6,
        report.digest
    ));
    Ok(Exit::Success)
}

fn build_fastmri(options: &BuildFastmri, out: Option<&Path>, quiet: bool) -> Result<Exit, Failure> {
    let Some(out) = out else {
        return Err(Failure::usage(
            "data build needs --out DIR, the folder to build, for example --out data/fastmri",
        ));
    };
    let build = fastmri::BuildOptions {
        volumes: options.volumes.clone(),
        annotations: options.annotations.clone(),
        file_list: options.file_list.clone(),
        space: options.space,
        geometry: Geometry::FASTMRI,
        out: out.to_owned(),
    };
    let bar = if output::bars(quiet) { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{pos}/{len} volumes {wide_bar} {elapsed}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let built = fastmri::build(&build, &Shown(bar.clone()), &StatCache::in_memory());
    bar.finish_and_clear();
    let built = built.map_err(Failure::not_measured)?;
    output::json(&built)?;
    output::note(&format!(
        "built {} ({:.1} MB, {} volumes, {} dropped as too wide), digest {}",
        out.display(),
        built.bytes as f64 / 1e6,
        built.volumes,
        built.dropped,
        built.digest
    ));
    Ok(Exit::Success)
}

/// Shows volumes as they are done. What an earlier build did takes no time, so it does not count for the estimate.
struct Shown(ProgressBar);

impl fastmri::Progress for Shown {
    fn volume(&self, done: usize, all: usize, reused: bool) {
        self.0.set_length(all as u64);
        self.0.set_position(done as u64);
        if reused {
            self.0.reset_eta();
        }
    }
}

#[derive(Serialize)]
struct State {
    dataset: String,
    kind: &'static str,
    folder: PathBuf,
    here: bool,
    digest: Option<String>,
    files: Vec<File>,
    problem: Option<String>,
}

#[derive(Serialize)]
struct File {
    name: String,
    bytes: u64,
    sha256: String,
}

impl State {
    fn new(name: DatasetName, source: &Source, identity: Result<Identity, String>) -> Self {
        let (kind, folder) = match source {
            Source::Fixture(folder) => ("synthetic fixture", folder.clone()),
            Source::Folder(folder) => ("real data", folder.clone()),
        };
        let (identity, problem) = match identity {
            Ok(identity) => (Some(identity), None),
            Err(problem) => (None, Some(problem)),
        };
        let files = identity.as_ref().map(|identity| identity.files.as_slice()).unwrap_or_default();
        State {
            dataset: name.to_string(),
            kind,
            folder,
            here: identity.is_some(),
            digest: identity.as_ref().map(|identity| identity.digest.to_string()),
            files: files
                .iter()
                .map(|file| File {
                    name: file.name.clone(),
                    bytes: file.stat.size,
                    sha256: file.digest.to_string(),
                })
                .collect(),
            problem,
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{} ({}, {})\n", self.dataset, self.kind, self.folder.display());
        match (&self.digest, &self.problem) {
            (Some(digest), _) => text += &format!("  digest {digest}\n"),
            (None, problem) => text += &format!("  not here: {}\n", problem.as_deref().unwrap_or("")),
        }
        for file in &self.files {
            text += &format!("  {} {:>12} {}\n", file.sha256, file.bytes, file.name);
        }
        text
    }
}

fn status(only: Option<DatasetName>, data: Option<&Path>, json: bool, out: &Path) -> Result<Exit, Failure> {
    let cache = StatCache::open(out);
    let names = only.map_or_else(|| DatasetName::value_variants().to_vec(), |name| vec![name]);
    let states: Vec<State> = names
        .into_iter()
        .map(|name| {
            let source = resolve::source(name, data, out);
            State::new(
                name,
                &source,
                data::identify(name, &source, Preparation::default(), &cache)
                    .map_err(|error| error.to_string()),
            )
        })
        .collect();
    if states.iter().any(|state| state.here) {
        cache.save().map_err(Failure::internal)?;
    }
    if json {
        output::json(&states)?;
    } else {
        output::data(&states.iter().map(State::text).collect::<String>())?;
    }
    Ok(if states.iter().all(|state| state.here) { Exit::Success } else { Exit::NotMeasured })
}

fn verify(name: DatasetName, data: Option<&Path>, json: bool, out: &Path) -> Result<Exit, Failure> {
    let source = resolve::source(name, data, out);
    // Nothing is taken from the cache: every byte is read.
    let identity = data::identify(name, &source, Preparation::default(), &StatCache::in_memory())
        .map_err(Failure::not_measured)?;
    data::verify(name, &source, &identity).map_err(Failure::not_measured)?;
    let state = State::new(name, &source, Ok(identity));
    if json {
        output::json(&state)?;
    } else {
        output::data(&state.text())?;
    }
    output::note("verified: every file was hashed again and read as training reads it");
    Ok(Exit::Success)
}
