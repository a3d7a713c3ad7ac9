//! What is predicted, and what is known about it.
//!
//! Invariant: a task fixes the number of logits of a network and how its loss is made; targets are what its data holds for
//! each example, and nothing else knows how they are packed.

use serde::{Deserialize, Serialize};

use super::names::is_plain;

/// Questions that one label holds the answers to, at most: one bit each.
pub(super) const MOST_QUESTIONS: usize = 32;

/// A task of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Its name within the dataset.
    pub id: String,
    /// What is predicted.
    pub target: Target,
}

/// What is predicted for an example. The loss follows from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Target {
    /// One of several classes: cross-entropy of the product of experts.
    Classes {
        /// Classes.
        classes: usize,
    },
    /// The answer, no or yes, to each of several questions: a head of two classes each, whose weighted cross-entropies are
    /// added up.
    Binary {
        /// Their names, in the order of the heads and of a label's bits.
        questions: Vec<String>,
    },
    /// How right each of several classes is, in `[0, 1]`: binary cross-entropy, added up over the classes.
    Soft {
        /// Classes.
        classes: usize,
    },
}

impl Task {
    /// A task.
    pub fn new(id: impl Into<String>, target: Target) -> Self {
        Task { id: id.into(), target }
    }

    /// Number of logits of a network: the classes, head by head.
    pub fn logits(&self) -> usize {
        self.target.logits()
    }

    /// Number of classes; two where there are questions, each of which has those.
    pub fn classes(&self) -> usize {
        self.target.classes()
    }

    /// The questions that are asked side by side, in the order of the heads; none where there is one thing alone.
    pub fn questions(&self) -> &[String] {
        self.target.questions()
    }
}

impl Target {
    /// One of so many classes.
    pub const fn classes_of(classes: usize) -> Self {
        Target::Classes { classes }
    }

    /// Several questions.
    pub fn binary<S: Into<String>>(questions: impl IntoIterator<Item = S>) -> Self {
        Target::Binary { questions: questions.into_iter().map(Into::into).collect() }
    }

    /// Number of logits of a network: the classes, head by head.
    pub fn logits(&self) -> usize {
        self.classes() * self.questions().len().max(1)
    }

    /// Number of classes; two where there are questions, each of which has those.
    pub fn classes(&self) -> usize {
        match self {
            Target::Classes { classes } | Target::Soft { classes } => *classes,
            Target::Binary { .. } => 2,
        }
    }

    /// The questions that are asked side by side, in the order of the heads; none where there is one thing alone.
    pub fn questions(&self) -> &[String] {
        match self {
            Target::Binary { questions } => questions,
            Target::Classes { .. } | Target::Soft { .. } => &[],
        }
    }

    /// Number of values that a label may have; `None` where there are no labels.
    pub fn labels(&self) -> Option<u64> {
        match self {
            Target::Classes { classes } => Some(*classes as u64),
            Target::Binary { questions } => 1u64.checked_shl(questions.len() as u32),
            Target::Soft { .. } => None,
        }
    }

    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// Fewer than two classes, no question or more than a label holds, names that cannot stand in a metric's, or twice.
    pub fn check(&self) -> Result<(), String> {
        let questions = match self {
            Target::Classes { classes } | Target::Soft { classes } if *classes < 2 => {
                return Err(format!("expected at least 2 classes, found {classes}"));
            }
            Target::Classes { .. } | Target::Soft { .. } => return Ok(()),
            Target::Binary { questions } => questions,
        };
        if !(1..=MOST_QUESTIONS).contains(&questions.len()) {
            return Err(format!("expected 1 to {MOST_QUESTIONS} questions, found {}", questions.len()));
        }
        if let Some(bad) = questions.iter().find(|name| !is_plain(name)) {
            return Err(format!("expected questions of letters, digits, `-` and `_`, found `{bad}`"));
        }
        let mut sorted: Vec<&String> = questions.iter().collect();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("expected questions that differ, found `{}` twice", pair[0])),
            None => Ok(()),
        }
    }
}

/// What is known about the examples of a split, in the order of its rows.
#[derive(Clone, Copy)]
pub enum Targets<'a> {
    /// The class of each; with several questions bit `h` says whether the answer to question `h` is yes.
    Labels(&'a [u32]),
    /// How right each class is, example by example: rows of `classes` scores in `[0, 1]`.
    Soft {
        /// Examples x classes.
        scores: &'a [f32],
        /// Classes.
        classes: usize,
    },
}

impl<'a> Targets<'a> {
    /// Number of examples.
    pub fn len(&self) -> usize {
        match self {
            Targets::Labels(labels) => labels.len(),
            Targets::Soft { scores, classes } => scores.len() / (*classes).max(1),
        }
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels; none where scores are soft.
    pub fn labels(self) -> &'a [u32] {
        match self {
            Targets::Labels(labels) => labels,
            Targets::Soft { .. } => &[],
        }
    }

    /// What of them does not fit a target, if anything does.
    ///
    /// # Errors
    /// Another kind than the target's, a label or score that cannot be, or another number of classes. No message holds a row.
    pub fn check(self, target: &Target) -> Result<(), String> {
        match (self, target) {
            (Targets::Labels(labels), Target::Classes { .. } | Target::Binary { .. }) => {
                let below = target.labels().unwrap_or(u64::MAX);
                match labels.iter().find(|&&label| u64::from(label) >= below) {
                    Some(label) => Err(format!("label {label}, expected below {below}")),
                    None => Ok(()),
                }
            }
            (Targets::Soft { scores, classes }, Target::Soft { classes: expected }) => {
                if classes != *expected || !scores.len().is_multiple_of(classes.max(1)) {
                    let found = scores.len();
                    return Err(format!(
                        "{found} scores of {classes} classes, expected whole rows of {expected}"
                    ));
                }
                match scores.iter().all(|score| (0.0..=1.0).contains(score)) {
                    true => Ok(()),
                    false => Err("a score outside of 0 to 1".to_owned()),
                }
            }
            (Targets::Labels(_), Target::Soft { .. }) => Err("labels, expected soft scores".to_owned()),
            (Targets::Soft { .. }, _) => Err("soft scores, expected labels".to_owned()),
        }
    }
}

/// Targets of some examples, of their own.
#[derive(Clone, Debug, PartialEq)]
pub enum TargetsBuf {
    /// As in [`Targets::Labels`].
    Labels(Vec<u32>),
    /// As in [`Targets::Soft`].
    Soft {
        /// Examples x classes.
        scores: Vec<f32>,
        /// Classes.
        classes: usize,
    },
}

impl TargetsBuf {
    /// To read.
    pub fn as_targets(&self) -> Targets<'_> {
        match self {
            TargetsBuf::Labels(labels) => Targets::Labels(labels),
            TargetsBuf::Soft { scores, classes } => Targets::Soft { scores, classes: *classes },
        }
    }
}

impl Targets<'_> {
    /// Those of the given rows, in their order.
    ///
    /// # Panics
    /// If a row is not there.
    pub fn pick(self, rows: &[u32]) -> TargetsBuf {
        match self {
            Targets::Labels(labels) => {
                TargetsBuf::Labels(rows.iter().map(|&row| labels[row as usize]).collect())
            }
            Targets::Soft { scores, classes } => {
                let row = |&row: &u32| &scores[row as usize * classes..][..classes];
                TargetsBuf::Soft { scores: rows.iter().flat_map(row).copied().collect(), classes }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knee() -> Target {
        Target::binary(["others", "acl"])
    }

    #[test]
    fn a_target_fixes_logits_and_labels() {
        assert_eq!((Target::classes_of(10).logits(), Target::classes_of(10).labels()), (10, Some(10)));
        assert_eq!((knee().logits(), knee().classes(), knee().labels()), (4, 2, Some(4)));
        let soft = Target::Soft { classes: 3129 };
        assert_eq!((soft.logits(), soft.labels(), soft.questions().len()), (3129, None, 0));
        let all = Target::binary((0..32).map(|h| format!("q{h}")));
        assert_eq!((all.labels(), all.check()), (Some(1 << 32), Ok(())));
    }

    #[test]
    fn it_reads_as_it_stands_in_a_file() {
        let task = Task::new("knee", knee());
        let text = serde_json::to_string(&task).unwrap();
        assert_eq!(text, r#"{"id":"knee","target":{"kind":"binary","questions":["others","acl"]}}"#);
        assert_eq!(serde_json::from_str::<Task>(&text).unwrap(), task);
        assert!(serde_json::from_str::<Target>(r#"{"kind":"classes","clases":3}"#).is_err());
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (target, word) in [
            (Target::classes_of(1), "at least 2"),
            (Target::Soft { classes: 0 }, "at least 2"),
            (Target::binary::<&str>([]), "found 0"),
            (Target::binary((0..33).map(|h| format!("q{h}"))), "found 33"),
            (Target::binary(["a.b"]), "`a.b`"),
            (Target::binary(["a", "b", "a"]), "`a` twice"),
        ] {
            let error = target.check().unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        let soft = Target::Soft { classes: 2 };
        for (targets, target, word) in [
            (Targets::Labels(&[3, 4]), &knee(), "label 4, expected below 4"),
            (Targets::Labels(&[10]), &Target::classes_of(10), "label 10"),
            (Targets::Labels(&[0]), &soft, "expected soft scores"),
            (Targets::Soft { scores: &[0.5; 4], classes: 2 }, &knee(), "expected labels"),
            (Targets::Soft { scores: &[0.5; 3], classes: 3 }, &soft, "rows of 2"),
            (Targets::Soft { scores: &[0.5; 3], classes: 2 }, &soft, "rows of 2"),
            (Targets::Soft { scores: &[0.5, 1.5], classes: 2 }, &soft, "outside"),
            (Targets::Soft { scores: &[0.5, f32::NAN], classes: 2 }, &soft, "outside"),
        ] {
            let error = targets.check(target).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        assert_eq!(Targets::Soft { scores: &[0.0, 1.0], classes: 2 }.check(&soft), Ok(()));
        assert_eq!(Targets::Labels(&[3]).check(&knee()), Ok(()));
    }

    #[test]
    fn rows_are_picked_whole() {
        let picked = Targets::Labels(&[5, 6, 7]).pick(&[2, 0]);
        assert_eq!(picked, TargetsBuf::Labels(vec![7, 5]));
        assert_eq!(picked.as_targets().labels(), [7, 5]);
        let soft = Targets::Soft { scores: &[0.0, 0.1, 0.2, 0.3, 0.4, 0.5], classes: 2 };
        let picked = soft.pick(&[2, 1, 2]);
        assert_eq!(picked, TargetsBuf::Soft { scores: vec![0.4, 0.5, 0.2, 0.3, 0.4, 0.5], classes: 2 });
        assert_eq!((soft.len(), picked.as_targets().len()), (3, 3));
    }
}
