//! Exit codes: part of the interface, so that a CI job can tell "failed" from "measured nothing".

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or the gate passed.
    Success,
    /// The gate failed: a number is out of its range.
    GateFailed,
    /// The command line was wrong.
    Usage,
    /// Nothing was measured, or what was measured decides nothing.
    NotMeasured,
    /// Something broke.
    Internal,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::GateFailed => 1,
            Exit::Usage => 2,
            Exit::NotMeasured => 3,
            Exit::Internal => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
