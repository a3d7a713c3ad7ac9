//! The table for the terminal, as the paper prints it.
//!
//! Invariant: the first lines say what the table is, and at which tier and on which device it was made.

use super::words;
use crate::results::Report;

/// Plain text.
pub(super) fn export(report: &Report) -> String {
    let mut lines = vec![
        format!("{}: {}", report.benchmark.title, report.benchmark.caption),
        words::header(report),
        String::new(),
    ];
    lines.extend(align(&table(report), 2));
    if !report.references.is_empty() {
        lines.push(String::new());
        lines.extend(align(&references(report), 1));
    }
    let notes = [words::claims(report), words::notes(report)].concat();
    if !notes.is_empty() {
        lines.push(String::new());
        lines.extend(notes);
    }
    lines.join("\n") + "\n"
}

fn table(report: &Report) -> Vec<Vec<String>> {
    let layout = &report.benchmark.layout;
    let heads = layout.has_row_heads();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    if heads {
        first.push(String::new());
        second.push(String::new());
    }
    let mut group = "";
    for check in layout.checks {
        first.push(if check.group == group { String::new() } else { check.group.to_owned() });
        second.push(check.head.to_owned());
        group = check.group;
    }
    for column in layout.columns {
        first.extend([column.full_head(), String::new()]);
        second.extend(["ours".to_owned(), "paper".to_owned()]);
        if report.is_comparable() {
            first.push(String::new());
            second.push("verdict".to_owned());
        }
    }
    let mut rows = vec![first, second];
    let mut group = "";
    for row in layout.rows {
        if !row.group.is_empty() && row.group != group {
            rows.push(vec![row.group.to_owned()]);
        }
        group = row.group;
        let indent = if row.group.is_empty() { "" } else { "  " };
        let head = heads.then(|| format!("{indent}{}", row.head.text));
        rows.push(head.into_iter().chain(words::marks_and_numbers(report, row)).collect());
    }
    rows
}

fn references(report: &Report) -> Vec<Vec<String>> {
    let (heads, lines) = words::optima(report);
    let mut rows = vec![std::iter::once(words::optima_title(report).to_owned()).chain(heads).collect()];
    for (label, values) in lines {
        rows.push(std::iter::once(label.to_owned()).chain(values.into_iter().map(words::optimum)).collect());
    }
    rows
}

/// Pads to columns; a rule follows the first `heads` rows. A cell with empty ones behind it stands over those too; only a
/// row of a single cell widens nothing.
fn align(rows: &[Vec<String>], heads: usize) -> Vec<String> {
    const GAP: usize = 2;
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths = vec![0; count];
    // Where a cell stands, and up to where it reaches.
    let reaches = |row: &Vec<String>, index: usize| {
        let empty = row[index + 1..].iter().take_while(|cell| cell.is_empty()).count();
        index..index + 1 + empty
    };
    let mut cells: Vec<_> = rows
        .iter()
        .filter(|row| row.len() > 1)
        .flat_map(|row| (0..row.len()).map(move |index| (row, index)))
        .filter(|(row, index)| !row[*index].is_empty())
        .map(|(row, index)| (reaches(row, index), row[index].chars().count()))
        .collect();
    // Those over one column first, so that wider ones add only what is missing.
    cells.sort_by_key(|(columns, _)| columns.len());
    for (columns, width) in cells {
        let last = columns.end - 1;
        let there: usize = widths[columns.clone()].iter().sum::<usize>() + GAP * (columns.len() - 1);
        widths[last] += width.saturating_sub(there);
    }
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let mut line = String::new();
            let mut column = 0;
            for (cell, width) in row.iter().zip(&widths) {
                while line.chars().count() < column {
                    line.push(' ');
                }
                line.push_str(cell);
                column += width + GAP;
            }
            line.trim_end().to_owned()
        })
        .collect();
    let rule = "─".repeat(lines.iter().map(|line| line.chars().count()).max().unwrap_or(0));
    lines.insert(heads.min(lines.len()), rule);
    lines
}
