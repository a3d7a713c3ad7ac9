//! What is chosen between a dataset's files and what a network sees, and what a run draws of it.
//!
//! Invariant: a preparation has a word for every choice of its dataset, and each is one that the dataset knows.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};

use super::DataError;
use super::names::UnknownName;

/// Something that is chosen when a dataset is prepared, by a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What is chosen, as a study names it.
    pub key: &'static str,
    /// The words that are possible.
    pub words: &'static [&'static str],
    /// The word where none is given.
    pub default: &'static str,
}

/// A word for every choice of a dataset; part of the prepared data's digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Preparation(BTreeMap<&'static str, &'static str>);

impl Preparation {
    /// The default of every choice.
    pub fn defaults(choices: &[Choice]) -> Self {
        Preparation(choices.iter().map(|choice| (choice.key, choice.default)).collect())
    }

    /// The words that are given to the dataset `owner`, and defaults.
    ///
    /// # Errors
    /// A choice that there is not, or a word that is not possible.
    pub fn new(owner: &str, choices: &[Choice], words: &BTreeMap<String, String>) -> Result<Self, DataError> {
        let mut preparation = Preparation::defaults(choices);
        for (key, word) in words {
            let unknown = |option: String, asked: &str, names: Vec<&str>| DataError::Choice {
                option,
                expected: UnknownName::new("choice", owner, asked, names).possible(),
                found: format!("`{asked}`"),
            };
            let choice = choices.iter().find(|choice| choice.key == key).ok_or_else(|| {
                let keys = choices.iter().map(|choice| choice.key).collect();
                unknown(format!("preparation of {owner}"), key, keys)
            })?;
            let known = choice.words.iter().find(|possible| *possible == word);
            let known =
                known.ok_or_else(|| unknown(format!("{key} of {owner}"), word, choice.words.to_vec()))?;
            preparation.0.insert(choice.key, known);
        }
        Ok(preparation)
    }

    /// The word of a choice; empty for one that the dataset does not have.
    pub fn word(&self, key: &str) -> &'static str {
        self.0.get(key).copied().unwrap_or_default()
    }

    /// A canonical text of all words but those of some choices, for identities.
    pub fn text(&self, but: &[&str]) -> String {
        let said = self.0.iter().filter(|(key, _)| !but.contains(key));
        said.map(|(key, word)| format!("{key}={word}\n")).collect()
    }

    /// The word of a choice as a value of a type that reads as the choice's words.
    ///
    /// # Errors
    /// A word that the type does not know: the dataset's description contradicts itself.
    pub fn read<T: DeserializeOwned>(&self, key: &str) -> Result<T, DataError> {
        let word = self.word(key);
        T::deserialize(word.into_deserializer()).map_err(|error: serde::de::value::Error| DataError::Choice {
            option: key.to_owned(),
            expected: error.to_string(),
            found: format!("`{word}`"),
        })
    }

    /// The word of a choice among numbers.
    ///
    /// # Errors
    /// A word that is no number: the dataset's description contradicts itself.
    pub fn number(&self, key: &str) -> Result<usize, DataError> {
        let word = self.word(key);
        word.parse().map_err(|_| DataError::Choice {
            option: key.to_owned(),
            expected: "a number".to_owned(),
            found: format!("`{word}`"),
        })
    }
}

/// What a run draws from data that is a population.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// How strongly v = 1 selects in the paper's generative model (Figure 1): 0 for no interaction of the modalities.
    pub strength: f64,
    /// How many rows are trained on.
    pub rows: usize,
    /// Which rows: the first in the order of the training split that belongs to this number. A run's own seed.
    pub draw: u64,
}
