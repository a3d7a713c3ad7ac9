//! The slices of a cache as networks see them: magnitude, phase, and RSS.
//!
//! Invariant: noise is drawn from (seeds, volume, slice) alone, so every model, level and modality meets the same draws.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::cache::{Index, slices_name};
use super::choices::{Choices, MagnitudeNorm, StudyLevel};
use super::split::Part;
use crate::data::formats::npy::{Dim, Npy};
use crate::data::{DataError, Dataset, Identity, Loaded, Modality, Split, StatCache, Targets};
use crate::random::Seeds;

/// Name and version of this loader, part of every identity.
const LOADER: &str = "fastmri 1";
/// Slices that are gathered by one thread before another is worth it, in pixels.
const ALONE: usize = 1 << 15;

/// Places of the modalities.
const MAGNITUDE: usize = 0;
const PHASE: usize = 1;

/// A slice's place.
#[derive(Clone, Copy)]
struct SliceIndex {
    volume: u32,
    slice: u32,
}

/// Everything but noise.
struct Slices {
    volumes: Vec<Volume>,
    /// By split: train, valid, test.
    rows: [Vec<SliceIndex>; 3],
    labels: [Vec<u32>; 3],
    modalities: [Modality; 3],
    magnitude_norm: MagnitudeNorm,
    loaded: Loaded,
}

struct Volume {
    id: String,
    /// (slices, 3, side, side).
    values: Npy,
    peaks: Vec<f32>,
    /// The largest magnitude of all slices, found when it is first asked for.
    largest: OnceLock<f32>,
}

/// The dataset. No `Debug`: samples may be credentialed.
pub struct KneeDataset {
    slices: Arc<Slices>,
    noise: Option<Noise>,
}

struct Noise {
    percent: f64,
    seeds: Seeds,
}

/// Identity of a cache: its files, and the choices.
///
/// # Errors
/// A cache that is not there or damaged, and one whose files are not those that its index names.
pub fn identity(cache: &Path, choices: Choices, stat_cache: &StatCache) -> Result<Identity, DataError> {
    let index = Index::read(cache)?;
    let files = index.files();
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let text = serde_json::to_string(&(choices.magnitude_norm, choices.study_level)).unwrap_or_default();
    let identity = Identity::of(cache, &names, LOADER, &text, stat_cache)?;
    for listed in &index.volumes {
        let (name, expected) = (slices_name(&listed.record.id), listed.record.slices);
        if let Some(file) = identity.files.iter().find(|file| file.name == name && file.digest != expected) {
            return Err(DataError::Malformed {
                file: file.path.display().to_string(),
                expected: format!("the slices that the index names, SHA-256 {expected}"),
                found: format!(
                    "SHA-256 {}: the cache is a mixture; delete this file and build again",
                    file.digest
                ),
            });
        }
    }
    Ok(identity)
}

/// Opens a cache; slices are mapped, not read.
///
/// # Errors
/// A cache that is not there, damaged, or a mixture.
pub fn load(cache: &Path, choices: Choices) -> Result<KneeDataset, DataError> {
    let index = Index::read(cache)?;
    let side = index.geometry.side;
    let (mut rows, mut labels): ([Vec<SliceIndex>; 3], [Vec<u32>; 3]) = Default::default();
    let mut volumes = Vec::with_capacity(index.volumes.len());
    for listed in index.volumes {
        let split = listed.split as usize;
        let values = Npy::map(&cache.join(slices_name(&listed.record.id)))?;
        let slices = listed.record.peaks.len();
        values.expect(&[Dim::Is(slices), Dim::Is(3), Dim::Is(side), Dim::Is(side)])?;
        if values.as_f32().is_none() {
            return Err(DataError::Dtype {
                file: values.file().to_owned(),
                expected: "<f4".to_owned(),
                found: values.dtype().code().to_owned(),
            });
        }
        let volume = volumes.len() as u32;
        rows[split].extend((0..slices as u32).map(|slice| SliceIndex { volume, slice }));
        labels[split].extend(match choices.study_level {
            StudyLevel::Slice0 => listed.labels,
            StudyLevel::Ignore => listed.labels_of_slices,
        });
        volumes.push(Volume {
            id: listed.record.id,
            values,
            peaks: listed.record.peaks,
            largest: OnceLock::new(),
        });
    }
    let slices = Slices {
        volumes,
        rows,
        labels,
        modalities: ["magnitude", "phase", "rss"].map(|name| Modality::new(name, [1, side, side])),
        magnitude_norm: choices.magnitude_norm,
        loaded: Loaded::new(),
    };
    Ok(KneeDataset { slices: Arc::new(slices), noise: None })
}

/// Real part, imaginary part and RSS of a slice.
#[derive(Clone, Copy)]
struct Parts<'a> {
    real: &'a [f32],
    imaginary: &'a [f32],
    rss: &'a [f32],
}

impl Volume {
    fn parts(&self, slice: usize) -> Parts<'_> {
        // The type was checked when the volume was mapped.
        let all = self.values.as_f32().unwrap_or_default();
        let pixels = self.values.dims().iter().skip(2).product::<usize>();
        let part = |index: usize| &all[(slice * 3 + index) * pixels..][..pixels];
        Parts { real: part(0), imaginary: part(1), rss: part(2) }
    }

    fn largest(&self) -> f32 {
        *self.largest.get_or_init(|| {
            let slices = 0..self.peaks.len();
            slices.map(|slice| largest(&magnitudes(self.parts(slice)))).fold(0.0, f32::max)
        })
    }
}

fn magnitudes(parts: Parts<'_>) -> Vec<f32> {
    // In f64: magnitudes of 1e-5 have squares that f32 holds with few digits.
    let norm = |(&re, &im): (&f32, &f32)| hypot(f64::from(re), f64::from(im)) as f32;
    parts.real.iter().zip(parts.imaginary).map(norm).collect()
}

/// sqrt(x^2 + y^2) from operations that round alike everywhere.
fn hypot(x: f64, y: f64) -> f64 {
    (x * x + y * y).sqrt()
}

fn largest(values: &[f32]) -> f32 {
    values.iter().copied().fold(0.0, f32::max)
}

/// Divides by `by`, unless that is 0: an empty slice stays empty.
fn divide(values: &mut [f32], by: f32) {
    if by > 0.0 {
        values.iter_mut().for_each(|value| *value /= by);
    }
}

/// Less the mean, divided by the standard deviation; all zero where nothing varies.
fn standardise(values: &mut [f32]) {
    let count = values.len() as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let variance = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
    let scale = if variance > 0.0 { 1.0 / variance.sqrt() } else { 0.0 };
    values.iter_mut().for_each(|value| *value = ((f64::from(*value) - mean) * scale) as f32);
}

impl KneeDataset {
    /// One slice of one modality.
    fn slice(&self, place: SliceIndex, modality: usize) -> Vec<f32> {
        let volume = &self.slices.volumes[place.volume as usize];
        let parts = volume.parts(place.slice as usize);
        let noisy = self.noise.as_ref().map(|noise| noise.add(volume, place.slice as usize, parts));
        let parts = noisy.as_ref().map_or(parts, |(real, imaginary, rss)| Parts { real, imaginary, rss });
        match modality {
            MAGNITUDE => {
                let mut values = magnitudes(parts);
                self.scale(&mut values, || volume.largest());
                values
            }
            PHASE => parts
                .real
                .iter()
                .zip(parts.imaginary)
                .map(|(&re, &im)| libm::atan2(f64::from(im), f64::from(re)) as f32)
                .collect(),
            _ => {
                let mut values = parts.rss.to_vec();
                // The RSS of other slices of the volume is not at hand: its own largest stands for it.
                let own = largest(parts.rss);
                self.scale(&mut values, || own);
                values
            }
        }
    }

    fn scale(&self, values: &mut [f32], of_volume: impl FnOnce() -> f32) {
        match self.slices.magnitude_norm {
            MagnitudeNorm::None => {}
            MagnitudeNorm::SliceMax => divide(values, largest(values)),
            MagnitudeNorm::VolumeMax => divide(values, of_volume()),
            MagnitudeNorm::SliceZscore => standardise(values),
        }
    }
}

impl Noise {
    /// Real part, imaginary part and RSS with noise (Figure B.7): both parts get N(0, s^2), s a percentage of the whole
    /// slice's peak; RSS becomes Rician with the same draws, scaled by its own largest.
    fn add(&self, volume: &Volume, slice: usize, parts: Parts<'_>) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let mut stream = self.seeds.child(&*volume.id).child(slice).stream();
        let share = self.percent / 100.0;
        let (sigma, rss_sigma) =
            (share * f64::from(volume.peaks[slice]), share * f64::from(largest(parts.rss)));
        let mut noisy = (Vec::new(), Vec::new(), Vec::new());
        for ((&real, &imaginary), &rss) in parts.real.iter().zip(parts.imaginary).zip(parts.rss) {
            let (first, second) = (stream.normal(), stream.normal());
            noisy.0.push((f64::from(real) + sigma * first) as f32);
            noisy.1.push((f64::from(imaginary) + sigma * second) as f32);
            noisy.2.push(hypot(f64::from(rss) + rss_sigma * first, rss_sigma * second) as f32);
        }
        noisy
    }
}

/// Where a split stands among the three of the cache.
fn place_of(split: Split) -> usize {
    match split {
        Split::Train => Part::Train as usize,
        Split::Valid => Part::Valid as usize,
        Split::Test(_) => Part::Test as usize,
    }
}

impl Dataset for KneeDataset {
    fn modalities(&self) -> &[Modality] {
        &self.slices.modalities
    }

    fn len(&self, split: Split) -> usize {
        self.slices.rows[place_of(split)].len()
    }

    fn targets(&self, split: Split) -> Targets<'_> {
        Targets::Labels(&self.slices.labels[place_of(split)])
    }

    fn gather(&self, split: Split, modality: usize, rows: &[u32], out: &mut [f32]) {
        let places = &self.slices.rows[place_of(split)];
        let slice = |&row: &u32| self.slice(places[row as usize], modality);
        let slices: Vec<Vec<f32>> = if out.len() < ALONE {
            rows.iter().map(slice).collect()
        } else {
            rows.par_iter().map(slice).collect()
        };
        for (n, slice) in slices.iter().enumerate() {
            let places = out.iter_mut().skip(n).step_by(rows.len());
            places.zip(slice).for_each(|(place, &value)| *place = value);
        }
    }

    fn noisy(&self, percent: f64, seeds: &Seeds) -> Option<Box<dyn Dataset>> {
        let noise = Noise { percent, seeds: seeds.clone() };
        Some(Box::new(KneeDataset { slices: Arc::clone(&self.slices), noise: Some(noise) }))
    }

    fn loaded(&self) -> Option<Loaded> {
        // With noise these are other samples.
        self.noise.is_none().then_some(self.slices.loaded)
    }
}

#[cfg(test)]
impl KneeDataset {
    /// The peak of a row's slice.
    pub(super) fn peak_of(&self, split: Split, row: usize) -> f32 {
        let SliceIndex { volume, slice } = self.slices.rows[place_of(split)][row];
        self.slices.volumes[volume as usize].peaks[slice as usize]
    }
}
