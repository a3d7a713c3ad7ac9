//! The verdict on one cell.
//!
//! Invariant: *reproduced* needs an equivalence test passed under both readings of the published deviation, at the
//! paper tier, on a cell that did not calibrate the data. Failing to find a difference is never enough.

use serde::{Deserialize, Serialize};

use crate::benchmarks::Published;
use crate::protocol::Tier;
use crate::stats::{Summary, welch};

/// Significance level of both tests.
const ALPHA: f64 = 0.05;

/// What we say about a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Shown to lie within the margin of the published value.
    Reproduced,
    /// Shown to differ, and not shown to lie within the margin.
    Different,
    /// Too few or too scattered values to tell.
    Inconclusive,
    /// There is no value.
    NotMeasured,
    /// The published value was used to build the data, so agreement says nothing.
    Calibrated,
    /// Configuration, not a result, and as the paper prints it.
    Agrees,
    /// Measured at a tier that stands for less than the paper, or with a changed protocol.
    NotComparable(Tier),
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Verdict::Reproduced => "reproduced",
            Verdict::Different => "different",
            Verdict::Inconclusive => "inconclusive",
            Verdict::NotMeasured => "not measured",
            Verdict::Calibrated => "calibrated",
            Verdict::Agrees => "agrees",
            Verdict::NotComparable(_) => "not comparable",
        })
    }
}

/// How the published deviation was computed, which the paper does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StdReading {
    /// With n - 1.
    Sample,
    /// With n.
    Population,
}

/// Both tests under one reading of the published deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// The reading.
    pub std: StdReading,
    /// Two-sided p-value of equal means (Welch).
    pub p_equal: f64,
    /// p-value of means that lie the margin or more apart (TOST).
    pub p_apart: f64,
    /// What this reading alone would say.
    pub verdict: Verdict,
}

/// A verdict and what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in a sentence without a full stop; empty when the verdict says it all.
    pub reason: String,
    /// Our mean minus the published one, in the cell's unit.
    pub difference: Option<f64>,
    /// The tests; empty when none was made.
    pub readings: Vec<Reading>,
}

impl Judgement {
    /// Of a setting of the paper tier's protocol, at whatever tier: it is the printed one or it is not.
    pub fn of_a_setting(ours: f64, published: Option<&Published>) -> Self {
        let difference = published.map(|published| ours - published.mean);
        let verdict = match difference {
            Some(0.0) => Verdict::Agrees,
            Some(_) => Verdict::Different,
            None => Verdict::Inconclusive,
        };
        let reason = "a setting of the paper tier's protocol, not a result".to_owned();
        Judgement { verdict, reason, difference, readings: Vec::new() }
    }

    /// What can be said of values that were made with a protocol changed on the command line: how far they lie from the
    /// published one, and nothing else.
    pub fn of_a_changed_protocol(ours: &[f64], published: Option<&Published>, tier: Tier) -> Self {
        let difference = Summary::of(ours).and_then(|summary| Some(summary.mean - published?.mean));
        Judgement {
            verdict: Verdict::NotComparable(tier),
            reason: "the protocol was changed on the command line".to_owned(),
            difference,
            readings: Vec::new(),
        }
    }
}

/// Judges the values of one cell, one per seed, against the published value. `calibrated` says that the data was
/// built with this cell in view; `margin` is in the cell's unit.
pub fn decide(
    ours: &[f64],
    published: Option<&Published>,
    tier: Tier,
    calibrated: bool,
    margin: Option<f64>,
) -> Judgement {
    let plain = |verdict, reason: &str, difference| Judgement {
        verdict,
        reason: reason.to_owned(),
        difference,
        readings: Vec::new(),
    };
    let Some(summary) = Summary::of(ours) else { return plain(Verdict::NotMeasured, "", None) };
    let difference = published.map(|published| summary.mean - published.mean);
    if tier != Tier::Paper {
        return plain(Verdict::NotComparable(tier), "", difference);
    }
    if calibrated {
        let why = published.and_then(|published| published.calibrated.as_deref());
        return plain(Verdict::Calibrated, why.unwrap_or("the data was built with it in view"), difference);
    }
    let inconclusive = |reason| plain(Verdict::Inconclusive, reason, difference);
    let Some(published) = published else { return inconclusive("the paper prints no number here") };
    let (Some(std), Some(n)) = (published.std, published.n) else {
        return inconclusive("the paper prints no deviation here");
    };
    let Some(margin) = margin else { return inconclusive("no margin was declared for this cell") };
    if summary.n < 2 {
        return inconclusive("one seed has no deviation to compare with");
    }
    // A printed deviation is known to half a unit of its last digit; one printed as zero is not taken for exact.
    let std = std.max(0.5 * libm::pow(10.0, -(published.decimals as f64)));
    let readings = [
        (StdReading::Sample, Summary { n, mean: published.mean, std: Some(std) }),
        (StdReading::Population, Summary::from_population_std(n, published.mean, std)),
    ];
    let readings: Vec<Reading> = readings
        .into_iter()
        .filter_map(|(reading, theirs)| {
            let difference = welch(&summary, &theirs)?;
            let (p_equal, p_apart) = (difference.p_equal(), difference.p_apart(margin));
            let verdict = if p_apart < ALPHA {
                Verdict::Reproduced
            } else if p_equal < ALPHA {
                Verdict::Different
            } else {
                Verdict::Inconclusive
            };
            Some(Reading { std: reading, p_equal, p_apart, verdict })
        })
        .collect();
    let [sample, population] = readings[..] else {
        return inconclusive("the paper's single run has no deviation to compare with");
    };
    let (verdict, reason) = if sample.verdict != population.verdict {
        let reason = format!(
            "{} if the published deviation divides by n - 1, {} if by n",
            sample.verdict, population.verdict
        );
        (Verdict::Inconclusive, reason)
    } else if sample.verdict == Verdict::Inconclusive {
        let reason =
            format!("neither a difference nor agreement within {margin} is shown by {} seeds", summary.n);
        (Verdict::Inconclusive, reason)
    } else {
        (sample.verdict, String::new())
    };
    Judgement { verdict, reason, difference, readings }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(mean: f64, std: f64) -> Published {
        Published {
            mean,
            std: Some(std),
            n: Some(5),
            printed: format!("{mean:.2}"),
            decimals: 2,
            metric: "accuracy".to_owned(),
            unit: "percent".to_owned(),
            place: "a made-up table".to_owned(),
            calibrated: None,
        }
    }

    fn verdict(ours: &[f64], mean: f64, std: f64) -> Verdict {
        decide(ours, Some(&published(mean, std)), Tier::Paper, false, Some(1.0)).verdict
    }

    const OURS: &[f64] = &[72.1, 72.3, 72.5, 72.2, 72.4];

    #[test]
    fn close_and_steady_is_reproduced_far_is_different_and_scattered_is_inconclusive() {
        assert_eq!(verdict(OURS, 72.34, 0.14), Verdict::Reproduced);
        assert_eq!(verdict(OURS, 75.0, 0.14), Verdict::Different);
        assert_eq!(verdict(&[70.0, 74.5, 72.0], 72.3, 0.5), Verdict::Inconclusive);
        // Close enough to pass the margin, though surely not equal.
        assert_eq!(verdict(OURS, 71.8, 0.1), Verdict::Reproduced);
    }

    #[test]
    fn a_setting_is_the_printed_one_or_not() {
        let printed = Published { std: None, n: None, ..published(1e-5, 0.0) };
        assert_eq!(Judgement::of_a_setting(1e-5, Some(&printed)).verdict, Verdict::Agrees);
        assert_eq!(Judgement::of_a_setting(1.1e-5, Some(&printed)).verdict, Verdict::Different);
        assert_eq!(Judgement::of_a_setting(1e-5, None).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn only_the_paper_tier_can_be_compared() {
        for tier in [Tier::Smoke, Tier::Reduced] {
            let judged = decide(OURS, Some(&published(72.3, 0.14)), tier, false, Some(1.0));
            assert_eq!(judged.verdict, Verdict::NotComparable(tier));
            // Not even calibration speaks for it.
            let judged = decide(OURS, Some(&published(72.3, 0.14)), tier, true, Some(1.0));
            assert_eq!(judged.verdict, Verdict::NotComparable(tier));
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let paper = published(72.3, 0.14);
        let judged = |ours: &[f64], published: Option<&Published>, calibrated, margin| {
            decide(ours, published, Tier::Paper, calibrated, margin)
        };
        assert_eq!(judged(&[], Some(&paper), true, Some(1.0)).verdict, Verdict::NotMeasured);
        assert_eq!(judged(OURS, Some(&paper), true, Some(1.0)).verdict, Verdict::Calibrated);
        let without_std = Published { std: None, ..paper.clone() };
        for judged in [
            judged(OURS, None, false, Some(1.0)),
            judged(OURS, Some(&paper), false, None),
            judged(OURS, Some(&without_std), false, Some(1.0)),
            judged(&OURS[..1], Some(&paper), false, Some(1.0)),
        ] {
            assert_eq!(judged.verdict, Verdict::Inconclusive);
            assert!(!judged.reason.is_empty());
        }
    }

    #[test]
    fn readings_that_disagree_are_inconclusive_and_say_so() {
        // Found by scanning: under n - 1 the margin just holds, under n it just does not.
        let ours = &[72.0, 72.4, 72.8];
        let found = (0..2000).map(|step| 71.0 + f64::from(step) * 1e-3).find_map(|mean| {
            let judged = decide(ours, Some(&published(mean, 0.8)), Tier::Paper, false, Some(1.5));
            (judged.readings[0].verdict != judged.readings[1].verdict).then_some(judged)
        });
        let judged = found.unwrap();
        assert_eq!(judged.verdict, Verdict::Inconclusive);
        assert!(judged.reason.contains("n - 1"), "{}", judged.reason);
    }

    #[test]
    fn deviations_printed_as_zero_can_still_be_compared() {
        let same = [91.42; 5];
        assert_eq!(verdict(&same, 91.42, 0.0), Verdict::Reproduced);
        assert_eq!(verdict(&same, 94.0, 0.0), Verdict::Different);
    }
}
