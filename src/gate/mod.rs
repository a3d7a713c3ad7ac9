//! The gate: expected ranges (did a number move?) and verdicts (did it reproduce?), two things side by side.
//!
//! Invariant: a verdict is a pure function of stored values, the published value and a margin declared beforehand;
//! what was not measured, or not at the paper's budget, can never count as reproduced. A range changes only with a
//! reason and the keys that justify it.

pub(crate) mod check;
mod claims;
pub(crate) mod effects;
pub(crate) mod expected;
mod margins;
mod power;
mod verdict;

pub(crate) use claims::{
    Bound, Claim, ClaimError, ClaimVerdict, Comparison, Sample, TestedClaim, Undecided, claims, test_claims,
};
pub(crate) use margins::{MarginError, margins};
pub(crate) use power::{CellPower, ClaimPower, cell_power, claim_power};
pub(crate) use verdict::{Case, Judgement, Reading, Verdict, judge};
