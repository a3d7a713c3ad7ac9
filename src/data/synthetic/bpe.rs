//! A byte-level BPE for fixtures, in the form of RoBERTa's files.
//!
//! Invariant: every given word is one token, behind a space and at the beginning of a text where it is listed so; special tokens
//! have RoBERTa's ids, and the mask stands at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::data::tokens::{MASK, SPECIAL, byte_char};

/// `vocab.json` and `merges.txt` for texts that begin with one of `first` and go on with `further` words.
pub(in crate::data) fn tokenizer(first: &[&str], further: &[&str]) -> [Vec<u8>; 2] {
    let space = byte_char(b' ');
    // Words behind a space are merged from the space on. Their merges come before those of other words, so that no pair within a
    // word goes first.
    let spaced = further.iter().map(|word| format!("{space}{word}"));
    let mut merges: Vec<(String, String)> = Vec::new();
    for word in spaced.chain(first.iter().map(|word| (*word).to_owned())) {
        let letters: Vec<char> = word.chars().collect();
        for end in 1..letters.len() {
            let merge = (letters[..end].iter().collect(), letters[end].to_string());
            if !merges.contains(&merge) {
                merges.push(merge);
            }
        }
    }
    let mut ids: BTreeMap<String, usize> =
        SPECIAL.iter().map(|(token, id)| ((*token).to_owned(), *id as usize)).collect();
    let bytes = (0..=255).map(|byte| byte_char(byte).to_string());
    let joined = merges.iter().map(|(left, right)| format!("{left}{right}"));
    for token in bytes.chain(joined).chain([MASK.to_owned()]) {
        let next = ids.len();
        ids.entry(token).or_insert(next);
    }
    let mut text = "#version: 0.2\n".to_owned();
    for (left, right) in &merges {
        let _ = writeln!(text, "{left} {right}");
    }
    [serde_json::to_vec(&ids).unwrap_or_default(), text.into_bytes()]
}

/// The tokenizer of these words, read from its files, for texts of `length` tokens.
#[cfg(test)]
pub(in crate::data) fn opened(
    first: &[&str],
    further: &[&str],
    length: usize,
) -> crate::data::tokens::Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["vocab.json", "merges.txt"].map(|name| folder.path().join(name));
    for (path, bytes) in paths.iter().zip(tokenizer(first, further)) {
        std::fs::write(path, bytes).unwrap();
    }
    crate::data::tokens::Tokenizer::open(&paths[0], &paths[1], length).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_one_token() {
        let tokenizer = opened(&["who", "how"], &["who", "holding", "howl", "man", "many", "?"], 12);
        assert!(tokenizer.vocabulary() < 300, "{}", tokenizer.vocabulary());
        for text in ["who who holding howl man many ?", "how man man who howl holding many"] {
            assert_eq!(tokenizer.encode(text).unwrap().tokens, 2 + text.split(' ').count(), "{text}");
        }
        assert_eq!(tokenizer.encode("").unwrap().ids[..3], [0, 2, 1]);
    }
}
