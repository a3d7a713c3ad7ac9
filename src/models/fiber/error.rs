//! Why FIBER could not be built, filled or run.
//!
//! Invariant: errors name tensors and sizes, never values.

use std::fmt::Write as _;

use crate::data::DataError;
use crate::ops::OpError;

/// Why FIBER could not be built, filled or run.
#[derive(Debug, thiserror::Error)]
pub enum FiberError {
    /// Sizes that do not fit each other.
    #[error("the sizes of FIBER do not fit: {0}")]
    Config(String),
    /// Weights that do not fit; all that is wrong at once.
    #[error("the weights do not fit the network:{}", list(missing, extra, misshapen))]
    Tensors {
        /// What the network has and the source lacks.
        missing: Vec<String>,
        /// What the source has and the network lacks.
        extra: Vec<String>,
        /// What has other dimensions, with both.
        misshapen: Vec<String>,
    },
    /// A tensor that cannot be read.
    #[error("the tensor `{name}` cannot be read: {reason}")]
    Unreadable {
        /// The tensor.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An input that does not fit.
    #[error("FIBER's {what}: expected {expected}, found {found}")]
    Input {
        /// Which input.
        what: &'static str,
        /// What is needed.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A file of weights that is none.
    #[error("{file}: expected weights as safetensors, found {found}; {remedy}")]
    NoSafetensors {
        /// The file.
        file: String,
        /// What it is.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A file of weights that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An op refused its operands, or the device failed.
    #[error(transparent)]
    Op(#[from] OpError),
}

fn list(missing: &[String], extra: &[String], misshapen: &[String]) -> String {
    let mut text = String::new();
    for (what, names) in [("missing", missing), ("not known", extra), ("of other dimensions", misshapen)] {
        for name in names {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n  {what}: {name}");
        }
    }
    text
}
