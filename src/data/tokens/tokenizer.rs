//! From a sentence to a row of ids of fixed length.
//!
//! Invariant: a row begins with `<s>`, its last token is `</s>`, and padding follows; text beyond the length is left out.

use std::path::Path;

use super::bpe::Bpe;
use super::files::Files;
use crate::data::DataError;

const BEGIN: u32 = 0;
const PAD: u32 = 1;
const END: u32 = 2;

/// A tokenizer for rows of a fixed length.
pub struct Tokenizer {
    bpe: Bpe,
    length: usize,
}

/// A sentence's ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// One for each place of the row; padding, id 1, after the sentence.
    pub ids: Vec<u32>,
    /// How many of them are the sentence's, its begin and end among them; the others are masked.
    pub tokens: usize,
    /// Whether a part of the sentence was left out.
    pub cut: bool,
}

impl Tokenizer {
    /// Tokens of a sentence, begin and end among them, in FIBER.
    pub const LENGTH: usize = 50;
    /// The id of padding.
    pub const PAD: u32 = PAD;

    /// Reads RoBERTa's `vocab.json` and `merges.txt`. Rows have `length` ids, at least two.
    ///
    /// # Errors
    /// A file that is missing or not what it should be, a length that leaves no place for begin and end.
    pub fn open(vocabulary: &Path, merges: &Path, length: usize) -> Result<Self, DataError> {
        if length < 2 {
            return Err(DataError::Choice {
                option: "length of a sentence".into(),
                expected: "at least 2 tokens, for its begin and its end".into(),
                found: length.to_string(),
            });
        }
        let files = Files::read(vocabulary, merges)?;
        let bpe = Bpe::new(files).map_err(|found| DataError::Malformed {
            file: merges.display().to_string(),
            expected: format!("merges that go with {}", vocabulary.display()),
            found,
        })?;
        Ok(Tokenizer { bpe, length })
    }

    /// The ids of a sentence.
    ///
    /// # Errors
    /// What the library has to say about a text: nothing is known that it refuses.
    pub fn encode(&self, sentence: &str) -> Result<Encoded, DataError> {
        let inner = self.bpe.ids(sentence).map_err(|found| DataError::Value {
            file: "a sentence".into(),
            row: None,
            expected: "text that can be split into tokens".into(),
            found,
        })?;
        let kept = inner.len().min(self.length - 2);
        let mut ids = Vec::with_capacity(self.length);
        ids.push(BEGIN);
        ids.extend_from_slice(&inner[..kept]);
        ids.push(END);
        let tokens = ids.len();
        ids.resize(self.length, PAD);
        Ok(Encoded { ids, tokens, cut: kept < inner.len() })
    }

    /// How many ids there are.
    pub fn vocabulary(&self) -> usize {
        self.bpe.size()
    }
}
