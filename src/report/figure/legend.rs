//! Beneath the panels: what the looks stand for, and what the marks mean.
//!
//! Invariant: every label of the page stands in the legend once, in the order in which it first appears.

use plotters::style::text_anchor::HPos;

use super::block::{Block, MARGIN, TICK, items};
use super::document::{Area, Drawn};
use super::panel::Look;
use super::style::published;
use super::{Mean, Row, Series};

const SAMPLE: (i32, i32) = (240, 110);
/// From a sample to its label, and from there to the next sample.
const GAP: i32 = 50;
const APART: i32 = 160;

/// One entry of the legend: an item with its look, or the published values.
struct Entry<'f> {
    item: Option<(&'f Series, usize)>,
    label: String,
    width: i32,
}

impl Entry<'_> {
    fn draw(&self, area: &Area<'_>, look: Look, left: i32) -> Drawn {
        let (right, bottom) = (left + SAMPLE.0, SAMPLE.1);
        match self.item {
            Some((item, index)) => (look.sample)(item, area, [(left, 0), (right, bottom)], index)?,
            None => published(area, (left + SAMPLE.0 / 2, bottom / 2), SAMPLE.0 / 2)?,
        }
        TICK.draw(area, &self.label, (right + GAP, 92), HPos::Left)
    }
}

/// The legend's lines, centred on the page.
pub(super) fn legend<'f>(
    rows: &'f [Row],
    look: Look,
    labels: &[String],
    compared: bool,
    page: i32,
) -> Vec<Block<'f>> {
    let most = page - 2 * MARGIN;
    let mut lines: Vec<Vec<Entry<'f>>> = Vec::new();
    let length = |line: &[Entry<'f>]| line.iter().map(|entry| entry.width + APART).sum::<i32>() - APART;
    let series = labels.iter().enumerate().filter_map(|(index, label)| {
        let item = items(rows).find(|item| item.label == *label)?;
        Some((Some((item, index)), item.label.as_str()))
    });
    for (item, label) in series.chain(compared.then_some((None, "published"))) {
        let label = TICK.shorten(label, most - SAMPLE.0 - GAP);
        let width = SAMPLE.0 + GAP + TICK.width(&label);
        let entry = Entry { item, label, width };
        match lines.last_mut() {
            Some(line) if length(line) + APART + width <= most => line.push(entry),
            _ => lines.push(vec![entry]),
        }
    }
    let blocks = lines.into_iter().map(|line| {
        Block::new(170, move |area| {
            let mut left = (page - length(&line)) / 2;
            for entry in &line {
                entry.draw(area, look, left)?;
                left += entry.width + APART;
            }
            Ok(())
        })
    });
    std::iter::once(Block::space(100)).chain(blocks).collect()
}

/// What the marks mean.
pub(super) fn footnote(rows: &[Row], truncated: bool, curves: bool) -> String {
    let means: Vec<Option<Mean>> = items(rows).flat_map(Series::means).collect();
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
