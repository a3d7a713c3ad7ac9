//! From VQA-VS's files to its rows.
//!
//! Invariant: rows stand in the order of the files. A question is left out only where a choice says so, and then counted.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::annotation::Annotations;
use super::choices::{Choices, Unanswerable};
use super::dataset::{Rows, VqaDataset};
use super::examples::{Example, Examples};
use super::files::{self, Images};
use super::ood::OodSet;
use super::part::Part;
use super::question::Questions;
use super::score::SoftTarget;
use super::vocabulary::{Vocabulary, VocabularyCount};
use super::{IID, OOD, OOD_POOLED};
use crate::data::identity::inside;
use crate::data::images::Photographs;
use crate::data::tokens::Texts;
use crate::data::{Average, DataError, Loaded, Modality, Preparation, Subset};

/// Opens the files below `root`.
///
/// # Errors
/// Everything that can be wrong with them.
pub(super) fn load(root: &Path, preparation: &Preparation) -> Result<VqaDataset, DataError> {
    let choices = Choices::of(preparation)?;
    let read = |part: Part| -> Result<(Questions, Annotations), DataError> {
        let [_, annotations] = part.files();
        Ok((files::questions(root, part)?, Annotations::read(&inside(root, annotations)?)?))
    };
    let parts = [read(Part::Training)?, read(Part::Validation)?, read(Part::IidTest)?];
    let counted = match choices.count() {
        VocabularyCount::Training => &parts[..1],
        VocabularyCount::All | VocabularyCount::Exactly(_) | VocabularyCount::Given => &parts[..],
    };
    let vocabulary = Vocabulary::build(counted.iter().map(|(_, annotations)| annotations), choices.count())?;
    let ids = parts.iter().flat_map(|(questions, _)| questions.list.iter().map(|question| question.image));
    let images = Images::find(root, ids, choices.missing_images)?;
    let mut notes: Vec<String> = images.missing.iter().cloned().collect();
    let mut selection = Selection::new(&images.names, &vocabulary, choices);
    let [training, validation, test] =
        parts.map(|(questions, annotations)| Examples::join(questions, annotations));
    let test = test?;
    let all_rows = test.rows();
    let splits = [
        selection.rows(Part::Training, training?, &mut notes),
        selection.rows(Part::Validation, validation?, &mut notes),
        selection.rows(Part::IidTest, test, &mut notes),
    ];
    let subsets = subsets(root, &all_rows, &selection.kept)?;
    let names = images.names.into_values().collect();
    let texts = Texts::open(root, choices.length)?;
    let side = choices.side;
    Ok(VqaDataset {
        splits,
        names,
        photographs: Photographs::new(images.folder, side, choices.augmentation),
        texts,
        vocabulary,
        modalities: [
            Modality::new("image", [1, 3, side, side]),
            Modality::tokens("question", choices.length),
        ],
        tests: [IID.to_owned()],
        averages: [Average {
            name: OOD.to_owned(),
            of: OodSet::ALL.iter().map(|set| set.id().to_owned()).collect(),
        }],
        subsets,
        notes,
        loaded: Loaded::new(),
    })
}

/// Which questions are kept.
struct Selection<'a> {
    /// Where each image stands among those that are there.
    places: HashMap<u64, u32>,
    vocabulary: &'a Vocabulary,
    choices: Choices,
    /// The rows of the part that was selected from last: those that are kept have a new number.
    kept: Vec<Option<u32>>,
}

impl<'a> Selection<'a> {
    fn new(names: &BTreeMap<u64, String>, vocabulary: &'a Vocabulary, choices: Choices) -> Self {
        let places = names.keys().copied().zip(0..).collect();
        Selection { places, vocabulary, choices, kept: Vec::new() }
    }

    /// The rows of a part, without what is left out.
    fn rows(&mut self, part: Part, examples: Examples, notes: &mut Vec<String>) -> Rows {
        let drops = part != Part::IidTest || self.choices.unanswerable == Unanswerable::Dropped;
        let (mut rows, mut first): (Rows, HashMap<String, u32>) = Default::default();
        let (mut bare, mut unanswerable) = (0, 0);
        let classes = self.vocabulary.answers().len();
        self.kept.clear();
        for Example { question, annotation } in examples.list {
            let target = SoftTarget::of(&annotation.votes, self.vocabulary, self.choices.scoring);
            let place = self.places.get(&question.image);
            bare += usize::from(place.is_none());
            unanswerable += usize::from(place.is_some() && !target.is_answerable());
            let Some(&place) = place.filter(|_| target.is_answerable() || !drops) else {
                self.kept.push(None);
                continue;
            };
            let row = rows.questions.len() as u32;
            self.kept.push(Some(row));
            rows.images.push(place);
            rows.texts.push(*first.entry(question.text.clone()).or_insert(row));
            rows.questions.push(question.text);
            let start = rows.scores.len();
            rows.scores.resize(start + classes, 0.0);
            target.write(&mut rows.scores[start..]);
        }
        if bare > 0 {
            notes.push(format!("{}: {bare} questions left out, whose images are missing", part.title()));
        }
        if unanswerable > 0 {
            let becomes = if drops { "are left out" } else { "count as wrong" };
            notes.push(format!(
                "{}: {unanswerable} questions without an answer of the vocabulary {becomes}",
                part.title()
            ));
        }
        rows
    }
}

/// The nine sets, and all of them together, as rows of the test split: `all` are those of the files, `kept` their new numbers.
fn subsets(root: &Path, all: &HashMap<u64, u32>, kept: &[Option<u32>]) -> Result<Vec<Subset>, DataError> {
    let sets = files::sets(root)?;
    let subset = |set: OodSet| {
        let rows = sets.rows(set, all)?;
        let rows = rows.into_iter().filter_map(|row| kept.get(row as usize).copied().flatten());
        Ok::<_, DataError>(Subset { name: set.id().to_owned(), test: 0, rows: rows.collect() })
    };
    let mut subsets: Vec<Subset> = OodSet::ALL.into_iter().map(subset).collect::<Result<_, DataError>>()?;
    let mut rows: Vec<u32> = subsets.iter().flat_map(|set| set.rows.iter().copied()).collect();
    rows.sort_unstable();
    rows.dedup();
    subsets.push(Subset { name: OOD_POOLED.to_owned(), test: 0, rows });
    Ok(subsets)
}
