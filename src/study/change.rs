//! One value of a protocol, changed on the command line.
//!
//! Invariant: a change is a line of TOML, laid over the study files like one of their tables; so it can name nothing that
//! they could not, and whoever prints it prints what was laid.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::ProtocolName;

/// `KEY = VALUE`: the id of a study, and a dotted key of its file, and its value in TOML.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Change(String);

impl Change {
    /// The dotted key.
    pub fn key(&self) -> &str {
        self.0.split_once(" = ").map_or(&self.0, |(key, _)| key)
    }

    /// The study that it is about: the first part of the key.
    pub fn study(&self) -> &str {
        self.key().split('.').next().unwrap_or_default().trim()
    }

    /// The line of TOML.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A protocol with its changes: `paper`, `released with mimic.training.epochs = 8`.
pub fn words(name: ProtocolName, changes: &[Change]) -> String {
    match changes {
        [] => name.to_string(),
        _ => format!("{name} with {}", listed(changes)),
    }
}

/// Changes one after the other.
pub fn listed(changes: &[Change]) -> String {
    changes.iter().map(Change::as_str).collect::<Vec<_>>().join(", ")
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Change {
    type Err = String;

    /// Reads `KEY=VALUE`; a value that is not TOML is taken for a word: `mimic.preparation.standardise_on=train`.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || format!("expected KEY=VALUE, for example avmnist.training.epochs=5, found `{text}`");
        let (key, value) = text.split_once('=').ok_or_else(expected)?;
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() || value.is_empty() || text.contains(['\n', '\r']) {
            return Err(expected());
        }
        [value.to_owned(), Value::String(value.to_owned()).to_string()]
            .into_iter()
            .map(|value| format!("{key} = {value}"))
            .find(|line| line.parse::<Table>().is_ok())
            .map(Change)
            .ok_or_else(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_toml_or_words() {
        let read = |text: &str| text.parse::<Change>().map(|change| change.to_string());
        assert_eq!(read("a.b-c.d=5e-2").unwrap(), "a.b-c.d = 5e-2");
        assert_eq!(read("a.b = train").unwrap(), "a.b = \"train\"");
        assert_eq!("a.b = 1".parse::<Change>().unwrap().key(), "a.b");
        assert_eq!(read("a = { x = \"y\" }").unwrap(), "a = { x = \"y\" }");
        for wrong in ["", "a", "a=", "=1", "a b=1", "a=1\nb=2", "a..b=1"] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
