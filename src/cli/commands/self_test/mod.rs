//! `i2m2 check --self-test`: proves that the gate can fail.

mod picture;
mod text;

use std::path::Path;

use crate::cli::args::{CheckFormat, Selection};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::resolve::to_read;
use crate::results::self_test::SelfTest;

/// Runs every part on what the store has of the selection.
pub(crate) fn run(
    selection: &Selection,
    format: CheckFormat,
    expected: &Path,
    out: &Path,
) -> Result<Exit, Failure> {
    let Some(test) = SelfTest::run(&to_read(selection, out)?, expected)? else {
        return Err(Failure::not_measured(format!(
            "no run of `{}` is in the store: `i2m2 reproduce {}` with the same options first",
            selection.id, selection.id
        )));
    };
    match format {
        CheckFormat::Json => output::json(&test)?,
        CheckFormat::Text | CheckFormat::Github | CheckFormat::Markdown => output::data(&words(&test))?,
    }
    if let Some(folder) = picture::write(&test.statistics, &selection.id, out)? {
        output::note(&format!("written: {}", folder.display()));
    }
    Ok(if test.passed { Exit::Success } else { Exit::GateFailed })
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
