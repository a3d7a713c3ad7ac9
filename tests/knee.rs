//! The smoke tier of fastMRI orders the methods as the generator's references do, in a setting where magnitude and phase add up
//! and in one where only both together tell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod common;

use common::Bench;
use i2m2::data::fastmri::fixture::{KneeFixture, KneeReferences, KneeSettings, references};

/// Mean AUROC over the four findings, in percent, by method: rss, magnitude, phase, intra, inter, i2m2.
fn figure2(fixture: &str) -> [f64; 6] {
    let bench = Bench::new();
    let set = format!("fastmri.preparation.fixture={fixture}");
    let ran = bench.json(&["reproduce", "figure2", "--seeds", "1", "--set", &set, "--json"]);
    let cells = ran["benchmarks"][0]["cells"].as_array().unwrap();
    ["rss", "magnitude", "phase", "intra", "inter", "i2m2"].map(|row| {
        let mean = |finding: &str| {
            let id = format!("figure2:{finding}:{row}");
            cells.iter().find(|cell| cell["id"] == id).unwrap()["mean"].as_f64().unwrap()
        };
        let values = ["acl", "meniscus", "cartilage", "others"].map(mean);
        values.iter().sum::<f64>() / 4.0
    })
}

/// The same means of the references.
fn expected(fixture: KneeFixture, of: impl Fn(&KneeReferences) -> f64) -> f64 {
    let all = references(&KneeSettings::embedded(fixture).unwrap());
    all.iter().map(of).sum::<f64>() / all.len() as f64
}

/// What the test split's chance may add to a mean of four AUROCs.
const CHANCE: f64 = 2.0;

#[test]
fn where_magnitude_and_phase_add_up_inter_adds_nothing() {
    let fixture = KneeFixture::Additive;
    let bayes = expected(fixture, |found| found.bayes);
    assert!(bayes - expected(fixture, |found| found.log_additive) < 0.01);
    let found @ [rss, magnitude, phase, intra, inter, i2m2] = figure2("additive");
    assert!(found.iter().all(|&auroc| auroc < bayes + CHANCE), "{found:?}");
    assert!(magnitude.max(rss) < expected(fixture, |found| found.first_only) + CHANCE, "{found:?}");
    assert!(phase < expected(fixture, |found| found.second_only) + CHANCE, "{found:?}");
    assert!(intra > magnitude.max(phase).max(rss) + 3.0, "{found:?}");
    assert!(intra > inter && i2m2 > inter - 1.0, "{found:?}");
}

#[test]
fn where_only_both_together_tell_inter_is_needed() {
    let fixture = KneeFixture::Interaction;
    let (bayes, additive) =
        (expected(fixture, |found| found.bayes), expected(fixture, |found| found.log_additive));
    let found @ [rss, magnitude, phase, intra, inter, i2m2] = figure2("interaction");
    assert!([rss, magnitude, phase, intra].iter().all(|&auroc| auroc < additive + CHANCE), "{found:?}");
    assert!(inter.min(i2m2) > additive + 0.5 * (bayes - additive), "{found:?}");
    assert!(inter.max(i2m2) < bayes + CHANCE && i2m2 > inter - 1.0, "{found:?}");
}
