//! `i2m2 claims`: every sentence of the paper that can be tested, and what the runs and the paper's own numbers say of it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::benchmarks;
use crate::cli::args::Claims;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::resolve::to_read;
use crate::data::{did_you_mean, nearest};
use crate::engine::plan::CellId;
use crate::engine::store::Store;
use crate::gate::{TestedClaim, claims};
use crate::report::comparison_words;
use crate::results;
use crate::results::claims::{counts, is_decided, test};
use crate::study::Tier;

#[derive(Serialize)]
struct Printed<'a> {
    /// Counts of verdicts, and of claims that the printed numbers contradict.
    summary: BTreeMap<String, usize>,
    claims: &'a [TestedClaim],
}

/// Prints claims; trains nothing.
pub(crate) fn run(asked: &Claims, out: &Path) -> Result<Exit, Failure> {
    let mut wanted = claims()?;
    if let Some(id) = &asked.id {
        let hint = did_you_mean(nearest(id, wanted.iter().map(|claim| claim.id.as_str())));
        wanted.retain(|claim| claim.id == *id || claim.touches(id));
        if wanted.is_empty() {
            return Err(Failure::usage(format!(
                "there is no claim `{id}` and none about a table of this name{hint}; `i2m2 claims` prints them all"
            )));
        }
    }
    // The paper's budget on real data, where there is some, and its generative model, which is always at hand.
    let model = benchmarks::all().iter().filter(|benchmark| benchmark.is_synthetic());
    let model = model.map(|benchmark| asked.selection(benchmark.id, Tier::Smoke));
    let real = asked.data.is_some().then(|| asked.selection("all", Tier::Paper));
    let mut reports = Vec::new();
    // Where nothing was ever stored there is nothing to look for.
    for selection in model.chain(real).filter(|_| Store::open(out).root().is_dir()) {
        reports.extend(results::values(&to_read(&selection, out)?)?);
    }
    let tested = test(&wanted, &reports)?;
    let printed = Printed { summary: counts(&tested), claims: &tested };
    output::shown(asked.json, &printed, || text(&printed, asked))?;
    Ok(if tested.iter().all(is_decided) { Exit::Success } else { Exit::NotMeasured })
}

fn text(printed: &Printed<'_>, asked: &Claims) -> String {
    let mut text = String::new();
    for claim in printed.claims {
        text += &format!("{:<14} {:<34} {}\n", claim.words(), claim.claim.id, claim.claim.place);
        text += &format!("  “{}”\n", claim.claim.sentence);
        if let Some(printed) = &claim.claim.printed {
            text += &format!("  contradicted by the paper's own numbers: {printed}\n");
        }
        if let Some(needs) = &claim.claim.needs {
            text += &format!("  it would take: {needs}\n");
        }
        // One claim in full, many in short.
        if asked.id.is_some() {
            if let Some(note) = &claim.claim.note {
                text += &format!("  {note}\n");
            }
            for pair in &claim.tested {
                text += &format!("  {}{}\n", comparison_words(pair, CellId::to_string), tests(pair));
            }
        }
        text.push('\n');
    }
    let counts: Vec<String> = printed.summary.iter().map(|(name, count)| format!("{count} {name}")).collect();
    text += &format!("{} claims: {}\n", printed.claims.len(), counts.join(", "));
    if asked.data.is_none() {
        text += "Claims are tested at the paper tier on real data (add --data DIR), those about the generative model on figure1's runs.\n";
    }
    text
}

/// The p-values behind a comparison.
fn tests(pair: &crate::gate::Comparison) -> String {
    let (Some(p_for), Some(p_against)) = (pair.p_for, pair.p_against) else { return String::new() };
    let how = if pair.paired { "pairs" } else { "Welch" };
    format!("; {how}, p of the opposite {p_for:.3}, of the claim {p_against:.3} (Holm)")
}
