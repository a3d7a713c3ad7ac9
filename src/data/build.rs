//! Building a dataset from its sources, with the options that it asks for.
//!
//! Invariant: the options of a build stand with its dataset; the command line passes them on and shows how it goes.

use std::path::Path;

use super::DataError;

/// How a dataset is built from its sources.
pub trait Build: Sync {
    /// The command with its options; its name is the dataset's id.
    fn command(&self) -> clap::Command;

    /// Builds into `out` what the arguments of that command say.
    ///
    /// # Errors
    /// Options that do not go together, and everything that can be wrong with the sources.
    fn run(
        &self,
        arguments: &clap::ArgMatches,
        out: &Path,
        progress: &dyn Progress,
    ) -> Result<Built, BuildError>;
}

/// Told how a build goes.
pub trait Progress: Sync {
    /// What is being done now.
    fn stage(&self, words: &str);

    /// `done` of `all` parts are there; the last one was there before or not.
    fn part(&self, done: usize, all: usize, what: &str, reused: bool);
}

/// What a build made.
pub struct Built {
    /// For programs.
    pub report: serde_json::Value,
    /// For people, behind the name of the folder.
    pub summary: String,
}

impl Built {
    /// A report, and what is said of it.
    ///
    /// # Errors
    /// A report that JSON cannot hold.
    pub fn new(report: &impl serde::Serialize, summary: String) -> Result<Self, BuildError> {
        let report = serde_json::to_value(report).map_err(|error| BuildError::Report(error.to_string()))?;
        Ok(Built { report, summary })
    }
}

/// Why nothing was built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Options that do not go together.
    #[error("{0}")]
    Options(String),
    /// The sources, or the disk.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The report cannot be written: a bug.
    #[error("the report of the build cannot be written: {0}")]
    Report(String),
}

impl From<clap::Error> for BuildError {
    fn from(error: clap::Error) -> Self {
        BuildError::Options(error.to_string())
    }
}
