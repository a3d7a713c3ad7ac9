//! Long lists in JSON, entry by entry, and JSON Lines.
//!
//! Invariant: of an entry no more is in memory than its type keeps; an error names the entry, and a file that goes on behind its end
//! is refused.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::DataError;

/// No list or line is longer: the largest published file has about 400 MB, the longest line some KB.
const FILE_LIMIT: u64 = 8 << 30;
const LINE_LIMIT: u64 = 4 << 20;

/// Reads a list: the whole file, or the field `field` of an object.
///
/// # Errors
/// A file that is missing, no such list, an entry that is no `T`.
pub(crate) fn read_list<T: DeserializeOwned>(
    path: &Path,
    field: &'static str,
    expected: &'static str,
) -> Result<Vec<T>, DataError> {
    list(&path.display().to_string(), open(path, expected)?, field, expected)
}

/// [`read_list`] of what is open; `file` is for messages.
///
/// # Errors
/// As [`read_list`].
pub(crate) fn list<T: DeserializeOwned>(
    file: &str,
    input: impl Read,
    field: &'static str,
    expected: &'static str,
) -> Result<Vec<T>, DataError> {
    let mut reading = Reading { field, expected, entries: None };
    let mut input = serde_json::Deserializer::from_reader(input);
    let read = reading.deserialize(&mut input).and_then(|()| input.end());
    let row = reading.entries.as_ref().map(Vec::len);
    let wrong =
        |found: String| DataError::Value { file: file.to_owned(), row, expected: expected.to_owned(), found };
    read.map_err(|error| wrong(error.to_string()))?;
    Ok(reading.entries.unwrap_or_default())
}

/// Reads a whole document.
///
/// # Errors
/// A file that is missing, or one that is no `T`.
pub(crate) fn read_document<T: DeserializeOwned>(
    path: &Path,
    expected: &'static str,
) -> Result<T, DataError> {
    document(&path.display().to_string(), open(path, expected)?, expected)
}

/// [`read_document`] of what is open; `file` is for messages.
///
/// # Errors
/// As [`read_document`].
pub(crate) fn document<T: DeserializeOwned>(
    file: &str,
    input: impl Read,
    expected: &'static str,
) -> Result<T, DataError> {
    serde_json::from_reader(input).map_err(|error| DataError::Value {
        file: file.to_owned(),
        row: None,
        expected: expected.to_owned(),
        found: error.to_string(),
    })
}

/// Reads JSON Lines: the value of each line that is not empty, with the line's place.
///
/// # Errors
/// A file that is missing, a line that is no `T` or too long.
pub(crate) fn read_lines<T: DeserializeOwned>(
    path: &Path,
    expected: &'static str,
) -> Result<Vec<(usize, T)>, DataError> {
    lines(&path.display().to_string(), open(path, expected)?, expected)
}

/// [`read_lines`] of what is open; `file` is for messages.
///
/// # Errors
/// As [`read_lines`].
pub(crate) fn lines<T: DeserializeOwned>(
    file: &str,
    mut input: impl BufRead,
    expected: &'static str,
) -> Result<Vec<(usize, T)>, DataError> {
    let (mut found, mut line) = (Vec::new(), Vec::new());
    for row in 0.. {
        let wrong = |found: String| DataError::Value {
            file: file.to_owned(),
            row: Some(row),
            expected: expected.to_owned(),
            found,
        };
        line.clear();
        let read = input.by_ref().take(LINE_LIMIT + 1).read_until(b'\n', &mut line);
        match read.map_err(|error| wrong(error.to_string()))? as u64 {
            0 => break,
            length if length > LINE_LIMIT => {
                return Err(wrong(format!("a line of more than {LINE_LIMIT} bytes")));
            }
            _ if line.iter().all(u8::is_ascii_whitespace) => {}
            _ => found.push((row, serde_json::from_slice(&line).map_err(|error| wrong(error.to_string()))?)),
        }
    }
    Ok(found)
}

fn open(path: &Path, expected: &'static str) -> Result<impl BufRead + use<>, DataError> {
    let remedy = "check the folder given with --data";
    let input = File::open(path).map_err(DataError::open(path, expected, remedy))?;
    let length = input.metadata().map_err(DataError::io(path, "read its size"))?.len();
    if length > FILE_LIMIT {
        return Err(DataError::TooLarge {
            file: path.display().to_string(),
            expected: format!("at most {FILE_LIMIT} bytes"),
            found: format!("{length} bytes"),
        });
    }
    Ok(BufReader::with_capacity(1 << 16, input.take(FILE_LIMIT)))
}

/// A list that is being read.
struct Reading<T> {
    field: &'static str,
    expected: &'static str,
    /// What has come, once the list has begun.
    entries: Option<Vec<T>>,
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for &mut Reading<T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de, T: DeserializeOwned> Visitor<'de> for &mut Reading<T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, as a list or in the field `{}`", self.expected, self.field)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<(), A::Error> {
        let entries = self.entries.insert(Vec::new());
        while let Some(entry) = input.next_element()? {
            entries.push(entry);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            if name != self.field {
                fields.next_value::<IgnoredAny>()?;
            } else if self.entries.is_some() {
                return Err(serde::de::Error::duplicate_field(self.field));
            } else {
                fields.next_value_seed(ListOnly(&mut *self))?;
            }
        }
        if self.entries.is_some() { Ok(()) } else { Err(serde::de::Error::missing_field(self.field)) }
    }
}

/// The list behind the field's name, which is no object again.
struct ListOnly<'a, T>(&'a mut Reading<T>);

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for ListOnly<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_seq(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<u32>, DataError> {
        list("list.json", text.as_bytes(), "entries", "a list of numbers")
    }

    #[test]
    fn a_list_stands_alone_or_in_its_field() {
        assert_eq!(read(" [1, 2, 3] \n").unwrap(), [1, 2, 3]);
        assert_eq!(read(r#"{"info": {"x": [9]}, "entries": [4], "more": null}"#).unwrap(), [4]);
        assert!(read("[]").unwrap().is_empty());
        for (text, words) in [
            ("", "EOF"),
            ("[1, 2", "row 2"),
            ("[1, \"2\"]", "row 1"),
            ("[1] 2", "trailing"),
            ("{}", "missing field `entries`"),
            (r#"{"entries": [1], "entries": [2]}"#, "duplicate"),
            (r#"{"entries": {"entries": [1]}}"#, "list.json"),
            ("3", "a list of numbers"),
            ("[-1]", "row 0"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        let deep = "[".repeat(100_000);
        assert!(read(&deep).is_err());
    }

    #[test]
    fn lines_may_be_empty_but_not_endless() {
        let read = |text: &[u8]| lines::<u32>("lines", text, "a number");
        assert_eq!(read(b"1\n\n 2 \r\n3").unwrap(), [(0, 1), (2, 2), (3, 3)]);
        assert!(read(b"1\n2 3\n").unwrap_err().to_string().contains("row 1"));
        let endless = read(&vec![b' '; (LINE_LIMIT + 2) as usize]).unwrap_err().to_string();
        assert!(endless.contains("more than"), "{endless}");
    }
}
