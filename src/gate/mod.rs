//! Whether a number agrees with the published one.
//!
//! Invariant: a verdict is a pure function of stored values, the published value and a margin declared beforehand;
//! what was not measured, or not at the paper's budget, can never count as reproduced.

mod claims;
mod margins;
mod verdict;

pub use claims::{Claim, ClaimError, ClaimVerdict, Comparison, TestedClaim, claims, test_claims};
pub use margins::{Margin, MarginError, margin_of, margins};
pub use verdict::{Judgement, Reading, StdReading, Verdict, decide};
