//! What is measured: measures with their unit and direction, and metrics, which say of what and where a measure was taken.
//!
//! Invariant: a metric is a value. Its name is made in one place and never taken apart again; unit and direction come from its
//! measure, never from a guess at a name.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Hundredths.
    Percent,
    /// Natural units of information.
    Nats,
    /// Binary units of information: nats over ln 2.
    Bits,
    /// A plain number.
    None,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Unit::Percent => "percent",
            Unit::Nats => "nats",
            Unit::Bits => "bits",
            Unit::None => "none",
        })
    }
}

/// Which values are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Larger ones.
    Higher,
    /// Smaller ones.
    Lower,
    /// The number is no success or failure.
    Neither,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Direction::Higher => "higher",
            Direction::Lower => "lower",
            Direction::Neither => "neither",
        })
    }
}

/// A kind of number about a run. Two measures are the same when their ids are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Measure {
    /// As it stands in names of metrics.
    pub id: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Which values are better.
    pub direction: Direction,
}

impl Measure {
    const fn new(id: &'static str, unit: Unit, direction: Direction) -> Self {
        Measure { id, unit, direction }
    }
}

/// Share of examples whose class is predicted.
pub static ACCURACY: Measure = Measure::new("accuracy", Unit::Percent, Direction::Higher);
/// What training minimises, without the weights of classes.
pub static LOSS: Measure = Measure::new("loss", Unit::Nats, Direction::Lower);
/// Area under the precision-recall curve, in `[0, 1]`.
pub static AUPRC: Measure = Measure::new("auprc", Unit::None, Direction::Higher);
/// Area under the ROC curve.
pub static AUROC: Measure = Measure::new("auroc", Unit::Percent, Direction::Higher);
/// Mean of sensitivity and specificity at a threshold.
pub static BALANCED_ACCURACY: Measure = Measure::new("balanced_accuracy", Unit::Percent, Direction::Higher);
/// That threshold, in the units of what ranks examples.
pub static THRESHOLD: Measure = Measure::new("threshold", Unit::None, Direction::Neither);
/// Mean soft score of the predicted class: the VQA score.
pub static SCORE: Measure = Measure::new("score", Unit::Percent, Direction::Higher);
/// Entropy of the labels' frequencies.
pub static LABEL_ENTROPY: Measure = Measure::new("label_entropy", Unit::Nats, Direction::Neither);
/// Mean entropy of an expert's predictions.
pub static ENTROPY: Measure = Measure::new("entropy", Unit::Nats, Direction::Neither);
/// [`LABEL_ENTROPY`] in bits; of soft scores alone (deviation V23).
pub static LABEL_ENTROPY_BITS: Measure = Measure::new("label_entropy_bits", Unit::Bits, Direction::Neither);
/// [`ENTROPY`] in bits; of soft scores alone (deviation V23).
pub static ENTROPY_BITS: Measure = Measure::new("entropy_bits", Unit::Bits, Direction::Neither);
/// Share of the examples that every expert answers wrong in which their product is right: an answer that scores above 0 is.
pub static RESCUED: Measure = Measure::new("rescued", Unit::Percent, Direction::Higher);
/// The same where only the answer that scores most is right (deviation V21).
pub static RESCUED_BEST: Measure = Measure::new("rescued_best", Unit::Percent, Direction::Higher);
/// Examples that every expert answers wrong.
pub static FAILED: Measure = Measure::new("failed", Unit::None, Direction::Neither);
/// The epoch whose weights are kept, counted from 1.
pub static BEST_EPOCH: Measure = Measure::new("best_epoch", Unit::None, Direction::Neither);
/// A learning rate that was set.
pub static LEARNING_RATE: Measure = Measure::new("learning_rate", Unit::None, Direction::Neither);
/// A weight decay that was set.
pub static WEIGHT_DECAY: Measure = Measure::new("weight_decay", Unit::None, Direction::Neither);

/// A measure, of what, and on which split.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metric {
    /// What is measured.
    pub measure: &'static Measure,
    /// The question, or the expert, that it is about; the whole without.
    pub head: Option<String>,
    /// `valid`, or a test split's name; none where the number belongs to no split, or the name leaves it out.
    pub split: Option<String>,
}

impl Metric {
    /// A measure of the whole, of no split.
    pub fn new(measure: &'static Measure) -> Self {
        Metric { measure, head: None, split: None }
    }

    /// A measure on the split called `test`.
    pub fn test(measure: &'static Measure) -> Self {
        Metric::new(measure).on("test")
    }

    /// The same on a split.
    pub fn on(self, split: impl Into<String>) -> Self {
        Metric { split: Some(split.into()), ..self }
    }

    /// The same of a question or an expert.
    pub fn of(self, head: impl Into<String>) -> Self {
        Metric { head: Some(head.into()), ..self }
    }

    /// As it is stored: `test_accuracy`, `test_auroc.acl`, `entropy.image`, `label_entropy`.
    pub fn name(&self) -> String {
        self.to_string()
    }

    /// Whether it is a property of the data, the same for every model and seed.
    pub fn is_of_the_data(&self) -> bool {
        self.measure == &LABEL_ENTROPY || self.measure == &LABEL_ENTROPY_BITS
    }

    /// What it counts.
    pub fn unit(&self) -> Unit {
        self.measure.unit
    }

    /// Which values are better.
    pub fn direction(&self) -> Direction {
        self.measure.direction
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(split) = &self.split {
            write!(f, "{split}_")?;
        }
        f.write_str(self.measure.id)?;
        self.head.as_ref().map_or(Ok(()), |head| write!(f, ".{head}"))
    }
}

/// Every measure.
static MEASURES: [&Measure; 17] = [
    &ACCURACY,
    &LOSS,
    &AUPRC,
    &AUROC,
    &BALANCED_ACCURACY,
    &THRESHOLD,
    &SCORE,
    &LABEL_ENTROPY,
    &ENTROPY,
    &LABEL_ENTROPY_BITS,
    &ENTROPY_BITS,
    &RESCUED,
    &RESCUED_BEST,
    &FAILED,
    &BEST_EPOCH,
    &LEARNING_RATE,
    &WEIGHT_DECAY,
];

/// The measure whose value on the split called `test` has this name.
pub fn measured_on_test(name: &str) -> Option<&'static Measure> {
    MEASURES.into_iter().find(|measure| Metric::test(measure).name() == name)
}

/// A metric, written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    measure: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    split: Option<String>,
}

impl Serialize for Metric {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Metric { measure, head, split } = self.clone();
        Written { measure: measure.id.to_owned(), head, split }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { measure, head, split } = Written::deserialize(deserializer)?;
        let found = MEASURES.iter().find(|known| known.id == measure);
        let unknown = || serde::de::Error::custom(format!("there is no measure `{measure}`"));
        Ok(Metric { measure: found.ok_or_else(unknown)?, head, split })
    }
}

/// Values by the names of their metrics, in the order of the names. Written by metric; read by metric, or by a stored name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Takes note of a value.
    pub fn insert(&mut self, metric: &Metric, value: f64) {
        self.0.insert(metric.name(), value);
    }

    /// The value of a metric, if there is one.
    pub fn value(&self, metric: &Metric) -> Option<f64> {
        self.0.get(&metric.name()).copied()
    }
}

impl Deref for Metrics {
    type Target = BTreeMap<String, f64>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromIterator<(Metric, f64)> for Metrics {
    fn from_iter<I: IntoIterator<Item = (Metric, f64)>>(values: I) -> Self {
        Metrics(values.into_iter().map(|(metric, value)| (metric.name(), value)).collect())
    }
}

impl Extend<(Metric, f64)> for Metrics {
    fn extend<I: IntoIterator<Item = (Metric, f64)>>(&mut self, values: I) {
        self.0.extend(values.into_iter().map(|(metric, value)| (metric.name(), value)));
    }
}

impl From<Metrics> for BTreeMap<String, f64> {
    fn from(metrics: Metrics) -> Self {
        metrics.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_store() {
        for (metric, name, unit, direction) in [
            (Metric::test(&ACCURACY), "test_accuracy", "percent", "higher"),
            (Metric::test(&LOSS), "test_loss", "nats", "lower"),
            (Metric::test(&AUROC).of("acl"), "test_auroc.acl", "percent", "higher"),
            (Metric::test(&AUPRC), "test_auprc", "none", "higher"),
            (
                Metric::test(&BALANCED_ACCURACY).of("others"),
                "test_balanced_accuracy.others",
                "percent",
                "higher",
            ),
            (Metric::new(&THRESHOLD).of("acl"), "threshold.acl", "none", "neither"),
            (Metric::new(&ENTROPY).of("image"), "entropy.image", "nats", "neither"),
            (Metric::new(&LABEL_ENTROPY), "label_entropy", "nats", "neither"),
            (Metric::new(&BEST_EPOCH), "best_epoch", "none", "neither"),
            (Metric::new(&ACCURACY).on("valid"), "valid_accuracy", "percent", "higher"),
            (Metric::new(&SCORE).on("ood-qt"), "ood-qt_score", "percent", "higher"),
            (Metric::new(&LEARNING_RATE), "learning_rate", "none", "neither"),
        ] {
            assert_eq!(metric.name(), name);
            assert_eq!(
                (metric.unit().to_string(), metric.direction().to_string()),
                (unit.into(), direction.into())
            );
        }
    }

    #[test]
    fn values_are_stored_by_name_and_in_the_order_of_names() {
        let mut metrics = Metrics::from_iter([(Metric::test(&LOSS), 0.5), (Metric::test(&ACCURACY), 75.0)]);
        metrics.insert(&Metric::new(&BEST_EPOCH), 3.0);
        let text = serde_json::to_string(&metrics).unwrap();
        assert_eq!(text, r#"{"best_epoch":3.0,"test_accuracy":75.0,"test_loss":0.5}"#);
        assert_eq!(serde_json::from_str::<Metrics>(&text).unwrap(), metrics);
        assert_eq!(metrics.value(&Metric::test(&LOSS)), Some(0.5));
        assert_eq!(metrics.value(&Metric::test(&AUROC)), None);
        assert_eq!(metrics["best_epoch"], 3.0);
    }
}
