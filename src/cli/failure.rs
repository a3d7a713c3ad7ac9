//! How a command fails: what to print and which exit code to return.
//!
//! Invariant: every failure carries its exit code from where the cause is known, so that no caller has to guess.

use std::fmt;

use crate::cli::exit::Exit;
use crate::results::ResultsError;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub exit: Exit,
    cause: anyhow::Error,
}

impl Failure {
    /// The command line is wrong: exit 2.
    pub(crate) fn usage(cause: impl fmt::Display) -> Self {
        Failure { exit: Exit::Usage, cause: anyhow::anyhow!("{cause}") }
    }

    /// Nothing could be measured: exit 3.
    pub(crate) fn not_measured(cause: impl fmt::Display) -> Self {
        Failure { exit: Exit::NotMeasured, cause: anyhow::anyhow!("{cause}") }
    }

    /// Something broke: exit 4.
    pub(crate) fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Failure { exit: Exit::Internal, cause: cause.into() }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(cause: E) -> Self {
        let cause = anyhow::Error::new(cause);
        match cause.downcast_ref::<ResultsError>() {
            Some(error @ ResultsError::Selection(_)) => Failure::usage(error),
            Some(error @ ResultsError::NotMeasured(_)) => Failure::not_measured(error),
            _ => Failure::internal(cause),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.cause)
    }
}
