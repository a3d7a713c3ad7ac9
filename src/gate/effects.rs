//! What a deviation changes, measured: the same benchmark with it switched, seed by seed.
//!
//! Invariant: a difference is taken between runs of one seed, on cells whose runs the switch reaches; what was recorded says of
//! which tier, data and device it was measured.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::files;
use crate::metric::{ACCURACY, Metric, measured_on_test};
use crate::stats::{Summary, mean_interval};
use crate::study::{Change, ProtocolName, Tier, listed};

/// Where effects are recorded, from the root of the repository.
pub(crate) const FILE: &str = "snapshots/effects.toml";

/// What switching a deviation did to a benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Effect {
    /// The deviation.
    pub deviation: String,
    /// What was changed.
    pub changes: Vec<Change>,
    /// The benchmark.
    pub benchmark: String,
    /// Smoke, reduced or paper.
    pub tier: Tier,
    /// What the changes were laid over.
    pub protocol: ProtocolName,
    /// `cpu`, or the GPU model.
    pub device_class: String,
    /// The data.
    pub data: Vec<Digest>,
    /// Day of the measurement, `YYYY-MM-DD`.
    pub measured: String,
    /// What it did to each row that it reaches.
    #[serde(rename = "row")]
    pub rows: Vec<RowEffect>,
}

/// The difference of a row, switched less as it stands here: each seed's mean over the row's columns of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowEffect {
    /// The row.
    pub row: String,
    /// The metric, without what it is of: `test_auroc`.
    pub metric: String,
    /// `percent` (differences in points), `nats`, `none`.
    pub unit: String,
    /// Columns behind it.
    pub columns: usize,
    /// Seeds behind it.
    pub seeds: usize,
    /// Mean over the seeds.
    pub mean: f64,
    /// Its 95 % interval by Student's t over the seeds; absent for one seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

/// A cell as it is compared.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    /// The row.
    pub row: String,
    /// The column.
    pub column: String,
    /// What is measured.
    pub metric: Metric,
    /// Seed, value and run.
    pub values: Vec<(u64, f64, Digest)>,
}

/// Why recorded effects could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EffectError {
    /// The file is not valid.
    #[error("`{}` does not hold effects: {problem}; restore it from version control", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The file could not be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    #[serde(default, rename = "effect")]
    effects: Vec<Effect>,
}

/// The effects that were recorded when this program was built.
///
/// # Errors
/// A file that holds something else.
pub(crate) fn effects() -> Result<Vec<Effect>, EffectError> {
    read(include_str!("../../snapshots/effects.toml"), Path::new(FILE))
}

fn read(text: &str, path: &Path) -> Result<Vec<Effect>, EffectError> {
    let recorded: Recorded = toml::from_str(text)
        .map_err(|error| EffectError::Invalid { path: path.to_owned(), problem: error.to_string() })?;
    Ok(recorded.effects)
}

/// The effects of one deviation.
pub(crate) fn effects_of<'e>(effects: &'e [Effect], deviation: &str) -> Vec<&'e Effect> {
    effects.iter().filter(|effect| effect.deviation == deviation).collect()
}

/// Records effects in a file, in the place of older ones of the same deviation, benchmark, tier, protocol and device.
///
/// # Errors
/// A file that holds something else, or cannot be written.
pub(crate) fn record(new: &[Effect], path: &Path) -> Result<(), EffectError> {
    let io = |action| move |source| EffectError::Io { action, path: path.to_owned(), source };
    let before = files::if_there(std::fs::read_to_string(path)).map_err(io("read"))?;
    let mut effects = before.map_or(Ok(Vec::new()), |text| read(&text, path))?;
    effects.retain(|old| !new.iter().any(|new| new.replaces(old)));
    effects.extend(new.iter().cloned());
    effects.sort_by_key(Effect::place);
    let text = toml::to_string_pretty(&Recorded { effects })
        .map_err(|error| EffectError::Invalid { path: path.to_owned(), problem: error.to_string() })?;
    let text = format!(
        "# Written by `i2m2 effect ... --record`: what deviations change, switched less as it stands.\n\n{text}"
    );
    files::write(path, text).map_err(|error| io("write")(error.source))
}

impl Effect {
    fn replaces(&self, old: &Effect) -> bool {
        let Effect { deviation, benchmark, tier, protocol, device_class, .. } = self;
        (deviation, benchmark, device_class) == (&old.deviation, &old.benchmark, &old.device_class)
            && (tier, protocol) == (&old.tier, &old.protocol)
    }

    /// Letter, number and benchmark: A2 stands before A10.
    fn place(&self) -> (String, u32, String) {
        let (letter, number) = self.deviation.split_at(self.deviation.len().min(1));
        (letter.to_owned(), number.parse().unwrap_or(u32::MAX), self.benchmark.clone())
    }
}

/// What the switch did, row by row. Cells whose runs are the same count for nothing.
pub(crate) fn between(ours: &[Measurement], switched: &[Measurement]) -> Vec<RowEffect> {
    let pairs: Vec<(&Measurement, &Measurement)> = ours
        .iter()
        .filter_map(|cell| {
            let other =
                switched.iter().find(|other| (&other.row, &other.column) == (&cell.row, &cell.column))?;
            let runs = |cell: &Measurement| cell.values.iter().map(|(.., key)| *key).collect::<Vec<_>>();
            (runs(cell) != runs(other)).then_some((cell, other))
        })
        .collect();
    let mut groups: Vec<(&str, Metric)> = Vec::new();
    for (cell, _) in &pairs {
        let group = (&*cell.row, cell.family());
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
        .into_iter()
        .filter_map(|(row, family)| {
            let of = |(cell, _): &&(&Measurement, &Measurement)| cell.row == row && cell.family() == family;
            row_effect(row, &family, &pairs.iter().filter(of).copied().collect::<Vec<_>>())
        })
        .collect()
}

fn row_effect(row: &str, metric: &Metric, cells: &[(&Measurement, &Measurement)]) -> Option<RowEffect> {
    let seeds: BTreeSet<u64> =
        cells.iter().flat_map(|(cell, _)| cell.values.iter().map(|(seed, ..)| *seed)).collect();
    let differences: Vec<f64> = seeds
        .into_iter()
        .filter_map(|seed| {
            let each =
                cells.iter().map(|(ours, switched)| Some(switched.of_seed(seed)? - ours.of_seed(seed)?));
            Some(each.sum::<Option<f64>>()? / cells.len() as f64)
        })
        .collect();
    let summary = Summary::of(&differences)?;
    Some(RowEffect {
        row: row.to_owned(),
        metric: metric.name(),
        unit: metric.unit().to_string(),
        columns: cells.len(),
        seeds: summary.n,
        mean: summary.mean,
        interval: mean_interval(&summary, 0.95).map(|interval| [interval.low, interval.high]),
    })
}

impl Measurement {
    /// The metric without what it is of.
    fn family(&self) -> Metric {
        Metric { head: None, ..self.metric.clone() }
    }

    fn of_seed(&self, seed: u64) -> Option<f64> {
        self.values.iter().find(|(own, ..)| *own == seed).map(|(_, value, _)| *value)
    }
}

impl RowEffect {
    /// Whether the switch reaches the runs and moves nothing.
    fn is_none(&self) -> bool {
        self.mean == 0.0 && self.interval.is_none_or(|ends| ends == [0.0; 2])
    }
}

impl std::fmt::Display for RowEffect {
    /// `i2m2 -1.20 [-1.90, -0.50]`; the metric stands before it where it is no accuracy.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let metric = measured_on_test(&self.metric).map_or(self.metric.as_str(), |measure| measure.id);
        if metric != ACCURACY.id {
            write!(f, "{} of ", metric.replace('_', " "))?;
        }
        let digits = if self.unit == "percent" { 2 } else { 3 };
        write!(f, "{} {:+.digits$}", self.row, self.mean)?;
        match self.interval {
            Some([low, high]) => write!(f, " [{low:+.digits$}, {high:+.digits$}]"),
            None => f.write_str(" (one seed)"),
        }
    }
}

impl std::fmt::Display for Effect {
    /// `mimic.models.i2m2.start = "scratch" in table2 (smoke tier, 5 seeds, cpu, 2026-01-02): i2m2 -1.20 [-1.90, -0.50]; ...`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Effect { changes, benchmark, tier, device_class, measured, rows, .. } = self;
        let seeds = rows.iter().map(|row| row.seeds).max().unwrap_or(0);
        let plural = if seeds == 1 { "" } else { "s" };
        let (same, moved): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.is_none());
        let mut rows: Vec<String> = moved.into_iter().map(RowEffect::to_string).collect();
        if !same.is_empty() {
            rows.push(if rows.is_empty() { "nothing moves" } else { "nothing else moves" }.to_owned());
        }
        write!(
            f,
            "{} in {benchmark} ({tier} tier, {seeds} seed{plural}, {device_class}, {measured}): {}",
            listed(changes),
            rows.join("; ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::AUROC;

    fn cell(row: &str, column: &str, metric: &str, run: &str, values: &[f64]) -> Measurement {
        let key = |seed: usize| Digest::of(format!("{run} {row} {column} {seed}").as_bytes());
        Measurement {
            row: row.to_owned(),
            column: column.to_owned(),
            metric: match metric.split_once('.') {
                Some((_, head)) => Metric::test(&AUROC).of(head),
                None => Metric::test(&ACCURACY),
            },
            values: values.iter().enumerate().map(|(seed, &value)| (seed as u64, value, key(seed))).collect(),
        }
    }

    fn made_up(deviation: &str, tier: Tier, mean: f64) -> Effect {
        Effect {
            deviation: deviation.to_owned(),
            changes: vec!["mimic.preparation.standardise_on=train".parse().unwrap()],
            benchmark: "table2".to_owned(),
            tier,
            protocol: ProtocolName::Paper,
            device_class: "cpu".to_owned(),
            data: vec![Digest::of(b"data")],
            measured: "2026-01-02".to_owned(),
            rows: vec![RowEffect {
                row: "intra".to_owned(),
                metric: "test_accuracy".to_owned(),
                unit: "percent".to_owned(),
                columns: 3,
                seeds: 1,
                mean,
                interval: None,
            }],
        }
    }

    #[test]
    fn differences_are_paired_by_seed_and_averaged_over_columns() {
        let ours = [
            cell("intra", "a", "test_accuracy", "old", &[50.0, 60.0, 70.0]),
            cell("intra", "b", "test_accuracy", "old", &[10.0, 20.0, 30.0]),
            cell("inter", "a", "test_accuracy", "old", &[1.0, 2.0, 3.0]),
            cell("intra", "c", "test_auroc.acl", "old", &[80.0, 80.0, 80.0]),
        ];
        let mut switched = ours.to_vec();
        // Another order, and one row that the switch does not reach.
        switched.reverse();
        switched[0] = cell("intra", "c", "test_auroc.acl", "new", &[80.0, 81.0, 79.0]);
        switched[2] = cell("intra", "b", "test_accuracy", "new", &[11.0, 21.0, 31.0]);
        switched[3] = cell("intra", "a", "test_accuracy", "new", &[51.0, 63.0, 71.0]);
        let found = between(&ours, &switched);
        assert_eq!(found.len(), 2);
        let RowEffect { row, metric, columns, seeds, mean, interval, .. } = &found[0];
        assert_eq!((&**row, &**metric, *columns, *seeds), ("intra", "test_accuracy", 2, 3));
        // 1, 2, 1: t(0.975, 2) = 4.302653, s = 0.577350.
        assert!((mean - 4.0 / 3.0).abs() < 1e-12);
        let [low, high] = interval.unwrap();
        assert!((high - low - 2.0 * 4.302_652_73 / 3.0).abs() < 1e-6, "{low} {high}");
        assert_eq!((found[1].metric.as_str(), found[1].mean), ("test_auroc", 0.0));
        assert!(found[1].to_string().starts_with("auroc of intra +0.00 ["), "{}", found[1]);
        // What does not move is not spelled out.
        switched[0] = cell("intra", "c", "test_auroc.acl", "new", &[80.0; 3]);
        let effect = Effect { rows: between(&ours, &switched), ..made_up("M2", Tier::Smoke, 0.0) };
        assert!(effect.to_string().ends_with(": intra +1.33 [-0.10, +2.77]; nothing else moves"), "{effect}");
    }

    #[test]
    fn seeds_that_one_side_lacks_do_not_count_and_one_seed_has_no_interval() {
        let ours = [cell("intra", "a", "test_accuracy", "old", &[50.0, 60.0])];
        let switched = [cell("intra", "a", "test_accuracy", "new", &[51.0])];
        let found = between(&ours, &switched);
        assert_eq!((found[0].seeds, found[0].mean, found[0].interval), (1, 1.0, None));
        assert!(between(&ours, &ours).is_empty());
    }

    #[test]
    fn records_replace_what_they_measured_anew_and_keep_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("effects.toml");
        record(&[made_up("M10", Tier::Smoke, 1.0), made_up("M2", Tier::Smoke, 2.0)], &path).unwrap();
        record(&[made_up("M2", Tier::Smoke, 3.0), made_up("M2", Tier::Paper, 4.0)], &path).unwrap();
        let found = read(&std::fs::read_to_string(&path).unwrap(), &path).unwrap();
        let means: Vec<(&str, f64)> =
            found.iter().map(|effect| (&*effect.deviation, effect.rows[0].mean)).collect();
        assert_eq!(means, [("M2", 3.0), ("M2", 4.0), ("M10", 1.0)]);
        std::fs::write(&path, "[[effect]]\nrows = 3").unwrap();
        assert!(
            record(&[made_up("M2", Tier::Smoke, 3.0)], &path).unwrap_err().to_string().contains("effects")
        );
    }

    #[test]
    fn what_is_recorded_is_of_deviations_as_the_ledger_switches_them() {
        let ledger = crate::study::deviations().unwrap();
        for effect in effects().unwrap() {
            let known = ledger.iter().find(|deviation| deviation.id == effect.deviation).unwrap();
            assert!(known.benchmarks.contains(&effect.benchmark), "{effect}");
            assert!(!effect.rows.is_empty() && !effect.changes.is_empty(), "{effect}");
        }
    }
}
