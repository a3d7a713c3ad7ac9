//! `test_annotations.json`: what the official evaluation compares predictions with.
//!
//! Invariant: the questions of every set are annotated, and an answer that counts has been counted.

use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::annotation::AnswerKind;
use super::ids;
use super::ood::OodSets;
use crate::data::DataError;
use crate::data::formats::json;

const EXPECTED: &str = "an object with annotations and nine lists of question ids (QT_qid, KW_qid, KWP_qid, QTKW_qid, KO_qid, KOP_qid, QTKO_qid, KWKO_qid, QTKWKO_qid)";

/// The annotation of a test question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestAnnotation {
    /// The question's id.
    pub question: u64,
    /// The kind of its answer.
    pub kind: AnswerKind,
    /// The answers that count, and how many annotators gave each.
    pub votes: Vec<(String, u32)>,
}

/// The annotations of all test questions, and the sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestAnnotations {
    /// The annotations, in the order of the file.
    pub list: Vec<TestAnnotation>,
    /// The nine sets.
    pub sets: OodSets,
}

#[derive(Deserialize)]
struct Document {
    annotations: Vec<Entry>,
    #[serde(rename = "QT_qid")]
    qt: Vec<u64>,
    #[serde(rename = "KW_qid")]
    kw: Vec<u64>,
    #[serde(rename = "KWP_qid")]
    kwp: Vec<u64>,
    #[serde(rename = "QTKW_qid")]
    qt_kw: Vec<u64>,
    #[serde(rename = "KO_qid")]
    ko: Vec<u64>,
    #[serde(rename = "KOP_qid")]
    kop: Vec<u64>,
    #[serde(rename = "QTKO_qid")]
    qt_ko: Vec<u64>,
    #[serde(rename = "KWKO_qid")]
    kw_ko: Vec<u64>,
    #[serde(rename = "QTKWKO_qid")]
    qt_kw_ko: Vec<u64>,
}

#[derive(Deserialize)]
struct Entry {
    question_id: u64,
    answer_type: AnswerKind,
    answer_count: BTreeMap<String, u32>,
    answers_word: Vec<String>,
}

impl Entry {
    /// The annotation, and whether every answer that counts has been counted.
    fn counted(self) -> (TestAnnotation, bool) {
        let words: HashSet<String> = self.answers_word.into_iter().collect();
        let complete = words.iter().all(|word| self.answer_count.contains_key(word));
        let votes = self.answer_count.into_iter().filter(|(answer, _)| words.contains(answer)).collect();
        (TestAnnotation { question: self.question_id, kind: self.answer_type, votes }, complete)
    }
}

impl TestAnnotations {
    /// Reads `test_annotations.json`.
    ///
    /// # Errors
    /// A file that is missing or broken, and ids that clash or lead nowhere.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        TestAnnotations::checked(&path.display().to_string(), json::read_document(path, EXPECTED)?)
    }

    /// [`TestAnnotations::read`] of what is open; `file` is for messages.
    ///
    /// # Errors
    /// As [`TestAnnotations::read`].
    pub fn parse(file: &str, input: impl Read) -> Result<Self, DataError> {
        TestAnnotations::checked(file, json::document(file, input, EXPECTED)?)
    }

    fn checked(file: &str, document: Document) -> Result<Self, DataError> {
        let mut list = Vec::with_capacity(document.annotations.len());
        let mut uncounted = Vec::new();
        for entry in document.annotations {
            let (annotation, complete) = entry.counted();
            if !complete {
                uncounted.push(annotation.question);
            }
            list.push(annotation);
        }
        let twice = ids::repeated(list.iter().map(|annotation| annotation.question));
        ids::none(file, "one annotation for each question_id", "some that come again", twice)?;
        let expected = "an answer_count for every one of answers_word";
        ids::none(file, expected, "questions without", uncounted)?;
        let Document { qt, kw, kwp, qt_kw, ko, kop, qt_ko, kw_ko, qt_kw_ko, .. } = document;
        let lists = [qt, kw, kwp, qt_kw, ko, kop, qt_ko, kw_ko, qt_kw_ko];
        let known: HashSet<u64> = list.iter().map(|annotation| annotation.question).collect();
        let strange = lists.iter().flatten().copied().filter(|id| !known.contains(id)).collect();
        ids::none(file, "sets of annotated questions", "some that are not", strange)?;
        Ok(TestAnnotations { list, sets: OodSets::of(file, lists)? })
    }
}
