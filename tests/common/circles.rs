//! Circles among the files of a folder.
//!
//! Invariant: what is compared are siblings, each with all that is below it; a parent and its children may know each other.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{ModulePath, Sources};

/// What one sibling takes from another: from file to file, and the names.
type Ties = BTreeMap<(String, String), BTreeSet<String>>;

/// Siblings that import each other in a loop.
pub(crate) struct Circle {
    /// The modules, as `device/cuda/buffer`, in order.
    pub members: Vec<String>,
    /// One loop, file by file, with what ties each to the next.
    pub message: String,
}

/// All of them, folder by folder.
pub(crate) fn circles(sources: &Sources) -> Vec<Circle> {
    folders(sources).values().flat_map(circles_of).collect()
}

/// The siblings of each folder, and what ties them.
fn folders(sources: &Sources) -> BTreeMap<ModulePath, BTreeMap<(String, String), Ties>> {
    let mut folders: BTreeMap<ModulePath, BTreeMap<_, Ties>> = BTreeMap::new();
    for (module, source) in &sources.0 {
        for import in &source.found.imports {
            let defining = sources.defining(import);
            let common = module.iter().zip(&defining).take_while(|(a, b)| a == b).count();
            let (Some(from), Some(to)) = (module.get(common), defining.get(common)) else { continue };
            let siblings =
                [from, to].map(|name| [&module[..common], std::slice::from_ref(name)].concat().join("/"));
            let [from, to] = siblings;
            let files = (source.file.clone(), sources.0[&defining].file.clone());
            let ties = folders.entry(module[..common].to_vec()).or_default().entry((from, to)).or_default();
            ties.entry(files).or_default().extend(import.last().cloned());
        }
    }
    folders
}

fn circles_of(ties: &BTreeMap<(String, String), Ties>) -> Vec<Circle> {
    let mut left: BTreeSet<&str> = ties.keys().map(|(from, _)| from.as_str()).collect();
    let mut found = Vec::new();
    while let Some(first) = left.pop_first() {
        let Some(way) = way(ties, first, first) else { continue };
        let there = |other: &&str| way_to(ties, first, other) && way_to(ties, other, first);
        let members: Vec<&str> = left.iter().copied().filter(there).collect();
        left.retain(|name| !members.contains(name));
        let lines = way.windows(2).flat_map(|pair| {
            let ties = &ties[&(pair[0].to_owned(), pair[1].to_owned())];
            ties.iter().map(|((from, to), names)| {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                format!("  src/{from} -> src/{to}: {}", names.join(", "))
            })
        });
        let message = lines.collect::<Vec<_>>().join("\n");
        let members = std::iter::once(first).chain(members).map(str::to_owned).collect();
        found.push(Circle { members, message });
    }
    found
}

fn way_to(ties: &BTreeMap<(String, String), Ties>, from: &str, to: &str) -> bool {
    way(ties, from, to).is_some()
}

/// The shortest way along the ties, of at least one step.
fn way<'a>(ties: &'a BTreeMap<(String, String), Ties>, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![from]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for (_, next) in ties.keys().filter(|(from, _)| Some(from.as_str()) == way.last().copied()) {
                let way: Vec<_> = way.iter().copied().chain([next.as_str()]).collect();
                if next == to {
                    return Some(way);
                }
                if seen.insert(next) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}

mod tests {
    use super::super::source::{Source, find};
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Sources {
        let module =
            |name: &str| name.split('/').filter(|part| *part != "lib").map(str::to_owned).collect::<Vec<_>>();
        let source = |name: &str, text: &str| Source {
            file: format!("{name}.rs"),
            text: text.to_owned(),
            found: find(text, &module(name)),
        };
        Sources(files.iter().map(|(name, text)| (module(name), source(name, text))).collect())
    }

    #[test]
    fn a_circle_is_found_through_folders_and_re_exports_and_printed_file_by_file() {
        let sources = sources(&[
            ("lib", "mod a; mod b; mod c;"),
            ("a", "mod x; pub use x::X;"),
            ("a/x", "use crate::b::f; use super::Y;"),
            ("b", "fn f() { crate::c::g() }"),
            ("c", "use crate::a::X;"),
        ]);
        let found = circles(&sources);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].members, ["a", "b", "c"]);
        let lines =
            ["  src/a/x.rs -> src/b.rs: f", "  src/b.rs -> src/c.rs: g", "  src/c.rs -> src/a/x.rs: X"];
        assert_eq!(found[0].message, lines.join("\n"));
    }

    #[test]
    fn parents_and_children_are_no_circle() {
        let sources = sources(&[
            ("lib", "mod a; mod b; use a::A;"),
            ("a", "mod x; mod y; use x::X;"),
            ("a/x", "use super::A; use super::y::Y;"),
            ("a/y", "use crate::b::B;"),
            ("b", ""),
        ]);
        assert!(circles(&sources).is_empty());
    }
}
