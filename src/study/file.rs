//! What a study file holds, once its layers lie over each other; and how they are laid.
//!
//! Invariant: every key is known and of its type, a later layer wins over an earlier one, and within a layer a model's own table
//! wins over the tables for all models. So `released` states only where the released code differs from the paper, and a tier only
//! its cut.

use std::collections::BTreeMap;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::backbone::{FeatureHead, SharedBackbone};
use super::layered::{Fault, Node, Table, Value};
use super::network::{Backbone, Encoder, Fusion, Head};
use super::recipe::{ClassWeights, Combine, EvalNorm, OperatingPoint, Optimizer, Score, SelectBy};
use super::{Change, ProtocolName, Tier};

/// Tables of a study file that change others, by protocol and tier.
const LAYERS: [&str; 3] = ["released", "reduced", "smoke"];
/// Tables that hold for every model.
const FOR_ALL_MODELS: [&str; 2] = ["training", "evaluation"];

/// A study file's text.
#[derive(Clone, Copy, Debug)]
pub struct StudyFile<'a> {
    /// The study's id, with which `--set` begins.
    pub id: &'a str,
    /// Where it is, for messages.
    pub path: &'a str,
    /// Its TOML.
    pub text: &'a str,
}

/// The content of a study file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StudySettings {
    pub dataset: String,
    pub modalities: Vec<String>,
    pub tasks: BTreeMap<String, TaskSettings>,
    pub seeds: usize,
    #[serde(default)]
    pub preparation: BTreeMap<String, String>,
    pub backbone: Option<SharedBackbone>,
    pub experts: BTreeMap<String, ExpertSettings>,
    pub models: BTreeMap<String, ModelSettings>,
    pub ensemble: Option<Ensemble>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskSettings {
    pub select_by: SelectBy,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpertSettings {
    /// Its name within a run, where several experts of the file have the same.
    pub name: Option<String>,
    #[serde(default)]
    pub encoders: BTreeMap<String, Encoder>,
    pub fusion: Option<Fusion>,
    pub head: Option<Head>,
    pub backbone: Option<Backbone>,
    pub on_backbone: Option<FeatureHead>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelSettings {
    pub experts: Vec<String>,
    #[serde(default)]
    pub start: Start,
    pub training: TrainingSettings,
    pub evaluation: EvaluationSettings,
}

/// Where the experts of a model start from (deviation M1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Start {
    /// From a fresh initialisation, trained jointly.
    #[default]
    Scratch,
    /// Each from the model that has it alone, of the same seed.
    Pretrained,
    /// By expert: the model that it starts from. Experts that are not named start from a fresh initialisation.
    From(BTreeMap<String, String>),
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Start;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"scratch\", \"pretrained\", or a model for each expert: { EXPERT = \"MODEL\" }")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Start, E> {
                match word {
                    "scratch" => Ok(Start::Scratch),
                    "pretrained" => Ok(Start::Pretrained),
                    _ => Err(E::unknown_variant(word, &["scratch", "pretrained"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Start, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Start::From)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrainingSettings {
    pub optimizer: Optimizer,
    pub learning_rate: f64,
    pub weight_decay: f64,
    pub betas: Option<[f64; 2]>,
    pub clip_norm: Option<f64>,
    pub batch_size: usize,
    pub micro_batch: Option<usize>,
    pub epochs: usize,
    pub patience: Option<usize>,
    /// In place of the task's.
    pub select_by: Option<SelectBy>,
    pub class_weights: Option<ClassWeights>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EvaluationSettings {
    pub norm: EvalNorm,
    pub combine: Combine,
    #[serde(default)]
    pub score: Score,
    #[serde(default)]
    pub operating_point: OperatingPoint,
}

/// How ensembles of separately trained models are combined (Figure 3, deviation F14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ensemble {
    pub combine: Combine,
}

/// Lays the tables of a file over each other, and changes over them.
///
/// # Errors
/// What is no TOML, or a change that is about nothing of the file.
pub(super) fn lay(
    file: StudyFile<'_>,
    protocol: ProtocolName,
    tier: Tier,
    changes: &[Change],
) -> Result<Node, Fault> {
    let mut base = Node::parse(file.path, file.text, true)?;
    let mut layers: BTreeMap<&str, Node> =
        LAYERS.into_iter().filter_map(|name| Some((name, base.take(name)?))).collect();
    for (name, layer) in &layers {
        layer.table(name)?;
    }
    let models: Vec<String> = match base.get("models") {
        Some(models) => models.table("models")?.keys().cloned().collect(),
        None => Vec::new(),
    };
    let of_protocol = (protocol == ProtocolName::Released).then_some("released");
    let of_tier = match tier {
        Tier::Smoke => Some("smoke"),
        Tier::Reduced => Some("reduced"),
        Tier::Paper => None,
    };
    let wanted = [of_protocol, of_tier].into_iter().flatten();
    let mut over: Vec<Node> = wanted.filter_map(|name| layers.remove(name)).collect();
    for change in changes {
        let mut line = Node::parse("--set", change.as_str(), false)?;
        over.extend(line.take(file.id));
    }
    for_each_model(&mut base, &models)?;
    for mut layer in over {
        for_each_model(&mut layer, &models)?;
        base.lay(layer);
    }
    Ok(base)
}

/// Replaces a layer's tables for all models by one for each of them, under what the model says itself.
fn for_each_model(layer: &mut Node, models: &[String]) -> Result<(), Fault> {
    for part in FOR_ALL_MODELS {
        let Some(common) = layer.take(part) else { continue };
        common.table(part)?;
        let location = common.location.clone();
        let Value::Table(root) = &mut layer.value else { return Ok(()) };
        let empty = || Node { location: location.clone(), value: Value::Table(Table::new()) };
        let all = root.entry("models".to_owned()).or_insert_with(empty);
        all.table("models")?;
        let Value::Table(all) = &mut all.value else { return Ok(()) };
        for name in models {
            let model = all.entry(name.clone()).or_insert_with(empty);
            model.table(&format!("models.{name}"))?;
            let Value::Table(model) = &mut model.value else { continue };
            let mut settings = common.clone();
            if let Some(own) = model.remove(part) {
                settings.lay(own);
            }
            model.insert(part.to_owned(), settings);
        }
    }
    Ok(())
}
