//! The gate: expected ranges (did a number move?) and verdicts (did it reproduce?), two things side by side.
//!
//! Invariant: not measured is not passed, and a range changes only with a reason and the keys that justify it.

pub mod expected;
