//! The error of an image that cannot be decoded whole.
//!
//! Invariant: it names the file and the format.

use crate::data::DataError;

/// A broken image.
pub(super) fn broken(file: &str, format: &str, found: impl std::fmt::Display) -> DataError {
    DataError::Malformed {
        file: file.to_owned(),
        expected: format!("a whole {format} image"),
        found: found.to_string(),
    }
}
