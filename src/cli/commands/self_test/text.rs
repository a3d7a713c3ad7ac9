//! The self-test for a terminal.

use crate::results::self_test::{DRAWS, Found, LEARNING_RATE, Point, SHARES};

/// How many were caught, and how far the means moved, by size.
fn rows(points: &[&Point]) -> String {
    let name = points.first().map(|point| point.fault).filter(|&fault| fault != LEARNING_RATE);
    let caught: String =
        points.iter().map(|point| format!("{:>7}", format!("{:.0} %", point.rate()))).collect();
    let moved: String = points.iter().map(|point| format!("{:>7.2}", point.moved)).collect();
    format!("  {:<24} {caught}\n  {:<24} {moved}\n", name.unwrap_or("    caught"), "    moves the mean by")
}

pub(super) fn statistics(found: &Found) -> String {
    let mut text = format!(
        "\nstatistical faults in copies of the test logits and labels of {} cells (of {} with a range): how many of {DRAWS} draws each the ranges catch\n",
        found.cells, found.ranged
    );
    text += &format!(
        "  {:<24} {}\n",
        "share of the test split",
        SHARES.map(|share| format!("{:>7}", format!("{} %", 100.0 * share))).join("")
    );
    let (rates, shares): (Vec<&Point>, Vec<&Point>) =
        found.curve.iter().partition(|point| point.fault == LEARNING_RATE);
    for points in shares.chunk_by(|a, b| a.fault == b.fault) {
        text += &rows(points);
    }
    if !rates.is_empty() {
        let factors: String = rates.iter().map(|point| format!("{:>7}", point.size)).collect();
        text += &format!("  {LEARNING_RATE:<24} {factors}   (trained anew)\n");
        text += &rows(&rates);
    }
    let [caught, large] = found.large;
    text += &format!("  of at least three times the detectable size: {caught} of {large} caught\n");
    let [alarms, checks] = found.alarms;
    text += &format!(
        "  sound seeds drawn from each range's mean and deviation: {alarms} false alarms in {checks} checks\n"
    );
    if found.blind.is_empty() {
        text += "  controls: constant predictions and permuted labels are out of every range\n";
    } else {
        text += &format!(
            "  controls: constant predictions or permuted labels lie within the ranges of {}\n",
            found.blind.join(", ")
        );
    }
    text
}
