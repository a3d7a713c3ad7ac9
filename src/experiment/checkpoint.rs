//! The whole resumable state of a run as bytes.
//!
//! Invariant: what is read back is what was written, bit for bit, and belongs to this very job; anything else
//! (truncated, altered, of another run, of another version) is an error, never a run that quietly differs.
//!
//! Layout: safetensors with the tensors `model/...`, `best/...` and `optimizer/...`, and one JSON document in the
//! metadata, which carries the job's identity and the digest of everything else.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::selection::Selection;
use super::tensors::TensorsError;
use super::{EpochReport, Job, Tensors};
use crate::digest::{Digest, Hasher};

const METADATA: &str = "i2m2";
const VERSION: u32 = 1;

/// Everything needed to continue after an epoch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TrainingState {
    /// Which epoch is the best, and how long ago that was.
    pub selection: Selection,
    /// One report per finished epoch.
    pub reports: Vec<EpochReport>,
    /// Weights and BatchNorm buffers.
    pub model: Tensors,
    /// Weights and BatchNorm buffers of the best epoch; empty before there is one.
    pub best: Tensors,
    /// The optimiser's state.
    pub optimizer: Tensors,
}

/// Why bytes are not the state of this job.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The container or its tensors.
    #[error("the saved state is damaged ({0}); remove it and the run starts over")]
    Tensors(#[from] TensorsError),
    /// The metadata.
    #[error("the saved state's description is damaged ({0}); remove it and the run starts over")]
    Description(String),
    /// Another version of the layout.
    #[error("the saved state has layout {found}, expected {VERSION}; remove it and the run starts over")]
    Version {
        /// What stands there.
        found: u32,
    },
    /// The state of another job.
    #[error(
        "the saved state belongs to job {found}, expected {expected}: recipe, seed, data or upstream differ"
    )]
    Job {
        /// This job.
        expected: Digest,
        /// The state's.
        found: Digest,
    },
    /// Bits were altered.
    #[error(
        "the saved state's content has digest {found}, expected {expected}; remove it and the run starts over"
    )]
    Content {
        /// What was written.
        expected: Digest,
        /// What was read.
        found: Digest,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    version: u32,
    job: Digest,
    content: Digest,
    selection: Selection,
    reports: Vec<EpochReport>,
}

impl TrainingState {
    /// Serialises the state of the job with this [`identity`].
    pub(super) fn to_bytes(&self, job: Digest) -> Result<Vec<u8>, CheckpointError> {
        let mut all = BTreeMap::new();
        for (group, tensors) in self.groups() {
            all.extend(tensors.0.iter().map(|(name, tensor)| (format!("{group}/{name}"), tensor.clone())));
        }
        let description = Description {
            version: VERSION,
            job,
            content: self.content()?,
            selection: self.selection,
            reports: self.reports.clone(),
        };
        let text = serde_json::to_string(&description).map_err(describe)?;
        Ok(Tensors(all).to_bytes(HashMap::from([(METADATA.to_owned(), text)]))?)
    }

    /// Reads the state of the job with this [`identity`].
    pub(super) fn from_bytes(bytes: &[u8], job: Digest) -> Result<Self, CheckpointError> {
        let (all, metadata) = Tensors::from_bytes(bytes)?;
        let text = metadata.get(METADATA).ok_or_else(|| describe("there is none"))?;
        let description: Description = serde_json::from_str(text).map_err(describe)?;
        if description.version != VERSION {
            return Err(CheckpointError::Version { found: description.version });
        }
        if description.job != job {
            return Err(CheckpointError::Job { expected: job, found: description.job });
        }
        let mut state = TrainingState {
            selection: description.selection,
            reports: description.reports,
            model: Tensors::default(),
            best: Tensors::default(),
            optimizer: Tensors::default(),
        };
        for (name, tensor) in all.0 {
            let (group, name) = name.split_once('/').unwrap_or_default();
            let tensors = match group {
                "model" => &mut state.model,
                "best" => &mut state.best,
                "optimizer" => &mut state.optimizer,
                _ => return Err(describe(format!("a tensor of unknown group `{group}`"))),
            };
            tensors.0.insert(name.to_owned(), tensor);
        }
        let found = state.content()?;
        if found != description.content {
            return Err(CheckpointError::Content { expected: description.content, found });
        }
        Ok(state)
    }

    fn groups(&self) -> [(&'static str, &Tensors); 3] {
        [("model", &self.model), ("best", &self.best), ("optimizer", &self.optimizer)]
    }

    fn content(&self) -> Result<Digest, CheckpointError> {
        let mut hasher = Hasher::new("i2m2 state v1");
        hasher.field(&serde_json::to_vec(&(&self.selection, &self.reports)).map_err(describe)?);
        for (_, tensors) in self.groups() {
            hasher.field(tensors.digest().bytes());
        }
        Ok(hasher.finish())
    }
}

fn describe(error: impl std::fmt::Display) -> CheckpointError {
    CheckpointError::Description(error.to_string())
}

/// Identity of a job as its saved state records it: recipe, seed, upstream weights, and the shape of the data.
pub(super) fn identity(job: &Job<'_>) -> Result<Digest, CheckpointError> {
    let mut hasher = Hasher::new("i2m2 job v1");
    hasher.field(&serde_json::to_vec(job.recipe).map_err(describe)?).field(&job.seed.to_le_bytes());
    for split in job.data.splits() {
        hasher.field(&(job.data.len(split) as u64).to_le_bytes());
    }
    for upstream in job.upstream {
        hasher.field(upstream.weights.digest().bytes());
    }
    if let Some(pretrained) = job.pretrained {
        hasher.field(pretrained.digest.bytes());
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::super::tensors::TensorData;
    use super::*;
    use crate::metric::{ACCURACY, LOSS, Metric};

    fn tensors(values: &[f32]) -> Tensors {
        let tensor = TensorData { dims: vec![values.len()], values: values.to_vec() };
        Tensors(BTreeMap::from([("image.head.output.bias".to_owned(), tensor)]))
    }

    fn sample() -> TrainingState {
        let valid = [(Metric::new(&ACCURACY), 100.0 / 3.0), (Metric::new(&LOSS), 0.1 + 0.2)];
        let valid = valid.into_iter().collect();
        TrainingState {
            selection: Selection { best: 100.0 / 3.0, epoch: 1, stale: 0 },
            reports: vec![EpochReport { epoch: 1, train_loss: 1e-310, valid, improved: true }],
            model: tensors(&[1.0, -0.0]),
            best: tensors(&[2.0]),
            optimizer: tensors(&[f32::MIN_POSITIVE / 2.0]),
        }
    }

    #[test]
    fn round_trips_and_refuses_another_job() {
        let job = Digest::of(b"this job");
        let bytes = sample().to_bytes(job).unwrap();
        assert_eq!(TrainingState::from_bytes(&bytes, job).unwrap(), sample());
        let other = TrainingState::from_bytes(&bytes, Digest::of(b"another"));
        assert!(matches!(other, Err(CheckpointError::Job { .. })));
    }

    #[test]
    fn every_altered_byte_is_noticed() {
        let job = Digest::of(b"this job");
        let bytes = sample().to_bytes(job).unwrap();
        for index in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[index] ^= 1;
            // Some bytes are padding or spelling (`1e-310` may be written in several ways): then nothing changed.
            if let Ok(state) = TrainingState::from_bytes(&altered, job) {
                assert_eq!(state, sample(), "byte {index}");
            }
        }
        for end in 0..bytes.len() {
            assert!(TrainingState::from_bytes(&bytes[..end], job).is_err(), "{end}");
        }
    }
}
