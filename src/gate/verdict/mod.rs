//! The verdicts on the cells of a table.
//!
//! Invariant: *reproduced* needs an equivalence test passed under both readings of the published deviation, at the
//! paper tier, on a cell that did not calibrate the data. Failing to find a difference is never enough. Looking at many
//! cells does not make a finding more likely: p-values are Holm's over the whole table. Neither does looking at more and more seeds: a
//! cell is judged once, by a number of seeds that was declared before.

use serde::{Deserialize, Serialize};

use crate::benchmarks::Published;
use crate::stats::{Difference, POWER, Summary, holm, minimum_detectable, seeds_for_equivalence, welch};
use crate::study::Tier;

/// Significance level of both tests.
const ALPHA: f64 = 0.05;

/// What we say about a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Verdict {
    /// Shown to lie within the margin of the published value.
    Reproduced,
    /// Shown to differ, and not shown to lie within the margin.
    Different,
    /// Too scattered values to tell.
    Inconclusive,
    /// Fewer seeds than it is judged by.
    Incomplete,
    /// There is no value.
    #[strum(to_string = "not measured")]
    NotMeasured,
    /// The published value was used to build the data, so agreement says nothing.
    Calibrated,
    /// Configuration or a property of the data, no result of training, and as the paper prints it.
    Agrees,
    /// Measured at a tier that stands for less than the paper, or with a changed protocol.
    #[strum(to_string = "not comparable")]
    NotComparable(Tier),
}

/// How the published deviation was computed, which the paper does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StdReading {
    /// With n - 1.
    Sample,
    /// With n.
    Population,
}

/// Both tests under one reading of the published deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Reading {
    /// The reading.
    pub std: StdReading,
    /// Two-sided p-value of equal means (Welch), after Holm.
    pub p_equal: f64,
    /// p-value of means that lie the margin or more apart (TOST), after Holm.
    pub p_apart: f64,
    /// `p_equal` of this cell alone.
    pub raw_p_equal: f64,
    /// `p_apart` of this cell alone.
    pub raw_p_apart: f64,
    /// Half of the width of the 95 % confidence interval of the difference.
    pub half_width: f64,
    /// Standard error of the difference.
    pub standard_error: f64,
    /// Its degrees of freedom.
    pub df: f64,
    /// What this reading alone would say.
    pub verdict: Verdict,
}

/// A verdict and what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in a sentence without a full stop; empty when the verdict says it all.
    pub reason: String,
    /// Our mean minus the published one, in the cell's unit.
    pub difference: Option<f64>,
    /// How far the means may lie apart, where tests were made.
    pub margin: Option<f64>,
    /// The tests; empty when none was made.
    pub readings: Vec<Reading>,
    /// Whether the data stands in for the published files.
    pub rebuilt: bool,
}

impl Judgement {
    /// Of a setting of the paper tier's protocol, at whatever tier: it is the printed one or it is not.
    pub(crate) fn of_a_setting(ours: f64, published: Option<&Published>) -> Self {
        let difference = published.map(|published| ours - published.mean);
        let verdict = match difference {
            Some(0.0) => Verdict::Agrees,
            Some(_) => Verdict::Different,
            None => Verdict::Inconclusive,
        };
        let reason = "a setting of the paper tier's protocol, not a result".to_owned();
        Judgement::plain(verdict, reason, difference)
    }

    /// Of a property of the data: it rounds to the printed number or it does not.
    pub(crate) fn of_the_data(ours: &[f64], published: Option<&Published>, tier: Tier) -> Self {
        let mean = Summary::of(ours).map(|summary| summary.mean);
        let difference = mean.zip(published).map(|(mean, published)| mean - published.mean);
        let rounds = mean
            .zip(published)
            .map(|(mean, published)| format!("{mean:.*}", published.decimals) == published.printed);
        let verdict = match rounds {
            _ if mean.is_none() => Verdict::NotMeasured,
            _ if tier != Tier::Paper => Verdict::NotComparable(tier),
            Some(true) => Verdict::Agrees,
            Some(false) => Verdict::Different,
            None => Verdict::Inconclusive,
        };
        Judgement::plain(verdict, "a property of the data, not a result of training".to_owned(), difference)
    }

    /// What can be said of values that were made with a protocol changed on the command line: how far they lie from the
    /// published one, and nothing else.
    pub(crate) fn of_a_changed_protocol(ours: &[f64], published: Option<&Published>, tier: Tier) -> Self {
        let difference = Summary::of(ours).and_then(|summary| Some(summary.mean - published?.mean));
        let reason = "the protocol was changed on the command line".to_owned();
        Judgement::plain(Verdict::NotComparable(tier), reason, difference)
    }

    /// Of a cell that nobody has looked at.
    pub(crate) fn none() -> Self {
        Judgement::plain(Verdict::NotMeasured, String::new(), None)
    }

    fn plain(verdict: Verdict, reason: String, difference: Option<f64>) -> Self {
        Judgement { verdict, reason, difference, margin: None, readings: Vec::new(), rebuilt: false }
    }

    /// Takes a verdict back that something else would get, too.
    pub(crate) fn withhold(&mut self, reason: &str) {
        self.reason = format!("withheld: {} within the margin, but {reason}", self.verdict);
        self.verdict = Verdict::Inconclusive;
    }

    /// The verdict, with what it is said of where that is not the published data.
    pub(crate) fn words(&self) -> String {
        let judged = matches!(self.verdict, Verdict::Reproduced | Verdict::Different | Verdict::Inconclusive);
        let of = if self.rebuilt && judged { " on rebuilt data" } else { "" };
        format!("{}{of}", self.verdict)
    }
}

/// A cell as it is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    /// Our values, one per seed, those of the first seeds first.
    pub ours: &'a [f64],
    /// The number of seeds that it is judged by, declared before any was run; more decide nothing.
    pub declared: usize,
    /// What the paper prints.
    pub published: Option<&'a Published>,
    /// Whether the data was built with this cell in view.
    pub calibrated: bool,
    /// How far the means may lie apart, in the cell's unit.
    pub margin: Option<f64>,
}

/// Judges the cells of a table. `family` is the number of cells whose verdicts could be looked at; those that are not among
/// `cases` count as tests that found nothing.
pub(crate) fn judge(cases: &[Case<'_>], tier: Tier, family: usize) -> Vec<Judgement> {
    let mut judged = verdicts(cases, tier, family);
    for (cell, case) in judged.iter_mut().zip(cases) {
        if cell.verdict == Verdict::Inconclusive && cell.reason.is_empty() {
            cell.reason = undecided(case);
        }
        if !cell.readings.is_empty() && case.ours.len() > case.declared {
            let (declared, all) = (case.declared, case.ours.len());
            let first = format!("judged by the first {declared} of {all} seeds, as declared");
            cell.reason =
                [std::mem::take(&mut cell.reason), first].join("; ").trim_start_matches("; ").to_owned();
        }
    }
    judged
}

/// [`judge`] without advice on what would decide the undecided.
fn verdicts(cases: &[Case<'_>], tier: Tier, family: usize) -> Vec<Judgement> {
    let mut judged: Vec<Judgement> = cases.iter().map(|case| case.alone(tier)).collect();
    for reading in 0..2 {
        let mut correct = |p: fn(&mut Reading) -> &mut f64| {
            let mut found: Vec<&mut f64> =
                judged.iter_mut().filter_map(|cell| cell.readings.get_mut(reading)).map(p).collect();
            let mut raw: Vec<f64> = found.iter().map(|p| **p).collect();
            raw.resize(raw.len().max(family), 1.0);
            for (p, adjusted) in found.iter_mut().zip(holm(&raw)) {
                **p = adjusted;
            }
        };
        correct(|reading| &mut reading.p_equal);
        correct(|reading| &mut reading.p_apart);
    }
    judged.iter_mut().for_each(Judgement::conclude);
    judged
}

impl Case<'_> {
    /// The values that it is judged by.
    fn judged(&self) -> &[f64] {
        &self.ours[..self.ours.len().min(self.declared)]
    }

    /// What can be said without a test, or the tests of this cell alone, without a conclusion.
    fn alone(&self, tier: Tier) -> Judgement {
        let Some(summary) = Summary::of(self.judged()) else {
            return Judgement::plain(Verdict::NotMeasured, String::new(), None);
        };
        let difference = self.published.map(|published| summary.mean - published.mean);
        let plain = |verdict, reason: &str| Judgement::plain(verdict, reason.to_owned(), difference);
        if tier != Tier::Paper {
            return plain(Verdict::NotComparable(tier), "");
        }
        if self.calibrated {
            let why = self.published.and_then(|published| published.calibrated.as_deref());
            return plain(Verdict::Calibrated, why.unwrap_or("the data was built with it in view"));
        }
        let inconclusive = |reason| plain(Verdict::Inconclusive, reason);
        let Some(published) = self.published else { return inconclusive("the paper prints no number here") };
        let Some(theirs) = readings(published) else {
            return inconclusive("the paper prints no deviation of several runs here");
        };
        let Some(margin) = self.margin else { return inconclusive("no margin was declared for this cell") };
        if !summary.mean.is_finite() {
            return inconclusive("a value is not a number");
        }
        if summary.n < self.declared {
            return plain(Verdict::Incomplete, &format!("{} of {} seeds", summary.n, self.declared));
        }
        if summary.n < 2 {
            return inconclusive("one seed has no deviation to compare with");
        }
        let mut judged = plain(Verdict::Inconclusive, "");
        judged.margin = Some(margin);
        judged.readings = theirs
            .into_iter()
            .filter_map(|(std, theirs)| Some(Reading::of(std, &welch(&summary, &theirs)?.cautious(), margin)))
            .collect();
        judged
    }
}

/// The published mean under both readings of its deviation; `None` without a deviation of two runs or more. A printed
/// deviation is known to half a unit of its last digit, and the larger end is taken: one printed as zero is not exact.
pub(crate) fn readings(published: &Published) -> Option<[(StdReading, Summary); 2]> {
    let (std, n) = (published.std?, published.n.filter(|&n| n > 1)?);
    let std = std + 0.5 * libm::pow(10.0, -(published.decimals as f64));
    Some([
        (StdReading::Sample, Summary { n, mean: published.mean, std: Some(std) }),
        (StdReading::Population, Summary::from_population_std(n, published.mean, std)),
    ])
}

impl Reading {
    fn of(std: StdReading, difference: &Difference, margin: f64) -> Self {
        let (p_equal, p_apart) = (difference.p_equal(), difference.p_apart(margin));
        Reading {
            std,
            p_equal,
            p_apart,
            raw_p_equal: p_equal,
            raw_p_apart: p_apart,
            half_width: difference.half_width(0.95),
            standard_error: difference.standard_error,
            df: difference.df,
            verdict: Verdict::Inconclusive,
        }
    }

    /// The smallest true difference that this cell alone would show with 80 % power.
    pub(crate) fn minimum_detectable(&self) -> f64 {
        let Reading { standard_error, df, .. } = *self;
        minimum_detectable(&Difference { value: 0.0, standard_error, df }, ALPHA)
    }
}

impl Judgement {
    /// From the tests to the verdict.
    fn conclude(&mut self) {
        for reading in &mut self.readings {
            reading.verdict = if reading.p_apart < ALPHA {
                Verdict::Reproduced
            } else if reading.p_equal < ALPHA {
                Verdict::Different
            } else {
                Verdict::Inconclusive
            };
        }
        let [sample, population] = self.readings[..] else { return };
        (self.verdict, self.reason) = if sample.verdict != population.verdict {
            let reason = format!(
                "{} if the published deviation divides by n - 1, {} if by n",
                sample.verdict, population.verdict
            );
            (Verdict::Inconclusive, reason)
        } else {
            let within =
                sample.verdict == Verdict::Reproduced && sample.p_equal.max(population.p_equal) < ALPHA;
            let reason = if within { "within the margin, and still a significant difference" } else { "" };
            (sample.verdict, reason.to_owned())
        };
    }
}

/// Why nothing was shown, and what would.
fn undecided(case: &Case<'_>) -> String {
    let (Some(published), Some(margin)) = (case.published, case.margin) else { return String::new() };
    let seeds = case.judged().len();
    let mut reason = format!("neither a difference nor agreement within {margin} is shown by {seeds} seeds");
    let std = Summary::of(case.judged()).and_then(|summary| summary.std);
    let wanted = std.zip(readings(published)).map(|(std, [_, (_, theirs)])| {
        // The wider reading, so that both would agree.
        seeds_for_equivalence(std, &theirs, margin, ALPHA)
    });
    match wanted {
        Some(Some(wanted)) if wanted > seeds => {
            reason += &format!(
                "; {wanted}, declared before they are run, would show agreement with {} % power, if there is",
                100.0 * POWER
            );
        }
        Some(None) => reason += "; no number of seeds would: the published mean itself is too uncertain",
        Some(Some(_)) | None => {}
    }
    reason
}

#[cfg(test)]
mod simulated;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Unit;

    fn published(mean: f64, std: f64) -> Published {
        Published {
            mean,
            std: Some(std),
            n: Some(5),
            printed: format!("{mean:.2}"),
            decimals: 2,
            metric: "accuracy".to_owned(),
            unit: Unit::Percent,
            place: "a made-up table".to_owned(),
            calibrated: None,
            tuned: false,
        }
    }

    fn verdict(ours: &[f64], mean: f64, std: f64) -> Verdict {
        decide(ours, Some(&published(mean, std)), Tier::Paper, false, Some(1.0)).verdict
    }

    /// The verdict on a cell of its own.
    fn decide(
        ours: &[f64],
        published: Option<&Published>,
        tier: Tier,
        calibrated: bool,
        margin: Option<f64>,
    ) -> Judgement {
        judge(&[Case { ours, declared: ours.len(), published, calibrated, margin }], tier, 1).swap_remove(0)
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
    fn what_is_no_number_decides_nothing_and_spoils_no_neighbour() {
        let published = published(72.34, 0.14);
        let case = |ours: &'static [f64]| Case {
            ours,
            declared: ours.len(),
            published: Some(&published),
            calibrated: false,
            margin: Some(1.0),
        };
        let judged = judge(&[case(&[72.1, f64::NAN, 72.3]), case(OURS)], Tier::Paper, 2);
        assert_eq!(judged[0].verdict, Verdict::Inconclusive);
        assert!(judged[0].reason.contains("not a number"), "{}", judged[0].reason);
        assert_eq!(judged[1].verdict, Verdict::Reproduced);
    }

    #[test]
    fn deviations_printed_as_zero_can_still_be_compared() {
        let same = [91.42; 5];
        assert_eq!(verdict(&same, 91.42, 0.0), Verdict::Reproduced);
        assert_eq!(verdict(&same, 94.0, 0.0), Verdict::Different);
    }
}
