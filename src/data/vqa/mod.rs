//! VQA-VS: questions about photographs, soft scores of answers, and nine test sets in which a shortcut fails.
//!
//! Invariant: every question has an annotation and every annotation a question; ids that clash or lead nowhere are an error that
//! counts and names them. A score comes from how many annotators gave an answer, and from nothing else.

mod annotation;
mod answer;
mod coco;
mod contractions;
mod examples;
mod ids;
mod ood;
mod part;
mod question;
mod score;
mod test_annotations;
mod vocabulary;

pub use annotation::{Annotation, Annotations, AnswerKind};
pub use answer::normalised;
pub use coco::{find, resolve};
pub use examples::{Example, Examples};
pub use ood::{OodGroup, OodSet, OodSets};
pub use part::Part;
pub use question::{Question, Questions};
pub use score::{Scoring, SoftTarget};
pub use test_annotations::{TestAnnotation, TestAnnotations};
pub use vocabulary::{Vocabulary, VocabularyCount};

#[cfg(test)]
mod tests;
