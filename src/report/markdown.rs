//! The table for a web page.
//!
//! Invariant: text of the paper or of a reason cannot break the table.

use std::fmt::Write as _;

use super::words;
use crate::results::Report;

/// GitHub-flavoured Markdown.
pub(super) fn export(report: &Report) -> String {
    let layout = &report.benchmark.layout;
    let mut heads: Vec<String> = Vec::new();
    if layout.has_row_heads() {
        heads.push(String::new());
    }
    heads.extend(layout.checks.iter().map(|check| format!("{} {}", check.group, check.head)));
    for column in layout.columns {
        let head = column.full_head();
        heads.extend([format!("{head}: ours"), "paper".to_owned()]);
        heads.extend(report.is_comparable().then(|| "verdict".to_owned()));
    }
    let mut text = format!(
        "**{}.** {}\n\n*{}*\n\n",
        report.benchmark.title,
        escape(report.benchmark.caption),
        escape(&words::header(report))
    );
    line(&mut text, &heads);
    line(&mut text, &vec!["---".to_owned(); heads.len()]);
    for row in layout.rows {
        let mut cells: Vec<String> = Vec::new();
        if layout.has_row_heads() {
            cells.push(format!("{} {}", row.group, row.head.text).trim().to_owned());
        }
        cells.extend(words::marks_and_numbers(report, row));
        line(&mut text, &cells);
    }
    for sentence in words::optimum_sentences(report, escape) {
        let _ = write!(text, "\n{sentence}\n");
    }
    for note in [words::claims(report), words::notes(report)].concat() {
        let _ = write!(text, "\n{}\n", escape(&note));
    }
    text
}

fn line(text: &mut String, cells: &[String]) {
    let cells: Vec<String> = cells.iter().map(|cell| escape(cell.trim())).collect();
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' => escaped.extend(['\\', character]),
            '\n' | '\r' => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}
