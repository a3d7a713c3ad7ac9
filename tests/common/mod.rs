//! Runs the real binary in a folder of its own.
#![allow(dead_code)] // each test binary uses its share

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A scratch folder and the binary.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

/// What a command printed and returned.
pub(crate) struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Bench { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_i2m2"));
        command.current_dir(self.folder.path()).env_remove("I2M2_OUT").env("NO_COLOR", "1").args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs and wants the given exit code.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}\nstdout: {}\nstderr: {}", ran.stdout, ran.stderr);
        ran
    }

    /// Runs, wants success, and reads JSON from stdout.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.expect(0, arguments);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}", ran.stdout))
    }

    /// What must be equal between two executions of one plan: keys, weights, logits and metrics of each run.
    #[track_caller]
    pub(crate) fn results(&self, out: &str) -> Vec<(String, String, String, Value)> {
        let listed = self.json(&["store", "list", "--json", "--out", out]);
        let mut runs: Vec<_> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|run| {
                let text =
                    |name: &str| run[name].as_str().unwrap_or_else(|| panic!("{name} in {run}")).to_owned();
                (text("key"), text("weights"), text("logits"), run["metrics"].clone())
            })
            .collect();
        runs.sort_by(|a, b| a.0.cmp(&b.0));
        runs
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Every regular file below a folder, relative, sorted.
pub(crate) fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}
