//! Questions: `*-Ques.json`.
//!
//! Invariant: no id stands there twice.

use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::ids;
use crate::data::DataError;
use crate::data::formats::json;

const FIELD: &str = "questions";
const EXPECTED: &str = "questions with question_id, image_id and question";

/// A question about an image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Question {
    /// Its id.
    #[serde(rename = "question_id")]
    pub id: u64,
    /// The id of its COCO image.
    #[serde(rename = "image_id")]
    pub image: u64,
    /// Its text.
    #[serde(rename = "question")]
    pub text: String,
}

/// The questions of a file, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Questions {
    /// Where they come from, for messages.
    pub file: String,
    /// The questions.
    pub list: Vec<Question>,
}

impl Questions {
    /// Reads a list of questions, bare or in the field `questions`.
    ///
    /// # Errors
    /// A file that is missing, no such list, an id that stands there twice.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        Questions::checked(path.display().to_string(), json::read_list(path, FIELD, EXPECTED)?)
    }

    /// [`Questions::read`] of what is open; `file` is for messages.
    ///
    /// # Errors
    /// As [`Questions::read`].
    pub fn parse(file: &str, input: impl Read) -> Result<Self, DataError> {
        Questions::checked(file.to_owned(), json::list(file, input, FIELD, EXPECTED)?)
    }

    fn checked(file: String, list: Vec<Question>) -> Result<Self, DataError> {
        let twice = ids::repeated(list.iter().map(|question| question.id));
        ids::none(&file, "every question_id once", "some that come again", twice)?;
        Ok(Questions { file, list })
    }
}
