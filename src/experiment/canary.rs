//! The numerics of each kind of network as a digest (rule 3: what a key covers).
//!
//! Invariant: a canary is a fixed tiny problem that runs through [`train`] like any run: initialisation, shuffling, 20
//! training steps, validation, saved state, test. A change of code that alters any bit of it alters the digest, and one
//! that alters none keeps every stored result.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::noise::Noise;
use super::{EpochReport, Job, Observer, Tensors, TrainError, train};
use crate::device::Place;
use crate::digest::{Digest, Hasher};
use crate::protocol::{
    Activation, Architecture, ClassWeights, Combine, EvalNorm, Evaluation, ExpertSpec, Init, Modality,
    Optimizer, Recipe, SelectBy, Task, Training,
};

/// To be raised by hand when numbers change in a way that no canary sees.
const VERSION: u32 = 1;
const RESNET: &str = "preact-resnet";
const BATCH: usize = 10;
const EPOCHS: usize = 2;

static KNOWN: LazyLock<Mutex<BTreeMap<(Place, &'static str), Digest>>> = LazyLock::new(Mutex::default);

/// Digest of the numerics of these networks on a device. Kinds are measured once per process, in well under a second
/// together on the CPU.
///
/// # Errors
/// When a canary cannot be trained: a bug, or a device that is not there.
pub fn numerics_digest(place: Place, architectures: &[Architecture]) -> Result<Digest, TrainError> {
    let mut hasher = Hasher::new("i2m2 numerics");
    hasher.field(&VERSION.to_le_bytes());
    let kinds = kinds(architectures);
    if place == Place::Cpu {
        side_by_side(&kinds)?;
    }
    #[cfg(feature = "cuda")]
    if place != Place::Cpu && kinds.contains_key(RESNET) {
        for source in crate::ops::cuda::UNSEEN_BY_CANARIES {
            hasher.field(source.as_bytes());
        }
    }
    for (kind, tiny) in kinds {
        hasher.field(kind.as_bytes()).field(known(place, kind, &tiny)?.bytes());
    }
    Ok(hasher.finish())
}

/// Whether training these networks again on this device gives the same bits, found by doing so.
///
/// # Errors
/// As [`numerics_digest`].
pub fn repeats(place: Place, architectures: &[Architecture]) -> Result<bool, TrainError> {
    for (kind, tiny) in kinds(architectures) {
        if measure(place, &tiny)? != known(place, kind, &tiny)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The digest of a kind, measured at the first call.
fn known(place: Place, kind: &'static str, tiny: &Architecture) -> Result<Digest, TrainError> {
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(digest) = known().get(&(place, kind)).copied() {
        return Ok(digest);
    }
    let digest = measure(place, tiny)?;
    known().insert((place, kind), digest);
    Ok(digest)
}

/// Measures kinds on the CPU, each on one thread: they are too small to share, and their bits do not hang on threads.
fn side_by_side(kinds: &BTreeMap<&'static str, Architecture>) -> Result<(), TrainError> {
    let alone = |kind: &'static str, tiny: &Architecture| -> Result<(), TrainError> {
        match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
            Ok(pool) => pool.install(|| known(Place::Cpu, kind, tiny)).map(drop),
            // Without a thread of its own it is measured by whoever asks.
            Err(_) => Ok(()),
        }
    };
    std::thread::scope(|scope| {
        let measured: Vec<_> =
            kinds.iter().map(|(kind, tiny)| scope.spawn(move || alone(kind, tiny))).collect();
        measured.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })
}

/// The kinds of these networks, each once, with its representative.
fn kinds(architectures: &[Architecture]) -> BTreeMap<&'static str, Architecture> {
    architectures.iter().map(tiny).collect()
}

/// The kind of an architecture, and its tiny representative: odd sizes, so that every remainder path is taken.
fn tiny(architecture: &Architecture) -> (&'static str, Architecture) {
    let activation = Activation::LeakyRelu { slope: 0.2 };
    match architecture {
        Architecture::Lenet { .. } => {
            ("lenet", Architecture::Lenet { modality: Modality::First, channels: 3, stages: 3, hidden: 11 })
        }
        Architecture::LenetLateFusion { .. } => {
            ("lenet-late-fusion", Architecture::LenetLateFusion { channels: 2, stages: [3, 2], hidden: 11 })
        }
        Architecture::LenetLowRank { .. } => (
            "lenet-low-rank",
            Architecture::LenetLowRank {
                channels: 2,
                stages: [3, 2],
                rank: 3,
                output: 13,
                hidden: 11,
                trainable_fusion: true,
            },
        ),
        Architecture::StaticMlp { .. } => {
            ("static-mlp", Architecture::StaticMlp { encoder: 10, hidden: 11, activation })
        }
        Architecture::VectorMlp { .. } => (
            "vector-mlp",
            Architecture::VectorMlp {
                modalities: vec![Modality::First, Modality::Second],
                encoder: 10,
                hidden: 11,
            },
        ),
        Architecture::SeriesGru { .. } => {
            ("series-gru", Architecture::SeriesGru { gru: 9, projection: 5, hidden: 11, activation })
        }
        Architecture::PreactResnet { .. } => (
            RESNET,
            Architecture::PreactResnet {
                modalities: vec![Modality::First, Modality::Second],
                stem: 4,
                widths: vec![6, 10],
                blocks: 1,
                groups: 2,
                pool: 2,
            },
        ),
        Architecture::ClinicalLateFusion { .. } => (
            "clinical-late-fusion",
            Architecture::ClinicalLateFusion { encoder: 10, gru: 9, hidden: 11, activation },
        ),
    }
}

/// Trains the product of two of them, and takes the digest of all that comes out.
fn measure(place: Place, architecture: &Architecture) -> Result<Digest, TrainError> {
    use Architecture::{
        ClinicalLateFusion, Lenet, LenetLateFusion, LenetLowRank, PreactResnet, SeriesGru, StaticMlp,
        VectorMlp,
    };
    let (task, optimizer, learning_rate, dims) = match architecture {
        Lenet { .. } | LenetLateFusion { .. } | LenetLowRank { .. } => {
            (Task::Digits, Optimizer::Sgd, 0.05, [vec![1, 9, 11], vec![1, 10, 9], vec![]])
        }
        StaticMlp { .. } | SeriesGru { .. } | ClinicalLateFusion { .. } => {
            (Task::Mortality, Optimizer::Rmsprop, 1e-3, [vec![5], vec![7, 6], vec![]])
        }
        VectorMlp { .. } => (Task::Generated, Optimizer::AdamW, 1e-2, [vec![5], vec![7], vec![]]),
        PreactResnet { .. } => (Task::Knee, Optimizer::AdamW, 1e-2, [vec![1, 9, 11], vec![1, 9, 11], vec![]]),
    };
    let spec = |name: &str| ExpertSpec {
        name: name.to_owned(),
        architecture: architecture.clone(),
        init: Init::Scratch,
    };
    let several = !task.heads().is_empty();
    let mut recipe = Recipe {
        task,
        experts: vec![spec("first"), spec("second")],
        training: Training {
            optimizer,
            learning_rate,
            weight_decay: 1e-4,
            clip_norm: Some(0.5),
            batch_size: BATCH,
            epochs: EPOCHS,
            patience: None,
            select_by: if several { SelectBy::Auroc } else { SelectBy::Accuracy },
            class_weights: several.then_some(ClassWeights::Balanced),
        },
        evaluation: Evaluation {
            norm: EvalNorm::Running,
            combine: Combine::Product,
            ranking: None,
            noise: None,
        },
        population: None,
    };
    let data = Noise::new(dims, task.labels());
    let mut states = States(Hasher::new("i2m2 canary"));
    for (norm, combine) in [(EvalNorm::Running, Combine::Product), (EvalNorm::Batch, Combine::Mean)] {
        recipe.evaluation = Evaluation { norm, combine, ..recipe.evaluation };
        let job = Job { recipe: &recipe, data: &data, seed: 0, upstream: Vec::new() };
        let outcome = train(place, &job, None, &mut states)?;
        states.0.field(outcome.weights.digest().bytes());
        for expert in &outcome.logits {
            let bytes: Vec<u8> = expert.logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
            states.0.field(&bytes);
        }
        for (name, value) in &outcome.metrics {
            states.0.field(name.as_bytes()).field(&value.to_le_bytes());
        }
    }
    Ok(states.0.finish())
}

/// Takes the digest of every saved state: weights, BatchNorm buffers, optimiser, reports.
struct States(Hasher);

impl Observer for States {
    fn epoch(&mut self, report: &EpochReport, state: &[u8]) -> Result<(), std::io::Error> {
        // Of the values, not of the bytes: how safetensors spells its header may change.
        let (tensors, _) = Tensors::from_bytes(state).map_err(std::io::Error::other)?;
        self.0.field(tensors.digest().bytes()).field(&report.train_loss.to_le_bytes());
        for (name, value) in &report.valid {
            self.0.field(name.as_bytes()).field(&value.to_le_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Architecture> {
        let activation = Activation::Relu;
        vec![
            Architecture::Lenet { modality: Modality::Second, channels: 3, stages: 6, hidden: 100 },
            Architecture::LenetLateFusion { channels: 6, stages: [4, 6], hidden: 100 },
            Architecture::LenetLowRank {
                channels: 6,
                stages: [4, 6],
                rank: 40,
                output: 120,
                hidden: 100,
                trainable_fusion: true,
            },
            Architecture::StaticMlp { encoder: 10, hidden: 40, activation },
            Architecture::SeriesGru { gru: 30, projection: 15, hidden: 40, activation },
            Architecture::ClinicalLateFusion { encoder: 10, gru: 30, hidden: 40, activation },
            Architecture::VectorMlp { modalities: vec![Modality::First], encoder: 10, hidden: 40 },
        ]
    }

    #[test]
    fn the_digest_depends_on_the_kinds_alone() {
        let all = all();
        let digest = numerics_digest(Place::Cpu, &all).unwrap();
        let mut reversed = all.clone();
        reversed.reverse();
        reversed.push(all[0].clone());
        assert_eq!(numerics_digest(Place::Cpu, &reversed).unwrap(), digest);
        assert_ne!(numerics_digest(Place::Cpu, &all[..5]).unwrap(), digest);
    }

    #[test]
    fn measuring_again_gives_the_same_bits() {
        for architecture in all() {
            let tiny = tiny(&architecture).1;
            assert_eq!(measure(Place::Cpu, &tiny).unwrap(), measure(Place::Cpu, &tiny).unwrap());
        }
    }

    /// Measured without the cache: all kinds stay well under a second in a release build.
    #[test]
    fn canaries_are_quick() {
        let start = std::time::Instant::now();
        for architecture in all() {
            measure(Place::Cpu, &tiny(&architecture).1).unwrap();
        }
        let limit = if cfg!(debug_assertions) { 60.0 } else { 3.0 };
        assert!(start.elapsed().as_secs_f64() < limit, "{:?}", start.elapsed());
    }
}
