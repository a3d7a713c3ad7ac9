//! The two choices that every study file knows: the tier and the protocol.
//!
//! Invariant: a choice is spelled once, beside its variant; files, flags and reports use that spelling.

use serde::{Deserialize, Serialize};

/// How much of the paper's budget and data a result stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Tier {
    /// Synthetic fixtures, seconds; never comparable with the paper.
    Smoke,
    /// Real data, cut budget, marked so.
    Reduced,
    /// Real data, full budget.
    Paper,
}

/// Which set of hyper-parameters and choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum ProtocolName {
    /// What the paper's text says.
    Paper,
    /// What the official code does.
    Released,
}
