//! A table in the paper's layout; every cell opens to what its number rests on.

use maud::{Markup, html};

use super::badge;
use crate::benchmarks::{Column, Row};
use crate::report::words;
use crate::results::{CellResult, Report};

/// The table of a report.
pub(super) fn table(report: &Report) -> Markup {
    let layout = &report.benchmark.layout;
    let heads = layout.has_row_heads();
    let lead = layout.checks.len() + usize::from(heads);
    let sortable = layout.rows.iter().all(|row| row.group.is_empty());
    html! {
        div.scroll tabindex="0" role="group" aria-label={ (report.benchmark.title) " as a table" } {
            table.cells data-sortable[sortable] {
                thead {
                    @if layout.columns.iter().any(|column| !column.group.is_empty()) {
                        tr {
                            @if lead > 0 { td colspan=(lead) {} }
                            @for (group, count) in groups(layout.columns) {
                                th scope="colgroup" colspan=(count) { (group) }
                            }
                        }
                    }
                    tr {
                        @if heads { th scope="col" { "Model" } }
                        @for check in layout.checks {
                            th scope="col" { (check.group) " " (check.head) }
                        }
                        @for column in layout.columns { th.number scope="col" { (column.head.text) } }
                    }
                }
                @for (group, rows) in row_groups(layout.rows) {
                    tbody {
                        @if !group.is_empty() {
                            tr.group { th scope="rowgroup" colspan=(lead + layout.columns.len()) { (group) } }
                        }
                        @for row in rows { (line(report, row, heads)) }
                    }
                }
            }
        }
    }
}

fn line(report: &Report, row: &Row, heads: bool) -> Markup {
    html! {
        tr data-find={ (report.benchmark.id) " " (row.id) " " (row.head.text) } {
            @if heads { th scope="row" { (row.head.text) } }
            @for &mark in row.checks {
                td.check { @if mark { span title="modelled" { "✓" } } @else { span title="not modelled" { "✗" } } }
            }
            @for column in report.benchmark.layout.columns {
                @match report.cell(row.id, column.id) {
                    Some(cell) => td.number data-value=[cell.mean()] { (number(report, cell)) },
                    None => td.number { "–" },
                }
            }
        }
    }
}

/// Our number, the paper's beneath it, and the evidence.
fn number(report: &Report, cell: &CellResult) -> Markup {
    html! {
        details {
            summary title={ (cell.id) ": " (cell.judgement.words()) } {
                span.ours { (words::pair(words::ours(cell))) }
                @if let Some(paper) = words::paper(cell) {
                    span.paper { "paper " (words::pair(Some(paper))) }
                }
                @if report.is_comparable() || cell.configured.is_some() { (badge(&cell.judgement)) }
            }
            (evidence(report, cell))
        }
    }
}

fn evidence(report: &Report, cell: &CellResult) -> Markup {
    let judgement = &cell.judgement;
    html! {
        dl.evidence {
            dt { "cell" } dd { code { (cell.id) } }
            dt { "metric" } dd { (cell.metric) ", " (cell.unit()) }
            dt { "verdict" } dd {
                (judgement.words())
                @if !judgement.reason.is_empty() { ": " (judgement.reason) }
            }
            @if let Some(difference) = judgement.difference {
                dt { "ours − paper" } dd {
                    (format!("{difference:+.3}"))
                    @if let Some(reading) = judgement.readings.first() {
                        (format!(" ± {:.3} (95 %)", reading.half_width))
                    }
                    @if let Some(margin) = judgement.margin { (format!("; margin {margin}")) }
                }
            }
            @for reading in &judgement.readings {
                dt { (format!("{:?} deviation", reading.std).to_lowercase()) }
                dd {
                    (format!("p of equal {:.4}, p of apart {:.4} (Holm); {:.4} and {:.4} alone; finds {:.2} with 80 % power",
                        reading.p_equal, reading.p_apart, reading.raw_p_equal, reading.raw_p_apart, reading.minimum_detectable()))
                }
            }
            @if let Some(interval) = cell.bootstrap() {
                dt { "bootstrap" } dd { (format!("[{:.3}, {:.3}] holds the mean (95 %, all resamples)", interval.low, interval.high)) }
            }
            @if let Some(published) = &cell.published { dt { "printed in" } dd { (published.place) } }
            @if let Some(missing) = &cell.missing { dt { "missing" } dd { (missing) } }
            @if let Some(data) = cell.sample.data { dt { "data" } dd { code { (data.short()) } } }
            @if !cell.values.is_empty() {
                dt { "seeds" }
                dd {
                    ul.seeds {
                        @for value in &cell.values {
                            li { (value.seed) ": " (format!("{:.4}", value.value)) " " code { (value.key.short()) } }
                        }
                    }
                }
            }
            dt { "lineage" } dd { code { "i2m2 why " (cell.id) (tier(report)) } }
        }
    }
}

/// The option that asks for the same tier, where it is not the one without options.
fn tier(report: &Report) -> &'static str {
    match report.tier {
        crate::study::Tier::Smoke => "",
        crate::study::Tier::Reduced => " --tier reduced --data DIR",
        crate::study::Tier::Paper => " --data DIR",
    }
}

/// Known optima of synthetic data.
pub(super) fn references(report: &Report) -> Markup {
    let (heads, lines) = words::optima(report);
    html! {
        details.optima {
            summary { "Synthetic data: " (words::optima_title(report)) }
            div.scroll tabindex="0" role="group" aria-label=(words::optima_title(report)) {
                table {
                    thead { tr { th scope="col" { "Predictor" } @for head in &heads { th.number scope="col" { (head) } } } }
                    tbody {
                        @for (label, values) in &lines {
                            tr {
                                th scope="row" { (label) }
                                @for value in values {
                                    td.number { (words::optimum(*value)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn groups(columns: &[Column]) -> Vec<(&str, usize)> {
    columns.chunk_by(|a, b| a.group == b.group).map(|same| (same[0].group, same.len())).collect()
}

fn row_groups(rows: &[Row]) -> Vec<(&str, &[Row])> {
    rows.chunk_by(|a, b| a.group == b.group).map(|same| (same[0].group, same)).collect()
}
