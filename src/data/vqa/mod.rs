//! VQA-VS: questions about photographs, soft scores of answers, and nine test sets in which a shortcut fails.
//!
//! Invariant: every question has an annotation and every annotation a question; ids that clash or lead nowhere are an error that
//! counts and names them. A score comes from how many annotators gave an answer, and from nothing else.

mod annotation;
mod answer;
mod choices;
mod coco;
mod contractions;
mod dataset;
mod examples;
mod files;
pub mod fixture;
mod ids;
mod load;
mod ood;
mod part;
mod question;
mod score;
mod spec;
mod test_annotations;
mod vocabulary;

pub use annotation::{Annotation, Annotations, AnswerKind};
pub use answer::normalised;
pub use choices::VqaFixture;
pub use coco::{find, found, resolve};
pub use dataset::VqaDataset;
pub use examples::{Example, Examples};
pub use ood::{OodGroup, OodSet, OodSets};
pub use part::Part;
pub use question::{Question, Questions};
pub use score::{Scoring, SoftTarget};
pub use spec::SPEC;
pub use test_annotations::{TestAnnotation, TestAnnotations};
pub use vocabulary::{Vocabulary, VocabularyCount};

/// Its id.
const ID: &str = "vqa-vs";
/// Its name in text.
const TITLE: &str = "VQA-VS";
/// The task's id.
const ANSWER: &str = "answer";
/// The test split, and the mean of the nine sets that are parts of it.
const IID: &str = "iid";
const OOD: &str = "ood";
/// All questions of the nine sets, each once: a part of the test split, too.
const OOD_POOLED: &str = "ood-pooled";

#[cfg(test)]
mod dataset_tests;
#[cfg(test)]
mod tests;
