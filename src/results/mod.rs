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
pub(crate) mod cell;
pub(crate) mod claims;
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
pub(crate) mod self_test;
mod sources;
mod stored;

pub(crate) use cell::CellResult;
pub(crate) use datasets::Opened;
pub(crate) use effect::effect;
pub(crate) use error::{ResultsError, SelectionError};
pub(crate) use forecast::Forecast;
pub(crate) use lineage::{Lineage, Run, SeedRun};
pub(crate) use memory::bytes_at_once;
pub(crate) use observed::Observed;
pub(crate) use power::{PlannedCell, Power};
pub(crate) use ranges::{Accepted, Gate};
pub(crate) use read::{read, values};
pub(crate) use reference::{Known, Reference};
pub(crate) use report::Report;
pub(crate) use resolved::{ChosenDevice, Purpose, Resolved};
pub(crate) use selection::{Request, Selection};
pub(crate) use sources::{Sources, source};
