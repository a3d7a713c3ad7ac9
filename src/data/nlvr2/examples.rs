//! `train.json`, `dev.json`, `test1.json`, `test2.json`: an example a line.
//!
//! Invariant: all examples of a file are of one split, and no identifier comes twice.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

use serde::Deserialize;

use super::identifier::Identifier;
use crate::data::DataError;
use crate::data::formats::json;

/// The split whose images stand in numbered folders.
const TRAIN: &str = "train";
const EXPECTED: &str = "a line with identifier, sentence and label";
/// Identifiers that a message names.
const NAMED: usize = 5;

/// A sentence about two images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Its name.
    pub identifier: Identifier,
    /// The sentence.
    pub sentence: String,
    /// Whether it is true.
    pub label: bool,
    /// The numbered folder that images for training stand in; those of other splits have none.
    pub directory: Option<u32>,
}

impl Example {
    /// Below the folder of all images, the left and the right one.
    pub fn images(&self) -> [String; 2] {
        let split = &self.identifier.split;
        let folder = match self.directory {
            Some(directory) => format!("images/{split}/{directory}"),
            None => split.clone(),
        };
        self.identifier.images().map(|name| format!("{folder}/{name}"))
    }
}

#[derive(Deserialize)]
struct Line {
    identifier: String,
    sentence: String,
    label: String,
    directory: Option<u32>,
}

/// The examples of a file, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examples {
    /// The examples.
    pub list: Vec<Example>,
}

impl Examples {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that is missing, a line that is no example, identifiers of several splits or that come twice.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        Examples::checked(&path.display().to_string(), json::read_lines(path, EXPECTED)?)
    }

    /// [`Examples::read`] of what is open; `file` is for messages.
    ///
    /// # Errors
    /// As [`Examples::read`].
    pub fn parse(file: &str, input: impl BufRead) -> Result<Self, DataError> {
        Examples::checked(file, json::lines(file, input, EXPECTED)?)
    }

    fn checked(file: &str, lines: Vec<(usize, Line)>) -> Result<Self, DataError> {
        let list: Vec<Example> =
            lines.into_iter().map(|(row, line)| example(file, row, line)).collect::<Result<_, _>>()?;
        let wrong = |expected: &str, found: String| DataError::Value {
            file: file.to_owned(),
            row: None,
            expected: expected.to_owned(),
            found,
        };
        let Some(first) = list.first() else {
            return Err(wrong("at least one example", "none".into()));
        };
        let split = &first.identifier.split;
        if let Some(other) = list.iter().find(|example| example.identifier.split != *split) {
            return Err(wrong(
                "examples of one split",
                format!("{} and {}", first.identifier, other.identifier),
            ));
        }
        let mut counts: BTreeMap<&Identifier, u32> = BTreeMap::new();
        list.iter().for_each(|example| *counts.entry(&example.identifier).or_default() += 1);
        let twice: Vec<String> =
            counts.iter().filter(|(_, count)| **count > 1).map(|(id, _)| id.to_string()).collect();
        if !twice.is_empty() {
            let more = if twice.len() > NAMED { ", ..." } else { "" };
            let named = twice[..twice.len().min(NAMED)].join(", ");
            return Err(wrong(
                "every identifier once",
                format!("some that come again ({}: {named}{more})", twice.len()),
            ));
        }
        Ok(Examples { list })
    }
}

fn example(file: &str, row: usize, line: Line) -> Result<Example, DataError> {
    let wrong = |expected: &str, found: String| DataError::Value {
        file: file.to_owned(),
        row: Some(row),
        expected: expected.to_owned(),
        found,
    };
    let identifier: Identifier =
        line.identifier.parse().map_err(|found| wrong("an identifier such as dev-850-0-1", found))?;
    let label = match line.label.as_str() {
        "True" => true,
        "False" => false,
        other => return Err(wrong("the label True or False", format!("`{}`", other.escape_debug()))),
    };
    let directory = line.directory.filter(|_| identifier.split == TRAIN);
    if identifier.split == TRAIN && directory.is_none() {
        return Err(wrong("the directory of images for training", format!("none for {identifier}")));
    }
    Ok(Example { identifier, sentence: line.sentence, label, directory })
}
