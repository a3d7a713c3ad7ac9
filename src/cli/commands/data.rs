//! `i2m2 data`: build, verify, status, explain.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use serde::Serialize;

use crate::cli::args::{BuildCommand, DataCommand};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::progress::style;
use crate::cli::{output, resolve};
use crate::data::build::{BuildError, Progress};
use crate::data::{DatasetSpec, Identity, Source, StatCache, registry};
use crate::digest::Digest;

/// Runs a data command.
pub(crate) fn run(command: &DataCommand, out: Option<&Path>, quiet: bool) -> Result<Exit, Failure> {
    let results = resolve::out(out);
    match command {
        DataCommand::Build(command) => build(command, out, quiet),
        DataCommand::Verify { dataset, data, json } => verify(dataset, data.as_deref(), *json, &results),
        DataCommand::Status { dataset, data, json } => status(*dataset, data.as_deref(), *json, &results),
        DataCommand::Explain { text } => {
            output::data(text)?;
            Ok(Exit::Success)
        }
    }
}

fn build(command: &BuildCommand, out: Option<&Path>, quiet: bool) -> Result<Exit, Failure> {
    let BuildCommand { dataset, options } = command;
    let Some(out) = out else {
        return Err(Failure::usage(format!(
            "data build needs --out DIR, the folder to build, for example --out data/{}",
            dataset.id
        )));
    };
    let Some(build) = dataset.build else {
        return Err(Failure::usage(format!("{} is not built from sources", dataset.title)));
    };
    let bar = if output::bars(quiet) { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let built = build.run(options, out, &Shown(bar.clone()));
    bar.finish_and_clear();
    let built = built.map_err(|error| match error {
        BuildError::Options(_) => Failure::usage(error),
        BuildError::Data(_) => Failure::not_measured(error),
        BuildError::Report(_) => Failure::internal(error),
    })?;
    output::json(&built.report)?;
    output::note(&format!("built {} {}", out.display(), built.summary));
    Ok(Exit::Success)
}

/// Shows how a build goes. What an earlier build did takes no time, so it does not count for the estimate.
struct Shown(ProgressBar);

impl Progress for Shown {
    fn stage(&self, words: &str) {
        self.0.set_message(words.to_owned());
        self.0.tick();
    }

    fn part(&self, done: usize, all: usize, what: &str, reused: bool) {
        if self.0.length() != Some(all as u64) {
            let template = format!("{{pos}}/{{len}} {what} {{wide_bar}} {{elapsed}}, {{eta}} left");
            self.0.set_style(style(&template));
            self.0.set_length(all as u64);
        }
        self.0.set_position(done as u64);
        if reused {
            self.0.reset_eta();
        }
    }
}

#[derive(Serialize)]
struct State {
    dataset: &'static str,
    kind: &'static str,
    folder: PathBuf,
    here: bool,
    digest: Option<Digest>,
    files: Vec<File>,
    problem: Option<String>,
}

#[derive(Serialize)]
struct File {
    name: String,
    bytes: u64,
    sha256: Digest,
}

/// Files of a folder that are listed one by one, at most.
const LISTED: usize = 24;

/// The outermost folder of a file.
fn folder(file: &File) -> &str {
    file.name.split_once('/').map_or("", |(folder, _)| folder)
}

impl State {
    fn new(spec: &DatasetSpec, source: &Source, identity: Result<Identity, String>) -> Self {
        let (kind, folder) = match source {
            Source::Fixture(folder) => ("synthetic fixture", folder.clone()),
            Source::Folder(folder) => ("real data", folder.clone()),
        };
        let files = identity.iter().flat_map(|identity| &identity.files);
        let files =
            files.map(|file| File { name: file.name.clone(), bytes: file.stat.size, sha256: file.digest });
        State {
            dataset: spec.id,
            kind,
            folder,
            here: identity.is_ok(),
            digest: identity.as_ref().ok().map(|identity| identity.digest),
            files: files.collect(),
            problem: identity.err(),
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{} ({}, {})\n", self.dataset, self.kind, self.folder.display());
        match (&self.digest, &self.problem) {
            (Some(digest), _) => text += &format!("  digest {digest}\n"),
            (None, problem) => text += &format!("  not here: {}\n", problem.as_deref().unwrap_or("")),
        }
        let folders = self.folders();
        for file in self.files.iter().filter(|file| !folders.contains_key(folder(file))) {
            text += &format!("  {} {:>12} {}\n", file.sha256, file.bytes, file.name);
        }
        for (folder, (files, bytes)) in folders {
            text += &format!("  {files} files {bytes:>12} {folder}/\n");
        }
        text
    }

    /// Folders with more files than anybody reads the names of: how many, and of how many bytes.
    fn folders(&self) -> BTreeMap<&str, (usize, u64)> {
        let mut folders: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
        for file in &self.files {
            let (files, bytes) = folders.entry(folder(file)).or_default();
            (*files, *bytes) = (*files + 1, *bytes + file.bytes);
        }
        folders.retain(|_, (files, _)| *files > LISTED);
        folders
    }
}

fn status(
    only: Option<&'static DatasetSpec>,
    data: Option<&Path>,
    json: bool,
    out: &Path,
) -> Result<Exit, Failure> {
    let cache = StatCache::open(out);
    let specs = only.map_or_else(|| registry::all().to_vec(), |spec| vec![spec]);
    let states: Vec<State> = specs
        .into_iter()
        .map(|spec| {
            let source = resolve::source(spec, data, out);
            let preparation = spec.defaults_at(&source);
            let identity = preparation.and_then(|preparation| spec.identify(&source, &preparation, &cache));
            State::new(spec, &source, identity.map_err(|error| error.to_string()))
        })
        .collect();
    if states.iter().any(|state| state.here) {
        cache.save().map_err(Failure::internal)?;
    }
    output::shown(json, &states, || states.iter().map(State::text).collect())?;
    Ok(if states.iter().all(|state| state.here) { Exit::Success } else { Exit::NotMeasured })
}

fn verify(spec: &DatasetSpec, data: Option<&Path>, json: bool, out: &Path) -> Result<Exit, Failure> {
    let source = resolve::source(spec, data, out);
    // Nothing is taken from the cache: every byte is read.
    let preparation = spec.defaults_at(&source).map_err(Failure::not_measured)?;
    let identity =
        spec.identify(&source, &preparation, &StatCache::in_memory()).map_err(Failure::not_measured)?;
    let notes = spec.verify(&source, &identity).map_err(Failure::not_measured)?;
    let state = State::new(spec, &source, Ok(identity));
    output::shown(json, &state, || state.text())?;
    notes.iter().for_each(|note| output::note(note));
    output::note("verified: every file was hashed again and read as training reads it");
    Ok(Exit::Success)
}
