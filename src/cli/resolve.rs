//! From flags to what they mean, once: everything behind the command line works with a [`Resolved`].
//!
//! Invariant: real data never serves the smoke tier, and synthetic data never serves any other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::benchmarks::{self, Benchmark, Needs, Status};
use crate::cli::args::Selection;
use crate::cli::device::{self, Device};
use crate::cli::failure::Failure;
use crate::cli::pattern;
use crate::data::{self, Identity, Source, StatCache};
use crate::device::Place;
use crate::digest::Digest;
use crate::engine::manifest::Determinism;
use crate::engine::plan::{Context, Plan, Planner};
use crate::experiment::numerics_digest;
use crate::protocol::{self, DatasetName, Protocol, ProtocolName, Tier};
use crate::report::Report;

/// Where results go when `--out` does not say.
const DEFAULT_OUT: &str = "results";

/// What a selection of benchmarks means on this machine.
pub struct Resolved {
    /// The benchmarks, in the paper's order.
    pub benchmarks: Vec<&'static Benchmark>,
    /// Smoke, reduced or paper.
    pub tier: Tier,
    /// The hyper-parameters at that tier.
    pub protocol: Protocol,
    /// Where runs are computed.
    pub place: Place,
    /// `cpu`, or the GPU model.
    pub device_class: String,
    /// What was found about repeating a run there.
    pub determinism: Determinism,
    /// What is worth telling about the choice of the device.
    pub device_note: Option<String>,
    /// Where each dataset is.
    pub sources: BTreeMap<DatasetName, Source>,
    /// Identities of the datasets that are needed and here.
    pub identities: BTreeMap<DatasetName, Identity>,
    /// Why a needed dataset is not here.
    pub missing: BTreeMap<DatasetName, String>,
    /// The results folder.
    pub out: PathBuf,
    numerics: BTreeMap<DatasetName, Digest>,
    only: Vec<String>,
}

/// The results folder.
pub fn out(out: Option<&Path>) -> PathBuf {
    out.unwrap_or(Path::new(DEFAULT_OUT)).to_owned()
}

/// Where a dataset is, given `--data`: DIR/<name> where there is such a folder, otherwise DIR itself. The generative model is
/// always synthetic.
pub fn source(name: DatasetName, data: Option<&Path>, out: &Path) -> Source {
    match data.filter(|_| name != DatasetName::Generative) {
        None => Source::Fixture(out.join("fixtures")),
        Some(folder) => {
            let below = folder.join(name.to_string());
            Source::Folder(if below.is_dir() { below } else { folder.to_owned() })
        }
    }
}

impl Resolved {
    /// Resolves a selection.
    ///
    /// # Errors
    /// Unknown benchmarks, tiers that do not fit `--data`, devices that are not there.
    pub fn new(selection: &Selection, out: PathBuf) -> Result<Self, Failure> {
        let tier = tier(selection)?;
        let benchmarks = match selection.id.as_str() {
            "all" => {
                let here = |benchmark: &&Benchmark| {
                    benchmark.is_registered() && (tier == Tier::Smoke || !benchmark.is_synthetic())
                };
                benchmarks::all().iter().copied().filter(here).collect()
            }
            id => vec![benchmarks::find(id).map_err(Failure::usage)?],
        };
        if let [benchmark] = benchmarks[..]
            && benchmark.is_synthetic()
            && tier != Tier::Smoke
        {
            return Err(Failure::usage(format!(
                "`{}` has the smoke tier alone: it runs on the paper's generative model, for which there is no real \
                 data; leave --data and --tier out",
                benchmark.id
            )));
        }
        let mut changes = selection.set.clone();
        // Sorted, so that a kind of run wins over `common`, whichever was given first.
        changes.sort();
        if let Some(twice) = changes.windows(2).find(|pair| pair[0].key() == pair[1].key()) {
            return Err(Failure::usage(format!("--set gives `{}` twice: leave one out", twice[0].key())));
        }
        // A protocol that is wrong without a change is our mistake, otherwise the change is the user's.
        let mut protocol = protocol::resolve_with(selection.protocol, tier, &changes).map_err(|error| {
            if changes.is_empty() { Failure::internal(error) } else { Failure::usage(error) }
        })?;
        if let Some(seeds) = selection.seeds {
            protocol.set_seeds(seeds as usize);
        }
        let Device { place, class: device_class, note: device_note } =
            device::choose(selection.device, selection.precision)?;

        let mut needed: Vec<DatasetName> = benchmarks
            .iter()
            .filter(|benchmark| benchmark.is_registered())
            .flat_map(|benchmark| benchmark.needs)
            .filter_map(|needs| match needs {
                Needs::Dataset(name) => Some(*name),
                Needs::Unread(_) => None,
            })
            .collect();
        needed.sort_unstable();
        needed.dedup();
        // All kinds of networks side by side; what follows asks for those of each dataset.
        let architectures: Vec<_> = needed.iter().flat_map(|&name| protocol.architectures(name)).collect();
        numerics_digest(place, &architectures).map_err(|error| device::untested(&error))?;
        let cache = StatCache::open(&out);
        let (mut sources, mut identities) = (BTreeMap::new(), BTreeMap::new());
        let (mut missing, mut numerics) = (BTreeMap::new(), BTreeMap::new());
        for name in needed {
            let source = source(name, selection.data.as_deref(), &out);
            match data::identify(name, &source, protocol.preparation(), &cache) {
                Ok(identity) => drop(identities.insert(name, identity)),
                // A fixture that cannot be made is the disk's fault, not the data's.
                Err(error) if matches!(source, Source::Fixture(_)) => return Err(Failure::internal(error)),
                // Whatever is wrong with the data is told when a cell asks for it; other tables can go on.
                Err(error) => drop(missing.insert(name, error.to_string())),
            }
            sources.insert(name, source);
            let canaries = numerics_digest(place, &protocol.architectures(name))
                .map_err(|error| device::untested(&error))?;
            numerics.insert(name, canaries);
        }
        let determinism = device::determinism(place, &protocol, numerics.keys().copied())?;
        if !identities.is_empty() {
            cache.save().map_err(Failure::internal)?;
        }
        Ok(Resolved {
            benchmarks,
            tier,
            protocol,
            place,
            device_class,
            determinism,
            device_note,
            sources,
            identities,
            missing,
            out,
            numerics,
            only: selection.only.clone(),
        })
    }

    /// The plan of all selected cells, with only the runs that they need.
    pub fn plan(&self) -> Plan {
        self.plan_of(&self.benchmarks)
    }

    /// The plan of one benchmark's selected cells.
    pub fn plan_of(&self, benchmarks: &[&Benchmark]) -> Plan {
        let most = benchmarks.iter().map(|benchmark| self.protocol.seeds(benchmark.id)).max().unwrap_or(0);
        let context = Context {
            tier: self.tier,
            protocol: self.protocol.name,
            changes: self.protocol.changes.clone(),
            seeds: (0..most as u64).collect(),
            device_class: self.device_class.clone(),
            data: self.identities.iter().map(|(&name, identity)| (name, identity.digest)).collect(),
            numerics: self.numerics.clone(),
        };
        let mut planner = Planner::new(&context);
        for benchmark in benchmarks {
            benchmark.plan(&mut planner, &self.protocol);
        }
        let mut plan = planner.finish();
        plan.retain_cells(|cell| pattern::matches(&self.only, &cell.id));
        plan
    }

    /// Fails when no cell is selected, or none of them can be measured here.
    pub fn measurable(&self, plan: &Plan) -> Result<(), Failure> {
        if let [benchmark] = self.benchmarks[..]
            && let Status::NotYet(why) = benchmark.status
        {
            let id = benchmark.id;
            return Err(Failure::not_measured(format!("`{id}` is known but not registered yet: {why}")));
        }
        if plan.cells.is_empty() {
            let only = self.only.join("`, `");
            return Err(Failure::not_measured(format!(
                "no cell matches `{only}`: nothing to do; `i2m2 plan {}` prints the cells",
                self.benchmarks.first().map_or("all", |benchmark| benchmark.id)
            )));
        }
        if plan.cells.iter().all(|cell| cell.runs.is_empty() && cell.configured.is_none()) {
            let mut why: Vec<String> = self.missing.values().cloned().collect();
            if why.is_empty() {
                why.extend(plan.cells.iter().filter_map(|cell| cell.unmeasured.clone()));
                why.dedup();
            }
            return Err(Failure::not_measured(format!("nothing can be measured: {}", why.join("; "))));
        }
        Ok(())
    }
}

fn tier(selection: &Selection) -> Result<Tier, Failure> {
    match (selection.tier, &selection.data) {
        (None, None) | (Some(Tier::Smoke), None) => Ok(Tier::Smoke),
        (None, Some(_)) => Ok(Tier::Paper),
        (Some(Tier::Smoke), Some(_)) => Err(Failure::usage(
            "the smoke tier runs on synthetic fixtures only: leave --data out, or choose --tier reduced or paper",
        )),
        (Some(tier), None) => Err(Failure::usage(format!(
            "the {tier} tier needs real data: add --data DIR (`i2m2 data explain` says how to get it)"
        ))),
        (Some(tier), Some(_)) => Ok(tier),
    }
}

/// The protocol's suffix in names of folders; what was changed stands beside what was not, never in its place.
pub fn suffix(report: &Report) -> String {
    let protocol = match report.protocol {
        ProtocolName::Paper => "",
        ProtocolName::Released => ".released",
    };
    match &report.changes[..] {
        [] => protocol.to_owned(),
        _ => format!("{protocol}.changed-{}", Digest::of(report.protocol_words().as_bytes()).short()),
    }
}
