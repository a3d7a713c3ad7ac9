//! Results: what a plan and the store say together, and what is judged of it.
//!
//! A [`Selection`] is what was asked for; [`Resolved`] is that on this machine. [`values`] and [`read`] turn it into a [`Report`]
//! per benchmark: cells with values, verdicts, claims, known optima and controls. The other modules answer a question each: is
//! it as expected ([`Gate`]), where does it come from ([`Lineage`]), what would it take ([`Forecast`], [`Power`]), what does a
//! deviation change ([`effect`]), can the gate fail ([`self_test`]).
//!
//! Invariant: everything that is decided about a number is decided here or in `gate`; `report` only shows it. Nothing here
//! prints, and only [`Resolved`] writes to the results folder: fixtures, and caches of what was measured.

mod canaries;
mod cell;
pub mod claims;
mod controls;
mod datasets;
mod effect;
mod error;
mod forecast;
mod judging;
mod lineage;
mod memory;
mod numerics;
mod observed;
mod optima;
mod pattern;
mod power;
mod ranges;
mod read;
mod reference;
mod references;
mod report;
mod resolved;
mod selection;
pub mod self_test;
mod sources;
mod stored;

pub use cell::{CellResult, SeedValue};
pub use datasets::Opened;
pub use effect::effect;
pub use error::{ResultsError, SelectionError};
pub use forecast::Forecast;
pub use lineage::{Lineage, Run, SeedRun};
pub use memory::bytes_at_once;
pub use numerics::Numerics;
pub use observed::Observed;
pub use power::{PlannedCell, Power};
pub use ranges::{Accepted, Gate};
pub use read::{read, values};
pub use reference::{Known, Reference};
pub use report::Report;
pub use resolved::{ChosenDevice, Purpose, Resolved};
pub use selection::{Facts, Request, Selection};
pub use sources::{Sources, source};
