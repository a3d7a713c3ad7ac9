//! `i2m2 plan --power`: how many seeds verdicts and claims take, and what those cost.

use crate::gate::{CellPower, ClaimPower};
use crate::results::{PlannedCell, Power};

/// The planner's answer for a terminal.
pub(super) fn text(planned: &Power) -> String {
    let mut text =
        "cells: seeds that show agreement within the margin with 80 % power, if there is\n".to_owned();
    for PlannedCell { power, published_runs, seconds_a_seed } in &planned.cells {
        let CellPower { cell, margin, std, measured, seeds, detectable } = power;
        let whose = if *measured { "ours" } else { "the paper's" };
        let wanted = match seeds {
            Some(seeds) => {
                let time = seconds_a_seed.map(|each| format!(", about {:.0} s", each * *seeds as f64));
                format!("{seeds} seeds{}", time.unwrap_or_default())
            }
            None => "no number of seeds: the published mean is too uncertain".to_owned(),
        };
        let runs = published_runs.map_or(String::new(), |n| format!(" with {n} runs"));
        text += &format!(
            "  {:<34} margin {margin:<5} deviation {std:.3} ({whose}): {wanted}; {detectable:.2} apart would be seen{runs}\n",
            cell.to_string()
        );
    }
    if planned.cells.is_empty() {
        text += "  none: the paper prints no deviations here, or no margin is declared\n";
    }
    text += "\nclaims: seeds of each method that show the published difference with 80 % power, without pairing\n";
    for ClaimPower { claim, above, below, difference, seeds } in &planned.claims {
        let wanted = match seeds {
            Some(seeds) => format!("{seeds} seeds"),
            None if *difference <= 0.0 => "none: it points the other way".to_owned(),
            None => "more than 1000 seeds".to_owned(),
        };
        text += &format!("  {claim:<34} {above} over {below} by {difference:.2}: {wanted}\n");
    }
    if planned.claims.is_empty() {
        text += "  none of published cells\n";
    }
    if planned.tier != "paper" {
        text += "\nDeviations are the paper's: add --data DIR to plan with those of stored runs, and with their cost.\n";
    }
    text
}
