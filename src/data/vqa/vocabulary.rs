//! The answers that a network can give.
//!
//! Invariant: an answer is in a vocabulary when its normalised form is the most frequent answer to at least nine questions; ids count
//! in the order in which answers are first met. Looking up takes an answer as it stands.

use std::collections::HashMap;
use std::path::Path;

use super::annotation::Annotations;
use super::answer::normalised;
use crate::data::DataError;
use crate::data::formats::json;

/// Questions that an answer must be the most frequent one of.
const ENOUGH: u32 = 9;

/// Which answers were counted, and so how many there must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VocabularyCount {
    /// Those of all questions of VQA v2's training and validation sets, which are VQA-VS's training, validation and test questions:
    /// 3129, as in FIBER. So test answers decide what is in it.
    All,
    /// Those of VQA-VS's training questions: 2486, as in its own baselines.
    Training,
    /// Those of the files that are given, so many.
    Exactly(usize),
    /// Those of the files that are given, however many.
    Given,
}

impl VocabularyCount {
    /// How many answers there must be.
    pub fn expected(self) -> Option<usize> {
        match self {
            VocabularyCount::All => Some(3129),
            VocabularyCount::Training => Some(2486),
            VocabularyCount::Exactly(answers) => Some(answers),
            VocabularyCount::Given => None,
        }
    }
}

/// Answers with their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    answers: Vec<String>,
    ids: HashMap<String, u32>,
}

impl Vocabulary {
    /// Counts the most frequent answers of all questions, file after file.
    ///
    /// # Errors
    /// More or fewer answers than there must be.
    pub fn build<'a>(
        files: impl IntoIterator<Item = &'a Annotations>,
        count: VocabularyCount,
    ) -> Result<Self, DataError> {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut counts: Vec<(String, u32)> = Vec::new();
        let mut names = Vec::new();
        for file in files {
            names.push(file.file.as_str());
            for annotation in &file.list {
                let answer = normalised(&annotation.answer);
                let place = *places.entry(answer).or_insert_with_key(|answer| {
                    counts.push((answer.clone(), 0));
                    counts.len() - 1
                });
                counts[place].1 += 1;
            }
        }
        let answers: Vec<String> =
            counts.into_iter().filter(|(_, count)| *count >= ENOUGH).map(|(answer, _)| answer).collect();
        let found = answers.len();
        if count.expected().is_some_and(|expected| expected != found) || found == 0 {
            let expected = count.expected().map_or("some".to_owned(), |expected| expected.to_string());
            return Err(DataError::Value {
                file: names.join(" and "),
                row: None,
                expected: format!(
                    "{expected} answers that {ENOUGH} questions or more have as their most frequent one"
                ),
                found: found.to_string(),
            });
        }
        Ok(Vocabulary::of(answers))
    }

    /// Reads a list of answers, in the order of their ids.
    ///
    /// # Errors
    /// A file that is missing, no list of words, an answer that stands there twice.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let answers: Vec<String> = json::read_list(path, "answers", "a list of answers")?;
        let wrong = |found: String| DataError::Value {
            file: path.display().to_string(),
            row: None,
            expected: "every answer once, and at least two".into(),
            found,
        };
        let (count, vocabulary) = (answers.len(), Vocabulary::of(answers));
        match vocabulary.ids.len() {
            0 | 1 => Err(wrong(format!("{count}"))),
            different if different < count => Err(wrong(format!("{different} different ones of {count}"))),
            _ => Ok(vocabulary),
        }
    }

    fn of(answers: Vec<String>) -> Self {
        let ids = answers.iter().zip(0..).map(|(answer, id)| (answer.clone(), id)).collect();
        Vocabulary { answers, ids }
    }

    /// The answers in the order of their ids.
    pub fn answers(&self) -> &[String] {
        &self.answers
    }

    /// An answer's id.
    pub fn id(&self, answer: &str) -> Option<u32> {
        self.ids.get(answer).copied()
    }
}
