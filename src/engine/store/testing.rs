//! Plans, outcomes, disks and trainers for the engine's tests.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Disk, FileSystem, Store};
use crate::data::{Dataset, Identity, Modality, Split, Targets};
use crate::digest::Digest;
use crate::engine::manifest::{Circumstances, DatasetRecord, Determinism, Manifest, Spent};
use crate::engine::plan::{Plan, RunIndex};
use crate::engine::planner::{Context, Planner};
use crate::engine::{Datasets, TrainFailure, Trainer};
use crate::experiment::tensors::TensorData;
use crate::experiment::{EpochReport, ExpertLogits, Job, Observer, RunOutput, Tensors, canaries};
use crate::metric::{ACCURACY, LOSS, Metric, Metrics};
use crate::random::Seeds;
use crate::study::{ProtocolName, Recipe, Tier};

pub(crate) fn recipe() -> Recipe {
    serde_json::from_value(serde_json::json!({
        "dataset": "mimic",
        "task": {"id": "icd9-140-239", "target": {"kind": "classes", "classes": 2}},
        "experts": [{"name": "static", "init": "scratch", "network": {
            "encoders": [{"modality": "static", "network": "mlp", "units": 10, "activation": {"leaky-relu": {"slope": 0.2}}}],
            "fusion": "concatenate",
            "head": {"hidden": 40, "activation": {"leaky-relu": {"slope": 0.2}}}}}],
        "training": {"optimizer": "rmsprop", "learning_rate": 0.05, "weight_decay": 0.0, "clip_norm": 8.0,
                     "batch_size": 40, "epochs": 4, "select_by": "accuracy"},
        "evaluation": {"norm": "running", "combine": "product"}
    }))
    .unwrap()
}

pub(crate) fn context() -> Context {
    Context {
        tier: Tier::Smoke,
        protocol: ProtocolName::Paper,
        changes: Vec::new(),
        seeds: vec![0],
        device_class: "cpu".to_owned(),
        data: BTreeMap::from([("mimic".to_owned(), Digest::of(b"data"))]),
        numerics: canaries(&recipe()).into_iter().map(|name| (name, Digest::of(b"numerics"))).collect(),
    }
}

/// Runs of one recipe with seeds 0, 1, ... and the given upstream.
pub(crate) fn plan(upstream: &[&[usize]]) -> Plan {
    let context = context();
    let mut planner = Planner::new(&context);
    for (seed, upstream) in upstream.iter().enumerate() {
        let upstream = upstream.iter().map(|&index| RunIndex(index)).collect();
        planner.run(&format!("mock/{seed}"), recipe(), seed as u64, upstream).unwrap().unwrap();
    }
    planner.finish()
}

/// The manifest of a stored run without upstream, its outcome's parts made up.
pub(crate) fn manifest(seed: u64) -> Manifest {
    let context = context();
    let mut planner = Planner::new(&context);
    planner.run("mock", recipe(), seed, vec![]).unwrap();
    let plan = planner.finish();
    let circumstances = Circumstances {
        dataset: DatasetRecord {
            name: "mimic".to_owned(),
            credentialed: true,
            digest: Digest::of(b"data"),
            files: BTreeMap::from([("im.npz".to_owned(), Digest::of(b"file"))]),
        },
        determinism: Determinism::Bitwise,
        spent: Spent { steps: 10, training_seconds: 0.1 + 0.2, wall_seconds: 1.0 / 3.0 },
        resumed: false,
        threads: 1,
    };
    let mut manifest = Manifest::draft(&plan, &plan.runs[0], circumstances);
    let metrics = [(Metric::test(&ACCURACY), 75.25), (Metric::test(&LOSS), 0.1 + 0.2)];
    manifest.metrics = metrics.into_iter().collect();
    manifest
}

pub(crate) fn outcome(seed: u64) -> RunOutput {
    let mut stream = Seeds::root(seed).stream();
    let mut draw = |count: usize| (0..count).map(|_| stream.normal() as f32).collect::<Vec<_>>();
    let weights =
        BTreeMap::from([("static.weight".to_owned(), TensorData { dims: vec![4, 8], values: draw(32) })]);
    let logits = vec![ExpertLogits { split: "test".to_owned(), name: "static".to_owned(), logits: draw(12) }];
    let metrics = Metrics::from_iter([(Metric::test(&ACCURACY), f64::from(draw(1)[0]))]);
    RunOutput { weights: Tensors(weights), logits, metrics, epochs: vec![report(1, 0.5)] }
}

pub(crate) fn report(epoch: usize, loss: f64) -> EpochReport {
    let valid = Metrics::from_iter([(Metric::new(&ACCURACY), 50.0)]);
    EpochReport { epoch, train_loss: loss, valid, improved: true }
}

/// A store that does not wait for the disk: tests are killed at their own steps, never by a power cut.
pub(crate) fn store(root: &Path) -> Store {
    Store::on(root, Faulty::failing(usize::MAX))
}

/// A disk that fails one step, or dies there: a dead disk does nothing more, as after `kill -9`. It does not flush.
pub(crate) struct Faulty {
    at: usize,
    dies: bool,
    steps: AtomicUsize,
    error: io::ErrorKind,
}

impl Faulty {
    pub(crate) fn failing(at: usize) -> Arc<Self> {
        Arc::new(Faulty { at, dies: false, steps: AtomicUsize::new(0), error: io::ErrorKind::StorageFull })
    }

    pub(crate) fn dying(at: usize) -> Arc<Self> {
        Arc::new(Faulty { at, dies: true, steps: AtomicUsize::new(0), error: io::ErrorKind::Other })
    }

    /// Whether the fault was reached.
    pub(crate) fn struck(&self) -> bool {
        self.steps.load(Ordering::SeqCst) > self.at
    }

    fn step(&self) -> io::Result<bool> {
        let step = self.steps.fetch_add(1, Ordering::SeqCst);
        if step == self.at {
            Ok(true)
        } else if self.dies && step > self.at {
            Err(self.error.into())
        } else {
            Ok(false)
        }
    }
}

impl Disk for Faulty {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        if self.step()? { Err(self.error.into()) } else { FileSystem.create_folder(path) }
    }
    fn write(&self, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
        if self.step()? {
            let whole = parts.concat();
            std::fs::write(path, &whole[..whole.len() / 2])?;
            return Err(self.error.into());
        }
        std::fs::write(path, parts.concat())
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.step()? { Err(self.error.into()) } else { FileSystem.rename(from, to) }
    }
    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        if self.step()? { Err(self.error.into()) } else { Ok(()) }
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.step()? { Err(self.error.into()) } else { FileSystem.remove(path) }
    }
}

struct NoRows;

impl Dataset for NoRows {
    fn modalities(&self) -> &[Modality] {
        &[]
    }
    fn len(&self, _: Split) -> usize {
        0
    }
    fn targets(&self, _: Split) -> Targets<'_> {
        Targets::Labels(&[])
    }
    fn gather(&self, _: Split, _: usize, _: &[u32], _: &mut [f32]) {}
}

/// Data that can change.
pub(crate) struct MockData {
    identity: Identity,
    pub(crate) changed: AtomicBool,
}

impl MockData {
    pub(crate) fn new() -> Self {
        MockData {
            identity: Identity { digest: Digest::of(b"data"), files: Vec::new() },
            changed: AtomicBool::new(false),
        }
    }
}

impl Datasets for MockData {
    fn identity(&self, _: &str) -> Option<&Identity> {
        Some(&self.identity)
    }
    fn open(&self, _: &Recipe) -> Result<Arc<dyn Dataset>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Arc::new(NoRows))
    }
    fn credentialed(&self, _: &str) -> bool {
        true
    }
    fn unchanged(&self, _: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if self.changed.load(Ordering::SeqCst) { Err("im.npz has changed".into()) } else { Ok(()) }
    }
}

type Hook = Box<dyn Fn(u64, usize) -> Result<(), String> + Send + Sync>;

/// "Trains" by stirring a number, epoch by epoch: any lost or repeated epoch, and any other upstream, shows in the end.
pub(crate) struct MockTrainer {
    /// Called before every epoch with seed and epoch; may fail or panic.
    pub(crate) hook: Hook,
    /// Seed and first epoch of every call.
    pub(crate) calls: Mutex<Vec<(u64, usize)>>,
    pub(crate) metric: Option<f64>,
}

impl MockTrainer {
    pub(crate) fn new() -> Self {
        MockTrainer::with(|_, _| Ok(()))
    }

    pub(crate) fn with(hook: impl Fn(u64, usize) -> Result<(), String> + Send + Sync + 'static) -> Self {
        MockTrainer { hook: Box::new(hook), calls: Mutex::new(Vec::new()), metric: None }
    }

    pub(crate) fn calls(&self) -> Vec<(u64, usize)> {
        let mut calls = self.calls.lock().unwrap().clone();
        calls.sort_unstable();
        calls
    }
}

impl Trainer for MockTrainer {
    fn train(
        &self,
        job: &Job<'_>,
        resume: Option<&[u8]>,
        observer: &mut dyn Observer,
    ) -> Result<RunOutput, TrainFailure> {
        let (done, mut value) = match resume {
            None => {
                let mut hasher = crate::digest::Hasher::new("mock");
                hasher.field(&job.seed.to_le_bytes());
                job.upstream.iter().for_each(|upstream| {
                    hasher.field(upstream.weights.digest().bytes());
                });
                (0, u64::from_le_bytes(hasher.finish().bytes()[..8].try_into().unwrap()))
            }
            Some(bytes) => {
                let state: [u8; 9] =
                    bytes.try_into().map_err(|_| TrainFailure::State("9 bytes expected".into()))?;
                (usize::from(state[0]), u64::from_le_bytes(state[1..].try_into().unwrap()))
            }
        };
        self.calls.lock().unwrap().push((job.seed, done + 1));
        let epochs = job.recipe.training.as_ref().unwrap().epochs;
        observer.start(2, epochs, done + 1);
        let stir = |value: u64, epoch: usize| {
            value.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ epoch as u64
        };
        for epoch in done + 1..=epochs {
            (self.hook)(job.seed, epoch).map_err(|e| TrainFailure::Other(e.into()))?;
            observer.step();
            observer.step();
            value = stir(value, epoch);
            let state: Vec<u8> = std::iter::once(epoch as u8).chain(value.to_le_bytes()).collect();
            observer.epoch(&report(epoch, 0.5), &state).map_err(|e| TrainFailure::Other(e.into()))?;
        }
        let mut outcome = outcome(value);
        if let Some(metric) = self.metric {
            outcome.metrics.insert(&Metric::test(&LOSS), metric);
        }
        Ok(outcome)
    }
}
