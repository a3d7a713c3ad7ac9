//! The graph of runs and cells.
//!
//! Invariant: building a plan does no I/O, and a run that several cells need stands in it once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Hasher};
use crate::protocol::{Change, DatasetName, ProtocolName, Recipe, Tier};

/// Everything a plan depends on besides the benchmarks.
#[derive(Clone, Debug)]
pub struct Context {
    /// Smoke, reduced or paper.
    pub tier: Tier,
    /// Paper or released.
    pub protocol: ProtocolName,
    /// Values of the protocol that were changed on the command line.
    pub changes: Vec<Change>,
    /// Root seeds, one per repetition.
    pub seeds: Vec<u64>,
    /// `cpu`, or the GPU model: part of every key, because bits differ between device classes.
    pub device_class: String,
    /// Digest of each prepared dataset that is here.
    pub data: BTreeMap<DatasetName, Digest>,
    /// Digest of the numerics (the canaries) of the networks that each dataset's recipes use.
    pub numerics: BTreeMap<DatasetName, Digest>,
}

/// Index of a run in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RunIndex(pub usize);

/// Training one expert or one joint model with one seed.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// Identity; the run's name in the store.
    pub key: Digest,
    /// For people: `avmnist/i2m2-lf`. Not part of the key.
    pub name: String,
    /// The resolved configuration.
    pub recipe: Recipe,
    /// Digest of the prepared data.
    pub data: Digest,
    /// Digest of the networks' numerics.
    pub numerics: Digest,
    /// Root of the seed tree.
    pub seed: u64,
    /// Runs whose checkpoints this run starts from; they stand earlier in the plan.
    pub upstream: Vec<RunIndex>,
}

/// Address of one printed number: `table2:mortality:i2m2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CellId {
    /// The benchmark.
    pub benchmark: String,
    /// The column's id.
    pub column: String,
    /// The row's id.
    pub row: String,
}

impl std::fmt::Display for CellId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.benchmark, self.column, self.row)
    }
}

impl From<CellId> for String {
    fn from(id: CellId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for CellId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.split(':').collect::<Vec<_>>()[..] {
            [benchmark, column, row] if ![benchmark, column, row].contains(&"") => {
                Ok(CellId { benchmark: benchmark.to_owned(), column: column.to_owned(), row: row.to_owned() })
            }
            _ => {
                Err(format!("`{text}` is no cell; expected table:column:row, as in `table2:mortality:i2m2`"))
            }
        }
    }
}

/// One printed number and the runs it is the mean of.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// Its address.
    pub id: CellId,
    /// Name of the run metric it prints, as in `Outcome::metrics`.
    pub metric: String,
    /// One run per seed; empty when the cell cannot be measured here.
    pub runs: Vec<RunIndex>,
    /// Why there are no runs.
    pub unmeasured: Option<String>,
    /// The value of a cell that is configuration, not measurement (Table B.6); it has no runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configured: Option<f64>,
}

/// A graph of runs and cells.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Smoke, reduced or paper.
    pub tier: Tier,
    /// Paper or released.
    pub protocol: ProtocolName,
    /// Values of the protocol that were changed on the command line.
    pub changes: Vec<Change>,
    /// `cpu`, or the GPU model.
    pub device_class: String,
    /// Upstream runs first.
    pub runs: Vec<Run>,
    /// In the order of the printed tables.
    pub cells: Vec<Cell>,
}

impl Plan {
    /// Keeps the cells that are wanted, and the runs that they need, with their upstream.
    pub fn retain_cells(&mut self, wanted: impl FnMut(&Cell) -> bool) {
        self.cells.retain(wanted);
        let mut needed = vec![false; self.runs.len()];
        self.cells.iter().flat_map(|cell| &cell.runs).for_each(|run| needed[run.0] = true);
        // Upstream runs stand earlier, so one pass from the end reaches all of them.
        for index in (0..self.runs.len()).rev() {
            if needed[index] {
                self.runs[index].upstream.iter().for_each(|run| needed[run.0] = true);
            }
        }
        let mut moved = Vec::with_capacity(needed.len());
        let mut next = 0;
        for &kept in &needed {
            moved.push(RunIndex(next));
            next += usize::from(kept);
        }
        let mut kept = needed.iter();
        self.runs.retain(|_| kept.next().copied().unwrap_or(false));
        let cells = self.cells.iter_mut().flat_map(|cell| &mut cell.runs);
        cells
            .chain(self.runs.iter_mut().flat_map(|run| &mut run.upstream))
            .for_each(|run| *run = moved[run.0]);
    }
}

/// Builds a plan; benchmarks add runs and cells to it.
pub struct Planner<'a> {
    context: &'a Context,
    plan: Plan,
    by_key: BTreeMap<Digest, RunIndex>,
}

impl<'a> Planner<'a> {
    /// An empty plan in a context.
    pub fn new(context: &'a Context) -> Self {
        let plan = Plan {
            tier: context.tier,
            protocol: context.protocol,
            changes: context.changes.clone(),
            device_class: context.device_class.clone(),
            runs: Vec::new(),
            cells: Vec::new(),
        };
        Planner { context, plan, by_key: BTreeMap::new() }
    }

    /// What the plan depends on.
    pub fn context(&self) -> &Context {
        self.context
    }

    /// Adds a run, or finds it if it is there already. `None` when its data is not here.
    pub fn run(
        &mut self,
        name: &str,
        recipe: Recipe,
        seed: u64,
        upstream: Vec<RunIndex>,
    ) -> Option<RunIndex> {
        let data = *self.context.data.get(&recipe.task.dataset())?;
        let numerics = *self.context.numerics.get(&recipe.task.dataset())?;
        let upstream_keys: Vec<Digest> = upstream.iter().map(|&i| self.plan.runs[i.0].key).collect();
        let key = KeyParts {
            recipe: &recipe,
            tier: self.context.tier,
            data,
            seed,
            device_class: &self.context.device_class,
            numerics,
            upstream: &upstream_keys,
        }
        .key();
        let next = RunIndex(self.plan.runs.len());
        let index = *self.by_key.entry(key).or_insert(next);
        if index == next {
            self.plan.runs.push(Run { key, name: name.to_owned(), recipe, data, numerics, seed, upstream });
        }
        Some(index)
    }

    /// The recipe of a run that was added.
    pub fn recipe(&self, run: RunIndex) -> Option<&Recipe> {
        self.plan.runs.get(run.0).map(|run| &run.recipe)
    }

    /// Adds a cell.
    pub fn cell(&mut self, cell: Cell) {
        self.plan.cells.push(cell);
    }

    /// The plan.
    pub fn finish(self) -> Plan {
        self.plan
    }
}

/// Everything that can change a run's numbers (design rule 3). The protocol is not among it: it acts through the
/// recipe alone, so two protocols that resolve to the same recipe share the run.
#[derive(Clone, Copy, Debug)]
pub struct KeyParts<'a> {
    /// The resolved configuration.
    pub recipe: &'a Recipe,
    /// Smoke, reduced or paper, so that a smoke result never stands for another.
    pub tier: Tier,
    /// Digest of the prepared data.
    pub data: Digest,
    /// Root of the seed tree.
    pub seed: u64,
    /// `cpu`, or the GPU model.
    pub device_class: &'a str,
    /// Digest of the numerics.
    pub numerics: Digest,
    /// Keys of the upstream runs, in the order that `Init::Upstream` counts.
    pub upstream: &'a [Digest],
}

impl KeyParts<'_> {
    /// SHA-256 over all of it.
    pub fn key(&self) -> Digest {
        let KeyParts { recipe, tier, data, seed, device_class, numerics, upstream } = self;
        // serde_json writes struct fields in declaration order and floats in their shortest exact form. A recipe has
        // no maps with odd keys, the one thing it could fail on.
        let recipe = serde_json::to_vec(recipe).unwrap_or_default();
        let tier = serde_json::to_vec(tier).unwrap_or_default();
        let mut hasher = Hasher::new("i2m2 run v1");
        hasher
            .field(&recipe)
            .field(&tier)
            .field(data.bytes())
            .field(&seed.to_le_bytes())
            .field(device_class.as_bytes())
            .field(numerics.bytes());
        for key in *upstream {
            hasher.field(key.bytes());
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A recipe that uses every kind of field.
    fn recipe() -> Value {
        json!({
            "task": "digits",
            "experts": [
                {"name": "image", "init": {"upstream": {"run": 0}},
                 "architecture": {"network": "lenet", "modality": "first", "channels": 6, "stages": 3, "hidden": 64}},
                {"name": "inter", "init": "scratch",
                 "architecture": {"network": "lenet-low-rank", "channels": 6, "stages": [3, 5], "rank": 40, "output": 120,
                                  "hidden": 64, "trainable_fusion": true}}
            ],
            "training": {"optimizer": "sgd", "learning_rate": 0.05, "weight_decay": 0.0001, "clip_norm": 8.0,
                         "batch_size": 40, "epochs": 25, "patience": 7, "select_by": "accuracy"},
            "evaluation": {"norm": "running", "combine": "product"}
        })
    }

    fn key_of(recipe: &Value) -> Digest {
        let recipe: Recipe = serde_json::from_value(recipe.clone()).unwrap();
        KeyParts {
            recipe: &recipe,
            tier: Tier::Smoke,
            data: Digest::of(b"data"),
            seed: 0,
            device_class: "cpu",
            numerics: Digest::of(b"numerics"),
            upstream: &[],
        }
        .key()
    }

    /// Another valid value for a leaf.
    fn other(path: &str, value: &Value) -> Value {
        match (path.rsplit('/').next().unwrap(), value) {
            ("task", _) => json!("mortality"),
            ("modality", _) => json!("second"),
            ("optimizer", _) => json!("rmsprop"),
            ("select_by", _) => json!("auprc"),
            ("norm", _) => json!("batch"),
            ("combine", _) => json!("mean"),
            ("init", _) => json!({"upstream": {"run": 0}}),
            (_, Value::String(text)) => json!(format!("{text}2")),
            (_, Value::Bool(flag)) => json!(!flag),
            (_, Value::Number(n)) if n.is_u64() => json!(n.as_u64().unwrap() + 1),
            (_, Value::Number(n)) => json!(f64::from_bits(n.as_f64().unwrap().to_bits() + 1)),
            _ => unreachable!("{path}"),
        }
    }

    fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(k, v)| leaves(v, &format!("{path}/{k}"), found));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, v)| leaves(v, &format!("{path}/{i}"), found));
            }
            _ => found.push(path.to_owned()),
        }
    }

    #[test]
    fn every_field_of_a_recipe_changes_the_key_down_to_the_last_bit() {
        let base = recipe();
        let mut paths = Vec::new();
        leaves(&base, "", &mut paths);
        // No other network has the fields of these, and unknown ones are refused: the kind is changed below, whole.
        paths.retain(|path| !path.ends_with("/network"));
        assert!(paths.len() > 25, "{paths:?}");
        let mut keys = vec![key_of(&base)];
        for path in &paths {
            let mut changed = base.clone();
            let leaf = changed.pointer_mut(path).unwrap();
            *leaf = other(path, leaf);
            keys.push(key_of(&changed));
        }
        // The kind of network, with sizes as near as they can be.
        let mut changed = base.clone();
        changed["experts"][1]["architecture"] =
            json!({"network": "lenet-late-fusion", "channels": 6, "stages": [3, 5], "hidden": 64});
        keys.push(key_of(&changed));
        // Fields that can be absent, and the order of experts.
        let mut changed = base.clone();
        changed["training"].as_object_mut().unwrap().remove("patience");
        keys.push(key_of(&changed));
        let mut changed = base.clone();
        changed["experts"].as_array_mut().unwrap().reverse();
        keys.push(key_of(&changed));
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }

    #[test]
    fn everything_beside_the_recipe_changes_the_key() {
        let recipe: Recipe = serde_json::from_value(recipe()).unwrap();
        let [a, b] = [Digest::of(b"a"), Digest::of(b"b")];
        let base = KeyParts {
            recipe: &recipe,
            tier: Tier::Reduced,
            data: a,
            seed: 0,
            device_class: "cpu",
            numerics: a,
            upstream: &[a, b],
        };
        let mut keys = [
            base,
            KeyParts { tier: Tier::Paper, ..base },
            KeyParts { data: b, ..base },
            KeyParts { seed: 1, ..base },
            KeyParts { device_class: "cuda", ..base },
            KeyParts { numerics: b, ..base },
            KeyParts { upstream: &[b, a], ..base },
            KeyParts { upstream: &[a], ..base },
            KeyParts { upstream: &[], ..base },
        ]
        .map(|parts| parts.key());
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_run_that_several_cells_need_is_planned_once_whatever_its_name() {
        let context = Context {
            tier: Tier::Smoke,
            protocol: ProtocolName::Paper,
            changes: Vec::new(),
            seeds: vec![0, 1],
            device_class: "cpu".to_owned(),
            data: BTreeMap::from([(DatasetName::Avmnist, Digest::of(b"data"))]),
            numerics: BTreeMap::from([(DatasetName::Avmnist, Digest::of(b"numerics"))]),
        };
        let recipe: Recipe = serde_json::from_value(recipe()).unwrap();
        let mut clinical = recipe.clone();
        clinical.task = crate::protocol::Task::Mortality;
        let mut planner = Planner::new(&context);
        let first = planner.run("table1/image", recipe.clone(), 0, vec![]).unwrap();
        let again = planner.run("table-c7/image", recipe.clone(), 0, vec![]).unwrap();
        let seed = planner.run("table1/image", recipe.clone(), 1, vec![]).unwrap();
        let joint = planner.run("table1/joint", recipe, 0, vec![first]).unwrap();
        assert_eq!(planner.run("mimic", clinical, 0, vec![]), None, "its data is not here");
        assert_eq!((first, again, seed, joint), (RunIndex(0), RunIndex(0), RunIndex(1), RunIndex(2)));
        let plan = planner.finish();
        assert_eq!(plan.runs.len(), 3);
        // A selection keeps what its cells need, under new numbers.
        let mut selected = plan.clone();
        let id = CellId { benchmark: "b".into(), column: "c".into(), row: "r".into() };
        let cell =
            |runs| Cell { id: id.clone(), metric: "m".into(), runs, unmeasured: None, configured: None };
        selected.cells = vec![cell(vec![seed]), cell(vec![joint])];
        selected.retain_cells(|cell| cell.runs == [joint]);
        let keys: Vec<Digest> = selected.runs.iter().map(|run| run.key).collect();
        assert_eq!(keys, [plan.runs[0].key, plan.runs[2].key]);
        assert_eq!(selected.cells[0].runs, [RunIndex(1)]);
        assert_eq!(selected.runs[1].upstream, [RunIndex(0)]);
    }
}
