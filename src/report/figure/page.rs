//! The page: caption, rows of panels, legend and footnote, one beneath the other.
//!
//! Invariant: equal labels have one look on the whole page.

use plotters::style::text_anchor::HPos;

use super::block::{Block, LABEL, MARGIN, items};
use super::legend::{footnote, legend};
use super::panel::{XAxis, abreast, row};
use super::scale::Scale;
use super::style::{QUIET, TEXT, WARNING, edge};
use super::text::{self, Font};
use super::{Caption, Figure, FigureError, Row, Series, bars, curves, document};

const TITLE: Font = Font::new(130, TEXT).bold();
const NOTE: Font = Font::new(90, QUIET);

/// The figure as an SVG document that needs no other file.
///
/// # Errors
/// None that its numbers or labels could cause.
pub(crate) fn svg(figure: &Figure) -> Result<String, FigureError> {
    text::register()?;
    let Figure { caption, x, rows } = figure;
    let x = x.as_ref().map(|x| {
        let xs = items(rows).flat_map(|item| &item.points).map(|point| point.x);
        let scale = if x.factors { Scale::over_factors(xs) } else { Scale::over(xs) };
        XAxis { label: &x.text, scale }
    });
    let look = if x.is_some() { curves::LOOK } else { bars::LOOK };
    let columns = rows.iter().map(|row| abreast(row.panels.len())).max().unwrap_or(1);
    let width = [4200, 5600, 7200][columns.clamp(1, 3) - 1];
    let labels = labels(rows);
    let mut blocks = head(caption, width);
    let mut truncated = false;
    for shared in rows {
        let values = shared.panels.iter().flat_map(|panel| &panel.items).flat_map(Series::extent);
        let y = Scale::around(values, x.is_none());
        truncated |= x.is_none() && (y.low > 0.0 || y.high < 0.0);
        blocks.push(row(shared, look, y, x.as_ref(), &labels, (width, columns)));
    }
    let compared = items(rows).flat_map(Series::references).next().is_some();
    blocks.extend(legend(rows, look, &labels, compared, width));
    let note = NOTE.wrap(&footnote(rows, truncated, x.is_some()), width - 2 * MARGIN);
    blocks.extend(note.into_iter().map(|line| Block::line(line, NOTE, 126)));
    blocks.push(Block::space(MARGIN));

    let height = blocks.iter().map(|block| block.height).sum();
    document::write(&caption.title, (width, height), |root| {
        let mut rest = root.clone();
        for block in &blocks {
            let (area, below) = rest.split_vertically(block.height);
            block.draw(&area)?;
            rest = below;
        }
        Ok(())
    })
}

fn labels(rows: &[Row]) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for item in items(rows) {
        if !labels.contains(&item.label) {
            labels.push(item.label.clone());
        }
    }
    labels
}

fn head(caption: &Caption, width: i32) -> Vec<Block<'static>> {
    const LINE: i32 = 137;
    let most = width - 2 * MARGIN;
    let mut blocks = vec![Block::space(60)];
    blocks.extend(TITLE.wrap(&caption.title, most).into_iter().map(|line| Block::line(line, TITLE, 163)));
    blocks.extend(NOTE.wrap(&caption.subtitle, most).into_iter().map(|line| Block::line(line, NOTE, 135)));
    let font = LABEL.bold().tinted(WARNING);
    let warning = font.wrap(caption.warning.as_deref().unwrap_or(""), most - 160);
    if !warning.is_empty() {
        let height = LINE * warning.len() as i32 + 70;
        blocks.push(Block::space(80));
        blocks.push(Block::new(height, move |area| {
            let (left, right) = (MARGIN, width - MARGIN);
            edge(area, &[(left, 0), (right, 0), (right, height), (left, height)], WARNING, 12)?;
            (1..).zip(&warning).try_for_each(|(number, line)| {
                font.draw(area, line, (width / 2, LINE * number), HPos::Center)
            })
        }));
    }
    blocks.push(Block::space(40));
    blocks
}
