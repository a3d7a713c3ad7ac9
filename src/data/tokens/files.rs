//! The vocabulary and the merges of a byte-level BPE, checked.
//!
//! Invariant: every id from 0 stands there once, the special tokens have RoBERTa's ids, every byte has a token, and what a merge
//! takes and makes is in the vocabulary.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::data::DataError;

/// RoBERTa's special tokens at the beginning of its vocabulary.
pub(in crate::data) const SPECIAL: [(&str, u32); 4] = [("<s>", 0), ("<pad>", 1), ("</s>", 2), ("<unk>", 3)];
/// Its special token at the end.
pub(in crate::data) const MASK: &str = "<mask>";
/// No vocabulary or list of merges is larger.
const LIMIT: u64 = 64 << 20;

/// Tokens with their ids, and pairs of tokens that are merged, first ones first.
pub(super) struct Files {
    pub(super) vocabulary: HashMap<String, u32>,
    pub(super) merges: Vec<(String, String)>,
}

impl Files {
    /// Reads `vocab.json` and `merges.txt`.
    ///
    /// # Errors
    /// A file that is missing, too large, or not what it should be.
    pub(super) fn read(vocabulary: &Path, merges: &Path) -> Result<Self, DataError> {
        let remedy = "download vocab.json and merges.txt of roberta-base";
        let text = text(vocabulary, "RoBERTa's vocabulary, vocab.json", remedy)?;
        let vocabulary = parse_vocabulary(&vocabulary.display().to_string(), &text)?;
        let text = self::text(merges, "RoBERTa's merges, merges.txt", remedy)?;
        let merges = parse_merges(&merges.display().to_string(), &text, &vocabulary)?;
        Ok(Files { vocabulary, merges })
    }
}

fn text(path: &Path, expected: &str, remedy: &str) -> Result<String, DataError> {
    let file = File::open(path).map_err(DataError::open(path, expected, remedy))?;
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(DataError::io(path, "read it"))?;
    let file = path.display().to_string();
    if bytes.len() as u64 > LIMIT {
        return Err(DataError::TooLarge {
            file,
            expected: format!("at most {LIMIT} bytes"),
            found: "more".into(),
        });
    }
    String::from_utf8(bytes).map_err(|error| DataError::Malformed {
        file,
        expected: "text in UTF-8".into(),
        found: error.utf8_error().to_string(),
    })
}

/// `vocab.json`: an object of tokens and ids.
pub(super) fn parse_vocabulary(file: &str, text: &str) -> Result<HashMap<String, u32>, DataError> {
    let wrong = |expected: &str, found: String| DataError::Malformed {
        file: file.to_owned(),
        expected: expected.to_owned(),
        found,
    };
    let found: HashMap<String, u32> = serde_json::from_str(text)
        .map_err(|error| wrong("a JSON object of tokens and their ids", error.to_string()))?;
    let ids: BTreeSet<u32> = found.values().copied().collect();
    if ids.len() != found.len() || ids.last().is_some_and(|&last| last as usize >= found.len()) {
        let found = format!("{} tokens with {} different ids", found.len(), ids.len());
        return Err(wrong("every id from 0 once", found));
    }
    for (token, id) in SPECIAL {
        if found.get(token) != Some(&id) {
            let is = found.get(token).map_or("none".to_owned(), u32::to_string);
            return Err(wrong(
                &format!("`{token}` with the id {id}, as RoBERTa has it"),
                format!("the id {is}"),
            ));
        }
    }
    let missing = (0..=255).filter(|&byte| !found.contains_key(&byte_char(byte).to_string())).count();
    if missing > 0 {
        return Err(wrong("a token for each byte", format!("none for {missing} of 256")));
    }
    Ok(found)
}

/// `merges.txt`: a line that begins with `#version`, then two tokens in each.
pub(super) fn parse_merges(
    file: &str,
    text: &str,
    vocabulary: &HashMap<String, u32>,
) -> Result<Vec<(String, String)>, DataError> {
    let mut merges = Vec::new();
    let mut seen = BTreeSet::new();
    for (row, line) in text.lines().enumerate() {
        if line.starts_with("#version") {
            continue;
        }
        let wrong = |expected: &str, found: &str| DataError::Value {
            file: file.to_owned(),
            row: Some(row),
            expected: expected.to_owned(),
            found: format!("`{}`", found.escape_debug()),
        };
        let mut parts = line.split(' ');
        let (Some(left), Some(right), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("two tokens with a space between them", line));
        };
        for token in [left, right, &format!("{left}{right}")] {
            if !vocabulary.contains_key(token) {
                return Err(wrong("tokens of the vocabulary, and one of both together", token));
            }
        }
        if !seen.insert((left, right)) {
            return Err(wrong("every pair once", line));
        }
        merges.push((left.to_owned(), right.to_owned()));
    }
    Ok(merges)
}

/// The character that stands for a byte: itself where it is printable, else one from U+0100 on.
pub(in crate::data) fn byte_char(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&other| !printable(other)).count() as u32;
    char::from_u32(0x100 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}
