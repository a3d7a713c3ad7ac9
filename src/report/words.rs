//! The words that every rendering uses.
//!
//! Invariant: all formats say the same of a report; what differs is only how.

use std::collections::BTreeMap;

use crate::benchmarks::{Column, Row};
use crate::engine::plan::CellId;
use crate::gate::{Bound, Claim, Comparison, TestedClaim, Undecided};
use crate::results::{CellResult, Report};
use crate::study::Tier;

/// What a tier stands for.
pub(super) fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Smoke => "smoke tier: synthetic fixtures, never comparable with the paper",
        Tier::Reduced => "reduced tier: real data, cut budget, not comparable with the paper",
        Tier::Paper => "paper tier: real data, full budget",
    }
}

/// Tier, protocol, device and seeds in one line.
pub(super) fn header(report: &Report) -> String {
    format!("{}; {}", tier(report.tier), circumstances(report))
}

/// Protocol, device and seeds in one line.
pub(super) fn circumstances(report: &Report) -> String {
    let determinism = match report.determinism.as_str() {
        "" => String::new(),
        class => format!(" ({class})"),
    };
    format!("protocol {}; {}{determinism}; {}", report.protocol_words(), report.device_class, seeds(report))
}

fn seeds(report: &Report) -> String {
    let counts = report.cells.iter().map(|cell| cell.values.len()).filter(|&count| count > 0);
    if !report.cells.is_empty() && report.cells.iter().all(|cell| cell.configured.is_some()) {
        return "settings, nothing measured".to_owned();
    }
    match (counts.clone().min(), counts.max()) {
        (Some(1), Some(1)) => "1 seed".to_owned(),
        (Some(low), Some(high)) if low == high => format!("{low} seeds"),
        (Some(low), Some(high)) => format!("{low} to {high} seeds"),
        _ => "nothing measured".to_owned(),
    }
}

/// Our mean and deviation with the digits of the paper; no deviation for a single seed. A setting is written as it is set.
pub(super) fn ours(cell: &CellResult) -> Option<(String, Option<String>)> {
    if let Some(setting) = cell.configured {
        return Some((format!("{setting:e}"), None));
    }
    let summary = cell.summary()?;
    let decimals = decimals(cell);
    let number = |value: f64| format!("{value:.decimals$}");
    Some((number(summary.mean), summary.std.map(number)))
}

/// The paper's mean as it is printed, and its deviation.
pub(super) fn paper(cell: &CellResult) -> Option<(String, Option<String>)> {
    let published = cell.published.as_ref()?;
    let std = published.std.map(|std| format!("{std:.*}", published.decimals));
    Some((published.printed.clone(), std))
}

/// `61.20 ± 0.31`, or a dash for nothing.
pub(super) fn pair(words: Option<(String, Option<String>)>) -> String {
    match words {
        Some((mean, Some(std))) => format!("{mean} ± {std}"),
        Some((mean, None)) => mean,
        None => "–".to_owned(),
    }
}

/// The check marks of a row, then its cells: our number, the paper's, and the verdict where the report is comparable.
pub(super) fn marks_and_numbers(report: &Report, row: &Row) -> Vec<String> {
    let mut words: Vec<String> =
        row.checks.iter().map(|&mark| if mark { "✓" } else { "✗" }.to_owned()).collect();
    for column in report.benchmark.layout.columns {
        let cell = report.cell(row.id, column.id);
        words.extend([pair(cell.and_then(ours)), pair(cell.and_then(paper))]);
        if report.is_comparable() {
            let verdict = cell.map(|cell| cell.judgement.words());
            words.push(verdict.unwrap_or_else(|| "not measured".to_owned()));
        }
    }
    words
}

fn decimals(cell: &CellResult) -> usize {
    cell.published.as_ref().map_or(2, |published| published.decimals.max(2))
}

/// What has to be said beneath: reasons, what is missing, the deviations. The same sentence of several cells is said
/// once.
pub(super) fn notes(report: &Report) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<&CellResult>)> = Vec::new();
    for cell in &report.cells {
        let judged = (!cell.judgement.reason.is_empty())
            .then(|| format!("{}, {}", cell.judgement.words(), cell.judgement.reason));
        for reason in cell.missing.clone().into_iter().chain(judged) {
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, cells)) => cells.push(cell),
                None => reasons.push((reason, vec![cell])),
            }
        }
    }
    let mut notes: Vec<String> =
        reasons.into_iter().map(|(reason, cells)| format!("{}: {reason}.", which(report, &cells))).collect();
    let nothing_learnt = report.no_better_than_controls();
    if !nothing_learnt.is_empty() {
        notes.push(format!("{}: no better than a negative control.", which(report, &nothing_learnt)));
    }
    if !report.deviations.is_empty() {
        let ids = report.deviations.join(", ");
        notes.push(format!("Deviations from the paper or its code: {ids} (paper/deviations.toml)."));
    }
    notes
}

/// A line of the table of known optima: what it is, and its values by place.
pub(super) type Optimum<'a> = (&'a str, Vec<Option<f64>>);

/// Known optima and controls as a table: its heads, and the label and values of each line.
pub(super) fn optima(report: &Report) -> (Vec<String>, Vec<Optimum<'_>>) {
    let places = report.known_places();
    let head = |place: &&str| match place.strip_prefix('@') {
        Some(point) => format!("at {point}"),
        None => {
            let column = report.benchmark.layout.columns.iter().find(|column| column.id == *place);
            column.map_or_else(String::new, Column::full_head)
        }
    };
    let values = |values: &BTreeMap<String, f64>| -> Vec<Option<f64>> {
        places.iter().map(|place| values.get(*place).copied()).collect()
    };
    let lines = report
        .references
        .iter()
        .map(|reference| (reference.label.as_str(), values(&reference.values)))
        .collect();
    (places.iter().map(head).collect(), lines)
}

/// A value in the table of [`optima`].
pub(super) fn optimum(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.2}"))
}

/// One known optimum in a sentence: `Bayes (Eq. 2): mortality 81.20, ...`.
pub(super) fn optimum_sentences(report: &Report, escape: impl Fn(&str) -> String) -> Vec<String> {
    let (heads, lines) = optima(report);
    let sentence = |(label, values): (&str, Vec<Option<f64>>)| {
        let pairs = heads.iter().zip(values).filter_map(|(head, value)| Some((head, value?)));
        let values: Vec<String> = pairs.map(|(head, value)| format!("{} {value:.2}", escape(head))).collect();
        format!("{}: {}.", escape(label), values.join(", "))
    };
    lines.into_iter().map(sentence).collect()
}

/// What the table of [`optima`] shows.
pub(super) fn optima_title(report: &Report) -> &'static str {
    if report.controls().next().is_some() { "known optima, and controls" } else { "known optima" }
}

/// The paper's claims, each with what the runs say.
pub(super) fn claims(report: &Report) -> Vec<String> {
    report.claims.iter().map(|tested| claim(report, tested)).collect()
}

/// A claim of the paper, what the runs say, and every difference behind it beside the paper's.
fn claim(report: &Report, tested: &TestedClaim) -> String {
    let address = |id: &CellId| match report.benchmark.layout.columns {
        [_] => id.row.clone(),
        _ => format!("{}:{}", id.column, id.row),
    };
    let differences: Vec<String> = tested.tested.iter().map(|pair| comparison(pair, address)).collect();
    let Claim { sentence, place, .. } = &tested.claim;
    format!("Claim {}: “{sentence}” ({place}): {}.", tested.words(), differences.join("; "))
}

/// `i2m2 over inter by 1 ± 0.5: +0.63, paper +0.66`.
pub(crate) fn comparison(pair: &Comparison, address: impl Fn(&CellId) -> String) -> String {
    let statement = &pair.statement;
    let percent = if statement.relative { " %" } else { "" };
    let number = |difference: Option<f64>| {
        difference.map_or("–".to_owned(), |value| format!("{value:+.2}{percent}"))
    };
    let size = match (statement.by, statement.within) {
        (Some(by), Some(within)) => format!(" by {by}{percent} ± {within}:"),
        _ => String::new(),
    };
    let above = address(&statement.above);
    let below = match &statement.below {
        Bound::Cell(cell) => address(cell),
        Bound::Number(number) => number.to_string(),
    };
    let mut text = format!("{above} over {below}{size} {}, paper {}", number(pair.ours), number(pair.paper));
    match pair.undecided {
        Some(Undecided::Calibrated) => text += " (the data was tuned to both)",
        Some(Undecided::Incomplete { seeds, of }) => text += &format!(" ({seeds} of {of} seeds)"),
        None => {}
    }
    if let Some(seeds) = pair.seeds {
        text += &format!(" ({seeds} seeds, declared beforehand, would show so large a difference)");
    }
    text
}

/// Names cells by whole columns where it can: `all cells`, `VQA-VS`, `mortality:i2m2`.
fn which(report: &Report, cells: &[&CellResult]) -> String {
    if cells.len() == report.cells.len() {
        return "All cells".to_owned();
    }
    let layout = &report.benchmark.layout;
    let mut names = Vec::new();
    for column in layout.columns {
        let inside: Vec<&&CellResult> = cells.iter().filter(|cell| cell.id.column == column.id).collect();
        if inside.len() == layout.rows.len() {
            names.push(column.full_head());
        } else {
            names.extend(inside.iter().map(|cell| format!("{}:{}", cell.id.column, cell.id.row)));
        }
    }
    names.join(", ")
}
