//! From flags to what they mean, once: what is behind the command line never sees a flag.

use std::path::{Path, PathBuf};

use crate::cli::args::Selection;
use crate::cli::device;
use crate::cli::failure::Failure;
use crate::results::{self, Purpose, Request, Resolved};

pub(crate) use crate::results::source;

/// Where results go when `--out` does not say.
const DEFAULT_OUT: &str = "results";

/// The results folder.
pub(crate) fn out(out: Option<&Path>) -> PathBuf {
    out.unwrap_or(Path::new(DEFAULT_OUT)).to_owned()
}

/// What a selection means on this machine, for a command that reads its results.
///
/// # Errors
/// Unknown benchmarks, tiers that do not fit `--data`, devices that are not there.
pub(crate) fn to_read(selection: &Selection, out: &Path) -> Result<Resolved, Failure> {
    resolve(selection, out, Purpose::Read)
}

/// The same for a command that trains.
///
/// # Errors
/// As [`to_read`].
pub(crate) fn to_train(selection: &Selection, out: &Path) -> Result<Resolved, Failure> {
    resolve(selection, out, Purpose::Train)
}

fn resolve(selection: &Selection, out: &Path, purpose: Purpose) -> Result<Resolved, Failure> {
    let asked = results::Selection::new(&Request {
        id: &selection.id,
        only: &selection.only,
        tier: selection.tier,
        protocol: selection.protocol,
        changes: &selection.set,
        seeds: selection.seeds.map(|seeds| seeds as usize),
        real: selection.data.is_some(),
    })?;
    let device = device::choose(selection.device, selection.precision)?;
    Ok(Resolved::new(asked, device, selection.data.as_deref(), out.to_owned(), purpose)?)
}
