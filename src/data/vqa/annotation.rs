//! Annotations: `*-Ans.json`, ten people's answers to each question.
//!
//! Invariant: no question is annotated twice, and each has ten answers. Answers are counted as they stand there, letter by letter.

use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::ids;
use crate::data::DataError;
use crate::data::formats::json;

const FIELD: &str = "annotations";
const EXPECTED: &str =
    "annotations with question_id, image_id, answer_type, multiple_choice_answer and a list of answers";
/// Answers to each question.
const ANNOTATORS: u32 = 10;

/// What kind of answer a question wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum AnswerKind {
    /// `yes` or `no`.
    #[serde(rename = "yes/no")]
    YesNo,
    /// A number.
    #[serde(rename = "number")]
    Number,
    /// Anything else.
    #[serde(rename = "other")]
    Other,
}

/// The annotation of a question.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Entry")]
pub struct Annotation {
    /// The question's id.
    pub question: u64,
    /// The id of its image.
    pub image: u64,
    /// The kind of its answer.
    pub kind: AnswerKind,
    /// The most frequent answer.
    pub answer: String,
    /// Answers, in the order in which they are first given, and by how many.
    pub votes: Vec<(String, u32)>,
}

#[derive(Deserialize)]
struct Entry {
    question_id: u64,
    image_id: u64,
    answer_type: AnswerKind,
    multiple_choice_answer: String,
    answers: Vec<Given>,
}

#[derive(Deserialize)]
struct Given {
    answer: String,
}

impl From<Entry> for Annotation {
    fn from(entry: Entry) -> Self {
        let mut votes: Vec<(String, u32)> = Vec::new();
        for Given { answer } in entry.answers {
            match votes.iter_mut().find(|(known, _)| *known == answer) {
                Some((_, count)) => *count += 1,
                None => votes.push((answer, 1)),
            }
        }
        Annotation {
            question: entry.question_id,
            image: entry.image_id,
            kind: entry.answer_type,
            answer: entry.multiple_choice_answer,
            votes,
        }
    }
}

/// The annotations of a file, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotations {
    /// Where they come from, for messages.
    pub file: String,
    /// The annotations.
    pub list: Vec<Annotation>,
}

impl Annotations {
    /// Reads a list of annotations, bare (VQA-VS) or in the field `annotations` (VQA v2).
    ///
    /// # Errors
    /// A file that is missing, no such list, a question that is annotated twice or not ten times.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        Annotations::checked(path.display().to_string(), json::read_list(path, FIELD, EXPECTED)?)
    }

    /// [`Annotations::read`] of what is open; `file` is for messages.
    ///
    /// # Errors
    /// As [`Annotations::read`].
    pub fn parse(file: &str, input: impl Read) -> Result<Self, DataError> {
        Annotations::checked(file.to_owned(), json::list(file, input, FIELD, EXPECTED)?)
    }

    fn checked(file: String, list: Vec<Annotation>) -> Result<Self, DataError> {
        let twice = ids::repeated(list.iter().map(|annotation| annotation.question));
        ids::none(&file, "one annotation for each question_id", "some that come again", twice)?;
        let given = |annotation: &Annotation| annotation.votes.iter().map(|(_, votes)| votes).sum::<u32>();
        let odd = list.iter().filter(|annotation| given(annotation) != ANNOTATORS);
        let expected = format!("{ANNOTATORS} answers to each question");
        let odd = odd.map(|annotation| annotation.question).collect();
        ids::none(&file, &expected, "questions with more or fewer", odd)?;
        Ok(Annotations { file, list })
    }
}
