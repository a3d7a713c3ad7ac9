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
pub const KEY_VERSION: u32 = 2;

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
pub struct KeyParts<'a> {
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
    pub fn key(&self, name: &str) -> Result<Digest, KeyError> {
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
pub fn canonical_recipe(recipe: &Recipe, name: &str) -> Result<String, KeyError> {
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
