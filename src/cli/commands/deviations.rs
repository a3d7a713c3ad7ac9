//! `i2m2 deviations`: every known difference between the paper, the released code and this project.

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::gate::effects::{Effect, effects, effects_of};
use crate::study::{Deviation, deviations};

/// A deviation with what was measured of it.
#[derive(Serialize)]
struct Known<'a> {
    #[serde(flatten)]
    deviation: &'a Deviation,
    effects: Vec<&'a Effect>,
}

/// Prints the ledger, or one entry, or those that touch a benchmark.
pub(crate) fn run(id: Option<&str>, json: bool) -> Result<Exit, Failure> {
    let mut found = deviations()?;
    if let Some(id) = id {
        found.retain(|deviation| {
            deviation.id.eq_ignore_ascii_case(id)
                || deviation.benchmarks.iter().any(|benchmark| benchmark == id)
        });
        if found.is_empty() {
            return Err(Failure::usage(format!(
                "`{id}` is no deviation and no table that one touches; `i2m2 deviations` prints them all"
            )));
        }
    }
    let measured = effects().map_err(Failure::internal)?;
    let known: Vec<Known<'_>> = found
        .iter()
        .map(|deviation| Known { deviation, effects: effects_of(&measured, &deviation.id) })
        .collect();
    output::shown(json, &known, || known.iter().map(words).collect())?;
    Ok(Exit::Success)
}

fn words(known: &Known<'_>) -> String {
    let Deviation { id, title, paper, released, ours, why, switch, changes: _, benchmarks } = known.deviation;
    let mut text = format!("{id}  {title} ({})\n", benchmarks.join(", "));
    let switch = if switch.is_empty() { "none" } else { switch };
    let lines = [
        ("paper", paper.as_str()),
        ("released code", released),
        ("here", ours),
        ("why", why),
        ("switch", switch),
    ];
    for (name, line) in lines {
        text += &format!("    {name:<14} {line}\n");
    }
    if known.effects.is_empty() {
        text += &format!("    {:<14} {}\n", "effect", known.deviation.unmeasured());
    }
    for effect in &known.effects {
        text += &format!("    {:<14} {effect}\n", "effect");
    }
    text + "\n"
}
