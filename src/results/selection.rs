//! What is asked for: which benchmarks, at which tier, with which protocol, and the plan of that.
//!
//! Invariant: pure. Nothing here looks at a disk or a device; what they say is given to [`Selection::plan`]. Real data never serves
//! the smoke tier, and synthetic data never serves any other.

use std::collections::{BTreeMap, BTreeSet};

use super::{ResultsError, SelectionError, pattern};
use crate::benchmarks::{self, Benchmark};
use crate::digest::Digest;
use crate::engine::plan::Plan;
use crate::engine::planner::{Context, Planner};
use crate::study::{self, Change, Protocol, ProtocolName, Study, Tier};

/// A selection in the words of whoever asks.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    /// A table or figure, or `all`.
    pub id: &'a str,
    /// Patterns of cells; all cells without any.
    pub only: &'a [String],
    /// The paper's with real data, smoke without.
    pub tier: Option<Tier>,
    /// Paper or released.
    pub protocol: ProtocolName,
    /// Changed values of the protocol.
    pub changes: &'a [Change],
    /// Seeds of each benchmark, where not the protocol's.
    pub seeds: Option<usize>,
    /// Whether there is real data.
    pub real: bool,
}

/// Benchmarks with their tier and protocol.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// The benchmarks, in the paper's order.
    pub benchmarks: Vec<&'static Benchmark>,
    /// Smoke, reduced or paper.
    pub tier: Tier,
    /// The hyper-parameters at that tier.
    pub protocol: Protocol,
    only: Vec<String>,
}

impl Selection {
    /// What a request means.
    ///
    /// # Errors
    /// Unknown benchmarks, tiers that do not fit the data, changes that no protocol takes.
    pub(crate) fn new(request: &Request<'_>) -> Result<Self, ResultsError> {
        let tier = tier(request)?;
        let mut protocol = changed_protocol(request, tier)?;
        let benchmarks = match request.id {
            "all" => {
                let here = |benchmark: &&Benchmark| tier == Tier::Smoke || !benchmark.is_synthetic();
                benchmarks::all().iter().copied().filter(here).collect()
            }
            id => vec![benchmarks::find(id).map_err(SelectionError::Unknown)?],
        };
        if let [benchmark] = benchmarks[..]
            && benchmark.is_synthetic()
            && tier != Tier::Smoke
        {
            return Err(SelectionError::Synthetic(benchmark.id).into());
        }
        if let Some(seeds) = request.seeds {
            protocol.set_seeds(seeds);
        }
        Ok(Selection { benchmarks, tier, protocol, only: request.only.to_vec() })
    }

    /// The studies that its benchmarks read.
    pub(crate) fn studies(&self) -> impl Iterator<Item = &Study> {
        let needed: BTreeSet<&str> =
            self.benchmarks.iter().flat_map(|benchmark| benchmark.studies()).collect();
        self.protocol.studies.values().filter(move |study| needed.contains(study.id.as_str()))
    }

    /// The plan of the selected cells of these benchmarks, with only the runs that they need, on a device (`cpu`, or the GPU
    /// model) with the datasets and numerics that are there: digests by id, and by canary.
    ///
    /// # Errors
    /// A benchmark that asks a study for what it lacks, or a run without a key.
    pub(crate) fn plan(
        &self,
        benchmarks: &[&Benchmark],
        device_class: String,
        data: BTreeMap<String, Digest>,
        numerics: BTreeMap<String, Digest>,
    ) -> Result<Plan, ResultsError> {
        let most = benchmarks.iter().map(|benchmark| benchmark.seeds(&self.protocol)).max().unwrap_or(0);
        let context = Context {
            tier: self.tier,
            protocol: self.protocol.name,
            changes: self.protocol.changes.clone(),
            seeds: (0..most as u64).collect(),
            device_class,
            data,
            numerics,
        };
        let mut planner = Planner::new(&context);
        for benchmark in benchmarks {
            benchmark.plan(&mut planner, &self.protocol)?;
        }
        let mut plan = planner.finish();
        plan.retain_cells(|cell| pattern::matches(&self.only, &cell.id));
        Ok(plan)
    }

    /// Fails when no cell is selected, or none of them can be measured here; `missing` says why data is not.
    ///
    /// # Errors
    /// [`ResultsError::NotMeasured`].
    pub(crate) fn measurable(
        &self,
        plan: &Plan,
        missing: &BTreeMap<&'static str, String>,
    ) -> Result<(), ResultsError> {
        if plan.cells.is_empty() {
            let only = self.only.join("`, `");
            return Err(ResultsError::NotMeasured(format!(
                "no cell matches `{only}`: nothing to do; `i2m2 plan {}` prints the cells",
                self.benchmarks.first().map_or("all", |benchmark| benchmark.id)
            )));
        }
        if plan.cells.iter().all(|cell| cell.runs.is_empty() && cell.configured.is_none()) {
            let mut why: Vec<String> = missing.values().cloned().collect();
            if why.is_empty() {
                why.extend(plan.cells.iter().filter_map(|cell| cell.unmeasured.clone()));
                why.dedup();
            }
            let why = why.join("; ");
            return Err(ResultsError::NotMeasured(format!("nothing can be measured: {why}")));
        }
        Ok(())
    }
}

fn tier(request: &Request<'_>) -> Result<Tier, SelectionError> {
    match (request.tier, request.real) {
        (None | Some(Tier::Smoke), false) => Ok(Tier::Smoke),
        (None, true) => Ok(Tier::Paper),
        (Some(Tier::Smoke), true) => Err(SelectionError::SmokeOfRealData),
        (Some(tier), false) => Err(SelectionError::NoRealData(tier)),
        (Some(tier), true) => Ok(tier),
    }
}

/// The protocol with the request's changes.
fn changed_protocol(request: &Request<'_>, tier: Tier) -> Result<Protocol, ResultsError> {
    let mut changes = request.changes.to_vec();
    // Sorted, so that a model wins over what holds for all, whichever was given first.
    changes.sort();
    if let Some(twice) = changes.windows(2).find(|pair| pair[0].key() == pair[1].key()) {
        return Err(SelectionError::Twice(twice[0].key().to_owned()).into());
    }
    // A protocol that is wrong without a change is our mistake, otherwise the change is the user's.
    study::resolve_with(request.protocol, tier, &changes)
        .map_err(|error| if changes.is_empty() { error.into() } else { SelectionError::Change(error).into() })
}
