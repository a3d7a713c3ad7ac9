//! How long the missing runs of a plan will take.
//!
//! Invariant: an estimate says what it stands on. First the store's own manifests: the time per step of runs with the
//! same networks, batch size and data. Otherwise a committed table of steps measured on another machine
//! (`reference_steps.csv`: seconds per step of each network of the paper's sizes at a batch of 40 and one thread of an
//! AMD EPYC with AVX2, on `real` or `fixture` data; a joint run takes the sum of its networks). Otherwise it is unknown.

use std::collections::BTreeMap;

use serde::Serialize;

use super::manifest::Manifest;
use super::plan::{Plan, Run};
use super::scheduler::{Next, Scheduler};
use super::survey::Status;
use crate::digest::Digest;
use crate::models::tiny;
use crate::study::{Recipe, Tier};

const REFERENCE: &str = include_str!("reference_steps.csv");
/// Batch size of the reference measurements.
const REFERENCE_BATCH: f64 = 40.0;

/// What an estimate stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Basis {
    /// Steps of the same kind, measured here.
    Measured,
    /// Steps of the same networks, measured on another machine.
    Reference,
}

/// The estimated time of what is missing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// Seconds from start to end with the given number of jobs, of the runs that can be estimated.
    pub seconds: f64,
    /// The weakest basis among those runs; absent when there are none.
    pub basis: Option<Basis>,
    /// Missing runs that nothing is known about.
    pub unknown: usize,
    /// Seconds of each missing run, by position in the plan; `None` where nothing is known or nothing is missing.
    pub runs: Vec<Option<f64>>,
}

/// Step times and counts, as measured.
#[derive(Default)]
struct Measured {
    /// Seconds and steps by networks, batch and data.
    steps: BTreeMap<String, (f64, u64)>,
    /// Steps and runs by recipe and data: early stopping included.
    runs: BTreeMap<String, (u64, u64)>,
}

impl Measured {
    fn of<'a>(manifests: impl Iterator<Item = &'a Manifest>) -> Self {
        let mut measured = Measured::default();
        for manifest in manifests.filter(|manifest| manifest.spent.steps > 0) {
            let (recipe, data) = (&manifest.recipe, manifest.dataset.digest);
            let steps = measured.steps.entry(kind(recipe, data)).or_default();
            steps.0 += manifest.spent.training_seconds;
            steps.1 += manifest.spent.steps;
            let runs = measured.runs.entry(whole(recipe, data)).or_default();
            runs.0 += manifest.spent.steps;
            runs.1 += 1;
        }
        measured
    }

    /// Seconds of a run and what they stand on. `rows`: size of its training split, if known.
    fn seconds(&self, run: &Run, tier: Tier, rows: Option<usize>) -> Option<(f64, Basis)> {
        // What is stored is combined in no time worth naming.
        if run.recipe.reads_logits() {
            return Some((0.0, Basis::Measured));
        }
        let steps = match self.runs.get(&whole(&run.recipe, run.data)) {
            Some(&(steps, runs)) => steps as f64 / runs as f64,
            // A run that trains nothing sees the test split alone: as an epoch's forward, at most.
            None => match &run.recipe.training {
                Some(training) => (rows?.div_ceil(training.batch_size.max(1)) * training.epochs) as f64,
                None => 0.0,
            },
        };
        match self.steps.get(&kind(&run.recipe, run.data)) {
            Some(&(seconds, counted)) => Some((steps * seconds / counted as f64, Basis::Measured)),
            None => Some((steps * reference(&run.recipe, tier)?, Basis::Reference)),
        }
    }
}

/// What fixes the work of one step.
fn kind(recipe: &Recipe, data: Digest) -> String {
    let networks: Vec<_> = recipe.experts.iter().map(|expert| &expert.network).collect();
    let batch = recipe.training.as_ref().map(|training| training.batch_size);
    format!("{networks:?} {batch:?} {} {data}", recipe.task.id)
}

/// What fixes the number of steps, too.
fn whole(recipe: &Recipe, data: Digest) -> String {
    format!("{recipe:?} {data}")
}

/// Seconds per step by the committed table; `None` if it lacks one of the networks.
fn reference(recipe: &Recipe, tier: Tier) -> Option<f64> {
    let data = if tier == Tier::Smoke { "fixture" } else { "real" };
    let mut table = BTreeMap::new();
    for record in csv::Reader::from_reader(REFERENCE.as_bytes()).into_records() {
        let record = record.ok()?;
        if record.get(1)? == data {
            table.insert(record.get(0)?.to_owned(), record.get(2)?.parse::<f64>().ok()?);
        }
    }
    // Networks of one kind differ in cost by what they look at.
    let seconds = recipe.experts.iter().map(|expert| {
        let kind = tiny(&expert.network).name;
        table.get(&format!("{}/{} {kind}", recipe.dataset, expert.network.modalities().join("+"))).copied()
    });
    let batch = recipe.training.as_ref()?.batch_size;
    Some(seconds.sum::<Option<f64>>()? * batch as f64 / REFERENCE_BATCH)
}

/// Relative lengths of all runs, for the scheduler: what is known, otherwise the mean of what is known, otherwise 1.
pub(super) fn seconds(plan: &Plan, statuses: &[Status]) -> Vec<f64> {
    let measured = Measured::of(stored(statuses));
    let known: Vec<_> =
        plan.runs.iter().map(|run| measured.seconds(run, plan.tier, None).map(|s| s.0)).collect();
    let (sum, count) = known.iter().flatten().fold((0.0, 0), |(sum, count), s| (sum + s, count + 1));
    let usual = if count == 0 { 1.0 } else { sum / f64::from(count) };
    known.into_iter().map(|known| known.unwrap_or(usual)).collect()
}

fn stored(statuses: &[Status]) -> impl Iterator<Item = &Manifest> {
    statuses.iter().filter_map(|status| match status {
        Status::Stored(entry) => Some(&entry.manifest),
        _ => None,
    })
}

/// Estimates the runs that `missing` marks, `jobs` at a time.
///
/// `others` are further manifests to learn from (for example all of the store); `rows` is the size of a dataset's
/// training split, where it is known.
pub(crate) fn estimate<'a>(
    plan: &'a Plan,
    statuses: &'a [Status],
    missing: &[bool],
    others: impl Iterator<Item = &'a Manifest>,
    rows: impl Fn(&str) -> Option<usize>,
    jobs: usize,
) -> Estimate {
    let measured = Measured::of(stored(statuses).chain(others));
    let known: Vec<_> = plan
        .runs
        .iter()
        .zip(missing)
        .map(|(run, missing)| {
            let drawn = run.recipe.population.map(|population| population.rows);
            let rows = || drawn.or_else(|| rows(&run.recipe.dataset));
            missing.then(|| measured.seconds(run, plan.tier, rows())).flatten()
        })
        .collect();
    let seconds: Vec<f64> = known.iter().map(|known| known.map_or(0.0, |(seconds, _)| seconds)).collect();
    Estimate {
        seconds: simulate(plan, missing, &seconds, jobs.max(1)),
        basis: known.iter().flatten().map(|&(_, basis)| basis).max(),
        runs: known.iter().map(|known| known.map(|(seconds, _)| seconds)).collect(),
        unknown: missing.iter().zip(&known).filter(|(missing, known)| **missing && known.is_none()).count(),
    }
}

/// When the last run ends if the scheduler's order is followed.
fn simulate(plan: &Plan, missing: &[bool], seconds: &[f64], jobs: usize) -> f64 {
    let mut scheduler = Scheduler::new(plan, missing, seconds);
    let mut at_work: Vec<(f64, super::plan::RunIndex)> = Vec::new();
    let mut now = 0.0;
    loop {
        let mut next = scheduler_next(&mut scheduler, at_work.len() < jobs);
        while let Next::Run(index) = next {
            at_work.push((now + seconds[index.0], index));
            next = scheduler_next(&mut scheduler, at_work.len() < jobs);
        }
        let Some(first) = (0..at_work.len()).min_by(|&a, &b| at_work[a].0.total_cmp(&at_work[b].0)) else {
            return now;
        };
        let (end, index) = at_work.swap_remove(first);
        now = end;
        scheduler.done(index);
    }
}

fn scheduler_next(scheduler: &mut Scheduler, room: bool) -> Next {
    if room { scheduler.next() } else { Next::Wait }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::store::testing;
    use crate::study::testing::lenet;

    #[test]
    fn side_by_side_runs_share_the_time_and_chains_do_not() {
        let plan = testing::plan(&[&[], &[], &[0, 1], &[2]]);
        let seconds = [3.0, 2.0, 1.0, 1.0];
        let all = [true; 4];
        assert!((simulate(&plan, &all, &seconds, 1) - 7.0).abs() < 1e-9);
        assert!((simulate(&plan, &all, &seconds, 2) - 5.0).abs() < 1e-9);
        assert!((simulate(&plan, &all, &seconds, 9) - 5.0).abs() < 1e-9);
        assert!((simulate(&plan, &[false, false, false, true], &seconds, 1) - 1.0).abs() < 1e-9);
        assert!(simulate(&plan, &[false; 4], &seconds, 1) < 1e-9);
    }

    #[test]
    fn another_seed_of_a_measured_recipe_takes_as_long_and_unmeasured_ones_are_said_to_be() {
        let plan = testing::plan(&[&[], &[]]);
        let statuses = [Status::Missing, Status::Missing];
        let rows = |_: &str| Some(4000);
        let elsewhere = estimate(&plan, &statuses, &[true; 2], std::iter::empty(), rows, 1);
        assert_eq!((elsewhere.basis, elsewhere.unknown), (Some(Basis::Reference), 0));
        assert!((elsewhere.seconds - elsewhere.runs.iter().flatten().sum::<f64>()).abs() < 1e-9);
        let nothing = estimate(&plan, &statuses, &[true; 2], std::iter::empty(), |_| None, 1);
        assert_eq!((nothing.seconds, nothing.basis, nothing.unknown), (0.0, None, 2));
        // 100 steps in 4 seconds, of the same recipe and data but for the epochs.
        let mut manifest = testing::manifest(7);
        manifest.spent.steps = 100;
        manifest.spent.training_seconds = 4.0;
        manifest.recipe.training.as_mut().unwrap().epochs += 1;
        let training = plan.runs[0].recipe.training.as_ref().unwrap();
        let steps = 4000usize.div_ceil(training.batch_size) * training.epochs;
        let measured = estimate(&plan, &statuses, &[true; 2], [&manifest].into_iter(), rows, 2);
        assert!((measured.seconds - steps as f64 * 0.04).abs() < 1e-9, "{measured:?}");
        assert_eq!((measured.basis, measured.unknown), (Some(Basis::Measured), 0));
        // Early stopping is learnt from the very same recipe.
        manifest.recipe.training.as_mut().unwrap().epochs -= 1;
        let same = estimate(&plan, &statuses, &[true; 2], [&manifest].into_iter(), rows, 2);
        assert!((same.seconds - 4.0).abs() < 1e-9, "{same:?}");
    }

    #[test]
    fn a_joint_run_takes_the_sum_of_its_networks_on_the_reference_machine() {
        let mut recipe = testing::recipe();
        let alone = reference(&recipe, Tier::Paper).unwrap();
        assert!(alone > 0.0);
        recipe.training.as_mut().unwrap().batch_size *= 2;
        assert!((reference(&recipe, Tier::Paper).unwrap() - 2.0 * alone).abs() < 1e-12);
        recipe.training.as_mut().unwrap().batch_size /= 2;
        recipe.experts.push(recipe.experts[0].clone());
        assert!((reference(&recipe, Tier::Paper).unwrap() - 2.0 * alone).abs() < 1e-12);
        let mut digits = testing::recipe();
        digits.dataset = "avmnist".to_owned();
        for modality in ["image", "audio"] {
            digits.experts[0].network = lenet(modality, 3, 4, 100);
            for tier in [Tier::Smoke, Tier::Paper] {
                assert!(reference(&digits, tier).is_some(), "{modality:?} {tier:?}");
            }
        }
    }
}
