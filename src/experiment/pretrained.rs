//! Stand-in for pretrained weights where there are none: a file in their format with random values.
//!
//! Invariant: its bytes follow from the sizes of the network alone. Random features tell apart what an image shows and what a text
//! says, so that heads on them can learn; they know nothing beyond that.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Tensors;
use super::tensors::TensorData;
use crate::data::DataError;
use crate::digest::Digest;
use crate::files;
use crate::models::fiber::{Backbone, Spec};
use crate::random::Seeds;
use crate::study::Fiber;

/// Makes the file for a backbone of these sizes in a folder, unless it is there; gives its path.
///
/// # Errors
/// Sizes that do not fit, or a folder that cannot be written.
pub fn fixture_weights(folder: &Path, sizes: &Fiber) -> Result<PathBuf, DataError> {
    let wrong = |found: String| DataError::Malformed {
        file: folder.display().to_string(),
        expected: "random weights for the sizes of a backbone".to_owned(),
        found,
    };
    let text = serde_json::to_vec(&(VERSION, sizes)).map_err(|error| wrong(error.to_string()))?;
    let path = folder.join(format!("random-{}.safetensors", Digest::of(&text).short()));
    if path.is_file() {
        return Ok(path);
    }
    let plan = Backbone::<f32, dfdx::prelude::Cpu>::plan(sizes).map_err(|error| wrong(error.to_string()))?;
    let seeds = Seeds::root(0).child("random weights");
    let tensors = plan.0.into_iter().map(|spec| {
        let values = values(&spec, &seeds);
        (spec.name, TensorData { dims: spec.dims, values })
    });
    let bytes =
        Tensors(tensors.collect()).to_bytes(HashMap::new()).map_err(|error| wrong(error.to_string()))?;
    files::write(&path, bytes).map_err(|error| DataError::Io {
        file: error.path.display().to_string(),
        action: "write it",
        source: error.source,
    })?;
    Ok(path)
}

/// Raised when other values are drawn: files that are there are not made again.
const VERSION: u32 = 1;
/// The size of what a block of Swin adds.
const BRANCH: f64 = 0.25;

/// Values that keep the size of what passes through: matrices have rows of norm 1, gates are open, embeddings have deviation 1.
fn values(spec: &Spec, seeds: &Seeds) -> Vec<f32> {
    let mut stream = seeds.child(&spec.name).stream();
    let count: usize = spec.dims.iter().product();
    let name = spec.name.as_str();
    let (mean, deviation) = match &spec.dims[..] {
        _ if name.contains("alpha_") => (0.7, 0.0),
        _ if name.contains("relative_position_bias_table") || name.contains("embeddings.weight") => {
            (0.0, 1.0)
        }
        [_] if name.ends_with("weight") => (1.0, 0.1),
        [_] => (0.0, 0.1),
        // What Swin's blocks add to their stream is small beside it, so that pictures that are alike have features that are.
        [outputs, ..] if name.ends_with("attn.proj.weight") || name.ends_with("mlp.fc2.weight") => {
            (0.0, BRANCH * (*outputs as f64 / count.max(1) as f64).sqrt())
        }
        [outputs, ..] => (0.0, (*outputs as f64 / count.max(1) as f64).sqrt()),
        [] => (0.0, 0.0),
    };
    (0..count).map(|_| (mean + deviation * stream.normal()) as f32).collect()
}
