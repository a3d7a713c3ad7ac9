//! `i2m2 list`: the paper's tables and figures.

use std::path::Path;

use serde::Serialize;

use crate::benchmarks;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::data::StatCache;
use crate::results::source;
use crate::study::dataset_of;

#[derive(Serialize)]
struct Entry {
    id: &'static str,
    title: &'static str,
    shows: &'static str,
    data: Vec<Need>,
}

#[derive(Serialize)]
struct Need {
    name: &'static str,
    here: bool,
}

/// Lists every table and figure.
pub(crate) fn run(data: Option<&Path>, json: bool, out: &Path) -> Result<Exit, Failure> {
    let cache = StatCache::open(out);
    // Without --data, the question is about the real data, which no fixture answers.
    let need = |study: &str| {
        let spec = dataset_of(study)?;
        let here = || spec.identify(&source(spec, data, out), &spec.defaults(), &cache).is_ok();
        Some(Need { name: spec.title, here: data.is_some() && here() })
    };
    let entries: Vec<Entry> = benchmarks::all()
        .iter()
        .map(|benchmark| Entry {
            id: benchmark.id,
            title: benchmark.title,
            shows: benchmark.shows,
            data: benchmark.studies().filter_map(need).collect(),
        })
        .collect();
    output::shown(json, &entries, || text(&entries, data))?;
    Ok(Exit::Success)
}

fn text(entries: &[Entry], data: Option<&Path>) -> String {
    let mut text = String::new();
    for entry in entries {
        let data: Vec<String> = entry
            .data
            .iter()
            .map(|need| format!("{} ({})", need.name, if need.here { "here" } else { "not here" }))
            .collect();
        text += &format!("{:<10} {:<11} {}\n", entry.id, entry.title, entry.shows);
        text += &format!("{:<22} data: {}\n", "", data.join(", "));
    }
    text += "\nEvery one of them runs without data in the smoke tier: i2m2 reproduce table2\n";
    if data.is_none() {
        text += "Data was looked for nowhere: add --data DIR.\n";
    }
    text
}
