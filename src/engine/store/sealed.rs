//! How a manifest stands in a file.
//!
//! Invariant: a seal (the digest of all values) shows whether anything was edited since it was written, and what a manifest
//! was trained from gives its key. The format has the version of the keys; a reader refuses others.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::StoreError;
use crate::digest::{Digest, Hasher};
use crate::engine::key::KeyError;
use crate::engine::manifest::{Manifest, SCHEMA_VERSION};

/// A manifest as sealed, pretty JSON.
pub(super) fn to_bytes(manifest: &Manifest) -> serde_json::Result<Vec<u8>> {
    let mut value = serde_json::to_value(manifest)?;
    let seal = seal(&value);
    if let Value::Object(fields) = &mut value {
        fields.insert("seal".to_owned(), Value::String(seal.to_string()));
    }
    let mut bytes = serde_json::to_vec_pretty(&value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads and proves a manifest that must be that of `key`. `path` is for messages.
///
/// # Errors
/// [`StoreError::Version`] for another schema version, [`StoreError::Corrupt`] when anything does not fit.
pub(super) fn from_bytes(bytes: &[u8], key: Digest, path: &Path) -> Result<Manifest, StoreError> {
    let corrupt =
        |expected: String, found: String| StoreError::Corrupt { path: path.to_owned(), expected, found };
    let invalid = |e: serde_json::Error| corrupt("a manifest in JSON".to_owned(), e.to_string());
    let mut value: Value = serde_json::from_slice(bytes).map_err(invalid)?;
    let version = value.get("schema_version").cloned().unwrap_or(Value::Null);
    if version.is_null() {
        return Err(corrupt("a manifest with a schema_version".to_owned(), "none".to_owned()));
    }
    if version != SCHEMA_VERSION {
        let found = version.to_string();
        return Err(StoreError::Version { path: path.to_owned(), expected: SCHEMA_VERSION, found });
    }
    let sealed = value.as_object_mut().and_then(|fields| fields.remove("seal"));
    let found = seal(&value).to_string();
    let sealed = sealed.as_ref().and_then(Value::as_str).unwrap_or("no seal").to_owned();
    if sealed != found {
        return Err(corrupt(format!("the seal {sealed}"), format!("values with the seal {found}")));
    }
    let manifest: Manifest = serde_json::from_value(value).map_err(invalid)?;
    let unwritten = |error: KeyError| corrupt("a recipe with a key".to_owned(), error.to_string());
    let derived = manifest.derived_key().map_err(unwritten)?;
    for (expected, found) in [(key, manifest.key), (key, derived)] {
        if expected != found {
            return Err(corrupt(format!("the manifest of run {expected}"), format!("that of run {found}")));
        }
    }
    Ok(manifest)
}

/// The digest of a JSON value, whatever the order of its fields and its spacing.
fn seal(value: &Value) -> Digest {
    let mut hasher = Hasher::new("i2m2 manifest seal v1");
    add(&mut hasher, value);
    return hasher.finish();

    fn add(hasher: &mut Hasher, value: &Value) {
        match value {
            Value::Object(fields) => {
                let sorted: BTreeMap<_, _> = fields.iter().collect();
                hasher.field(b"object").field(&(sorted.len() as u64).to_le_bytes());
                for (name, value) in sorted {
                    hasher.field(name.as_bytes());
                    add(hasher, value);
                }
            }
            Value::Array(items) => {
                hasher.field(b"array").field(&(items.len() as u64).to_le_bytes());
                items.iter().for_each(|item| add(hasher, item));
            }
            leaf => {
                hasher.field(leaf.to_string().as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::store::testing;

    #[test]
    fn reads_back_what_it_wrote_exactly() {
        let manifest = testing::manifest(3);
        let bytes = to_bytes(&manifest).unwrap();
        assert_eq!(from_bytes(&bytes, manifest.key, Path::new("m")).unwrap(), manifest);
    }

    #[test]
    fn any_edited_value_is_found() {
        let manifest = testing::manifest(3);
        let text = String::from_utf8(to_bytes(&manifest).unwrap()).unwrap();
        let edits = [
            ("\"test_accuracy\": 75.25", "\"test_accuracy\": 76.25"),
            ("\"seed\": 3", "\"seed\": 4"),
            ("\"tier\": \"smoke\"", "\"tier\": \"paper\""),
            ("\"learning_rate\": 0.05", "\"learning_rate\": 0.06"),
        ];
        for (from, to) in edits {
            assert!(text.contains(from), "{from} in {text}");
            let edited = text.replace(from, to);
            let error = from_bytes(edited.as_bytes(), manifest.key, Path::new("m.json")).unwrap_err();
            assert!(error.is_corrupt() && error.to_string().contains("m.json"), "{error}");
        }
        // An edit that is sealed again is still found where it moves the key.
        let mut forged = manifest.clone();
        forged.recipe.training.as_mut().unwrap().learning_rate = 0.06;
        let forged = to_bytes(&forged).unwrap();
        assert!(from_bytes(&forged, manifest.key, Path::new("m")).unwrap_err().is_corrupt());
        // Another spacing and order of fields is the same manifest.
        let value: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
        let compact = serde_json::to_vec(&value).unwrap();
        assert!(from_bytes(&compact, manifest.key, Path::new("m")).is_ok());
    }

    #[test]
    fn another_schema_version_gets_a_hint_and_is_not_called_damaged() {
        let manifest = testing::manifest(3);
        let text = String::from_utf8(to_bytes(&manifest).unwrap()).unwrap();
        let newer = text.replace("\"schema_version\": 2", "\"schema_version\": 3");
        let error = from_bytes(newer.as_bytes(), manifest.key, Path::new("m")).unwrap_err();
        assert!(matches!(error, StoreError::Version { .. }), "{error}");
        assert!(error.to_string().contains("expected schema version 2, found 3"), "{error}");
        let none = text.replace("\"schema_version\": 2,", "");
        assert!(from_bytes(none.as_bytes(), manifest.key, Path::new("m")).unwrap_err().is_corrupt());
    }
}
