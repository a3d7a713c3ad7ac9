//! Exit codes: part of the interface, so that a CI job can tell "failed" from "measured nothing".

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or the gate passed.
    Success = 0,
    /// The gate failed: a number is out of its range.
    GateFailed = 1,
    /// The command line was wrong.
    Usage = 2,
    /// Nothing was measured, or what was measured decides nothing.
    NotMeasured = 3,
    /// Something broke.
    Internal = 4,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
