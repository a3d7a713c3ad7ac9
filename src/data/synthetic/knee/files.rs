//! The files of the synthetic fastMRI: volumes as fastMRI has them, annotations and list as fastMRI+ has them.
//!
//! Invariant: the bytes depend on the settings alone, and those of the embedded fixtures are pinned by one digest in
//! `fixtures/MANIFEST.sha256`.

use std::fmt::Write as _;
use std::path::Path;

use hdf5_pure::{CompoundTypeBuilder, FileBuilder};
use rayon::prelude::*;

use super::render::Painter;
use super::settings::KneeSettings;
use crate::data::synthetic::files::MANIFEST;
use crate::data::synthetic::settings::SettingsError;
use crate::data::{DataError, StatCache, atomic};
use crate::digest::{Digest, Hasher};
use crate::protocol::{Finding, KneeFixture};
use crate::random::{Seeds, Stream};

/// fastMRI+'s names of each finding, in the order of the heads.
const NAMES: [&[&str]; 4] = [
    &["Joint Effusion ", "Bone- Subchondral edema", "Periarticular cysts", "Displaced Meniscal Tissue"],
    &["Meniscus Tear"],
    &["Ligament - ACL High Grade Sprain", "Ligament - ACL Low Grade sprain"],
    &["Cartilage - Partial Thickness loss/defect", "Cartilage - Full Thickness loss/defect"],
];

/// Id of a volume.
pub(super) fn id(volume: usize) -> String {
    format!("file{:07}", 1_000_000 + volume)
}

/// A fixture's name in the manifest and among the folders of fixtures.
pub fn name(fixture: KneeFixture) -> &'static str {
    match fixture {
        KneeFixture::Additive => "fastmri",
        KneeFixture::Interaction => "fastmri-interaction",
    }
}

/// The digest of an embedded fixture's files, from the manifest.
pub fn pinned(fixture: KneeFixture) -> Option<Digest> {
    let name = name(fixture);
    let line = MANIFEST.lines().find_map(|line| line.split_once("  ").filter(|(_, path)| *path == name));
    line?.0.parse().ok()
}

/// Writes the files below `out`, unless they are there as they should be: `volumes/*.h5`, `knee.csv` and
/// `knee_file_list.csv`. `pinned` is the digest that they must have together, where there is one.
///
/// # Errors
/// When the system refuses to write, or the bytes are not the pinned ones.
pub fn generate(
    settings: &KneeSettings,
    pinned: Option<Digest>,
    out: &Path,
    stats: &StatCache,
) -> Result<(), DataError> {
    let names = names(settings);
    let there = || -> Option<Digest> {
        let read = |name: &String| Some(stats.digest(&out.join(name)).ok()?.0);
        let digests: Vec<Digest> = names.par_iter().map(read).collect::<Option<_>>()?;
        Some(together(names.iter().zip(digests)))
    };
    if pinned.is_some() && there() == pinned {
        return Ok(());
    }
    let files = render(settings).map_err(|found| DataError::Malformed {
        file: out.display().to_string(),
        expected: "volumes that the HDF5 library can write".to_owned(),
        found,
    })?;
    let found = together(files.iter().map(|(name, bytes)| (name, Digest::of(bytes))));
    if let Some(expected) = pinned.filter(|&expected| expected != found) {
        let (file, expected) = (out.display().to_string(), expected.to_string());
        return Err(SettingsError::Manifest { file, expected, found }.into());
    }
    files
        .par_iter()
        .try_for_each(|(name, bytes)| atomic::write(&out.join(name), |file| file.write_all(bytes)))
}

/// One digest of many files.
pub(super) fn together<'a>(files: impl Iterator<Item = (&'a String, Digest)>) -> Digest {
    let mut hasher = Hasher::new("i2m2 synthetic fastmri v1");
    for (name, digest) in files {
        hasher.field(name.as_bytes()).field(digest.bytes());
    }
    hasher.finish()
}

fn names(settings: &KneeSettings) -> Vec<String> {
    let volumes = (0..settings.volumes.count).map(|volume| format!("volumes/{}.h5", id(volume)));
    volumes.chain(["knee.csv".to_owned(), "knee_file_list.csv".to_owned()]).collect()
}

/// Name and bytes of every file.
pub(super) fn render(settings: &KneeSettings) -> Result<Vec<(String, Vec<u8>)>, String> {
    let painter = Painter::new(settings);
    let seeds = Seeds::root(settings.seed).child("fastmri");
    let volumes: Vec<(Vec<u8>, String)> = (0..settings.volumes.count)
        .into_par_iter()
        .map(|index| volume(settings, &painter, index, &seeds.child(index)))
        .collect::<Result<_, String>>()?;
    let mut annotations = "file,slice,study_level,x,y,width,height,label\n".to_owned();
    let mut list = String::new();
    let mut files = Vec::new();
    for (name, (bytes, rows)) in names(settings).into_iter().zip(volumes) {
        files.push((name, bytes));
        annotations.push_str(&rows);
    }
    (0..settings.volumes.count).for_each(|volume| list.push_str(&(id(volume) + "\n")));
    // As in the real list.
    list.push_str("Knee data\n");
    files.push(("knee.csv".to_owned(), annotations.into_bytes()));
    files.push(("knee_file_list.csv".to_owned(), list.into_bytes()));
    Ok(files)
}

/// A volume and its annotations.
fn volume(
    settings: &KneeSettings,
    painter: &Painter<'_>,
    index: usize,
    seeds: &Seeds,
) -> Result<(Vec<u8>, String), String> {
    let KneeSettings { volumes, geometry, .. } = settings;
    let narrow = volumes.columns[index % volumes.columns.len()];
    let width = if volumes.wide.contains(&index) { geometry.columns + 4 } else { narrow };
    let (mut kspace, mut rss, mut rows) = (Vec::new(), Vec::new(), String::new());
    for slice in 0..volumes.slices {
        let seeds = seeds.child(slice);
        let drawn = painter.draw(&seeds);
        kspace.extend(painter.kspace(&drawn, width));
        annotate(
            &mut rows,
            &id(index),
            slice,
            drawn.label,
            settings,
            &mut seeds.child("annotations").stream(),
        );
        rss.extend(drawn.rss);
    }
    let (slices, height, side) = (volumes.slices as u64, geometry.rows as u64, geometry.side as u64);
    let mut file = FileBuilder::new();
    let kind = CompoundTypeBuilder::new().f32_field("r").f32_field("i").build().map_err(|e| e.to_string())?;
    let count = (kspace.len() / 2) as u64;
    let bytes = kspace.iter().flat_map(|value| value.to_le_bytes()).collect();
    file.create_dataset("kspace").with_compound_data(kind, bytes, count).with_shape(&[
        slices,
        height,
        width as u64,
    ]);
    for name in ["reconstruction_rss", "reconstruction_esc"] {
        file.create_dataset(name).with_f32_data(&rss).with_shape(&[slices, side, side]);
    }
    Ok((file.finish().map_err(|error| error.to_string())?, rows))
}

/// One or two boxes for every finding of a slice; of the first slice's other findings, an `artifact` of the whole study.
fn annotate(
    rows: &mut String,
    volume: &str,
    slice: usize,
    label: u8,
    settings: &KneeSettings,
    stream: &mut Stream,
) {
    let side = settings.geometry.side as u64;
    for (head, names) in NAMES.iter().enumerate() {
        if label >> head & 1 == 0 {
            continue;
        }
        if slice == 0 && Finding::ALL[head] == Finding::Others {
            let _ = writeln!(rows, "{volume},{slice},Yes,,,,,artifact");
            continue;
        }
        for _ in 0..=stream.below(2) {
            let name = names[stream.below(names.len() as u64) as usize];
            let [x, y] = [(); 2].map(|()| stream.below(side / 2));
            let _ = writeln!(rows, "{volume},{slice},No,{x},{y},{},{},{name}", side / 4, side / 4);
        }
    }
}
