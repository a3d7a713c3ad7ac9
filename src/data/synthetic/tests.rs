//! The tables against enumeration and drawing, the files against their manifest and the real loaders.

use std::collections::BTreeMap;
use std::path::Path;

use super::clinical::{CHANNELS, STATICS, STEPS};
use super::files::{draw, folder, manifest, render};
use super::picture::Painter;
use super::*;
use crate::data::formats::npy::{Dim, Npy};
use crate::data::formats::npz::Npz;
use crate::data::{Dataset, Split, StatCache, avmnist, mimic};
use crate::digest::Digest;
use crate::protocol::{DatasetName, Modality, Task};
use crate::random::Seeds;

const TASKS: [Task; 4] = [Task::Digits, Task::Mortality, Task::Neoplasms, Task::Respiratory];
const FIXTURES: [DatasetName; 3] = [DatasetName::Avmnist, DatasetName::Mimic, DatasetName::Generative];

fn embedded(name: DatasetName) -> Settings {
    Settings::embedded(name).unwrap()
}

/// The embedded settings with fewer rows.
fn small(name: DatasetName, count: usize) -> Settings {
    let mut settings = embedded(name);
    match &mut settings.rendering {
        Rendering::Avmnist { train_rows, test_rows, .. } => (*train_rows, *test_rows) = (count, count / 2),
        Rendering::Mimic { rows, .. } => *rows = count,
        Rendering::Vectors { rows, .. } => *rows = [count; 3],
    }
    settings
}

fn npy(folder: &Path, file: &str) -> Vec<f32> {
    Npy::read(&folder.join(file)).unwrap().to_f32()
}

#[test]
fn references_are_ordered_at_every_strength() {
    for task in TASKS.into_iter().chain([Task::Generated]) {
        for strength in [0.0, 0.3, 1.0, 2.0, 5.0] {
            let settings = embedded(task.dataset()).with_strength(strength);
            let r = references_for(&settings, task).unwrap();
            let rising = |values: &[f64]| values.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9);
            assert!(
                rising(&[r.majority, r.first_only, r.log_additive, r.bayes]),
                "{task:?} {strength} {r:?}"
            );
            assert!(
                rising(&[r.majority, r.second_only, r.log_additive, r.bayes]),
                "{task:?} {strength} {r:?}"
            );
            assert!(rising(&[r.log_additive_by_likelihood, r.log_additive]), "{task:?} {strength} {r:?}");
        }
    }
}

#[test]
fn without_selection_the_posterior_is_log_additive() {
    for task in TASKS {
        let r = references_for(&embedded(task.dataset()).with_strength(0.0), task).unwrap();
        assert!((r.bayes - r.log_additive).abs() < 1e-9, "{task:?} {r:?}");
        assert!((r.bayes - r.log_additive_by_likelihood).abs() < 1e-9, "{task:?} {r:?}");
    }
}

/// Exclusive-or of two fair coins: nothing additive gets more than three of four cells.
#[test]
fn exclusive_or_has_its_textbook_references() {
    let cells =
        [0.25, 0.0, 0.0, 0.25, 0.0, 0.25, 0.25, 0.0].iter().map(|p| 0.999 * p + 0.001 / 8.0).collect();
    let r = References::of(&Table { first: 2, second: 2, classes: 2, cells });
    assert!((r.bayes - 99.95).abs() < 1e-9, "{r:?}");
    assert!((r.log_additive - 74.975).abs() < 1e-9, "{r:?}");
    assert!((r.first_only - 50.0).abs() < 1e-9 && (r.second_only - 50.0).abs() < 1e-9, "{r:?}");
}

/// What the fixtures were chosen for, by their references alone.
#[test]
fn the_fixtures_have_the_difficulty_they_were_chosen_for() {
    for task in TASKS {
        let r = references(task.dataset(), task).unwrap();
        assert!((74.0..=88.0).contains(&r.bayes), "{task:?} {r:?}");
        assert!((4.0..=8.0).contains(&(r.bayes - r.log_additive)), "{task:?} {r:?}");
        assert!(r.log_additive - r.first_only.max(r.second_only) > 3.0, "{task:?} {r:?}");
        assert_eq!(r.first_only > r.second_only, task != Task::Respiratory, "{task:?} {r:?}");
    }
}

/// The share of every cell among many draws is its probability, and so is the accuracy of the best table.
#[test]
fn enumeration_agrees_with_the_sampler() {
    const DRAWS: usize = 200_000;
    for name in FIXTURES {
        let settings = embedded(name);
        let joint = Joint::new(&settings);
        let sampler = joint.sampler();
        let mut stream = Seeds::root(5).child("monte carlo").stream();
        let samples: Vec<Sample> = (0..DRAWS).map(|_| sampler.draw(&mut stream)).collect();
        for (i, task) in settings.tasks.iter().map(|settings| settings.task).enumerate() {
            let table = joint.table(task).unwrap();
            let mut counts: BTreeMap<(usize, usize, usize), usize> = BTreeMap::new();
            samples.iter().for_each(|s| *counts.entry((s.first, s.second, s.labels[i])).or_default() += 1);
            let mut hits = 0.0;
            for a in 0..table.first {
                for b in 0..table.second {
                    let share =
                        |y: &usize| counts.get(&(a, b, *y)).map_or(0.0, |&count| count as f64 / DRAWS as f64);
                    for y in 0..table.classes {
                        let p = table.at(a, b, y);
                        let error = (p * (1.0 - p) / DRAWS as f64).sqrt();
                        assert!((share(&y) - p).abs() < 5.5 * error + 1e-9, "{task:?} {a} {b} {y}: {p}");
                    }
                    let best =
                        (0..table.classes).max_by(|&y, &z| table.at(a, b, y).total_cmp(&table.at(a, b, z)));
                    hits += share(&best.unwrap());
                }
            }
            let bayes = References::of(&table).bayes;
            assert!(
                (100.0 * hits - bayes).abs() < 4.0 * standard_error(bayes, DRAWS),
                "{task:?} {hits} {bayes}"
            );
        }
    }
}

#[test]
fn written_pictures_show_the_drawn_states() {
    let settings = small(DatasetName::Avmnist, 600);
    let folder = tempfile::tempdir().unwrap();
    generate_from(&settings, folder.path()).unwrap();
    let Rendering::Avmnist { image, audio, .. } = &settings.rendering else { unreachable!() };
    for (set, rows) in [("train", 600), ("test", 300)] {
        let samples = draw(&settings, set, rows);
        let labels = npy(folder.path(), &format!("{set}_labels.npy"));
        for (modality, picture) in [("image", image), ("audio", audio)] {
            let painter = Painter::new(picture);
            let pixels = npy(folder.path(), &format!("{modality}/{set}_data.npy"));
            for (i, (pixels, sample)) in
                pixels.chunks_exact(picture.side * picture.side).zip(&samples).enumerate()
            {
                let pixels: Vec<f64> = pixels.iter().copied().map(f64::from).collect();
                let state = if modality == "image" { sample.first } else { sample.second };
                assert_eq!(painter.decode(&pixels), state, "{set} {modality} row {i}");
                assert_eq!(labels[i] as usize, sample.labels[0]);
            }
        }
    }
}

#[test]
fn written_patients_show_the_drawn_states() {
    let settings = small(DatasetName::Mimic, 2000);
    let folder = tempfile::tempdir().unwrap();
    generate_from(&settings, folder.path()).unwrap();
    let Rendering::Mimic { static_states, series, .. } = &settings.rendering else { unreachable!() };
    let mut npz = Npz::open(&folder.path().join("im.npz")).unwrap();
    let mut array = |name: &str, dims: &[usize]| {
        let dims: Vec<Dim> = [2000].iter().chain(dims).map(|&dim| Dim::Is(dim)).collect();
        npz.array(name, &dims).unwrap()
    };
    let statics = array("adm_features_all", &[STATICS]);
    let hours = array("ep_tdata", &[STEPS, CHANNELS]).to_f32();
    let (deaths, groups) = (array("adm_labels_all", &[6]).to_f32(), array("y_icd9", &[20]).to_f32());
    let mut columns = vec![0.0; statics.elements()];
    statics.read_f64(0, &mut columns);
    for (i, sample) in draw(&settings, "all", 2000).iter().enumerate() {
        let columns = &columns[i * STATICS..][..STATICS];
        assert_eq!(StaticState::decode(static_states, columns), sample.first, "row {i}");
        let values = &hours[i * STEPS * CHANNELS..][..STEPS * CHANNELS];
        for channel in (0..CHANNELS).filter(|&channel| series.channels[channel].amplitude != 0.0) {
            assert_eq!(series.decode(values, channel), sample.second, "row {i} channel {channel}");
        }
        let died = &deaths[i * 6..][..6];
        let class = (1..6).find(|&column| died[column] > 0.0).unwrap_or(0);
        assert_eq!(class, sample.labels[0]);
        assert_eq!([groups[i * 20 + 1], groups[i * 20 + 7]].map(|v| v as usize), sample.labels[1..]);
    }
    assert!(hours.iter().any(|v| v.is_nan()) && hours.iter().any(|v| v.is_infinite()), "as in real files");
}

#[test]
fn written_vectors_show_the_drawn_states() {
    let settings = small(DatasetName::Generative, 300);
    let folder = tempfile::tempdir().unwrap();
    generate_from(&settings, folder.path()).unwrap();
    let Rendering::Vectors { first, second, .. } = &settings.rendering else { unreachable!() };
    let mut sets = Vec::new();
    for &strength in settings.strengths() {
        let mut npz = Npz::open(&folder.path().join(population::file(strength))).unwrap();
        for split in population::SPLITS {
            let samples =
                draw(&settings.clone().with_strength(strength), &format!("{split} at {strength}"), 300);
            let labels = npz.array(&format!("y_{split}"), &[Dim::Is(300)]).unwrap().to_labels(4).unwrap();
            for (name, modality) in [("x", first), ("x'", second)] {
                let dims = [Dim::Is(300), Dim::Is(modality.features)];
                let vectors = npz.array(&format!("{name}_{split}"), &dims).unwrap().to_f32();
                for (vector, sample) in vectors.chunks_exact(modality.features).zip(&samples) {
                    let state = if name == "x" { sample.first } else { sample.second };
                    assert_eq!(modality.painter().decode(vector), state, "{strength} {split} {name}");
                }
            }
            assert!(
                labels.iter().zip(&samples).all(|(&label, sample)| usize::from(label) == sample.labels[0])
            );
            sets.push(samples);
        }
    }
    let every = sets.len();
    sets.dedup();
    assert_eq!(sets.len(), every, "splits and strengths are draws of their own");
}

/// What Figure 1 sweeps: neither modality alone ever gains, the additive bound falls behind, and the optimum rises.
#[test]
fn selection_speaks_for_both_modalities_together_alone() {
    let settings = embedded(DatasetName::Generative);
    let found: Vec<References> = (settings.strengths().iter())
        .map(|&strength| references_for(&settings.clone().with_strength(strength), Task::Generated).unwrap())
        .collect();
    for pair in found.windows(2) {
        assert!(pair[0].bayes < pair[1].bayes, "{pair:?}");
        assert!((pair[0].first_only - pair[1].first_only).abs() < 1e-9, "{pair:?}");
        assert!(
            pair[1].bayes - pair[1].log_additive > pair[0].bayes - pair[0].log_additive - 1e-9,
            "{pair:?}"
        );
    }
    let last = found.last().unwrap();
    assert!(last.bayes - last.log_additive > 8.0, "{last:?}");
}

#[test]
fn bytes_are_those_of_the_manifest() {
    for name in FIXTURES {
        let found: Vec<(String, Digest)> = render(&embedded(name))
            .unwrap()
            .into_iter()
            .map(|(file, bytes)| (file, Digest::of(&bytes)))
            .collect();
        let lines: Vec<String> =
            found.iter().map(|(file, digest)| format!("{digest}  {}/{file}", folder(name))).collect();
        assert_eq!(
            found,
            manifest(name).unwrap(),
            "fixtures/MANIFEST.sha256 should hold\n{}",
            lines.join("\n")
        );
    }
}

#[test]
fn generating_again_repairs_and_leaves_what_is_right() {
    let folder = tempfile::tempdir().unwrap();
    generate(DatasetName::Mimic, folder.path(), &StatCache::in_memory()).unwrap();
    let path = folder.path().join("im.npz");
    let modified = || std::fs::metadata(&path).unwrap().modified().unwrap();
    let (before, bytes) = (modified(), std::fs::read(&path).unwrap());
    generate(DatasetName::Mimic, folder.path(), &StatCache::in_memory()).unwrap();
    assert_eq!(modified(), before, "rewritten although it was right");
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(verify(DatasetName::Mimic, folder.path()).unwrap_err().to_string().contains("generated again"));
    generate(DatasetName::Mimic, folder.path(), &StatCache::in_memory()).unwrap();
    assert!(std::fs::read(&path).unwrap() == bytes);
}

#[test]
fn the_real_loaders_read_the_fixtures() {
    let folder = tempfile::tempdir().unwrap();
    generate_from(&small(DatasetName::Avmnist, 600), folder.path()).unwrap();
    let data = avmnist::load(folder.path()).unwrap();
    assert_eq!([Split::Train, Split::Valid, Split::Test].map(|split| data.len(split)), [550, 50, 300]);
    assert_eq!(
        (data.dims(Modality::First), data.dims(Modality::Second)),
        (&[1, 28, 28][..], &[1, 32, 32][..])
    );
    let drawn = draw(&small(DatasetName::Avmnist, 600), "test", 300);
    assert!(data.labels(Split::Test).iter().zip(&drawn).all(|(&label, s)| usize::from(label) == s.labels[0]));

    let settings = small(DatasetName::Mimic, 2000);
    generate_from(&settings, folder.path()).unwrap();
    let cohort = mimic::load(folder.path(), crate::protocol::StandardiseOn::All).unwrap();
    for (i, task) in [Task::Mortality, Task::Neoplasms, Task::Respiratory].into_iter().enumerate() {
        let data = cohort.task(task).unwrap();
        let mut read = vec![0; task.classes()];
        for split in [Split::Train, Split::Valid, Split::Test] {
            data.labels(split).iter().for_each(|&label| read[usize::from(label)] += 1);
        }
        let mut drawn = vec![0; task.classes()];
        draw(&settings, "all", 2000).iter().for_each(|sample| drawn[sample.labels[i]] += 1);
        assert_eq!(read, drawn, "{task:?}");
    }
}

#[test]
fn settings_that_would_lie_are_refused() {
    let text = include_str!("../../../fixtures/avmnist.toml");
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Settings::parse(DatasetName::Avmnist, &text.replacen(from, to, 1)).unwrap_err().to_string()
    };
    assert!(refused("noise = 30.0", "noise = 60.0").contains("amplitude above"));
    assert!(refused("[0, 1], [1, 0]", "[0, 1], [0, 1]").contains("modes that differ"));
    assert!(refused("strength = 2.0", "strength = -1.0").contains("a number from 0"));
    assert!(refused("seed =", "sed =").contains("sed"));
    let text = include_str!("../../../fixtures/generative.toml");
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Settings::parse(DatasetName::Generative, &text.replacen(from, to, 1)).unwrap_err().to_string()
    };
    assert!(refused("noise = 0.38", "noise = 0.4").contains("noise below"));
    assert!(refused("[1, -1], [2, 1]", "[1, 1], [2, 1]").contains("patterns that differ"));
    assert!(refused("nuisances = [4, 6, 7]", "nuisances = [5]").contains("other modes"));
    assert!(refused("[32000, 1000, 8000]", "[32000, 0, 8000]").contains("a row in every split"));
    assert!(refused("[0.0, 1.0,", "[-1.0, 1.0,").contains("numbers from 0"));
}
