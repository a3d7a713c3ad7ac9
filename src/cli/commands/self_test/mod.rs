//! `i2m2 check --self-test`: proves that the gate can fail.
//!
//! Invariant: faults are put into copies; the store and the data are only read.

mod digests;
mod picture;
mod retrain;
mod statistics;
mod text;

use std::path::Path;

use serde::Serialize;

use crate::cli::args::{CheckFormat, Selection};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::resolve::Resolved;
use crate::cli::results::Results;
use crate::engine::store::Store;

#[derive(Serialize)]
struct SelfTest {
    passed: bool,
    digests: Vec<digests::Caught>,
    statistics: statistics::Found,
}

/// Runs every part on what the store has of the selection.
pub fn run(selection: &Selection, format: CheckFormat, expected: &Path, out: &Path) -> Result<Exit, Failure> {
    let resolved = Resolved::new(selection, out.to_owned())?;
    let plan = resolved.plan();
    resolved.measurable(&plan)?;
    let results = Results::values(&resolved)?;
    let store = Store::open(out);
    let digests = digests::inject(&resolved, &plan, &store)?;
    if digests.is_empty() {
        return Err(Failure::not_measured(format!(
            "no run of `{}` is in the store: `i2m2 reproduce {}` with the same options first",
            selection.id, selection.id
        )));
    }
    let statistics = statistics::inject(&resolved, &results.reports, expected, &store)?;
    let passed = digests.iter().all(|caught| caught.caught == caught.injected) && statistics.passed();
    let test = SelfTest { passed, digests, statistics };
    match format {
        CheckFormat::Json => output::json(&test)?,
        CheckFormat::Text | CheckFormat::Github | CheckFormat::Markdown => output::data(&words(&test))?,
    }
    if let Some(folder) = picture::write(&test.statistics, &selection.id, out)? {
        output::note(&format!("written: {}", folder.display()));
    }
    Ok(if passed { Exit::Success } else { Exit::GateFailed })
}

fn words(test: &SelfTest) -> String {
    let mut text = "digest faults (one byte or value changed in a copy), caught of injected\n".to_owned();
    for caught in &test.digests {
        text += &format!("  {:<34} {} of {}\n", caught.fault, caught.caught, caught.injected);
    }
    text += &text::statistics(&test.statistics);
    text += if test.passed { "\nself-test passed: the gate can fail\n" } else { "\nself-test FAILED\n" };
    text
}
