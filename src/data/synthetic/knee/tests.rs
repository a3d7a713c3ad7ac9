//! What the synthetic fastMRI promises.

use std::path::Path;

use super::files::{id, render, together};
use super::render::Painter;
use super::*;
use crate::data::fastmri::{self, BuildOptions, Choices, Unheard};
use crate::data::{Dataset, Split, StatCache};
use crate::digest::Digest;
use crate::protocol::{Finding, KneeFixture, MagnitudeNorm, Modality, Space, StudyLevel};
use crate::random::Seeds;

const BOTH: [KneeFixture; 2] = [KneeFixture::Additive, KneeFixture::Interaction];

/// Few volumes of the same kind.
fn small(fixture: KneeFixture, count: usize) -> KneeSettings {
    let mut settings = KneeSettings::embedded(fixture).unwrap();
    settings.volumes.count = count;
    settings.volumes.wide = vec![2];
    settings
}

#[test]
fn the_embedded_fixtures_are_the_pinned_ones() {
    for fixture in BOTH {
        let files = render(&KneeSettings::embedded(fixture).unwrap()).unwrap();
        let found = together(files.iter().map(|(name, bytes)| (name, Digest::of(bytes))));
        assert_eq!(Some(found), pinned(fixture), "{fixture:?}: fixtures/MANIFEST.sha256");
        let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(bytes < 60 << 20, "{bytes}");
    }
}

#[test]
fn references_are_ordered_as_each_setting_says() {
    for fixture in BOTH {
        let settings = KneeSettings::embedded(fixture).unwrap();
        for (found, finding) in references(&settings).into_iter().zip(Finding::ALL) {
            let KneeReferences { bayes, log_additive, first_only, second_only, prevalence, .. } = found;
            assert_eq!(found.finding, finding);
            assert!((15.0..45.0).contains(&prevalence), "{found:?}");
            assert!(
                first_only.max(second_only) < log_additive + 1e-6 && log_additive <= bayes + 1e-6,
                "{found:?}"
            );
            match fixture {
                KneeFixture::Additive => assert!((bayes - log_additive).abs() < 1e-3, "{found:?}"),
                KneeFixture::Interaction => assert!(bayes - log_additive > 4.0, "{found:?}"),
            }
            let alone = bayes - first_only.max(second_only);
            assert!(alone > 4.0, "each modality alone is well below: {found:?}");
        }
    }
}

/// Share of pairs of a positive and a negative that the score puts in order; ties count half.
fn auroc(scores: &[f64], positive: &[bool]) -> f64 {
    let of = |wanted: bool| {
        scores.iter().zip(positive).filter(move |(_, is)| **is == wanted).map(|(score, _)| *score)
    };
    let (mut wins, mut pairs) = (0.0, 0.0);
    for high in of(true) {
        for low in of(false) {
            wins += if high > low { 1.0 } else { 0.5 * f64::from(u8::from(high == low)) };
            pairs += 1.0;
        }
    }
    wins / pairs
}

/// The references are what a model would measure that reads the states: by simulation.
#[test]
fn references_agree_with_simulated_auroc() {
    for fixture in BOTH {
        let settings = KneeSettings::embedded(fixture).unwrap();
        let painter = Painter::new(&settings);
        let drawn: Vec<(u8, [[usize; 2]; 4])> = (0..4000)
            .map(|n| {
                let slice = painter.draw(&Seeds::root(9).child(n));
                (slice.label, slice.states)
            })
            .collect();
        for (head, reference) in references(&settings).into_iter().enumerate() {
            let table = settings.findings[head].table();
            let positive: Vec<bool> = drawn.iter().map(|(label, _)| label >> head & 1 == 1).collect();
            let bayes: Vec<f64> =
                drawn.iter().map(|(_, s)| table[s[head][0]][s[head][1]]).map(|[n, p]| p / n).collect();
            let found = 100.0 * auroc(&bayes, &positive);
            let count = positive.iter().filter(|&&is| is).count();
            let error = standard_error(reference.bayes, count, 4000 - count);
            assert!(
                (found - reference.bayes).abs() < 4.0 * error,
                "{fixture:?} {head}: {found} {reference:?}"
            );
        }
    }
}

#[test]
fn the_bytes_depend_on_the_settings_alone() {
    let settings = small(KneeFixture::Additive, 4);
    let first = render(&settings).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(first, pool.install(|| render(&settings)).unwrap());
    let other = KneeSettings { seed: 1, ..settings };
    assert_ne!(first[0].1, render(&other).unwrap()[0].1);
}

fn options(settings: &KneeSettings, folder: &Path) -> BuildOptions {
    BuildOptions {
        volumes: folder.join("volumes"),
        annotations: folder.join("knee.csv"),
        file_list: Some(folder.join("knee_file_list.csv")),
        space: Space::Image,
        geometry: settings.geometry,
        out: folder.join("cache"),
    }
}

/// From the files, through the reader, back to the states: by the mean around the place of each lesion, less that of the rest
/// of its quadrant. Volumes of odd width are left out of the phase: their ramp (F16) needs more than a mean.
#[test]
fn states_can_be_read_from_the_slices_and_labels_come_back() {
    let settings = small(KneeFixture::Additive, 16);
    let folder = tempfile::tempdir().unwrap();
    generate(&settings, None, folder.path(), &StatCache::in_memory()).unwrap();
    let built =
        fastmri::build(&options(&settings, folder.path()), &Unheard, &StatCache::in_memory()).unwrap();
    assert_eq!((built.volumes, built.dropped), (15, 1));
    let choices = Choices { magnitude_norm: MagnitudeNorm::None, study_level: StudyLevel::Slice0 };
    let data = fastmri::load(&folder.path().join("cache"), choices).unwrap();
    let ids: Vec<String> = (0..16).map(id).collect();
    let splits = fastmri::split(&ids);
    let painter = Painter::new(&settings);
    let side = settings.geometry.side;
    let (mut right, mut asked) = ([0usize; 2], [0usize; 2]);
    for split in [Split::Train, Split::Valid, Split::Test] {
        let volumes = (0..16).filter(|&volume| volume != 2 && splits[&id(volume)] == split);
        let rows: Vec<(usize, usize)> =
            volumes.flat_map(|v| (0..settings.volumes.slices).map(move |s| (v, s))).collect();
        assert_eq!(rows.len(), data.len(split));
        for (row, (volume, slice)) in rows.into_iter().enumerate() {
            let drawn = painter.draw(&Seeds::root(settings.seed).child("fastmri").child(volume).child(slice));
            assert_eq!(data.labels(split)[row], drawn.label);
            let odd = settings.volumes.columns[volume % settings.volumes.columns.len()] % 2 == 1;
            for (m, modality) in [Modality::First, Modality::Second].into_iter().enumerate() {
                if m == 1 && odd {
                    continue;
                }
                let mut values = vec![0.0; side * side];
                data.gather(split, modality, &[row as u32], &mut values);
                if m == 0 {
                    let mean = values.iter().sum::<f32>() / values.len() as f32;
                    values.iter_mut().for_each(|value| *value /= mean);
                }
                for head in 0..4 {
                    let found = contrast(&values, side, head);
                    let limit = [0.1, 0.18][m];
                    let state = if found > limit { 2 } else { usize::from(found < -limit) };
                    right[m] += usize::from(state == drawn.states[head][m]);
                    asked[m] += 1;
                }
            }
        }
    }
    for m in 0..2 {
        assert!(right[m] * 1000 >= asked[m] * 985, "modality {m}: {} of {}", right[m], asked[m]);
    }
}

/// Mean of the middle of a quadrant less the mean of its rim.
fn contrast(values: &[f32], side: usize, head: usize) -> f32 {
    let half = side / 2;
    let (mut inner, mut outer) = ((0.0, 0.0), (0.0, 0.0));
    for row in 0..half {
        for column in 0..half {
            let value = values[(head / 2 * half + row) * side + head % 2 * half + column];
            let middle = |n: usize| n >= half / 2 - 2 && n < half / 2 + 2;
            let rim = |n: usize| n == 0 || n == half - 1;
            if middle(row) && middle(column) {
                inner = (inner.0 + value, inner.1 + 1.0);
            } else if rim(row) || rim(column) {
                outer = (outer.0 + value, outer.1 + 1.0);
            }
        }
    }
    inner.0 / inner.1 - outer.0 / outer.1
}

#[test]
fn settings_that_describe_nothing_are_refused() {
    let text = include_str!("../../../../fixtures/fastmri.toml");
    for (from, to, word) in [
        ("side = 16", "side = 15", "geometry"),
        ("columns = [18,", "columns = [9,", "volumes.columns"),
        ("prior = [1.0, 0.6]", "prior = [1.0, 0.0]", "prior"),
        ("favours = [0, -1, 1]", "favours = [0, -1, 2]", "favours"),
        ("finding = \"acl\"", "finding = \"others\"", "findings"),
        ("texture = 0.08", "texture = nan", "rendering"),
        ("seed = 0", "sead = 0", "sead"),
    ] {
        assert!(text.contains(from), "{from}");
        let error = KneeSettings::parse(&text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(word) || word == "favours", "{error}");
    }
}
