//! `i2m2` replays *Jointly Modeling Inter- & Intra-Modality Dependencies for Multi-modal Learning* (NeurIPS 2024):
//! every table and figure is a registered benchmark, every printed number a cell that remembers how it came about.
//!
//! Start at [`benchmarks`] to see the paper's list of tables, at [`engine`] to see how a plan becomes results, and
//! at `ARCHITECTURE.md` for the invariants that hold everywhere.

mod benchmarks;
pub mod cli;
pub mod data;
pub mod device;
pub mod digest;
pub mod engine;
pub mod experiment;
mod files;
mod gate;
pub mod metric;
pub mod models;
pub mod ops;
pub mod provenance;
pub mod random;
mod report;
mod results;
mod stats;
pub mod study;
