//! Pure statistics: summaries, Student's t, Welch's test and pairs, equivalence, power, prediction and bootstrap intervals,
//! Holm's correction.
//!
//! Invariant: nothing here does I/O, draws random numbers or imports anything else of ours; transcendental functions
//! come from `libm`, so the same inputs give the same bits on every machine.

mod bootstrap;
mod design;
#[cfg(test)]
mod golden;
mod holm;
mod interval;
mod noncentral;
mod student;
mod summary;
mod welch;

pub use bootstrap::bootstrap_mean;
pub use design::{
    POWER, minimum_detectable, pairs_for_difference, seeds_for_difference, seeds_for_equivalence,
};
pub use holm::holm;
pub use interval::{Interval, mean_interval, prediction_interval};
pub use noncentral::{noncentral_cdf, power_of_difference, power_of_equivalence};
pub use student::{student_cdf, student_quantile};
pub use summary::Summary;
pub use welch::{Difference, paired, welch};
