//! Sentences as RoBERTa reads them: byte-level BPE.
//!
//! Invariant: a sentence becomes the ids that RoBERTa's own tokenizer gives, whatever its characters; the two files are checked
//! when they are opened, so that nothing can go wrong with a sentence later.

mod bpe;
mod files;
mod texts;
mod tokenizer;

pub(in crate::data) use files::{MASK, SPECIAL, byte_char};
pub(in crate::data) use texts::Texts;
pub use tokenizer::{Encoded, Tokenizer};

#[cfg(test)]
mod tests;
