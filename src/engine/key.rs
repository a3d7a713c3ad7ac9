//! The identity of a run: SHA-256 over everything that can change its numbers.
//!
//! Invariant: a key is computed from a written form that is fixed here, not from Rust types. It has a version: a change of the
//! form raises it, and entries of another version are never read as this one's.
//!
//! # The written form, version 2
//!
//! Fields, each with its length before it (`digest::Hasher::field`), after the name `i2m2 run v2`:
//!
//! 1. the recipe as canonical JSON: objects with their names in the order of their bytes, nothing between tokens, text as JSON
//!    has it, whole numbers in decimal digits, other numbers in the shortest decimal form that reads back as the same `f64`;
//!    what is absent is left out, and `null` does not occur;
//! 2. the tier: `smoke`, `reduced` or `paper`;
//! 3. the digest of the prepared data;
//! 4. the seed, as eight bytes, little-endian;
//! 5. the device class;
//! 6. the digest of the numerics;
//! 7. the keys of the upstream runs, in the order in which the recipe counts them.
//!
//! The protocol is not among them: it acts through the recipe alone, so two protocols that resolve to the same recipe share the
//! run.

use std::fmt::Write as _;

use serde_json::Value;

use crate::digest::{Digest, Hasher};
use crate::study::{Recipe, Tier};

/// Version of the written form.
pub(crate) const KEY_VERSION: u32 = 2;

/// Why a run has no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The recipe holds what the written form cannot.
    #[error("the recipe of `{name}` cannot be written down: {problem}; correct the value in the study file")]
    Recipe {
        /// The run.
        name: String,
        /// What it holds.
        problem: String,
    },
}

/// Everything that can change a run's numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyParts<'a> {
    /// The resolved configuration.
    pub recipe: &'a Recipe,
    /// Smoke, reduced or paper, so that a smoke result never stands for another.
    pub tier: Tier,
    /// Digest of the prepared data.
    pub data: Digest,
    /// Root of the seed tree.
    pub seed: u64,
    /// `cpu`, or the GPU model.
    pub device_class: &'a str,
    /// Digest of the numerics.
    pub numerics: Digest,
    /// Keys of the upstream runs, in the order that `Init::Upstream` counts.
    pub upstream: &'a [Digest],
}

impl KeyParts<'_> {
    /// SHA-256 over all of it. `name` is that of the run, for messages.
    ///
    /// # Errors
    /// A recipe that cannot be written down.
    pub(crate) fn key(&self, name: &str) -> Result<Digest, KeyError> {
        let KeyParts { recipe, tier, data, seed, device_class, numerics, upstream } = self;
        let mut hasher = Hasher::new("i2m2 run v2");
        hasher
            .field(canonical_recipe(recipe, name)?.as_bytes())
            .field(tier.to_string().as_bytes())
            .field(data.bytes())
            .field(&seed.to_le_bytes())
            .field(device_class.as_bytes())
            .field(numerics.bytes());
        for key in *upstream {
            hasher.field(key.bytes());
        }
        Ok(hasher.finish())
    }
}

/// A recipe in its written form.
///
/// # Errors
/// A number that is not finite.
pub(crate) fn canonical_recipe(recipe: &Recipe, name: &str) -> Result<String, KeyError> {
    let refused = |problem: String| KeyError::Recipe { name: name.to_owned(), problem };
    let value = serde_json::to_value(recipe).map_err(|error| refused(error.to_string()))?;
    let mut text = String::new();
    write(&value, "", &mut text).map_err(refused)?;
    Ok(text)
}

/// Writes a value in its canonical form; `path` is where it stands, for messages.
fn write(value: &Value, path: &str, text: &mut String) -> Result<(), String> {
    match value {
        // What is not there is left out by the types, so this is a number that JSON has no word for.
        Value::Null => Err(format!("`{}` is no finite number", path.trim_start_matches('.'))),
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
            text.push('{');
            for (index, (name, value)) in sorted.into_iter().enumerate() {
                let comma = if index > 0 { "," } else { "" };
                let _ = write!(text, "{comma}{}:", Value::String(name.clone()));
                write(value, &format!("{path}.{name}"), text)?;
            }
            text.push('}');
            Ok(())
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, &format!("{path}[{index}]"), text)?;
            }
            text.push(']');
            Ok(())
        }
        leaf => {
            let _ = write!(text, "{leaf}");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::data::Population;
    use crate::study::{ProtocolName, resolve};

    fn recipe(study: &str, model: &str, task: &str) -> Recipe {
        let protocol = resolve(ProtocolName::Paper, Tier::Smoke).unwrap();
        let population = (study == "generative").then_some(Population { strength: 1.5, rows: 250, draw: 0 });
        protocol.study(study).unwrap().recipe(model, task, population).unwrap().recipe
    }

    fn key_of(recipe: &Recipe) -> Digest {
        let [data, numerics] = [Digest::of(b"data"), Digest::of(b"numerics")];
        let parts = KeyParts {
            recipe,
            tier: Tier::Smoke,
            data,
            seed: 0,
            device_class: "cpu",
            numerics,
            upstream: &[],
        };
        parts.key("test").unwrap()
    }

    /// Whoever changes this raises [`KEY_VERSION`]: every store that there is would be void.
    #[test]
    fn the_written_form_is_this() {
        let written = canonical_recipe(&recipe("avmnist", "image", "digits"), "test").unwrap();
        assert_eq!(
            written,
            concat!(
                r#"{"dataset":"avmnist","evaluation":{"combine":"product","norm":"running"},"experts":[{"in"#,
                r#"it":"scratch","name":"image","network":{"encoders":[{"channels":3,"modality":"image","ne"#,
                r#"twork":"lenet","stages":4}],"fusion":"concatenate","head":{"activation":"relu","hidden":"#,
                r#"100}}}],"task":{"id":"digits","target":{"classes":10,"kind":"classes"}},"training":{"bat"#,
                r#"ch_size":40,"clip_norm":8.0,"epochs":4,"learning_rate":0.05,"optimizer":"sgd","select_by"#,
                r#"":"accuracy","weight_decay":0.0001}}"#
            )
        );
    }

    /// Another valid value for a leaf; `None` where only a whole object can be another.
    fn other(path: &str, value: &Value) -> Option<Value> {
        let name = path.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap();
        Some(match (name, value) {
            // The parts of another network have other fields.
            ("network", _) => return None,
            ("kind", _) => return None,
            ("optimizer", _) => json!(if value == "sgd" { "adamw" } else { "sgd" }),
            ("select_by", _) => json!("loss"),
            ("norm", _) => json!("batch"),
            ("combine", _) => json!("mean"),
            ("init", _) => json!({ "upstream": { "run": 0 } }),
            ("fusion", _) => json!({ "low-rank": { "rank": 1, "output": 1, "trainable": true } }),
            ("activation", _) => json!({ "leaky-relu": { "slope": 0.5 } }),
            ("score", _) => json!("class1-logit"),
            ("operating_point", _) => json!("test"),
            ("class_weights", _) => json!("inverse"),
            (_, Value::String(text)) => json!(format!("{text}2")),
            (_, Value::Bool(flag)) => json!(!flag),
            (_, Value::Number(number)) if number.is_u64() => json!(number.as_u64().unwrap() + 1),
            (_, Value::Number(number)) => json!(f64::from_bits(number.as_f64().unwrap().to_bits() + 1)),
            _ => unreachable!("{path}"),
        })
    }

    fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| leaves(value, &format!("{path}/{name}"), found));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, value)| leaves(value, &format!("{path}/{i}"), found));
            }
            _ => found.push(path.to_owned()),
        }
    }

    #[test]
    fn every_field_of_a_recipe_changes_the_key_down_to_the_last_bit() {
        let mut keys = Vec::new();
        let mut changed = 0;
        for (study, model, task) in [
            ("avmnist", "i2m2-lrtf", "digits"),
            ("mimic", "i2m2", "mortality"),
            ("fastmri", "i2m2", "knee"),
            ("generative", "i2m2", "generated"),
        ] {
            let recipe = recipe(study, model, task);
            keys.push(key_of(&recipe));
            let base = serde_json::to_value(&recipe).unwrap();
            let mut paths = Vec::new();
            leaves(&base, "", &mut paths);
            for path in paths {
                let mut value = base.clone();
                let leaf = value.pointer_mut(&path).unwrap();
                let Some(another) = other(&path, leaf) else { continue };
                *leaf = another;
                let another: Recipe = serde_json::from_value(value).unwrap_or_else(|e| panic!("{path}: {e}"));
                keys.push(key_of(&another));
                changed += 1;
            }
            // What can be absent, and the order of experts.
            let mut without = recipe.clone();
            without.training = None;
            keys.push(key_of(&without));
            let mut reversed = recipe.clone();
            reversed.experts.reverse();
            keys.push(key_of(&reversed));
        }
        assert!(changed > 100, "{changed}");
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }

    #[test]
    fn everything_beside_the_recipe_changes_the_key() {
        let recipe = recipe("mimic", "static", "mortality");
        let [a, b] = [Digest::of(b"a"), Digest::of(b"b")];
        let base = KeyParts {
            recipe: &recipe,
            tier: Tier::Reduced,
            data: a,
            seed: 0,
            device_class: "cpu",
            numerics: a,
            upstream: &[a, b],
        };
        let mut keys = [
            base,
            KeyParts { tier: Tier::Paper, ..base },
            KeyParts { data: b, ..base },
            KeyParts { seed: 1, ..base },
            KeyParts { device_class: "cuda", ..base },
            KeyParts { numerics: b, ..base },
            KeyParts { upstream: &[b, a], ..base },
            KeyParts { upstream: &[a], ..base },
            KeyParts { upstream: &[], ..base },
        ]
        .map(|parts| parts.key("test").unwrap());
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_number_that_json_has_no_word_for_is_refused_by_its_place() {
        for wrong in [f64::NAN, f64::INFINITY] {
            let mut recipe = recipe("mimic", "static", "mortality");
            recipe.training.as_mut().unwrap().learning_rate = wrong;
            let error = canonical_recipe(&recipe, "mimic/static").unwrap_err().to_string();
            assert!(error.contains("mimic/static") && error.contains("training.learning_rate"), "{error}");
        }
    }
}
