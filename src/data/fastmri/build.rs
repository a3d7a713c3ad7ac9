//! Builds a cache from raw volumes and annotations.
//!
//! Invariant: a volume's slices and its record are written whole before the index names them, so a build that is killed
//! goes on where it stopped and ends with the bytes of one that never was; no more volumes are in memory than threads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::Serialize;

use super::Geometry;
use super::cache::{Index, Listed, Record, record_path, slices_name};
use super::choices::{Space, StudyLevel};
use super::labels::Annotations;
use super::split;
use super::transform::Transform;
use super::volume::Volume;
use crate::data::formats::npy;
use crate::data::{DataError, StatCache};
use crate::digest::Digest;
use crate::files;

/// Names of volumes that an error lists, at most.
const NAMED: usize = 5;

/// What a cache is built from.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// Folder with the volumes, `*.h5`.
    pub volumes: PathBuf,
    /// fastMRI+'s knee.csv.
    pub annotations: PathBuf,
    /// fastMRI+'s list of volumes; without it, those of the folder are split.
    pub file_list: Option<PathBuf>,
    /// What is kept: the image, or k-space (deviation F2).
    pub space: Space,
    /// Sizes.
    pub geometry: Geometry,
    /// The cache.
    pub out: PathBuf,
}

/// Told how a build goes.
pub trait Progress: Sync {
    /// `done` of `all` volumes are there; this one was there before or not.
    fn volume(&self, done: usize, all: usize, reused: bool);
}

/// Nobody is told.
pub struct NoProgress;

impl Progress for NoProgress {
    fn volume(&self, _: usize, _: usize, _: bool) {}
}

/// What a build made.
#[derive(Clone, Debug, Serialize)]
pub struct Built {
    /// Volumes that are split.
    pub volumes: usize,
    /// Volumes that were there from an earlier build.
    pub reused: usize,
    /// Wide volumes, which are dropped (deviation F16).
    pub dropped: usize,
    /// Volumes of the folder that are not in the list, which are ignored.
    pub unlisted: usize,
    /// Slices by split: train, valid, test.
    pub slices: [usize; 3],
    /// Slices with each finding, in the order of the heads.
    pub findings: [usize; 4],
    /// Bytes of the cache.
    pub bytes: u64,
    /// Digest of the cache, as [`super::identity`] has it without choices.
    pub digest: Digest,
}

/// A volume after its turn.
enum Turn {
    Kept { record: Record, reused: bool, bytes: u64 },
    Wide(String, usize),
}

/// Builds the cache, on the threads of the current rayon pool. What `stats` knows is not hashed again.
///
/// # Errors
/// Whatever is wrong with the sources; what was finished before stays, and the same call goes on from there.
pub fn build(options: &BuildOptions, progress: &dyn Progress, stats: &StatCache) -> Result<Built, DataError> {
    let BuildOptions { geometry, out, .. } = options;
    check(*geometry)?;
    let annotations = Annotations::read(&options.annotations)?;
    let (annotations_digest, _) = stats.digest(&options.annotations)?;
    let found = volumes(&options.volumes)?;
    let listed = match &options.file_list {
        Some(list) => split::file_list(list)?,
        None => found.keys().cloned().collect(),
    };
    let wanted: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    agree(options, &found, &wanted, &annotations)?;
    let splits = split::split(&listed);

    fs::create_dir_all(out.join("volumes")).map_err(DataError::io(out, "create it"))?;
    let done = AtomicUsize::new(0);
    let turns: Vec<Turn> = wanted
        .par_iter()
        .map(|id| {
            let turn = volume(options, id, &found[*id], stats)?;
            let reused = matches!(turn, Turn::Kept { reused: true, .. });
            progress.volume(done.fetch_add(1, Ordering::Relaxed) + 1, wanted.len(), reused);
            Ok(turn)
        })
        .collect::<Result<_, DataError>>()?;

    let file = options.annotations.display().to_string();
    let (mut kept, mut dropped, mut reuses, mut total) = (Vec::new(), Vec::new(), 0, 0);
    for turn in turns {
        match turn {
            Turn::Kept { record, reused, bytes } => {
                let labels = annotations.of(&file, &record.id, record.peaks.len())?;
                let bits = |level| labels.iter().map(|labels| labels.bits(level)).collect();
                kept.push(Listed {
                    split: splits[&record.id],
                    labels: bits(StudyLevel::Slice0),
                    labels_of_slices: bits(StudyLevel::Ignore),
                    record,
                });
                reuses += usize::from(reused);
                total += bytes;
            }
            Turn::Wide(id, columns) => dropped.push((id, columns)),
        }
    }
    let index = Index::new(*geometry, options.space, annotations_digest, kept, dropped);
    index.write(out)?;
    let mut built = Built {
        volumes: index.volumes.len(),
        reused: reuses,
        dropped: index.dropped.len(),
        unlisted: found.len() - wanted.len(),
        slices: [0; 3],
        findings: [0; 4],
        bytes: total,
        digest: super::identity(out, super::Choices::default(), stats)?.digest,
    };
    for listed in &index.volumes {
        built.slices[listed.split as usize] += listed.labels.len();
        for (head, count) in built.findings.iter_mut().enumerate() {
            *count += listed.labels.iter().filter(|&&label| label >> head & 1 == 1).count();
        }
    }
    Ok(built)
}

fn check(geometry: Geometry) -> Result<(), DataError> {
    let Geometry { rows, columns, side } = geometry;
    if side > 0 && side <= rows && side <= columns {
        return Ok(());
    }
    Err(DataError::Choice {
        option: "geometry".to_owned(),
        expected: "a side from 1 to the rows and columns".to_owned(),
        found: format!("{side} of {rows} x {columns}"),
    })
}

/// The volumes of a folder, by id.
fn volumes(folder: &Path) -> Result<BTreeMap<String, PathBuf>, DataError> {
    let entries = fs::read_dir(folder).map_err(DataError::open(
        folder,
        "a folder of fastMRI volumes (*.h5)",
        "`i2m2 data explain fastmri` says how to get them",
    ))?;
    let mut found = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(DataError::io(folder, "list it"))?.path();
        let id = path.file_stem().and_then(|stem| stem.to_str());
        if let (Some(id), Some("h5")) = (id, path.extension().and_then(|ending| ending.to_str())) {
            found.insert(id.to_owned(), path.clone());
        }
    }
    if found.is_empty() {
        return Err(DataError::Missing {
            path: folder.to_owned(),
            expected: "volumes, *.h5".to_owned(),
            remedy: "pass the folder that holds them with --volumes".to_owned(),
        });
    }
    Ok(found)
}

/// That every listed volume is there, and every annotated one is listed.
fn agree(
    options: &BuildOptions,
    found: &BTreeMap<String, PathBuf>,
    wanted: &BTreeSet<&str>,
    annotations: &Annotations,
) -> Result<(), DataError> {
    let some = |names: &[&str]| {
        let more = names.len().saturating_sub(NAMED);
        let ellipsis = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{ellipsis}", names[..names.len().min(NAMED)].join(", "))
    };
    let absent: Vec<&str> = wanted.iter().copied().filter(|id| !found.contains_key(*id)).collect();
    if !absent.is_empty() {
        return Err(DataError::Missing {
            path: options.volumes.clone(),
            expected: format!("every volume of the list; {} are not there: {}", absent.len(), some(&absent)),
            remedy: "download them, or leave --file-list out to split those that are there".to_owned(),
        });
    }
    let unknown: Vec<&str> = annotations.volumes().filter(|id| !wanted.contains(id)).collect();
    if !unknown.is_empty() {
        return Err(DataError::Value {
            file: options.annotations.display().to_string(),
            row: None,
            expected: "annotations of volumes that are there".to_owned(),
            found: format!("{} other volumes: {}", unknown.len(), some(&unknown)),
        });
    }
    Ok(())
}

/// Transforms a volume, unless an earlier build did.
fn volume(options: &BuildOptions, id: &str, path: &Path, stats: &StatCache) -> Result<Turn, DataError> {
    let BuildOptions { geometry, space, out, .. } = options;
    let (source, _) = stats.digest(path)?;
    let slices = out.join(slices_name(id));
    if let Some(record) = earlier(options, id, source, &slices, stats) {
        let bytes = fs::metadata(&slices).map_err(DataError::io(&slices, "look at it"))?.len();
        return Ok(Turn::Kept { record, reused: true, bytes });
    }
    let volume = Volume::open(path, *geometry)?;
    if volume.columns > geometry.columns {
        return Ok(Turn::Wide(id.to_owned(), volume.columns));
    }
    let mut transform = Transform::new(*geometry, *space);
    let pixels = geometry.side * geometry.side;
    let mut values = Vec::with_capacity(volume.slices * 3 * pixels);
    let mut peaks = Vec::with_capacity(volume.slices);
    for slice in 0..volume.slices {
        let centre = transform.centre(&volume.kspace(slice)?, volume.columns);
        peaks.push(centre.peak);
        values.extend(centre.real);
        values.extend(centre.imaginary);
        values.extend(volume.rss(slice)?);
    }
    let dims = [volume.slices, 3, geometry.side, geometry.side];
    let mut bytes = Vec::with_capacity(values.len() * 4 + 128);
    npy::write(&mut bytes, &dims, &values).map_err(DataError::io(&slices, "write it"))?;
    let record = Record {
        id: id.to_owned(),
        source,
        geometry: *geometry,
        space: *space,
        columns: volume.columns,
        peaks,
        slices: Digest::of(&bytes),
    };
    files::write(&slices, &bytes)?;
    files::write_with(&record_path(out, id), |file| Ok(serde_json::to_writer(file, &record)?))?;
    Ok(Turn::Kept { record, reused: false, bytes: bytes.len() as u64 })
}

/// The record of an earlier build, if it is of this very volume and its slices are what it says.
fn earlier(
    options: &BuildOptions,
    id: &str,
    source: Digest,
    slices: &Path,
    stats: &StatCache,
) -> Option<Record> {
    let text = fs::read(record_path(&options.out, id)).ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    let same = record.id == id
        && record.source == source
        && record.geometry == options.geometry
        && record.space == options.space;
    let there = same.then(|| stats.digest(slices).ok()).flatten().map(|(digest, _)| digest);
    (there == Some(record.slices)).then_some(record)
}
