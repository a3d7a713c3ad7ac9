//! Holds the invariants of `ARCHITECTURE.md` that can be read off the source.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "common/circles.rs"]
mod circles;
#[path = "common/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use source::{Source, Sources, root, words};

/// What each module may import, besides itself and the leaves.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "benchmarks",
            "gate",
            "report",
            "results",
            "engine",
            "experiment",
            "models",
            "data",
            "study",
            "ops",
            "device",
            "stats",
        ],
    ),
    ("benchmarks", &["data", "engine", "study"]),
    ("gate", &["benchmarks", "engine", "study", "stats"]),
    ("report", &["results", "benchmarks", "engine", "gate", "study"]),
    ("results", &["gate", "benchmarks", "engine", "experiment", "data", "study", "ops", "device", "stats"]),
    ("engine", &["experiment", "models", "data", "study", "device"]),
    ("experiment", &["models", "data", "study", "ops", "device"]),
    ("models", &["data", "study", "ops"]),
    ("data", &[]),
    ("study", &["data"]),
    ("ops", &["device"]),
    ("device", &[]),
    ("stats", &[]),
    ("provenance", &[]),
    ("random", &[]),
    ("digest", &[]),
    ("metric", &[]),
    ("files", &[]),
];
const LEAVES: &[&str] = &["digest", "files", "metric", "random", "provenance"];

static SOURCES: LazyLock<Sources> = LazyLock::new(Sources::read);

/// The part of `src/` that a file belongs to.
fn part_of(source: &Source) -> &str {
    source.file.split('/').next().unwrap_or(&source.file).trim_end_matches(".rs")
}

/// Every `.rs` file below a folder, by its place below `src/`.
fn files(folder: &Path) -> BTreeSet<String> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            let place = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            if path.is_dir() { files(&path) } else { BTreeSet::from([place]) }
        })
        .filter(|file| file.ends_with(".rs"))
        .collect()
}

/// The files that something is true of.
fn where_it_is(wrong: impl Fn(&Source) -> bool) -> Vec<String> {
    let all = SOURCES.0.values();
    all.filter(|source| wrong(source)).map(|source| format!("src/{}", source.file)).collect()
}

#[test]
fn every_file_is_read() {
    let read: BTreeSet<String> = SOURCES.0.values().map(|source| source.file.clone()).collect();
    assert_eq!(read, files(&root()), "the files that are modules, and those that are there");
}

#[test]
fn imports_run_downwards_only() {
    let mut wrong = Vec::new();
    for source in SOURCES.0.values() {
        let part = part_of(source);
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == part) else {
            assert!(["lib", "main"].contains(&part), "`src/{}` belongs to no known module", source.file);
            continue;
        };
        for import in &source.found.imports {
            let Some(top) = import.first().map(String::as_str) else { continue };
            if top != part && !LEAVES.contains(&top) && !allowed.contains(&top) {
                wrong.push(format!("src/{} imports crate::{}", source.file, import.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_of_a_folder_import_each_other_in_no_circle() {
    let found: Vec<_> = circles::circles(&SOURCES)
        .iter()
        .map(|circle| format!("{} import each other:\n{}", circle.members.join(", "), circle.message))
        .collect();
    assert!(
        found.is_empty(),
        "move what both sides need into a file below them, or pass it:\n\n{}\n",
        found.join("\n\n")
    );
}

#[test]
fn unsafe_stays_put() {
    let wrong = where_it_is(|source| {
        words(&source.text).contains("unsafe") && !["device", "ops", "data"].contains(&part_of(source))
    });
    assert!(wrong.is_empty(), "unsafe outside of device/, ops/ and data/: {wrong:#?}");
}

#[test]
fn only_the_command_line_prints() {
    let prints = ["println", "eprintln", "print", "eprint", "dbg"];
    let wrong = where_it_is(|source| {
        part_of(source) != "cli" && prints.iter().any(|name| source.found.macros.contains(*name))
    });
    assert!(wrong.is_empty(), "prints outside of cli/: {wrong:#?}");
}

#[test]
fn every_module_says_what_it_is_for() {
    let wrong = where_it_is(|source| !source.text.starts_with("//!"));
    assert!(wrong.is_empty(), "no `//!` at the top: {wrong:#?}");
}
