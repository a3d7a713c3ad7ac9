//! Expected ranges: reviewed data in `snapshots/expected/<benchmark>.<tier>.<device class>.toml`.
//!
//! Invariant: a range is a prediction interval computed from stored runs, never typed by hand: a file whose ends do not follow
//! from the mean and deviation beside them is refused. The file records the reason, the date, and the keys of those runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::files::{self, WriteError};
use crate::metric::Unit;
use crate::stats;
use crate::study::{ProtocolName, Tier};

/// Version of the file format.
const SCHEMA: u32 = 1;

/// Share of sound checks whose mean lies within. A check may fail one time in a hundred where nothing is wrong; half of that is
/// kept in hand for values that are not quite normal.
const LEVEL: f64 = 0.995;

/// Half the width that a range has at least, by unit: runs on other machines of one device class may differ in the
/// last digits even where runs on one machine do not.
fn floor(unit: Unit) -> f64 {
    match unit {
        Unit::Percent => 0.5,
        Unit::Nats | Unit::Bits | Unit::None => 0.02,
    }
}

/// The expected ranges of one benchmark, tier and device class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// Version of the file format.
    pub schema: u32,
    /// The benchmark.
    pub benchmark: String,
    /// The tier.
    pub tier: Tier,
    /// The protocol.
    pub protocol: ProtocolName,
    /// The device class.
    pub device_class: String,
    /// Why these ranges are the expected ones.
    pub reason: String,
    /// Day of acceptance, `YYYY-MM-DD`.
    pub accepted: String,
    /// Ranges by cell id.
    #[serde(rename = "cell")]
    pub cells: BTreeMap<String, Range>,
}

/// The expected range of one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    /// Seeds it was computed from.
    pub n: usize,
    /// Unit of the values; files of before it was written down lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (n - 1); absent for one seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std: Option<f64>,
    /// Seeds of a future check that the interval holds for.
    pub new_seeds: usize,
    /// Lower end, inclusive.
    pub low: f64,
    /// Upper end, inclusive.
    pub high: f64,
    /// The verdict against the paper at acceptance.
    pub verdict: String,
    /// Keys of the runs it was computed from.
    pub keys: Vec<Digest>,
}

/// Why an expected-range file could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExpectedError {
    /// It could not be read or written.
    #[error("cannot {action} the expected ranges `{}`: {source}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not valid.
    #[error(
        "the expected ranges `{}` are not valid: {problem}; restore the file from version control, or rewrite it with \
         `i2m2 accept`",
        path.display()
    )]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl Range {
    /// The prediction interval mean +- t(0.9975, n - 1) s sqrt(1/n + 1/m) for the mean of `new_seeds` further seeds, at
    /// least the unit's floor wide to either side. One seed has no spread: the floor alone, four times.
    pub(crate) fn predict(
        values: &[f64],
        new_seeds: usize,
        unit: Unit,
        verdict: String,
        keys: Vec<Digest>,
    ) -> Option<Self> {
        let n = values.len();
        if n == 0 || new_seeds == 0 || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let summary = stats::Summary::of(values)?;
        let interval = interval(&summary, new_seeds, floor(unit));
        Some(Range {
            n,
            unit: Some(unit),
            mean: summary.mean,
            std: summary.std,
            new_seeds,
            low: interval.low,
            high: interval.high,
            verdict,
            keys,
        })
    }

    /// Whether the ends follow from the values that it says it was computed from, in its unit.
    fn follows(&self) -> bool {
        let summary = stats::Summary { n: self.n, mean: self.mean, std: self.std };
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
        let units = self.unit.map_or(vec![Unit::Percent, Unit::Nats], |unit| vec![unit]);
        units.into_iter().any(|unit| {
            let stats::Interval { low, high } = interval(&summary, self.new_seeds, floor(unit));
            close(self.low, low) && close(self.high, high)
        })
    }

    /// Whether a mean lies within.
    pub(crate) fn holds(&self, mean: f64) -> bool {
        self.low <= mean && mean <= self.high
    }
}

/// The interval for the mean of so many new seeds.
fn interval(stored: &stats::Summary, new_seeds: usize, floor: f64) -> stats::Interval {
    let single = stats::Interval { low: stored.mean - 4.0 * floor, high: stored.mean + 4.0 * floor };
    stats::prediction_interval(stored, new_seeds, LEVEL, floor).unwrap_or(single)
}

impl Expected {
    /// An empty set of ranges.
    pub(crate) fn new(
        benchmark: &str,
        tier: Tier,
        protocol: ProtocolName,
        device_class: &str,
        reason: &str,
        accepted: String,
    ) -> Self {
        Expected {
            schema: SCHEMA,
            benchmark: benchmark.to_owned(),
            tier,
            protocol,
            device_class: device_class.to_owned(),
            reason: reason.to_owned(),
            accepted,
            cells: BTreeMap::new(),
        }
    }

    /// Where the ranges of a benchmark stand below `folder`. The paper's protocol has no suffix.
    pub(crate) fn path(
        folder: &Path,
        benchmark: &str,
        tier: Tier,
        protocol: ProtocolName,
        device_class: &str,
    ) -> PathBuf {
        let protocol = match protocol {
            ProtocolName::Paper => "",
            ProtocolName::Released => ".released",
        };
        folder.join(format!("{benchmark}.{tier}{protocol}.{device_class}.toml"))
    }

    /// Reads a file; `None` when there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, ExpectedError> {
        let io = |source| ExpectedError::Io { action: "read", path: path.to_owned(), source };
        let text = files::if_there(std::fs::read_to_string(path)).map_err(io)?;
        let Some(text) = text else { return Ok(None) };
        let invalid = |problem: String| ExpectedError::Invalid { path: path.to_owned(), problem };
        let expected: Expected = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        if expected.schema != SCHEMA {
            return Err(invalid(format!(
                "schema {} is not known (this version knows {SCHEMA})",
                expected.schema
            )));
        }
        for (id, range) in &expected.cells {
            if !range.follows() {
                return Err(invalid(format!(
                    "cell `{id}`: [{}, {}] is not what follows from {} seeds with this mean and deviation",
                    range.low, range.high, range.n
                )));
            }
        }
        Ok(Some(expected))
    }

    /// The ranges of a benchmark below `folder`; `None` when there are none.
    ///
    /// # Errors
    /// As [`Expected::read`]; and a file that says it is of another benchmark, tier, protocol or device: its numbers mean
    /// something else, whatever the file is called.
    pub(crate) fn find(
        folder: &Path,
        benchmark: &str,
        tier: Tier,
        protocol: ProtocolName,
        device_class: &str,
    ) -> Result<Option<Self>, ExpectedError> {
        let path = Expected::path(folder, benchmark, tier, protocol, device_class);
        let Some(expected) = Expected::read(&path)? else { return Ok(None) };
        let found = (&*expected.benchmark, expected.tier, expected.protocol, &*expected.device_class);
        if found != (benchmark, tier, protocol, device_class) {
            let (benchmark, tier, protocol, device) = found;
            return Err(ExpectedError::Invalid {
                path,
                problem: format!(
                    "it holds ranges of {benchmark}, {tier} tier, {protocol} protocol, {device}: they are never \
                     compared with others"
                ),
            });
        }
        let other = expected.cells.keys().find(|cell| !cell.starts_with(&format!("{benchmark}:")));
        match other {
            Some(cell) => {
                let problem = format!("cell `{cell}` is not of {benchmark}");
                Err(ExpectedError::Invalid { path, problem })
            }
            None => Ok(Some(expected)),
        }
    }

    /// Writes a file whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), ExpectedError> {
        let text = toml::to_string_pretty(self)
            .map_err(|error| ExpectedError::Invalid { path: path.to_owned(), problem: error.to_string() })?;
        files::write(path, text).map_err(|WriteError { path, source }| ExpectedError::Io {
            action: "write",
            path,
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(values: &[f64], new_seeds: usize) -> Range {
        Range::predict(values, new_seeds, Unit::Percent, "not comparable".into(), vec![]).unwrap()
    }

    /// The line of a file that holds the upper end of its only range.
    fn expected_high(text: &str) -> String {
        text.lines().find(|line| line.starts_with("high")).unwrap().to_owned()
    }

    #[test]
    fn the_interval_is_the_students_prediction_interval() {
        // t(0.9975, 4) = 5.597568367; s = 1.5811388; sqrt(1/5 + 1/5) = 0.6324555
        let range = range(&[70.0, 71.0, 72.0, 73.0, 74.0], 5);
        assert!((range.high - 72.0 - 5.597_568_367 * 1.581_138_830 * 0.632_455_532).abs() < 1e-6);
        assert!((range.low + range.high - 144.0).abs() < 1e-9);
    }

    #[test]
    fn equal_seeds_still_leave_half_a_point() {
        let range = range(&[91.42; 5], 5);
        assert!(range.holds(91.92) && range.holds(90.92));
        assert!(!range.holds(91.93) && !range.holds(90.91));
    }

    #[test]
    fn nothing_measured_predicts_nothing() {
        assert!(Range::predict(&[], 5, Unit::Percent, String::new(), vec![]).is_none());
        assert!(Range::predict(&[f64::NAN], 5, Unit::Percent, String::new(), vec![]).is_none());
    }

    #[test]
    fn a_file_reads_back_and_a_broken_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = Expected::path(folder.path(), "table2", Tier::Smoke, ProtocolName::Paper, "cpu");
        assert_eq!(Expected::read(&path).unwrap(), None);
        let mut expected =
            Expected::new("table2", Tier::Smoke, ProtocolName::Paper, "cpu", "first", "2026-01-02".into());
        expected.cells.insert("table2:mortality:i2m2".into(), range(&[70.0, 71.0], 2));
        expected.write(&path).unwrap();
        assert_eq!(Expected::read(&path).unwrap(), Some(expected));
        let text = std::fs::read_to_string(&path).unwrap();
        let high = expected_high(&text);
        std::fs::write(&path, text.replace(&high, "high = 99.0")).unwrap();
        let widened = Expected::read(&path).unwrap_err().to_string();
        assert!(widened.contains("table2:mortality:i2m2") && widened.contains("99"), "{widened}");
        std::fs::write(&path, text.replace("schema = 1", "schema = 99")).unwrap();
        assert!(Expected::read(&path).unwrap_err().to_string().contains("99"));
        std::fs::write(&path, "schema = ").unwrap();
        assert!(Expected::read(&path).is_err());
    }

    #[test]
    fn ranges_of_something_else_are_refused_whatever_their_file_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let find = |device| {
            Expected::find(folder.path(), "table2", Tier::Smoke, ProtocolName::Paper, device)
                .map_err(|error| error.to_string())
        };
        assert_eq!(find("cpu"), Ok(None));
        let path = Expected::path(folder.path(), "table2", Tier::Smoke, ProtocolName::Paper, "cpu");
        let mut expected =
            Expected::new("table2", Tier::Smoke, ProtocolName::Paper, "cpu", "first", "2026-01-02".into());
        expected.cells.insert("table2:mortality:i2m2".into(), range(&[70.0, 71.0], 2));
        expected.write(&path).unwrap();
        assert_eq!(find("cpu"), Ok(Some(expected.clone())));
        let text = std::fs::read_to_string(&path).unwrap();
        for (from, to, word) in [
            ("tier = \"smoke\"", "tier = \"paper\"", "paper tier"),
            ("protocol = \"paper\"", "protocol = \"released\"", "released protocol"),
            ("\"cpu\"", "\"a GPU\"", "a GPU"),
            ("benchmark = \"table2\"", "benchmark = \"table1\"", "ranges of table1"),
            ("table2:mortality", "table1:mortality", "is not of table2"),
        ] {
            assert!(text.contains(from), "{from}");
            std::fs::write(&path, text.replace(from, to)).unwrap();
            let error = find("cpu").unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
