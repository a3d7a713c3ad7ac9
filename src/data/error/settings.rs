//! What can be wrong with a synthetic fixture.
//!
//! Invariant: a message names the place in the settings or the file, what was expected and what was found.

use crate::digest::Digest;

/// What is wrong with a generator's settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not TOML, or not these fields.
    #[error("generator settings of {fixture}: {source}; see `fixtures/` for an example")]
    Syntax {
        /// Whose settings.
        fixture: &'static str,
        /// What the parser found.
        source: Box<toml::de::Error>,
    },
    /// Numbers that describe no distribution or no exactly readable rendering.
    #[error("generator settings, {place}: expected {expected}, found {found}; correct the settings file")]
    Value {
        /// Where.
        place: String,
        /// What would be right.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The generator made other bytes than the manifest says.
    #[error(
        "{file}: expected the SHA-256 of fixtures/MANIFEST.sha256, {expected}, found {found}: the generator is not portable to this machine (report it), or the settings changed (update the manifest)"
    )]
    Manifest {
        /// The file, below the dataset's folder.
        file: String,
        /// The manifest's digest.
        expected: String,
        /// The digest of what was generated.
        found: Digest,
    },
    /// A fixture's file has other bytes than it was generated with.
    #[error("{file}: expected the SHA-256 {expected}, found {found}: delete the file, it is generated again")]
    Altered {
        /// The file.
        file: String,
        /// The manifest's digest.
        expected: Digest,
        /// The digest of the file.
        found: Digest,
    },
    /// A task that this fixture has no labels for.
    #[error("the fixture has no task `{task}`; its tasks are {}", has.join(", "))]
    NoSuchTask {
        /// Asked for.
        task: String,
        /// Present.
        has: Vec<String>,
    },
}

/// `Ok` when the condition holds, otherwise what was expected and found.
pub(crate) fn require(
    condition: bool,
    place: &str,
    expected: &str,
    found: impl std::fmt::Debug,
) -> Result<(), SettingsError> {
    if condition {
        return Ok(());
    }
    Err(SettingsError::Value { place: place.into(), expected: expected.into(), found: format!("{found:?}") })
}
