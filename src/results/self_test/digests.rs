//! Faults that digests must catch, every time: a label, a weight, a logit, a byte of the configuration.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::data::{Source, StatCache};
use crate::digest::Digest;
use crate::engine::plan::Plan;
use crate::engine::store::{Depth, Store};
use crate::random::{Seeds, Stream};
use crate::results::{Resolved, ResultsError};

/// Runs that faults are put into, at most.
const RUNS: usize = 8;
/// Places in each of their files.
const PLACES: usize = 12;
/// Bytes of data that are copied, at most.
const LARGEST: u64 = 256 << 20;

/// How many faults of a kind were caught.
#[derive(Debug, Serialize)]
pub(crate) struct Caught {
    /// What was changed.
    pub fault: String,
    /// How often.
    pub injected: usize,
    /// How often that was noticed.
    pub caught: usize,
}

/// Changes bytes in copies of stored runs and of the data.
pub(super) fn inject(resolved: &Resolved, plan: &Plan, store: &Store) -> Result<Vec<Caught>, ResultsError> {
    let scratch = tempfile::tempdir()?;
    let mut stream = Seeds::root(0).child("self-test").child("digests").stream();
    let mut found: BTreeMap<String, Caught> = BTreeMap::new();
    let mut tally = |fault: String, caught: bool| {
        let entry = found.entry(fault.clone()).or_insert(Caught { fault, injected: 0, caught: 0 });
        entry.injected += 1;
        entry.caught += usize::from(caught);
    };
    let copy = Store::at(&scratch.path().join("store"));
    let mut keys = Vec::new();
    for run in &plan.runs {
        if keys.len() < RUNS && store.find(run.key, Depth::Files)?.is_some_and(|entry| entry.complete) {
            keys.push(run.key);
        }
    }
    for &key in &keys {
        let (from, to) = (store.entry_path(key), copy.entry_path(key));
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(&from)? {
            let name = entry?.file_name();
            fs::copy(from.join(&name), to.join(&name))?;
        }
        // An untouched copy is sound: what follows is about the faults.
        if copy.find(key, Depth::Values)?.is_none() {
            return Err(ResultsError::Unsound(format!("a copy of run {} is not sound", key.short())));
        }
        for entry in fs::read_dir(&to)? {
            let path = entry?.path();
            let sound = fs::read(&path)?;
            for _ in 0..PLACES {
                let mut bytes = altered(&sound, &mut stream);
                while same_json(&sound, &bytes) {
                    bytes = altered(&sound, &mut stream);
                }
                fs::write(&path, bytes)?;
                tally(format!("a byte of {}", name(&path)), copy.find(key, Depth::Files).is_err());
            }
            fs::write(&path, &sound)?;
        }
        // A number of the configuration changed, and the file well-formed.
        let manifest = to.join("manifest.json");
        let sound = fs::read_to_string(&manifest)?;
        let edited = sound.replacen("\"seed\": ", "\"seed\": 1", 1);
        fs::write(&manifest, &edited)?;
        tally(
            "another seed in manifest.json".to_owned(),
            edited != sound && copy.find(key, Depth::Manifest).is_err(),
        );
        fs::write(&manifest, &sound)?;
    }
    if !keys.is_empty() {
        data_faults(resolved, scratch.path(), &mut stream, &mut tally)?;
    }
    Ok(found.into_values().collect())
}

/// Whether both are JSON and say the same: a space that became a line break is no fault.
fn same_json(a: &[u8], b: &[u8]) -> bool {
    let read = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).ok();
    read(a).is_some_and(|value| read(b) == Some(value))
}

/// Changes bytes of copies of the data: their identity must be another, or they must be refused.
fn data_faults(
    resolved: &Resolved,
    scratch: &Path,
    stream: &mut Stream,
    tally: &mut dyn FnMut(String, bool),
) -> Result<(), ResultsError> {
    for study in resolved.selection.studies() {
        let (spec, name) = (study.dataset, study.dataset.id);
        let Some(identity) = resolved.sources.identities.get(name) else { continue };
        let mut bytes = 0;
        for file in &identity.files {
            bytes += fs::metadata(&file.path)?.len();
        }
        // Data of gigabytes is not copied for a test.
        if bytes > LARGEST {
            continue;
        }
        let to = scratch.join(name);
        for file in &identity.files {
            let target = to.join(&file.name);
            fs::create_dir_all(target.parent().unwrap_or(&to))?;
            fs::copy(&file.path, target)?;
        }
        let source = Source::Folder(to.clone());
        let digest = || -> Option<Digest> {
            let found = spec.identify(&source, &study.preparation, &StatCache::in_memory());
            found.ok().map(|found| found.digest)
        };
        if digest() != Some(identity.digest) {
            return Err(ResultsError::Unsound(format!("a copy of the data of {name} has another digest")));
        }
        // Every file of few, some of many.
        let step = identity.files.len().div_ceil(PLACES).max(1);
        for file in identity.files.iter().step_by(step) {
            let path = to.join(&file.name);
            let sound = fs::read(&path)?;
            for _ in 0..2 {
                fs::write(&path, altered(&sound, stream))?;
                tally(format!("a byte of the data of {name}"), digest() != Some(identity.digest));
            }
            fs::write(&path, &sound)?;
        }
    }
    Ok(())
}

/// One bit of one byte changed.
fn altered(bytes: &[u8], stream: &mut Stream) -> Vec<u8> {
    let mut altered = bytes.to_vec();
    if !altered.is_empty() {
        let place = stream.below(altered.len() as u64) as usize;
        altered[place] ^= 1 << stream.below(8);
    }
    altered
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
