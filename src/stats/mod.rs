//! Pure statistics: summaries, Student's t, Welch's test and pairs, equivalence, power, prediction and bootstrap intervals,
//! Holm's correction, the jackknife.
//!
//! Invariant: nothing here does I/O, draws random numbers or imports anything else of ours; transcendental functions
//! come from `libm`, so the same inputs give the same bits on every machine.

mod bootstrap;
mod design;
#[cfg(test)]
mod golden;
mod holm;
mod interval;
mod jackknife;
mod noncentral;
mod student;
mod summary;
mod welch;

pub(crate) use bootstrap::bootstrap_mean;
pub(crate) use design::{
    POWER, minimum_detectable, pairs_for_difference, seeds_for_difference, seeds_for_equivalence,
};
pub(crate) use holm::holm;
pub(crate) use interval::{Interval, mean_interval, prediction_interval};
pub(crate) use jackknife::jackknife;
pub(crate) use student::student_quantile;
pub(crate) use summary::Summary;
pub(crate) use welch::{Difference, paired, welch};
