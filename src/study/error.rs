//! Why a study could not be used.
//!
//! Invariant: an error names the place and, where there is one, the nearest name.

use super::layered::Fault;
use crate::data::{did_you_mean, nearest};

/// Why a study could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// Its file, or a change to it.
    #[error("{fault}; correct it{}", rebuild(fault))]
    File {
        /// What is wrong, and where.
        #[from]
        fault: Fault,
    },
    /// The deviations ledger.
    #[error("{file} is not valid: {message}; correct the file and build again")]
    Ledger {
        /// The file.
        file: &'static str,
        /// What the parser found.
        message: String,
    },
    /// It has no such model, task or expert.
    #[error("the study `{study}` has no {what} `{name}`{}", did_you_mean(nearest.as_deref()))]
    Unknown {
        /// The study.
        study: String,
        /// `model`, `task`, `expert`.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
}

impl StudyError {
    /// `study` has no `what` of this name, but those that are known.
    pub(super) fn unknown<'a>(
        study: &str,
        what: &'static str,
        name: &str,
        known: impl Iterator<Item = &'a String>,
    ) -> Self {
        let nearest = nearest(name, known.map(String::as_str)).map(str::to_owned);
        StudyError::Unknown { study: study.to_owned(), what, name: name.to_owned(), nearest }
    }
}

/// Files are compiled in; a flag is not.
fn rebuild(fault: &Fault) -> &'static str {
    match &fault.location {
        Some(location) if location.line > 0 => " and build again",
        _ => "",
    }
}
