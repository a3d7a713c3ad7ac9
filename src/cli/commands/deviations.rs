//! `i2m2 deviations`: every known difference between the paper, the released code and this project.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::protocol::{Deviation, deviations};

/// Prints the ledger, or one entry, or those that touch a benchmark.
pub fn run(id: Option<&str>, json: bool) -> Result<Exit, Failure> {
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
    if json {
        output::json(&found)?;
        return Ok(Exit::Success);
    }
    let mut text = String::new();
    for deviation in &found {
        text += &words(deviation);
    }
    output::data(&text)?;
    Ok(Exit::Success)
}

fn words(deviation: &Deviation) -> String {
    let Deviation { id, title, paper, released, ours, why, switch, effect, benchmarks } = deviation;
    let mut text = format!("{id}  {title} ({})\n", benchmarks.join(", "));
    let switch = if switch.is_empty() { "none" } else { switch };
    let effect = effect.as_deref().unwrap_or("not measured");
    let lines = [
        ("paper", paper.as_str()),
        ("released code", released),
        ("here", ours),
        ("why", why),
        ("switch", switch),
        ("effect", effect),
    ];
    for (name, line) in lines {
        text += &format!("    {name:<14} {line}\n");
    }
    text + "\n"
}
