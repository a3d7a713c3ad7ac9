//! The fixtures that follow from the generative model: tables against enumeration and drawing, files against their manifest.

use std::collections::BTreeMap;

use super::StatCache;
use super::avmnist::fixture::Pictures;
use super::generative::fixture::Vectors;
use super::mimic::fixture::Admissions;
use super::synthetic::files::manifest;
use super::synthetic::{
    FixtureSettings, Joint, Layout, References, Sample, Table, generate, references, standard_error, verify,
};
use crate::digest::Digest;
use crate::random::Seeds;

fn embedded<L: Layout>() -> FixtureSettings<L> {
    FixtureSettings::embedded().unwrap()
}

/// References of every task, at a strength, or at that of the settings.
fn known<L: Layout>(strength: Option<f64>) -> Vec<(String, References)> {
    let settings = embedded::<L>();
    let settings = match strength {
        Some(strength) => settings.with_strength(strength),
        None => settings,
    };
    let one = |task: &String| (task.clone(), references(&settings, task).unwrap());
    settings.tasks.iter().map(|task| &task.task).map(one).collect()
}

/// Of the fixtures that stand in for real data.
fn standing_in(strength: Option<f64>) -> Vec<(String, References)> {
    [known::<Pictures>(strength), known::<Admissions>(strength)].concat()
}

#[test]
fn references_are_ordered_at_every_strength() {
    for strength in [0.0, 0.3, 1.0, 2.0, 5.0] {
        let all = [standing_in(Some(strength)), known::<Vectors>(Some(strength))].concat();
        assert_eq!(all.len(), 5);
        for (task, r) in all {
            let rising = |values: &[f64]| values.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9);
            assert!(rising(&[r.majority, r.first_only, r.log_additive, r.bayes]), "{task} {strength} {r:?}");
            assert!(rising(&[r.majority, r.second_only, r.log_additive, r.bayes]), "{task} {strength} {r:?}");
            assert!(rising(&[r.log_additive_by_likelihood, r.log_additive]), "{task} {strength} {r:?}");
        }
    }
}

#[test]
fn without_selection_the_posterior_is_log_additive() {
    for (task, r) in standing_in(Some(0.0)) {
        assert!((r.bayes - r.log_additive).abs() < 1e-9, "{task} {r:?}");
        assert!((r.bayes - r.log_additive_by_likelihood).abs() < 1e-9, "{task} {r:?}");
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
    for (task, r) in standing_in(None) {
        assert!((74.0..=88.0).contains(&r.bayes), "{task} {r:?}");
        assert!((4.0..=8.0).contains(&(r.bayes - r.log_additive)), "{task} {r:?}");
        assert!(r.log_additive - r.first_only.max(r.second_only) > 3.0, "{task} {r:?}");
        assert_eq!(r.first_only > r.second_only, task != "icd9-460-519", "{task} {r:?}");
    }
}

/// The share of every cell among many draws is its probability, and so is the accuracy of the best table.
fn enumeration_agrees<L: Layout>() {
    const DRAWS: usize = 200_000;
    let settings = embedded::<L>();
    let joint = Joint::new(&settings);
    let sampler = joint.sampler();
    let mut stream = Seeds::root(5).child("monte carlo").stream();
    let samples: Vec<Sample> = (0..DRAWS).map(|_| sampler.draw(&mut stream)).collect();
    for (i, task) in settings.tasks.iter().map(|settings| &settings.task).enumerate() {
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
                    assert!((share(&y) - p).abs() < 5.5 * error + 1e-9, "{task} {a} {b} {y}: {p}");
                }
                let best =
                    (0..table.classes).max_by(|&y, &z| table.at(a, b, y).total_cmp(&table.at(a, b, z)));
                hits += share(&best.unwrap());
            }
        }
        let bayes = References::of(&table).bayes;
        assert!((100.0 * hits - bayes).abs() < 4.0 * standard_error(bayes, DRAWS), "{task} {hits} {bayes}");
    }
}

#[test]
fn enumeration_agrees_with_the_sampler() {
    enumeration_agrees::<Pictures>();
    enumeration_agrees::<Admissions>();
    enumeration_agrees::<Vectors>();
}

fn is_pinned<L: Layout>() {
    let found: Vec<(String, Digest)> =
        L::render(&embedded()).unwrap().into_iter().map(|(file, bytes)| (file, Digest::of(&bytes))).collect();
    let lines: Vec<String> =
        found.iter().map(|(file, digest)| format!("{digest}  {}/{file}", L::FOLDER)).collect();
    assert_eq!(
        found,
        manifest(L::FOLDER).unwrap(),
        "fixtures/MANIFEST.sha256 should hold\n{}",
        lines.join("\n")
    );
}

#[test]
fn bytes_are_those_of_the_manifest() {
    is_pinned::<Pictures>();
    is_pinned::<Admissions>();
    is_pinned::<Vectors>();
}

#[test]
fn generating_again_repairs_and_leaves_what_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let generate = || generate::<Admissions>(folder.path(), &StatCache::in_memory()).unwrap();
    generate();
    let path = folder.path().join("im.npz");
    let modified = || std::fs::metadata(&path).unwrap().modified().unwrap();
    let (before, bytes) = (modified(), std::fs::read(&path).unwrap());
    generate();
    assert_eq!(modified(), before, "rewritten although it was right");
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(verify::<Admissions>(folder.path()).unwrap_err().to_string().contains("generated again"));
    generate();
    assert!(std::fs::read(&path).unwrap() == bytes);
}
