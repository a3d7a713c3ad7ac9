//! Pure statistics: summaries, Student's t, Welch's test, equivalence, prediction intervals, Holm's correction.
//!
//! Invariant: nothing here does I/O, draws random numbers or imports anything else of ours; transcendental functions
//! come from `libm`, so the same inputs give the same bits on every machine.

mod holm;
mod interval;
mod student;
mod summary;
mod welch;

pub use holm::holm;
pub use interval::{Interval, prediction_interval};
pub use student::{student_cdf, student_quantile};
pub use summary::Summary;
pub use welch::{Difference, welch};
