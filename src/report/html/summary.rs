//! One look: how many cells of each table have which verdict.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::Page;
use crate::gate::{ClaimVerdict, TestedClaim};
use crate::results::Report;

/// In the order of the columns.
const KINDS: [&str; 8] = [
    "reproduced",
    "different",
    "inconclusive",
    "incomplete",
    "calibrated",
    "agrees",
    "not comparable",
    "not measured",
];

pub(super) fn section(page: &Page<'_>) -> Markup {
    let counts: Vec<BTreeMap<String, usize>> = page
        .reports
        .iter()
        .map(|report| {
            let mut counts = BTreeMap::new();
            for cell in &report.cells {
                *counts.entry(cell.verdict().to_string()).or_default() += 1;
            }
            counts
        })
        .collect();
    let shown: Vec<&str> =
        KINDS.into_iter().filter(|kind| counts.iter().any(|count| count.contains_key(*kind))).collect();
    let comparable = page.reports.iter().any(Report::is_comparable);
    html! {
        section id="summary" {
            h2 { "Summary" }
            @if !comparable {
                p.warning { "No number on this page is comparable with the paper: it was made at a tier that stands for less. What it can say is whether the methods behave as the synthetic data demands." }
            }
            div.scroll tabindex="0" role="group" aria-label="verdicts by table" {
                table data-sortable {
                    thead { tr { th scope="col" { "Table or figure" } th scope="col" { "Shows" } @for kind in &shown { th.number scope="col" { (kind) } } } }
                    tbody {
                        @for (report, counts) in page.reports.iter().zip(&counts) {
                            tr data-find={ (report.benchmark.id) " " (report.benchmark.shows) } {
                                th scope="row" { a href={ "#" (report.benchmark.id) } { (report.benchmark.title) } }
                                td { (report.benchmark.shows) }
                                @for kind in &shown {
                                    @let count = counts.get(*kind).copied().unwrap_or(0);
                                    td.number data-value=(count) { @if count == 0 { "·" } @else { (count) } }
                                }
                            }
                        }
                    }
                }
            }
            @let printed = page.claims.iter().filter(|claim| claim.claim.printed.is_some()).count();
            @let (model, data): (Vec<_>, Vec<_>) = page.claims.iter().partition(|claim| claim.claim.is_about_the_model());
            p {
                (data.len()) " claims about the paper's data: " (verdicts(&data)) "; " (printed) " are contradicted by the paper's own numbers. "
                (model.len()) " about its generative model: " (verdicts(&model)) "."
            }
        }
    }
}

/// How many claims have each verdict.
fn verdicts(claims: &[&TestedClaim]) -> String {
    use ClaimVerdict::{Calibrated, Contradicted, Incomplete, NotDecidable, NotMeasured, Supported};
    let count = |verdict| claims.iter().filter(|claim| claim.verdict == verdict).count();
    let always = [Supported, Contradicted, NotDecidable, NotMeasured];
    let sometimes = [Incomplete, Calibrated].into_iter().filter(|verdict| count(*verdict) > 0);
    let each = always.into_iter().chain(sometimes).map(|verdict| format!("{} {verdict}", count(verdict)));
    each.collect::<Vec<_>>().join(", ")
}
