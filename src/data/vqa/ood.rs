//! The nine test sets outside of the distribution.
//!
//! Invariant: each is a list of questions of the test part, without repetition; sets overlap. The figure for all of them is the plain
//! mean of nine scores, however many questions each has.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use super::ids;
use super::question::Questions;
use crate::data::DataError;
use crate::data::identity::inside;

/// What a shortcut of a set is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OodGroup {
    /// The question.
    Language,
    /// The image.
    Visual,
    /// Both.
    MultiModal,
}

/// A test set in which a shortcut fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OodSet {
    /// The type of question.
    Qt,
    /// A key word.
    Kw,
    /// A pair of key words.
    Kwp,
    /// Type of question and key word.
    QtKw,
    /// A key object.
    Ko,
    /// A pair of key objects.
    Kop,
    /// Type of question and key object.
    QtKo,
    /// Key word and key object.
    KwKo,
    /// Type of question, key word and key object.
    QtKwKo,
}

impl OodSet {
    /// All of them, in the order of the published tables.
    pub const ALL: [OodSet; 9] = [
        OodSet::Qt,
        OodSet::Kw,
        OodSet::Kwp,
        OodSet::QtKw,
        OodSet::Ko,
        OodSet::Kop,
        OodSet::QtKo,
        OodSet::KwKo,
        OodSet::QtKwKo,
    ];

    /// Its published name.
    pub fn name(self) -> &'static str {
        ["QT", "KW", "KWP", "QT+KW", "KO", "KOP", "QT+KO", "KW+KO", "QT+KW+KO"][self as usize]
    }

    /// Its name among the subsets of the test split.
    pub fn id(self) -> &'static str {
        ["qt", "kw", "kwp", "qt-kw", "ko", "kop", "qt-ko", "kw-ko", "qt-kw-ko"][self as usize]
    }

    /// What its shortcut is in.
    pub fn group(self) -> OodGroup {
        match self {
            OodSet::Qt | OodSet::Kw | OodSet::Kwp | OodSet::QtKw => OodGroup::Language,
            OodSet::Ko | OodSet::Kop => OodGroup::Visual,
            OodSet::QtKo | OodSet::KwKo | OodSet::QtKwKo => OodGroup::MultiModal,
        }
    }

    /// Questions of the published set.
    pub fn questions(self) -> usize {
        [23_816, 27_730, 14_358, 17_630, 38_423, 42_806, 27_484, 17_447, 9_249][self as usize]
    }

    /// Below the dataset's folder, its questions.
    pub fn file(self) -> String {
        let name = self.name();
        format!("OOD-Test/{name}/OOD-Test-{name}-Ques.json")
    }
}

impl fmt::Display for OodSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The questions of each set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OodSets {
    file: String,
    ids: [Vec<u64>; 9],
}

impl OodSets {
    /// Reads the sets' own files of questions.
    ///
    /// # Errors
    /// A file that is missing or broken.
    pub fn read(root: &Path) -> Result<Self, DataError> {
        let mut ids: [Vec<u64>; 9] = Default::default();
        for set in OodSet::ALL {
            let questions = Questions::read(&inside(root, &set.file())?)?;
            ids[set as usize] = questions.list.into_iter().map(|question| question.id).collect();
        }
        Ok(OodSets { file: root.join("OOD-Test").display().to_string(), ids })
    }

    /// Those of nine lists; `file` is where they come from.
    ///
    /// # Errors
    /// A question that is in a list twice.
    pub(super) fn of(file: &str, ids: [Vec<u64>; 9]) -> Result<Self, DataError> {
        for set in OodSet::ALL {
            let twice = ids::repeated(ids[set as usize].iter().copied());
            let expected = format!("every question_id of {set} once");
            ids::none(file, &expected, "some that come again", twice)?;
        }
        Ok(OodSets { file: file.to_owned(), ids })
    }

    /// The question ids of a set.
    pub fn ids(&self, set: OodSet) -> &[u64] {
        &self.ids[set as usize]
    }

    /// The rows of a set's questions among those of the test part.
    ///
    /// # Errors
    /// Questions that are not in the test part.
    pub fn rows(&self, set: OodSet, rows: &HashMap<u64, u32>) -> Result<Vec<u32>, DataError> {
        let ids = self.ids(set);
        let strange = ids.iter().copied().filter(|id| !rows.contains_key(id)).collect();
        let expected = format!("questions of {set} that are in the test part");
        ids::none(&self.file, &expected, "some that are not", strange)?;
        Ok(ids.iter().filter_map(|id| rows.get(id).copied()).collect())
    }
}
