//! The samples of a split on the GPU: all of them, or a window of rows at a time where there is no room for all.
//!
//! Invariant: samples that stay are uploaded once per process, whatever the number of runs that read them; those of a window stand
//! at the same addresses as the window's before, and are written in the order of the stream, after the steps that read those.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use crate::data::{Dataset, Loaded, Split, Targets, TargetsBuf};
use crate::device::cuda::{Buffer, GpuError, memory, wait};

/// Bytes that are sent at a time.
const PIECE: usize = 16 << 20;
/// Bytes of a window, at most.
const WINDOW: usize = 512 << 20;
/// How many bytes the samples of a split may take, in place of half of the memory that is free.
const LIMIT: &str = "I2M2_GPU_SAMPLES";

/// One modality that stays.
struct Whole {
    /// Sample after sample.
    values: Buffer<f32>,
    /// The sample of each row, where rows share samples.
    index: Option<Buffer<u32>>,
}

/// The modalities of datasets that several runs read.
static SHARED: Mutex<BTreeMap<(Loaded, Split, usize), Arc<Whole>>> = Mutex::new(BTreeMap::new());

/// Whether all samples are on the GPU, or a window of them.
enum Residency {
    Whole(Vec<Arc<Whole>>),
    /// And the rows that it has room for.
    Window(Vec<Buffer<f32>>, usize),
}

/// A split's samples.
pub(super) struct Samples {
    residency: Residency,
    /// By row, or by index in the window; none where nobody learns from them.
    pub(super) targets: Option<SampleTargets>,
}

/// A split's targets.
pub(super) enum SampleTargets {
    Labels(Buffer<u32>),
    /// Row after row.
    Soft(Buffer<f32>),
}

impl SampleTargets {
    fn of(targets: Targets<'_>) -> Result<Self, GpuError> {
        Ok(match targets {
            Targets::Labels(labels) => SampleTargets::Labels(Buffer::of(labels)?),
            Targets::Soft { scores, .. } => SampleTargets::Soft(Buffer::of(scores)?),
        })
    }

    /// Room for those of some rows.
    fn room(targets: Targets<'_>, rows: usize) -> Result<Self, GpuError> {
        Ok(match targets {
            Targets::Labels(_) => SampleTargets::Labels(Buffer::room(rows)?),
            Targets::Soft { classes, .. } => SampleTargets::Soft(Buffer::room(rows * classes)?),
        })
    }

    fn write(&mut self, targets: &TargetsBuf) -> Result<(), GpuError> {
        match (self, targets) {
            (SampleTargets::Labels(buffer), TargetsBuf::Labels(labels)) => buffer.write(0, labels),
            (SampleTargets::Soft(buffer), TargetsBuf::Soft { scores, .. }) => buffer.write(0, scores),
            // A split has targets of one kind.
            _ => Ok(()),
        }
    }
}

/// Rows that can be picked.
pub(super) struct InPlace<'a> {
    /// Where each of them stands.
    pub(super) indices: std::borrow::Cow<'a, [u32]>,
    /// Whether a window had to be made, at other addresses than before.
    pub(super) moved: bool,
}

fn features(data: &dyn Dataset, modality: usize) -> usize {
    data.modalities()[modality].features()
}

impl Samples {
    /// Those of a split; none yet where windows are needed.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) fn of(data: &dyn Dataset, split: Split, modalities: &[usize]) -> Result<Self, GpuError> {
        if !fits(data, split, modalities) {
            return Ok(Samples { residency: Residency::Window(Vec::new(), 0), targets: None });
        }
        let whole = modalities.iter().map(|&modality| Whole::of(data, split, modality));
        Ok(Samples { residency: Residency::Whole(whole.collect::<Result<_, _>>()?), targets: None })
    }

    /// With the targets of all rows, or of those of the window.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) fn with_targets(self, data: &dyn Dataset, split: Split) -> Result<Self, GpuError> {
        let targets = match self.residency {
            Residency::Whole(_) => SampleTargets::of(data.targets(split))?,
            Residency::Window(..) => SampleTargets::room(data.targets(split), 0)?,
        };
        Ok(Samples { targets: Some(targets), ..self })
    }

    /// Rows that can be in place at a time: all of them, or as many whole batches as a window holds, at least one.
    pub(super) fn span(&self, data: &dyn Dataset, modalities: &[usize], rows: usize, batch: usize) -> usize {
        match &self.residency {
            Residency::Whole(_) => rows,
            &Residency::Window(_, room) if room > 0 => room,
            Residency::Window(..) => {
                let bytes: usize = modalities.iter().map(|&modality| 4 * features(data, modality)).sum();
                let room = limit().map_or(WINDOW, |limit| WINDOW.min(limit / 4));
                (room / bytes.max(1) / batch * batch).max(batch)
            }
        }
    }

    /// Brings rows, `span` at most, into place.
    ///
    /// # Errors
    /// If the device has no room or fails.
    pub(super) fn load<'a>(
        &mut self,
        data: &dyn Dataset,
        split: Split,
        modalities: &[usize],
        rows: &'a [u32],
        span: usize,
    ) -> Result<InPlace<'a>, GpuError> {
        let Residency::Window(buffers, capacity) = &mut self.residency else {
            return Ok(InPlace { indices: rows.into(), moved: false });
        };
        let moved = buffers.is_empty();
        if moved {
            let room = modalities.iter().map(|&modality| Buffer::room(span * features(data, modality)));
            *buffers = room.collect::<Result<_, _>>()?;
            *capacity = span;
        }
        for (&modality, values) in modalities.iter().zip(buffers) {
            send(data, split, modality, rows, values)?;
        }
        if let Some(targets) = &mut self.targets {
            let all = data.targets(split);
            if moved {
                *targets = SampleTargets::room(all, span)?;
            }
            targets.write(&all.pick(rows))?;
        }
        let indices: Vec<u32> = (0..rows.len() as u32).collect();
        Ok(InPlace { indices: indices.into(), moved })
    }

    /// The samples of every modality, one after the other, and which of them each row has.
    pub(super) fn modalities(&self) -> Vec<(&Buffer<f32>, Option<&Buffer<u32>>)> {
        match &self.residency {
            Residency::Whole(whole) => {
                whole.iter().map(|whole| (&whole.values, whole.index.as_ref())).collect()
            }
            Residency::Window(buffers, _) => buffers.iter().map(|values| (values, None)).collect(),
        }
    }
}

/// Whether the samples of a split that are not there yet may stay on the GPU.
fn fits(data: &dyn Dataset, split: Split, modalities: &[usize]) -> bool {
    let shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let there =
        |modality| data.loaded().is_some_and(|loaded| shared.contains_key(&(loaded, split, modality)));
    let missing = modalities.iter().filter(|&&modality| !there(modality));
    let floats: usize =
        missing.map(|&modality| distinct(data, split, modality) * features(data, modality)).sum();
    limit().is_none_or(|limit| 4 * floats <= limit)
}

/// Bytes that the samples of a split may take. The other half of the memory is for networks and batches.
fn limit() -> Option<usize> {
    let asked = std::env::var(LIMIT).ok().and_then(|bytes| bytes.parse().ok());
    asked.or_else(|| memory().map(|(free, _)| free / 2))
}

/// Number of samples of a split; several rows may have the same.
fn distinct(data: &dyn Dataset, split: Split, modality: usize) -> usize {
    let samples = (0..data.len(split) as u32).map(|row| data.sample(split, modality, row));
    samples.collect::<std::collections::BTreeSet<_>>().len()
}

/// Writes rows side by side.
fn send(
    data: &dyn Dataset,
    split: Split,
    modality: usize,
    rows: &[u32],
    values: &mut Buffer<f32>,
) -> Result<(), GpuError> {
    let features = features(data, modality);
    let at_a_time = (PIECE / 4 / features.max(1)).max(1);
    let mut piece = vec![0.0; features * at_a_time.min(rows.len())];
    for (number, rows) in rows.chunks(at_a_time).enumerate() {
        let piece = &mut piece[..features * rows.len()];
        // One row at a time, so features stand side by side.
        let gather = |(row, out): (&u32, &mut [f32])| data.gather(split, modality, &[*row], out);
        rows.par_iter().zip(piece.par_chunks_exact_mut(features.max(1))).for_each(gather);
        values.write(number * at_a_time * features, piece)?;
    }
    Ok(())
}

impl Whole {
    /// Those of a split: kept for all runs where the dataset has a name.
    fn of(data: &dyn Dataset, split: Split, modality: usize) -> Result<Arc<Self>, GpuError> {
        let Some(loaded) = data.loaded() else { return Whole::upload(data, split, modality).map(Arc::new) };
        // Held while uploading, so that two runs do not upload the same samples.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(whole) = shared.get(&(loaded, split, modality)) {
            return Ok(Arc::clone(whole));
        }
        let whole = Arc::new(Whole::upload(data, split, modality)?);
        // Other threads have other streams.
        wait()?;
        shared.insert((loaded, split, modality), Arc::clone(&whole));
        Ok(whole)
    }

    fn upload(data: &dyn Dataset, split: Split, modality: usize) -> Result<Self, GpuError> {
        // Samples in the order in which rows first have them.
        let (mut numbers, mut first_rows) = (BTreeMap::new(), Vec::new());
        let index: Vec<u32> = (0..data.len(split) as u32)
            .map(|row| {
                *numbers.entry(data.sample(split, modality, row)).or_insert_with(|| {
                    first_rows.push(row);
                    first_rows.len() as u32 - 1
                })
            })
            .collect();
        let mut values = Buffer::room(first_rows.len() * features(data, modality))?;
        send(data, split, modality, &first_rows, &mut values)?;
        let shared = first_rows.len() < index.len();
        Ok(Whole { values, index: shared.then(|| Buffer::of(&index)).transpose()? })
    }
}
