//! A booktabs fragment for `\input`.
//!
//! Invariant: it needs the packages booktabs and amssymb and nothing else; no text from outside can start a command.

use std::fmt::Write as _;

use super::words;
use crate::benchmarks::Heading;
use crate::gate::Verdict;
use crate::results::{CellResult, Report};

/// LaTeX with booktabs.
pub(super) fn export(report: &Report) -> String {
    let mut text = format!(
        "% {} of the I2M2 paper, {}.\n% Written by i2m2 {}; \\usepackage{{booktabs,amssymb}}.\n",
        report.benchmark.title,
        words::header(report).replace(['\n', '\r'], " "),
        env!("CARGO_PKG_VERSION"),
    );
    text += &tabular(report);
    text.push('\n');
    for note in notes(report) {
        let _ = writeln!(text, "{{\\footnotesize {note}\\par}}");
    }
    text
}

/// The table alone.
fn tabular(report: &Report) -> String {
    let layout = &report.benchmark.layout;
    let heads = usize::from(layout.has_row_heads());
    let before = heads + layout.checks.len();
    let mut text = String::new();
    let spec = ["l".repeat(heads), "c".repeat(layout.checks.len()), "cc".repeat(layout.columns.len())];
    let _ = writeln!(text, "\\begin{{tabular}}{{{}}}\n\\toprule", spec.concat());
    text.push_str(&head_lines(report, heads, before));
    text.push_str("\\midrule\n");
    let mut group = "";
    for row in layout.rows {
        if !row.group.is_empty() && row.group != group {
            let _ = writeln!(text, "{} \\\\", escape(row.group));
        }
        group = row.group;
        let mut cells = Vec::new();
        if heads == 1 {
            let indent = if row.group.is_empty() { "" } else { "\\quad " };
            cells.push(format!("{indent}{}", head(&row.head)));
        }
        let mark = |&mark: &bool| if mark { "$\\checkmark$" } else { "$\\times$" }.to_owned();
        cells.extend(row.checks.iter().map(mark));
        for column in layout.columns {
            let cell = report.cell(row.id, column.id);
            cells.push(number(cell.and_then(words::ours), cell.map_or("", superscript)));
            cells.push(number(cell.and_then(words::paper), ""));
        }
        let _ = writeln!(text, "{} \\\\ % {}:*:{}", cells.join(" & "), report.benchmark.id, row.id);
    }
    text.push_str("\\bottomrule\n\\end{tabular}\n");
    text
}

/// A document of its own with the tables and figures of these reports. It looks for each figure's PNG in the folder that
/// `folder` names, and says where it is not.
pub(crate) fn document(reports: &[Report], folder: impl Fn(&Report) -> String) -> String {
    let mut text = format!(
        "% Written by i2m2 {}. Compile it in the results folder: pdflatex report.tex\n{PREAMBLE}",
        env!("CARGO_PKG_VERSION")
    );
    for report in reports {
        let benchmark = report.benchmark;
        let _ = writeln!(text, "\\section*{{{}: {}}}", escape(benchmark.title), escape(benchmark.caption));
        if benchmark.chart.is_some() {
            let file = format!("{}/figure.png", folder(report));
            let _ = writeln!(text, "\\drawn{{{file}}}");
        }
        let _ = writeln!(text, "\\begin{{center}}\\fitted{{%\n{}}}\\end{{center}}", tabular(report));
        for note in
            [words::claims(report).iter().map(|claim| escape(claim)).collect(), notes(report)].concat()
        {
            let _ = writeln!(text, "{{\\footnotesize\\noindent {note}\\par}}");
        }
        text.push('\n');
    }
    text + "\\end{document}\n"
}

/// A4, tables no wider than the page.
const PREAMBLE: &str = r"\documentclass[a4paper,10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[margin=2cm]{geometry}
\usepackage{booktabs,amssymb,graphicx}
\newsavebox{\wide}
\newcommand{\fitted}[1]{\sbox{\wide}{#1}\ifdim\wd\wide>\linewidth\resizebox{\linewidth}{!}{\usebox{\wide}}\else\usebox{\wide}\fi}
\newcommand{\drawn}[1]{\IfFileExists{#1}{\begin{center}\includegraphics[width=\linewidth]{#1}\end{center}}{\noindent(The figure is not here: \texttt{\detokenize{#1}})\par}}
\setlength{\parindent}{0pt}
\begin{document}
\begin{center}\Large I2M2, replayed\end{center}
";

/// Three lines of heads: groups, heads, and whose number it is.
fn head_lines(report: &Report, heads: usize, before: usize) -> String {
    let layout = &report.benchmark.layout;
    let mut groups: Vec<(String, usize)> = vec![(String::new(), 1); heads];
    let mut names = vec![String::new(); heads];
    let mut whose = vec![String::new(); before];
    for check in layout.checks {
        join(&mut groups, escape(check.group), 1);
        names.push(escape(check.head));
    }
    for column in layout.columns {
        if column.group.is_empty() {
            groups.push((head(&column.head), 2));
            names.push("\\multicolumn{2}{c}{}".to_owned());
        } else {
            join(&mut groups, escape(column.group), 2);
            names.push(format!("\\multicolumn{{2}}{{c}}{{{}}}", head(&column.head)));
        }
        whose.extend(["ours".to_owned(), "paper".to_owned()]);
    }
    let spans: Vec<String> = groups
        .iter()
        .map(|(name, width)| match width {
            1 => name.clone(),
            _ => format!("\\multicolumn{{{width}}}{{c}}{{{name}}}"),
        })
        .collect();
    let mut text = format!("{} \\\\\n", spans.join(" & "));
    let mut rules = Vec::new();
    let mut first = 1;
    for (_, width) in &groups {
        if *width > 1 {
            rules.push(format!("\\cmidrule(lr){{{first}-{}}}", first + width - 1));
        }
        first += width;
    }
    if !rules.is_empty() {
        let _ = writeln!(text, "{}", rules.join(" "));
    }
    let any_name = layout.checks.iter().any(|check| !check.head.is_empty())
        || layout.columns.iter().any(|column| !column.group.is_empty());
    if any_name {
        let _ = writeln!(text, "{} \\\\", names.join(" & "));
    }
    let _ = writeln!(text, "{} \\\\", whose.join(" & "));
    text
}

/// Widens the last group, or starts a new one.
fn join(groups: &mut Vec<(String, usize)>, name: String, width: usize) {
    match groups.last_mut() {
        Some((last, span)) if *last == name && !name.is_empty() => *span += width,
        _ => groups.push((name, width)),
    }
}

fn number(words: Option<(String, Option<String>)>, mark: &str) -> String {
    match words {
        Some((mean, Some(std))) => format!("${mean} \\pm {std}{mark}$"),
        Some((mean, None)) => format!("${mean}{mark}$"),
        None => "--".to_owned(),
    }
}

fn superscript(cell: &CellResult) -> &'static str {
    match cell.judgement.verdict {
        Verdict::Different => "^{\\neq}",
        Verdict::Inconclusive | Verdict::Incomplete => "^{?}",
        Verdict::Calibrated => "^{c}",
        Verdict::Reproduced | Verdict::Agrees => "^{=}",
        Verdict::NotMeasured | Verdict::NotComparable(_) => "",
    }
}

fn notes(report: &Report) -> Vec<String> {
    let mut header = words::header(report);
    if let Some(first) = header.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let mut notes = vec![format!("{}.", escape(&header))];
    let mut legend: Vec<String> = Vec::new();
    for cell in report.cells.iter().filter(|cell| !superscript(cell).is_empty()) {
        let said = format!("${{}}{}$ {}", superscript(cell), cell.judgement.words());
        if !legend.contains(&said) {
            legend.push(said);
        }
    }
    if !legend.is_empty() {
        notes.push(format!("{}.", legend.join(", ")));
    }
    notes.extend(words::optimum_sentences(report, escape));
    notes.extend(words::notes(report).iter().map(|note| escape(note)));
    notes
}

fn head(head: &Heading) -> String {
    head.latex.map_or_else(|| escape(head.text), str::to_owned)
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', character]),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '\\' => escaped.push_str("\\textbackslash{}"),
            '<' => escaped.push_str("$<$"),
            '>' => escaped.push_str("$>$"),
            '–' => escaped.push_str("--"),
            '“' => escaped.push_str("``"),
            '”' => escaped.push_str("''"),
            '±' => escaped.push_str("$\\pm$"),
            '′' => escaped.push_str("$'$"),
            'ŷ' => escaped.push_str("$\\hat{y}$"),
            '\n' | '\r' => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}
