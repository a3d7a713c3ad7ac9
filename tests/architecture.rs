//! Holds the invariants of `ARCHITECTURE.md` that can be read off the source.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What each module may import, besides itself and the leaves.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "benchmarks",
            "gate",
            "report",
            "engine",
            "experiment",
            "models",
            "data",
            "protocol",
            "ops",
            "device",
            "stats",
        ],
    ),
    ("benchmarks", &["engine", "protocol"]),
    ("gate", &["benchmarks", "engine", "protocol", "stats"]),
    ("report", &["benchmarks", "engine", "gate", "protocol", "stats"]),
    ("engine", &["experiment", "data", "protocol"]),
    ("experiment", &["models", "data", "protocol", "ops", "device"]),
    ("models", &["protocol", "ops", "device"]),
    ("data", &["protocol"]),
    ("protocol", &[]),
    ("ops", &["device", "protocol"]),
    ("device", &["ops"]),
    ("stats", &[]),
    ("provenance", &[]),
    ("random", &[]),
    ("digest", &[]),
];
const LEAVES: &[&str] = &["digest", "random", "provenance"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Source files by path below `src/`, without their `#[cfg(test)]` tail and without comments.
fn modules() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    sources(&root)
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
            let code = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            (name, code)
        })
        .collect()
}

/// The top-level modules that a file names through `crate::`.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    c if depth == 0 && (c.is_alphanumeric() || c == '_') => word.push(c),
                    ',' if depth == 0 => found.push(std::mem::take(&mut word)),
                    ':' if depth == 0 && !word.is_empty() => found.push(std::mem::take(&mut word)),
                    _ => {}
                }
            }
        } else {
            found.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    found.retain(|name| MAY_IMPORT.iter().any(|(module, _)| module == name));
    found
}

fn module_of(file: &str) -> String {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs").to_owned()
}

#[test]
fn imports_run_downwards_only() {
    let mut wrong = Vec::new();
    for (file, code) in modules() {
        let module = module_of(&file);
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            assert!(["lib", "main"].contains(&module.as_str()), "`src/{file}` belongs to no known module");
            continue;
        };
        for import in imports(&code) {
            let fine =
                import == module || LEAVES.contains(&import.as_str()) || allowed.contains(&import.as_str());
            if !fine {
                wrong.push(format!("src/{file} imports crate::{import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn unsafe_stays_put() {
    let wrong: Vec<_> = modules()
        .into_iter()
        .filter(|(_, code)| {
            // A word of the policy that the HTML report sets for itself.
            let code = code.replace("'unsafe-inline'", "");
            code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe")
        })
        .map(|(file, _)| file)
        .filter(|file| !["device", "ops", "data"].contains(&module_of(file).as_str()))
        .collect();
    assert!(wrong.is_empty(), "unsafe outside of device/, ops/ and data/: {wrong:#?}");
}

#[test]
fn only_the_command_line_prints() {
    let wrong: Vec<_> = modules()
        .into_iter()
        .filter(|(file, code)| {
            // A test that skips says so.
            module_of(file) != "cli"
                && !file.ends_with("/tests.rs")
                && ["println!", "eprintln!", "print!(", "eprint!(", "dbg!("].iter().any(|p| code.contains(p))
        })
        .map(|(file, _)| file)
        .collect();
    assert!(wrong.is_empty(), "prints outside of cli/: {wrong:#?}");
}

#[test]
fn every_module_says_what_it_is_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let wrong: Vec<_> = sources(&root)
        .into_iter()
        .filter(|path| !std::fs::read_to_string(path).unwrap().starts_with("//!"))
        .collect();
    assert!(wrong.is_empty(), "no `//!` at the top: {wrong:#?}");
}
