//! Questions with their annotations.
//!
//! Invariant: examples stand in the order of the questions; each has exactly one annotation, of the same image.

use std::collections::HashMap;
use std::path::Path;

use super::annotation::{Annotation, Annotations};
use super::ids;
use super::part::Part;
use super::question::{Question, Questions};
use crate::data::DataError;
use crate::data::identity::inside;

/// A question and its annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The question.
    pub question: Question,
    /// What annotators say.
    pub annotation: Annotation,
}

/// The examples of a part, in the order of its questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examples {
    /// The examples.
    pub list: Vec<Example>,
}

impl Examples {
    /// Reads a part from the dataset's folder.
    ///
    /// # Errors
    /// A file that is missing or broken, and ids that clash or lead nowhere.
    pub fn read(root: &Path, part: Part) -> Result<Self, DataError> {
        let [questions, annotations] = part.files();
        let questions = Questions::read(&inside(root, questions)?)?;
        Examples::join(questions, Annotations::read(&inside(root, annotations)?)?)
    }

    /// Puts questions and annotations together.
    ///
    /// # Errors
    /// A question without an annotation, an annotation without a question, and one that is about another image.
    pub fn join(questions: Questions, annotations: Annotations) -> Result<Self, DataError> {
        let Annotations { file, list } = annotations;
        let mut by_question: HashMap<u64, Annotation> =
            list.into_iter().map(|annotation| (annotation.question, annotation)).collect();
        let (mut bare, mut moved, mut joined) = (Vec::new(), Vec::new(), Vec::new());
        for question in questions.list {
            match by_question.remove(&question.id) {
                None => bare.push(question.id),
                Some(annotation) if annotation.image != question.image => moved.push(question.id),
                Some(annotation) => joined.push(Example { question, annotation }),
            }
        }
        ids::none(
            &questions.file,
            &format!("questions that {file} annotates"),
            "some without an annotation",
            bare,
        )?;
        let dangling = by_question.into_keys().collect();
        let expected = format!("annotations of questions in {}", questions.file);
        ids::none(&file, &expected, "some of no question there", dangling)?;
        ids::none(&file, "annotations of a question's own image", "some of another image_id", moved)?;
        Ok(Examples { list: joined })
    }

    /// The row of each question, by its id.
    pub fn rows(&self) -> HashMap<u64, u32> {
        self.list.iter().map(|example| example.question.id).zip(0..).collect()
    }
}
