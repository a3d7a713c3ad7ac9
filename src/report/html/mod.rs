//! The report as one HTML page that needs no other file and asks nothing of any network.
//!
//! Invariant: pure, and complete without its script: the page reads, prints and expands without one, which only sorts, searches
//! and switches between light and dark. Text is escaped by the markup macro; figures are our own SVG.

mod claims;
mod deviations;
mod provenance;
mod summary;
mod table;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::figure::{self, FigureError};
use super::words;
use crate::gate::effects::Effect;
use crate::gate::{Judgement, TestedClaim, Verdict};
use crate::results::Report;
use crate::study::Deviation;

/// What the page is made of.
pub(crate) struct Page<'a> {
    /// The tables and figures, in the paper's order.
    pub reports: &'a [Report],
    /// Every claim of the paper.
    pub claims: &'a [TestedClaim],
    /// Every known deviation.
    pub deviations: &'a [Deviation],
    /// What was measured of them.
    pub effects: &'a [Effect],
    /// What made the page: version, commit, compiler.
    pub tool: String,
    /// When: RFC 3339, UTC.
    pub made: String,
}

/// Nothing may be loaded, from anywhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// Renders the page.
///
/// # Errors
/// A figure that cannot be drawn.
pub(crate) fn render(page: &Page<'_>) -> Result<String, FigureError> {
    let sections: Vec<Markup> = page.reports.iter().map(section).collect::<Result<_, _>>()?;
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { "I2M2, replayed" }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                a.skip href="#main" { "Skip to the tables" }
                header {
                    h1 { "I2M2, replayed" }
                    p { "Jointly Modeling Inter- & Intra-Modality Dependencies for Multi-modal Learning (NeurIPS 2024): every table and figure from the store, beside what the paper prints." }
                    (controls())
                }
                (navigation(page))
                main id="main" {
                    (summary::section(page))
                    @for section in &sections { (section) }
                    (claims::section(page.claims))
                    (deviations::section(page.deviations, page.effects))
                    (provenance::section(page))
                }
                footer { "Made by i2m2 " (page.tool) " at " (page.made) "." }
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    Ok(markup.into_string() + "\n")
}

/// What needs the script, and is not there without it.
fn controls() -> Markup {
    html! {
        div.controls hidden {
            label for="search" { "Search " }
            input id="search" type="search" placeholder="a cell, a claim, a deviation" autocomplete="off";
            output id="found" for="search" aria-live="polite" {}
            button type="button" id="expand" aria-pressed="false" { "Expand all evidence" }
            button type="button" id="theme" { "Light or dark" }
        }
    }
}

fn navigation(page: &Page<'_>) -> Markup {
    html! {
        nav aria-label="Contents" {
            a href="#summary" { "Summary" }
            @for report in page.reports {
                a href={ "#" (report.benchmark.id) } { (report.benchmark.title) }
            }
            a href="#claims" { "Claims" }
            a href="#deviations" { "Deviations" }
            a href="#provenance" { "Provenance" }
        }
    }
}

fn section(report: &Report) -> Result<Markup, FigureError> {
    let benchmark = report.benchmark;
    let drawn = figure::from_report(report)?.map(|drawn| figure::svg(&drawn)).transpose()?;
    Ok(html! {
        section.benchmark id=(benchmark.id) {
            h2 { (benchmark.title) span.caption { " " (benchmark.caption) } }
            p.circumstances { (words::header(report)) }
            @if let Some(svg) = drawn {
                figure { (PreEscaped(svg)) }
            }
            (table::table(report))
            @if !report.references.is_empty() { (table::references(report)) }
            @let notes = [words::claims(report), words::notes(report)].concat();
            @if !notes.is_empty() {
                ul.notes { @for note in &notes { li { (note) } } }
            }
        }
    })
}

/// A verdict as a badge that does not speak by colour alone.
fn badge(judgement: &Judgement) -> Markup {
    let (class, mark) = match judgement.verdict {
        Verdict::Reproduced | Verdict::Agrees => ("good", "✓"),
        Verdict::Different => ("bad", "≠"),
        Verdict::Inconclusive => ("open", "?"),
        Verdict::Incomplete => ("open", "…"),
        Verdict::NotMeasured => ("none", "∅"),
        Verdict::Calibrated => ("none", "⌖"),
        Verdict::NotComparable(_) => ("none", "–"),
    };
    html! { span.badge.(class) { (mark) " " (judgement.words()) } }
}

#[cfg(test)]
mod tests;
