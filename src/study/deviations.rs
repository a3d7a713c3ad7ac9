//! The deviations ledger: every known difference between the paper, the released code and this project.
//!
//! Invariant: a choice that neither text nor code settles has an id here and is printed under every table it touches.

use serde::{Deserialize, Serialize};

use super::{Change, StudyError};

const FILE: &str = "paper/deviations.toml";

/// One known difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// `A1`, `M4`, `G1` ...: a letter for the data (G: all of it), and a number.
    pub id: String,
    /// In a few words.
    pub title: String,
    /// What the paper says.
    pub paper: String,
    /// What the released code does.
    pub released: String,
    /// What we do unless given otherwise.
    pub ours: String,
    /// Why.
    pub why: String,
    /// Where it is switched; empty when it cannot be.
    pub switch: String,
    /// The switch as values of the protocol, from what we do to what the other side does; empty where it is not one of them.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// Ids of the benchmarks whose numbers it can move.
    pub benchmarks: Vec<String>,
}

impl Deviation {
    /// What is said where nothing was measured.
    pub fn unmeasured(&self) -> &'static str {
        if self.changes.is_empty() { "no value of the protocol switches it" } else { "not measured" }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ledger {
    deviation: Vec<Deviation>,
}

/// The whole ledger, in its own order.
pub fn deviations() -> Result<Vec<Deviation>, StudyError> {
    let text = include_str!("../../paper/deviations.toml");
    let ledger: Ledger = toml::from_str(text)
        .map_err(|error| StudyError::Ledger { file: FILE, message: error.to_string() })?;
    Ok(ledger.deviation)
}

/// The deviations that touch a benchmark.
pub fn deviations_of(benchmark: &str) -> Result<Vec<Deviation>, StudyError> {
    let mut found = deviations()?;
    found.retain(|deviation| deviation.benchmarks.iter().any(|id| id == benchmark));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_deviation_of_the_spec_stands_in_the_ledger_once() {
        let ids: Vec<String> = deviations().unwrap().into_iter().map(|deviation| deviation.id).collect();
        let expected: Vec<String> = (1..=13)
            .map(|n| format!("A{n}"))
            .chain((1..=15).map(|n| format!("M{n}")))
            .chain((1..=20).map(|n| format!("F{n}")))
            .chain((1..=24).map(|n| format!("V{n}")))
            .chain(["G1".to_owned()])
            .collect();
        assert_eq!(ids, expected);
    }

    #[test]
    fn changes_are_written_as_they_are_read_and_change_something() {
        for deviation in deviations().unwrap() {
            for change in &deviation.changes {
                assert_eq!(change.as_str().parse::<Change>().as_ref(), Ok(change), "{}", deviation.id);
            }
            let kept = |name| {
                crate::study::resolve_with(name, crate::study::Tier::Paper, &deviation.changes)
                    .unwrap()
                    .changes
            };
            let mut changes = kept(crate::study::ProtocolName::Paper);
            changes.sort();
            let mut given = deviation.changes.clone();
            given.sort();
            assert_eq!(changes, given, "{}: one of its changes is none", deviation.id);
        }
    }

    #[test]
    fn a_benchmark_sees_its_own() {
        let ids = |benchmark: &str| -> Vec<String> {
            deviations_of(benchmark).unwrap().into_iter().map(|deviation| deviation.id).collect()
        };
        assert!(ids("table1").contains(&"A7".to_owned()) && !ids("table1").contains(&"M1".to_owned()));
        assert!(ids("table2").contains(&"M1".to_owned()) && !ids("table2").contains(&"A7".to_owned()));
    }
}
