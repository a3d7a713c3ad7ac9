//! Features of a frozen backbone, computed once for all runs of a process that read them.
//!
//! Invariant: they are the bits that the backbone gives in evaluation, example by example; so a run on them has the numbers of one
//! that runs a frozen backbone without noise and augmentation in every epoch.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use dfdx::prelude::NoneTape;

use super::data_loader::{HostLoader, TrainingDevice};
use super::error::TrainError;
use super::networks::{are_features, passes, readable, shared};
use super::{Job, evaluate};
use crate::data::{Average, Dataset, Loaded, Modality, Split, Subset, Targets, gather_rows};
use crate::digest::{Digest, Hasher};
use crate::models::{BACKBONE, Scope, Shared};
use crate::random::Seeds;
use crate::study::{EvalNorm, Pass, SharedBackbone};

/// A dataset's examples as features of passes, which are its modalities.
pub(super) struct Features<'a> {
    data: &'a dyn Dataset,
    modalities: Vec<Modality>,
    /// By modality and split.
    samples: Vec<BTreeMap<Split, Arc<Samples>>>,
}

/// Features of a split.
struct Samples {
    width: usize,
    /// Row-major, one row for each sample that is another.
    values: Vec<f32>,
    /// By row of the split, the row of `values`.
    index: Vec<u32>,
}

/// The features that a job's heads read, where they are the same in every epoch.
///
/// # Errors
/// A backbone that does not fit, or rows that cannot be read.
pub(super) fn of<'a, D: TrainingDevice>(
    device: &D,
    job: &Job<'a>,
) -> Result<Option<Box<Features<'a>>>, TrainError> {
    let Some(backbone) = job.recipe.backbone.as_ref().filter(|backbone| backbone.is_fixed()) else {
        return Ok(None);
    };
    if !job.recipe.trains() || job.data.augments() || are_features(backbone, job.data) {
        return Ok(None);
    }
    let mut found = Features { data: job.data, modalities: Vec::new(), samples: Vec::new() };
    for pass in Pass::ALL.into_iter().filter(|&pass| passes(job.recipe).has(pass)) {
        let mut splits = BTreeMap::new();
        let mut network = None;
        for split in job.data.splits() {
            splits.insert(split, known(device, job, backbone, (pass, split), &mut network)?);
        }
        let width = splits.values().map(|samples| samples.width).max().unwrap_or_default();
        found.modalities.push(Modality::new(pass.name(), [width]));
        found.samples.push(splits);
    }
    Ok(Some(Box::new(found)))
}

/// What features are told by within the process: the data, the backbone, the pass and the split.
type Key = (Loaded, Digest, Pass, Split);
/// Features that are there, or that somebody is at.
type Place = Arc<Mutex<Option<Arc<Samples>>>>;

/// The features of a split by one pass: those that another run left, or new ones. The backbone is built when it is needed.
fn known<D: TrainingDevice>(
    device: &D,
    job: &Job<'_>,
    backbone: &SharedBackbone,
    (pass, split): (Pass, Split),
    network: &mut Option<Shared<f32, D>>,
) -> Result<Arc<Samples>, TrainError> {
    static KNOWN: LazyLock<Mutex<BTreeMap<Key, Place>>> = LazyLock::new(Mutex::default);
    let place = match job.data.loaded() {
        None => Place::default(),
        Some(loaded) => {
            let key = (loaded, identity(job, backbone)?, pass, split);
            Arc::clone(KNOWN.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
        }
    };
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(samples) = &*place {
        return Ok(Arc::clone(samples));
    }
    let network = match network {
        Some(network) => network,
        // Only a fresh backbone draws anything, from the run's own seed.
        none => {
            let scope = Scope::new(device.clone(), Seeds::root(job.seed).child("init")).within(BACKBONE);
            none.insert(shared(&scope, backbone, job, [pass].into_iter().collect())?)
        }
    };
    let samples = Arc::new(compute(device, job, network, (pass, split))?);
    *place = Some(Arc::clone(&samples));
    Ok(samples)
}

/// What a backbone computes follows from this.
fn identity(job: &Job<'_>, backbone: &SharedBackbone) -> Result<Digest, TrainError> {
    let mut hasher = Hasher::new("i2m2 features v1");
    let text = serde_json::to_vec(backbone).map_err(|error| TrainError::Recipe(error.to_string()))?;
    hasher.field(&text);
    match job.pretrained {
        Some(pretrained) => hasher.field(pretrained.digest.bytes()),
        None => hasher.field(&job.seed.to_le_bytes()),
    };
    Ok(hasher.finish())
}

fn compute<D: TrainingDevice>(
    device: &D,
    job: &Job<'_>,
    network: &Shared<f32, D>,
    (pass, split): (Pass, Split),
) -> Result<Samples, TrainError> {
    let data = job.data;
    let used = network.modalities();
    let (rows, index) = different(data, split, &used);
    let batch = evaluate::batch_size::<D>(EvalNorm::Running, 1, data, &used);
    let (width, mut values) = (network.width(pass), Vec::new());
    let mut loader = HostLoader::new(device, data, &used);
    let done = loader.visit(split, &rows, batch, &mut |inputs| {
        let mut features = network.features::<NoneTape>(inputs, None)?;
        values.extend(features.remove(&pass).map(|features| features.as_vec()).unwrap_or_default());
        Ok(())
    });
    readable(data)?;
    done.map_err(|source| TrainError::evaluation(job, split, batch, source))?;
    Ok(Samples { width, values, index })
}

/// Rows whose samples differ, and for every row the place of its own among them.
fn different(data: &dyn Dataset, split: Split, used: &[usize]) -> (Vec<u32>, Vec<u32>) {
    let mut places: HashMap<Vec<u32>, u32> = HashMap::new();
    let mut rows = Vec::new();
    let index = (0..data.len(split) as u32).map(|row| {
        let sample = used.iter().map(|&modality| data.sample(split, modality, row)).collect();
        *places.entry(sample).or_insert_with(|| {
            rows.push(row);
            rows.len() as u32 - 1
        })
    });
    let index = index.collect();
    (rows, index)
}

impl Dataset for Features<'_> {
    fn modalities(&self) -> &[Modality] {
        &self.modalities
    }

    fn test_splits(&self) -> &[String] {
        self.data.test_splits()
    }

    fn len(&self, split: Split) -> usize {
        self.data.len(split)
    }

    fn targets(&self, split: Split) -> Targets<'_> {
        self.data.targets(split)
    }

    fn gather(&self, split: Split, modality: usize, rows: &[u32], out: &mut [f32]) {
        match self.samples[modality].get(&split) {
            Some(samples) => {
                let Samples { width, values, index } = &**samples;
                let places: Vec<u32> = rows.iter().map(|&row| index[row as usize]).collect();
                gather_rows(values, *width, &places, out);
            }
            None => out.fill(f32::NAN),
        }
    }

    fn sample(&self, split: Split, modality: usize, row: u32) -> u32 {
        self.samples[modality].get(&split).map_or(row, |samples| samples.index[row as usize])
    }

    fn subsets(&self) -> &[Subset] {
        self.data.subsets()
    }

    fn averages(&self) -> &[Average] {
        self.data.averages()
    }
}
