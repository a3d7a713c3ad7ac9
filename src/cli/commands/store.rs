//! `i2m2 store`: list, verify, gc, export, import.

use std::path::Path;

use serde::Serialize;

use crate::cli::args::StoreCommand;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::engine::store::{Depth, GcOptions, Listed, Payload, Store};

/// Runs a store command.
pub fn run(command: &StoreCommand, out: &Path) -> Result<Exit, Failure> {
    let store = Store::open(out);
    match command {
        StoreCommand::List { json } => list(&store, *json),
        StoreCommand::Verify { json } => verify(&store, *json),
        StoreCommand::Gc { dry_run, corrupt, states } => gc(&store, *dry_run, *corrupt, *states),
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
    if json {
        output::json(&listed)?;
    } else {
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
        output::data(&format!("{text}{} runs\n", listed.len()))?;
    }
    let broken: Vec<_> = entries.iter().filter_map(|(_, entry)| entry.as_ref().err()).collect();
    for error in &broken {
        output::note(&format!("warning: {error}"));
    }
    Ok(if broken.is_empty() { Exit::Success } else { Exit::Internal })
}

#[derive(Serialize)]
struct Verified {
    key: String,
    sound: bool,
    problem: Option<String>,
}

fn verify(store: &Store, json: bool) -> Result<Exit, Failure> {
    let verified: Vec<Verified> = store
        .list(Depth::Values)?
        .into_iter()
        .map(|(key, entry)| {
            let problem = entry.err().map(|error| error.to_string());
            Verified { key: key.to_string(), sound: problem.is_none(), problem }
        })
        .collect();
    let broken = verified.iter().filter(|entry| !entry.sound).count();
    if json {
        output::json(&verified)?;
    } else {
        output::data(&format!("{} runs verified, {broken} damaged\n", verified.len()))?;
        for entry in &verified {
            if let Some(problem) = &entry.problem {
                output::note(problem);
            }
        }
    }
    Ok(if broken == 0 { Exit::Success } else { Exit::Internal })
}

fn gc(store: &Store, dry_run: bool, corrupt: bool, states: bool) -> Result<Exit, Failure> {
    // Half-trained states may be hours of work: they stay unless asked for.
    let keep_states = if states { std::collections::BTreeSet::new() } else { store.states()? };
    let garbage = store.gc(&GcOptions { dry_run, keep_states, corrupt })?;
    let mut text = String::new();
    for item in &garbage {
        text += &format!("{:>12} B  {}  {}\n", item.bytes, item.kind, item.path.display());
    }
    let bytes: u64 = garbage.iter().map(|item| item.bytes).sum();
    let verb = if dry_run { "would be removed" } else { "removed" };
    output::data(&format!("{text}{} items, {bytes} bytes {verb}\n", garbage.len()))?;
    Ok(Exit::Success)
}
