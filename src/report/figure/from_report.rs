//! From a report to a figure.
//!
//! Invariant: it takes the numbers of the summary frame and the words of the other renderings; it computes none.

use super::{Caption, Figure, FigureError, Mean, Panel, Point, Row, Series, XLabel};
use crate::benchmarks::{Chart, Column};
use crate::metric::{AUROC, Measure, Unit};
use crate::report::words;
use crate::results::{CellResult, Reference, Report};

/// The figure of a report, or `None` where its benchmark is no chart.
///
/// Columns are panels; those under different groups stand in different rows with a y axis each. Rows are the bars of every
/// panel, or the points of its curves: `i2m2@5` is the point of `i2m2` at 5.
///
/// # Errors
/// A row of a figure of curves that is not called `<method>@<number>`.
pub(crate) fn from_report(report: &Report) -> Result<Option<Figure>, FigureError> {
    let benchmark = report.benchmark;
    let Some(chart) = benchmark.chart else { return Ok(None) };
    let (subtitle, warning) = if report.is_comparable() {
        (words::header(report), None)
    } else {
        (words::circumstances(report), Some(words::tier(report.tier).to_owned()))
    };
    let title = format!("{}: {}", benchmark.title, benchmark.caption);
    let caption = Caption { title, subtitle, warning };
    let x = match chart {
        Chart::Bars => None,
        Chart::Curves { x } => Some(XLabel { text: x.to_owned(), factors: false }),
    };
    let items = |column: &Column| match chart {
        Chart::Bars => Ok(bars(report, column)),
        Chart::Curves { .. } => curves(report, column),
    };
    let groups = benchmark.layout.columns.chunk_by(|a, b| a.group == b.group);
    let rows = groups.map(|columns| {
        let panels = columns
            .iter()
            .map(|column| Ok(Panel { title: column.head.text.to_owned(), items: items(column)? }));
        Ok(Row { y_label: y_label(report, columns), panels: panels.collect::<Result<_, FigureError>>()? })
    });
    Ok(Some(Figure { caption, x, rows: rows.collect::<Result<_, FigureError>>()? }))
}

/// A measure in words.
fn words(measure: &Measure) -> String {
    if measure == &AUROC { "AUROC".to_owned() } else { measure.id.replace('_', " ") }
}

/// The columns' group, or else their metric; then the unit.
fn y_label(report: &Report, columns: &[Column]) -> String {
    let cell = report.cells.iter().find(|cell| columns.iter().any(|column| column.id == cell.id.column));
    let name = match columns {
        [Column { group, .. }, ..] if !group.is_empty() => (*group).to_owned(),
        _ => cell.map_or(String::new(), |cell| words(cell.metric.measure)),
    };
    match cell.map(CellResult::unit) {
        None | Some(Unit::None) => name,
        Some(Unit::Percent) => format!("{name} (%)"),
        Some(Unit::Nats) => format!("{name} (nats)"),
        Some(Unit::Bits) => format!("{name} (bits)"),
    }
}

fn bars(report: &Report, column: &Column) -> Vec<Series> {
    let rows = report.benchmark.layout.rows;
    rows.iter()
        .map(|row| {
            let cell = report.cell(row.id, column.id);
            // A head that several groups use needs its group's name.
            let shared = rows.iter().filter(|other| other.head.text == row.head.text).count() > 1;
            let label = match (row.head.text, shared) {
                ("", _) => row.id.to_owned(),
                (head, true) if !row.group.is_empty() => format!("{}, {head}", row.group),
                (head, _) => head.to_owned(),
            };
            Series::bar(label, mean(cell), published(cell))
        })
        .collect()
}

fn curves(report: &Report, column: &Column) -> Result<Vec<Series>, FigureError> {
    let mut curves: Vec<(&str, Series)> = Vec::new();
    for row in report.benchmark.layout.rows {
        let refused =
            || FigureError::Row { benchmark: report.benchmark.id.to_owned(), row: row.id.to_owned() };
        let (method, level) = row.id.rsplit_once('@').ok_or_else(refused)?;
        let x: f64 = level.parse().ok().filter(|x: &f64| x.is_finite()).ok_or_else(refused)?;
        let cell = report.cell(row.id, column.id);
        let band = cell.and_then(CellResult::interval).map(|interval| [interval.low, interval.high]);
        let point = Point { x, value: mean(cell), band, reference: published(cell) };
        match curves.iter_mut().find(|(known, _)| *known == method) {
            Some((_, series)) => series.points.push(point),
            None => {
                let label = if row.group.is_empty() { method } else { row.group };
                curves.push((method, Series { label: label.to_owned(), points: vec![point], known: None }));
            }
        }
    }
    for (_, series) in &mut curves {
        series.points.sort_by(|a, b| a.x.total_cmp(&b.x));
    }
    let mut curves: Vec<Series> = curves.into_iter().map(|(_, series)| series).collect();
    curves.extend(known(report));
    Ok(curves)
}

/// The known optima that belong into a figure of curves, the same in every panel.
fn known(report: &Report) -> Vec<Series> {
    let curve = |(number, reference): (usize, &Reference)| {
        let point = |(place, &value): (&String, &f64)| {
            let x = place.strip_prefix('@')?.parse().ok()?;
            Some(Point { x, value: Some(Mean { mean: value, std: None, n: 0 }), ..Point::default() })
        };
        let mut points: Vec<Point> = reference.values.iter().filter_map(point).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Series { label: reference.label.clone(), points, known: Some(number) }
    };
    report.bounds().enumerate().map(curve).filter(|series| !series.points.is_empty()).collect()
}

fn mean(cell: Option<&CellResult>) -> Option<Mean> {
    let summary = cell?.summary()?;
    Some(Mean { mean: summary.mean, std: summary.std, n: summary.n })
}

fn published(cell: Option<&CellResult>) -> Option<f64> {
    Some(cell?.published.as_ref()?.mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmarks::{Benchmark, Layout, Published, Row as LayoutRow};
    use crate::digest::Digest;
    use crate::gate::{Case, Sample, judge};
    use crate::metric::Metric;
    use crate::results::Known;
    use crate::results::cell::SeedValue;
    use crate::study::{ProtocolName, Tier};

    const COLUMNS: &[Column] = &[
        Column::new("auroc-acl", "ACL").under("AUROC"),
        Column::new("auroc-others", "Others").under("AUROC"),
        Column::new("balanced-acl", "ACL").under("Balanced accuracy"),
    ];

    const METHODS: &[LayoutRow] = &[
        LayoutRow::new("magnitude", "Magnitude").under("PreactResNet-18"),
        LayoutRow::new("wide-magnitude", "Magnitude").under("WideResNet"),
        LayoutRow::new("i2m2", "I2M2"),
    ];

    const LEVELS: &[LayoutRow] = &[
        LayoutRow::new("inter@5", "5 %").under("Inter-modality"),
        LayoutRow::new("inter@0", "0 %").under("Inter-modality"),
        LayoutRow::new("i2m2@0", "0 %"),
        LayoutRow::new("i2m2@2.5", "2.5 %"),
    ];

    /// A report of made-up numbers, in which the first row lacks its last column.
    fn made_up(rows: &'static [LayoutRow], chart: Chart, tier: Tier) -> Report {
        let layout = Layout { checks: &[], columns: COLUMNS, rows };
        let benchmark: &'static Benchmark = Box::leak(Box::new(Benchmark::made_up(layout, chart)));
        let mut cells = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            for (j, column) in COLUMNS.iter().enumerate() {
                let absent = (i, j) == (0, COLUMNS.len() - 1);
                let seeds = if absent { 0 } else { 3 };
                let value = |seed: u64| 80.0 + 2.0 * i as f64 - j as f64 + seed as f64;
                let published = (j == 0).then(|| Published {
                    mean: 82.5,
                    std: None,
                    n: None,
                    printed: "82.5".to_owned(),
                    decimals: 1,
                    metric: "auroc".to_owned(),
                    unit: Unit::Percent,
                    place: "Figure 0".to_owned(),
                    calibrated: None,
                    tuned: false,
                });
                let values: Vec<SeedValue> = (0..seeds)
                    .map(|seed| SeedValue { seed, value: value(seed), key: Digest::of(b"made up") })
                    .collect();
                let sample = Sample {
                    values: values.iter().map(|seed| ([seed.seed].into(), seed.value)).collect(),
                    declared: 3,
                    ..Sample::default()
                };
                let ours: Vec<f64> = values.iter().map(|value| value.value).collect();
                cells.push(CellResult {
                    configured: None,
                    id: benchmark.cell_id(column.id, row.id),
                    metric: Metric::test(&AUROC),
                    judgement: {
                        let published = published.as_ref();
                        let case =
                            Case { ours: &ours, declared: 3, published, calibrated: false, margin: None };
                        judge(&[case], tier, 1).swap_remove(0)
                    },
                    values,
                    published,
                    missing: None,
                    sample,
                });
            }
        }
        Report {
            benchmark,
            tier,
            protocol: ProtocolName::Paper,
            changes: Vec::new(),
            device_class: "made-up numbers".to_owned(),
            determinism: String::new(),
            cells,
            references: Vec::new(),
            deviations: Vec::new(),
            claims: Vec::new(),
        }
    }

    #[test]
    fn a_table_is_no_figure() {
        let mut report = made_up(METHODS, Chart::Bars, Tier::Smoke);
        report.benchmark = crate::benchmarks::find("table1").unwrap();
        assert_eq!(from_report(&report).unwrap(), None);
    }

    #[test]
    fn groups_of_columns_become_rows_of_panels_with_the_reports_numbers() {
        let report = made_up(METHODS, Chart::Bars, Tier::Paper);
        let figure = from_report(&report).unwrap().unwrap();
        assert_eq!(figure.x, None);
        let shape: Vec<(&str, usize)> =
            figure.rows.iter().map(|row| (row.y_label.as_str(), row.panels.len())).collect();
        assert_eq!(shape, [("AUROC (%)", 2), ("Balanced accuracy (%)", 1)]);
        let panel = &figure.rows[0].panels[0];
        let labels: Vec<&str> = panel.items.iter().map(|bar| bar.label.as_str()).collect();
        assert_eq!(
            (panel.title.as_str(), &labels[..]),
            ("ACL", &["PreactResNet-18, Magnitude", "WideResNet, Magnitude", "I2M2"][..])
        );
        for (row, panels) in figure.rows.iter().zip([&COLUMNS[..2], &COLUMNS[2..]]) {
            for (panel, column) in row.panels.iter().zip(panels) {
                for (bar, method) in panel.items.iter().zip(METHODS) {
                    let cell = report.cell(method.id, column.id).unwrap();
                    let summary = cell.summary().map(|s| Mean { mean: s.mean, std: s.std, n: s.n });
                    assert_eq!(bar.points[0].value, summary);
                    assert_eq!(bar.points[0].reference, cell.published.as_ref().map(|p| p.mean));
                }
            }
        }
        assert_eq!(figure.rows[1].panels[0].items[0].points[0].value, None);
        assert_eq!(figure.caption.warning, None);
        assert!(figure.caption.subtitle.contains("paper tier"));
    }

    #[test]
    fn rows_become_points_of_curves_by_rising_level() {
        let report = made_up(LEVELS, Chart::Curves { x: "noise (%)" }, Tier::Paper);
        let figure = from_report(&report).unwrap().unwrap();
        assert_eq!(figure.x.as_ref().map(|x| x.text.as_str()), Some("noise (%)"));
        let curves: Vec<(&str, Vec<f64>)> = (figure.rows[0].panels[0].items.iter())
            .map(|series| (series.label.as_str(), series.points.iter().map(|point| point.x).collect()))
            .collect();
        assert_eq!(curves, [("Inter-modality", vec![0.0, 5.0]), ("i2m2", vec![0.0, 2.5])]);
        let last = &figure.rows[1].panels[0].items[0].points;
        assert_eq!((last[0].value.map(|v| v.mean), last[1].value), (Some(81.0), None));
        // Three values one apart: 4.302653 (t of 2 degrees of freedom) / sqrt(3) to either side.
        let [low, high] = last[0].band.unwrap();
        assert!((low - 78.515_862).abs() < 1e-5 && (high - 83.484_138).abs() < 1e-5, "{low} {high}");
    }

    #[test]
    fn known_optima_are_curves_without_markers_in_every_panel() {
        let mut report = made_up(LEVELS, Chart::Curves { x: "noise (%)" }, Tier::Smoke);
        let optimum = |label: &str, known| Reference {
            label: label.to_owned(),
            values: [("@0", 90.0), ("@2.5", 88.0)].map(|(place, value)| (place.to_owned(), value)).into(),
            known,
        };
        report.references = vec![optimum("Bayes", Known::Bound), optimum("majority", Known::Optimum)];
        let figure = from_report(&report).unwrap().unwrap();
        for panel in figure.rows.iter().flat_map(|row| &row.panels) {
            let known: Vec<&Series> = panel.items.iter().filter(|series| series.known.is_some()).collect();
            assert_eq!(known.len(), 1);
            let points: Vec<(f64, f64)> =
                known[0].points.iter().filter_map(|point| Some((point.x, point.value?.mean))).collect();
            assert_eq!((known[0].label.as_str(), &points[..]), ("Bayes", &[(0.0, 90.0), (2.5, 88.0)][..]));
        }
        let drawn = crate::report::figure::svg(&figure).unwrap();
        assert!(drawn.contains(">Bayes</text>") && drawn.contains("Means over 3 runs"));
    }

    #[test]
    fn a_row_without_a_level_is_refused() {
        let report = made_up(METHODS, Chart::Curves { x: "noise" }, Tier::Smoke);
        let message = from_report(&report).unwrap_err().to_string();
        assert!(message.contains("`magnitude`") && message.contains("figure0"), "{message}");
    }

    #[test]
    fn below_the_paper_tier_a_figure_warns() {
        for tier in [Tier::Smoke, Tier::Reduced] {
            let report = made_up(METHODS, Chart::Bars, tier);
            let figure = from_report(&report).unwrap().unwrap();
            let text = crate::report::figure::svg(&figure).unwrap();
            assert!(text.contains("comparable with the paper<") && text.contains(&format!("{tier} tier")));
        }
    }
}
