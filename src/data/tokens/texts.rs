//! Texts as samples: split into tokens when they are asked for.
//!
//! Invariant: a sample holds ids as whole numbers, padding behind them. A text that cannot be split is remembered as a fault, and
//! its numbers are NaN.

use std::path::Path;
use std::sync::OnceLock;

use super::Tokenizer;
use crate::data::DataError;
use crate::data::identity::inside;

/// The tokenizer's files below a dataset's folder.
const FILES: [&str; 2] = ["tokenizer/vocab.json", "tokenizer/merges.txt"];

/// The texts of a dataset, as rows of ids.
pub(in crate::data) struct Texts {
    tokenizer: Tokenizer,
    length: usize,
    fault: OnceLock<String>,
}

impl Texts {
    /// The files that are read below a dataset's folder.
    pub(in crate::data) const fn files() -> [&'static str; 2] {
        FILES
    }

    /// Reads the tokenizer's files below a dataset's folder; samples have `length` ids.
    ///
    /// # Errors
    /// Those of [`Tokenizer::open`], and files outside of the folder.
    pub(in crate::data) fn open(root: &Path, length: usize) -> Result<Self, DataError> {
        let [vocabulary, merges] = FILES;
        let tokenizer = Tokenizer::open(&inside(root, vocabulary)?, &inside(root, merges)?, length)?;
        Ok(Texts { tokenizer, length, fault: OnceLock::new() })
    }

    /// Ids of a sample.
    pub(in crate::data) fn length(&self) -> usize {
        self.length
    }

    /// Writes the ids of a text.
    pub(in crate::data) fn write(&self, text: &str, out: &mut [f32]) {
        match self.tokenizer.encode(text) {
            // Ids are below 2^24, where single precision still holds every whole number.
            Ok(encoded) => out.iter_mut().zip(encoded.ids).for_each(|(out, id)| *out = id as f32),
            Err(error) => {
                out.fill(f32::NAN);
                self.fault.get_or_init(|| error.to_string());
            }
        }
    }

    /// Why a text could not be split, if that has happened.
    pub(in crate::data) fn fault(&self) -> Option<&str> {
        self.fault.get().map(String::as_str)
    }
}
