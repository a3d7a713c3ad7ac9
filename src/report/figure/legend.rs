//! Beneath the panels: what the looks stand for, and what the marks mean.
//!
//! Invariant: every label of the page stands in the legend once, in the order in which it first appears.

use super::page::{Item, MARGIN, TICK, items, shown};
use super::scene::{Anchor, Area, Scene, Text};
use super::style::{TEXT, reference};
use super::{Mean, Row, font};

/// One entry of the legend: a series, or the published values.
struct Entry {
    series: Option<usize>,
    label: String,
    width: f64,
}

/// Draws the legend.
pub(super) fn legend<T: Item>(scene: &mut Scene, rows: &[Row<T>], labels: &[String], compared: bool) {
    const SAMPLE: (f64, f64) = (24.0, 11.0);
    const APART: f64 = 16.0;
    let most = scene.width - 2.0 * MARGIN;
    let series = labels.iter().enumerate().map(|(index, label)| (Some(index), label.as_str()));
    let published = compared.then_some((None, "published"));
    let mut lines: Vec<Vec<Entry>> = Vec::new();
    let length = |line: &[Entry]| line.iter().map(|entry| entry.width + APART).sum::<f64>() - APART;
    for (series, label) in series.chain(published) {
        let label = font::shorten(label, TICK, false, most - SAMPLE.0 - 5.0);
        let width = SAMPLE.0 + 5.0 + font::width(&label, TICK, false);
        let entry = Entry { series, label, width };
        match lines.last_mut() {
            Some(line) if length(line) + APART + width <= most => line.push(entry),
            _ => lines.push(vec![entry]),
        }
    }
    scene.height += 10.0;
    for line in lines {
        let top = scene.height;
        let mut left = (scene.width - length(&line)) / 2.0;
        for entry in line {
            let area = Area { left, top, right: left + SAMPLE.0, bottom: top + SAMPLE.1 };
            match entry.series {
                Some(index) => {
                    if let Some(item) = items(rows).find(|item| item.label() == labels[index]) {
                        item.sample(scene, area, index);
                    }
                }
                None => reference(scene, area.left, area.right, area.middle().1),
            }
            let at = (area.right + 5.0, top + 9.2);
            scene.text(Text { colour: TEXT, ..Text::new(at, &entry.label, TICK, Anchor::Start) });
            left += entry.width + APART;
        }
        scene.height += 17.0;
    }
}

/// What the marks mean.
pub(super) fn footnote<T: Item>(rows: &[Row<T>], truncated: bool, curves: bool) -> String {
    let means: Vec<Option<Mean>> = items(rows).flat_map(T::means).map(shown).collect();
    let counts = || means.iter().flatten().map(|mean| mean.n).filter(|&n| n > 0);
    let mut said = Vec::new();
    match (counts().min(), counts().max()) {
        (Some(1), Some(1)) => said.push("Single runs.".to_owned()),
        (Some(low), Some(high)) => {
            let runs = if low == high { low.to_string() } else { format!("{low} to {high}") };
            let bars = match (means.iter().flatten().any(|mean| mean.std.is_some()), curves) {
                (true, true) => "; bands: 95 % confidence intervals of the mean (Student's t)",
                (true, false) => "; error bars: ± 1 standard deviation",
                (false, _) => "",
            };
            said.push(format!("Means over {runs} runs{bars}."));
        }
        _ => {}
    }
    if truncated {
        said.push("The y axis does not begin at 0.".to_owned());
    }
    if curves && means.iter().any(Option::is_none) {
        said.push("Gaps are not measured.".to_owned());
    }
    said.join(" ")
}
