//! The numerics of each kind of network as a digest: part of every key.
//!
//! Invariant: a canary is a fixed tiny problem that runs through [`train`] like any run: initialisation, shuffling, 20 training
//! steps, validation, saved state, test. A change of code that alters any bit of it alters the digest, and one that alters none
//! keeps every stored result.
//!
//! A canary covers the parts that a network is made of, an optimizer and a kind of target. A new combination of them needs nothing
//! here: its canary follows from its parts ([`models::tiny`]).

use std::collections::BTreeMap;

use super::noise::Noise;
use super::{EpochReport, Job, Observer, Tensors, TrainError, train};
use crate::data::{Target, Task};
use crate::device::Device;
use crate::digest::{Digest, Hasher};
use crate::models::{self, Tiny};
use crate::study::{
    ClassWeights, Combine, EvalNorm, Evaluation, ExpertSpec, FeatureHead, Init, Network, Optimizer, Pass,
    Recipe, SelectBy, Training,
};

/// To be raised by hand when numbers change in a way that no canary sees.
const VERSION: u32 = 2;
const BATCH: usize = 10;
const EPOCHS: usize = 2;

/// A tiny problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    tiny: Tiny,
    optimizer: Optimizer,
    target: Target,
}

/// Names of the canaries that a recipe's numerics consist of, each once, in their order; none for a run that trains nothing, whose
/// numerics are those of the runs that it evaluates.
pub fn canaries(recipe: &Recipe) -> Vec<String> {
    let mut names: Vec<String> = Canary::of(recipe).iter().map(Canary::name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl Canary {
    /// Those of a recipe, one for each expert.
    pub fn of(recipe: &Recipe) -> Vec<Self> {
        let Some(training) = &recipe.training else { return Vec::new() };
        let target = match &recipe.task.target {
            Target::Classes { .. } => Target::Classes { classes: 6 },
            Target::Binary { .. } => Target::binary(["a", "b", "c", "d"]),
            Target::Soft { .. } => Target::Soft { classes: 5 },
        };
        let canary = |expert: &ExpertSpec| Canary {
            tiny: models::tiny(&expert.network),
            optimizer: training.optimizer,
            target: target.clone(),
        };
        recipe.experts.iter().map(canary).collect()
    }

    /// What it covers: `lenet+lenet,low-rank,relu/sgd/classes`.
    pub fn name(&self) -> String {
        let optimizer = match self.optimizer {
            Optimizer::Sgd => "sgd",
            Optimizer::Rmsprop => "rmsprop",
            Optimizer::AdamW => "adamw",
        };
        let target = match self.target {
            Target::Classes { .. } => "classes",
            Target::Binary { .. } => "binary",
            Target::Soft { .. } => "soft",
        };
        format!("{}/{optimizer}/{target}", self.tiny.name)
    }

    /// Trains it on a device; the digest of all that comes out.
    ///
    /// # Errors
    /// When it cannot be trained: a bug, or a device that is not there.
    pub fn measure(&self, device: Device) -> Result<Digest, TrainError> {
        let mut states = States(Hasher::new("i2m2 canary v2"));
        states.0.field(&VERSION.to_le_bytes());
        #[cfg(feature = "cuda")]
        if device != Device::Cpu && matches!(self.tiny.network, crate::study::Network::Backbone { .. }) {
            for source in crate::ops::cuda::UNSEEN_BY_CANARIES {
                states.0.field(source.as_bytes());
            }
        }
        let mut recipe = self.recipe();
        let data = Noise::new(self.tiny.modalities.clone(), &self.target);
        for (norm, combine) in [(EvalNorm::Running, Combine::Product), (EvalNorm::Batch, Combine::Mean)] {
            recipe.evaluation = Evaluation { norm, combine, ..recipe.evaluation };
            let job = Job { recipe: &recipe, data: &data, seed: 0, upstream: &[], pretrained: None };
            let outcome = train(device, &job, None, &mut states)?;
            states.0.field(outcome.weights.digest().bytes());
            for expert in &outcome.logits {
                let bytes: Vec<u8> = expert.logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
                states.0.field(&bytes);
            }
            for (name, value) in outcome.metrics.iter() {
                states.0.field(name.as_bytes()).field(&value.to_le_bytes());
            }
        }
        Ok(states.0.finish())
    }

    /// The product of two of its networks; of heads, one on each pass.
    fn recipe(&self) -> Recipe {
        let spec = |name: &str, network: &Network| ExpertSpec {
            name: name.to_owned(),
            network: network.clone(),
            init: Init::Scratch,
        };
        let experts = match &self.tiny.network {
            Network::OnBackbone { on_backbone } => {
                let head = |features: Pass| Network::OnBackbone {
                    on_backbone: FeatureHead { features, ..*on_backbone },
                };
                Pass::ALL.map(|pass| spec(pass.name(), &head(pass))).to_vec()
            }
            network => vec![spec("first", network), spec("second", network)],
        };
        let select_by = match self.target {
            Target::Classes { .. } => SelectBy::Accuracy,
            Target::Binary { .. } => SelectBy::Auroc,
            Target::Soft { .. } => SelectBy::Score,
        };
        let training = Training {
            optimizer: self.optimizer,
            learning_rate: match self.optimizer {
                Optimizer::Sgd => 0.05,
                Optimizer::Rmsprop => 1e-3,
                Optimizer::AdamW => 1e-2,
            },
            weight_decay: 1e-4,
            betas: None,
            clip_norm: Some(0.5),
            batch_size: BATCH,
            // Only what has dropout knows in which order micro-batches come.
            micro_batch: self.tiny.backbone.is_some().then_some(BATCH / 2),
            epochs: EPOCHS,
            patience: None,
            select_by,
            class_weights: matches!(self.target, Target::Binary { .. }).then_some(ClassWeights::Balanced),
        };
        let evaluation =
            Evaluation { norm: EvalNorm::Running, combine: Combine::Product, ranking: None, noise: None };
        Recipe {
            dataset: "noise".to_owned(),
            task: Task::new("canary", self.target.clone()),
            backbone: self.tiny.backbone.clone(),
            experts,
            training: Some(training),
            evaluation,
            population: None,
        }
    }
}

/// The canaries of one device: digests by name, each measured when it is first asked for.
pub struct Canaries {
    device: Device,
    known: BTreeMap<String, Digest>,
    trained: usize,
}

impl Canaries {
    /// Those of a device; `known` holds digests that this very build has measured on this very device before.
    pub fn new(device: Device, known: BTreeMap<String, Digest>) -> Self {
        Canaries { device, known, trained: 0 }
    }

    /// What is known by now.
    pub fn known(&self) -> &BTreeMap<String, Digest> {
        &self.known
    }

    /// Canaries that were trained for that.
    pub fn trained(&self) -> usize {
        self.trained
    }

    /// Measures those that are not known yet, in a second or two together on the CPU.
    ///
    /// # Errors
    /// As [`Canary::measure`].
    pub fn learn(&mut self, canaries: &[Canary]) -> Result<(), TrainError> {
        let named = canaries.iter().map(|canary| (canary.name(), canary));
        let unknown: BTreeMap<String, &Canary> =
            named.filter(|(name, _)| !self.known.contains_key(name)).collect();
        let device = self.device;
        let measured: Vec<Digest> = if device == Device::Cpu {
            side_by_side(&unknown)?
        } else {
            unknown.values().map(|canary| canary.measure(device)).collect::<Result<_, _>>()?
        };
        self.trained += measured.len();
        self.known.extend(unknown.into_keys().zip(measured));
        Ok(())
    }

    /// Whether training canaries again gives the same bits, found by doing so.
    ///
    /// # Errors
    /// As [`Canary::measure`].
    pub fn repeat(&mut self, canaries: &[Canary]) -> Result<bool, TrainError> {
        self.learn(canaries)?;
        let unique: BTreeMap<String, &Canary> =
            canaries.iter().map(|canary| (canary.name(), canary)).collect();
        for (name, canary) in unique {
            self.trained += 1;
            if self.known.get(&name) != Some(&canary.measure(self.device)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Measures canaries on the CPU, each on one thread: they are too small to share, and their bits do not hang on threads.
fn side_by_side(canaries: &BTreeMap<String, &Canary>) -> Result<Vec<Digest>, TrainError> {
    let alone = |canary: &Canary| match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(|| canary.measure(Device::Cpu)),
        // Without a thread of its own it has those of whoever asks.
        Err(_) => canary.measure(Device::Cpu),
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            canaries.values().map(|&canary| (canary, scope.spawn(move || alone(canary)))).collect();
        // A thread that panicked says nothing; asking again shows why.
        let join = |(canary, thread): (&Canary, std::thread::ScopedJoinHandle<'_, _>)| {
            thread.join().unwrap_or_else(|_| canary.measure(Device::Cpu))
        };
        threads.into_iter().map(join).collect()
    })
}

/// Takes the digest of every saved state: weights, BatchNorm buffers, optimiser, reports.
struct States(Hasher);

impl Observer for States {
    fn epoch(&mut self, report: &EpochReport, state: &[u8]) -> Result<(), std::io::Error> {
        // Of the values, not of the bytes: how safetensors spells its header may change.
        let (tensors, _) = Tensors::from_bytes(state).map_err(std::io::Error::other)?;
        self.0.field(tensors.digest().bytes()).field(&report.train_loss.to_le_bytes());
        for (name, value) in report.valid.iter() {
            self.0.field(name.as_bytes()).field(&value.to_le_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{ProtocolName, Tier, resolve};

    fn all() -> Vec<Canary> {
        let protocol = resolve(ProtocolName::Paper, Tier::Paper).unwrap();
        let mut canaries: BTreeMap<String, Canary> = BTreeMap::new();
        for study in protocol.studies.values() {
            for (name, model) in &study.models {
                for task in model.tasks.keys() {
                    let recipe = study.recipe(name, task, None).unwrap().recipe;
                    canaries.extend(Canary::of(&recipe).into_iter().map(|canary| (canary.name(), canary)));
                }
            }
        }
        canaries.into_values().collect()
    }

    #[test]
    fn a_canary_follows_from_parts_optimizer_and_target() {
        let names: Vec<String> = all().iter().map(Canary::name).collect();
        insta::assert_snapshot!(names.join("\n"), @r"
        fiber/adamw/classes
        fiber/adamw/soft
        gru-linear,leaky-relu/rmsprop/classes
        lenet+lenet,low-rank,relu/sgd/classes
        lenet+lenet,relu/sgd/classes
        lenet,relu/sgd/classes
        mlp-leaky-relu+gru,leaky-relu/rmsprop/classes
        mlp-leaky-relu,leaky-relu/rmsprop/classes
        mlp-relu+mlp-relu,relu/adamw/classes
        mlp-relu,relu/adamw/classes
        preact-resnet*1/adamw/binary
        preact-resnet*2/adamw/binary
        ");
    }

    #[test]
    fn measuring_again_gives_the_same_bits_whatever_else_is_measured() {
        let all = all();
        let mut canaries = Canaries::new(Device::Cpu, BTreeMap::new());
        assert!(canaries.repeat(&all).unwrap());
        let known = canaries.known();
        assert_eq!((known.len(), canaries.trained()), (all.len(), 2 * all.len()));
        let digests: std::collections::BTreeSet<&Digest> = known.values().collect();
        assert_eq!(digests.len(), known.len(), "each is another problem");
        assert_eq!(all[0].measure(Device::Cpu).unwrap(), known[&all[0].name()]);
        // What is known is not measured again.
        let mut again = Canaries::new(Device::Cpu, known.clone());
        again.learn(&all).unwrap();
        assert_eq!(again.trained(), 0);
    }

    /// All kinds take a second or two of one core in a release build, half of it FIBER's; tests beside this one take the rest.
    #[test]
    fn canaries_are_quick() {
        let start = std::time::Instant::now();
        for canary in all() {
            canary.measure(Device::Cpu).unwrap();
        }
        let limit = if cfg!(debug_assertions) { 120.0 } else { 12.0 };
        assert!(start.elapsed().as_secs_f64() < limit, "{:?}", start.elapsed());
    }
}
