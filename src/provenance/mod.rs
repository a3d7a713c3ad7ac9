//! Where a result comes from: the tool, the toolchain and the machine.
//!
//! Invariant: describes, never identifies: no host name, no user name, no path. What cannot be found out is `unknown`
//! or absent, never a guess, and never an error.

mod build;
mod clock;
mod machine;
mod tool;

use serde::{Deserialize, Serialize};

pub use build::build;
pub use clock::{now_utc, today_utc};
pub use machine::{Machine, page_faults, peak_memory};
pub use tool::Tool;

/// Where a result comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// This program, as it was built.
    pub tool: Tool,
    /// The machine it runs on.
    pub machine: Machine,
}

impl Provenance {
    /// Of this process; looked up once.
    pub fn here() -> Self {
        static HERE: std::sync::OnceLock<Provenance> = std::sync::OnceLock::new();
        HERE.get_or_init(|| Provenance { tool: Tool::here(), machine: Machine::here() }).clone()
    }
}
