//! `i2m2 store`: list, verify, gc, export, import.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use crate::cli::args::StoreCommand;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::digest::Digest;
use crate::engine::StoreError;
use crate::engine::store::{Depth, Entry, GcOptions, Listed, Payload, Store};

/// Runs a store command.
pub(crate) fn run(command: &StoreCommand, out: &Path) -> Result<Exit, Failure> {
    let store = Store::open(out);
    match command {
        StoreCommand::List { json } => list(&store, *json),
        StoreCommand::Verify { json } => verify(&store, *json),
        StoreCommand::Gc { dry_run, corrupt, outdated, states } => {
            // Half-trained states may be hours of work: they stay unless asked for.
            let keep_states = if *states { BTreeSet::new() } else { store.states()? };
            gc(&store, &GcOptions { dry_run: *dry_run, keep_states, corrupt: *corrupt, outdated: *outdated })
        }
        StoreCommand::Export { to, without_weights, credentialed } => {
            let payload = match (without_weights, credentialed) {
                (true, _) => Payload::MetricsOnly,
                (false, true) => Payload::Everything,
                (false, false) => Payload::OpenData,
            };
            let runs = store.export(to, payload)?;
            output::note(&format!("exported {runs} runs to {}", to.display()));
            Ok(if runs == 0 { Exit::NotMeasured } else { Exit::Success })
        }
        StoreCommand::Import { from } => {
            let imported = store.import(from)?;
            output::note(&format!(
                "imported {} runs; {} were here already",
                imported.taken.len(),
                imported.known.len()
            ));
            Ok(Exit::Success)
        }
    }
}

fn list(store: &Store, json: bool) -> Result<Exit, Failure> {
    let entries = store.list(Depth::Manifest)?;
    let listed: Vec<Listed> =
        entries.iter().filter_map(|(_, entry)| Some(entry.as_ref().ok()?.into())).collect();
    output::shown(json, &listed, || {
        let mut text = String::new();
        for run in &listed {
            text += &format!(
                "{}  {:<7} {:<36} seed {:<3} {:>8.1} s {:>9} B  {}\n",
                run.key.short(),
                run.tier.to_string(),
                run.name,
                run.seed,
                run.wall_seconds,
                run.bytes,
                run.created
            );
        }
        format!("{text}{} runs\n", listed.len())
    })?;
    note_outdated(&entries);
    let broken: Vec<_> = entries
        .iter()
        .filter_map(|(_, entry)| entry.as_ref().err())
        .filter(|error| !error.is_outdated())
        .collect();
    for error in &broken {
        output::note(&format!("warning: {error}"));
    }
    Ok(if broken.is_empty() { Exit::Success } else { Exit::Internal })
}

/// Says how many entries another version of the format wrote, what they are and what can be done; nothing where there are none.
pub(crate) fn note_outdated(entries: &[(Digest, Result<Entry, StoreError>)]) {
    let outdated = entries.iter().filter(|(_, entry)| entry.as_ref().is_err_and(StoreError::is_outdated));
    match outdated.count() {
        0 => {}
        count => output::note(&format!(
            "note: {count} stored runs have keys of another version of i2m2: they are kept and never read as this version's; the \
             i2m2 that wrote them reads them, `i2m2 store gc --outdated` removes them"
        )),
    }
}

#[derive(Serialize)]
struct Verified {
    key: String,
    sound: bool,
    /// Whether another version of i2m2 wrote it, so that this one cannot tell.
    outdated: bool,
    problem: Option<String>,
}

fn verify(store: &Store, json: bool) -> Result<Exit, Failure> {
    let entries = store.list(Depth::Values)?;
    note_outdated(&entries);
    let verified: Vec<Verified> = entries
        .into_iter()
        .map(|(key, entry)| {
            let error = entry.err();
            let outdated = error.as_ref().is_some_and(StoreError::is_outdated);
            let problem = error.map(|error| error.to_string());
            Verified { key: key.to_string(), sound: problem.is_none(), outdated, problem }
        })
        .collect();
    let outdated = verified.iter().filter(|entry| entry.outdated).count();
    let broken = verified.iter().filter(|entry| !entry.sound).count() - outdated;
    if json {
        output::json(&verified)?;
    } else {
        output::data(&format!("{} runs verified, {broken} damaged\n", verified.len() - outdated))?;
        for entry in verified.iter().filter(|entry| !entry.outdated) {
            if let Some(problem) = &entry.problem {
                output::note(problem);
            }
        }
    }
    Ok(if broken == 0 { Exit::Success } else { Exit::Internal })
}

fn gc(store: &Store, options: &GcOptions) -> Result<Exit, Failure> {
    let garbage = store.gc(options)?;
    let mut text = String::new();
    for item in &garbage {
        text += &format!("{:>12} B  {}  {}\n", item.bytes, item.kind, item.path.display());
    }
    let bytes: u64 = garbage.iter().map(|item| item.bytes).sum();
    let verb = if options.dry_run { "would be removed" } else { "removed" };
    output::data(&format!("{text}{} items, {bytes} bytes {verb}\n", garbage.len()))?;
    Ok(Exit::Success)
}
