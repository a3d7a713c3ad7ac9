//! How series look: colour, hatching and marker together, so that one survives where another is lost.
//!
//! Invariant: colours are Okabe and Ito's, which people with any colour vision tell apart; hatching tells neighbours
//! apart in grey, and after the colours have been used up it goes on with other combinations.

use plotters::element::{Circle, DashedPathElement, PathElement, Polygon, Rectangle};
use plotters::style::{BLACK, Color, RGBColor, WHITE};

use super::document::{Area, Drawn};

/// A place on an area.
pub(super) type Pixel = (i32, i32);

const SKY_BLUE: RGBColor = RGBColor(0x56, 0xb4, 0xe9);
const ORANGE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
const YELLOW: RGBColor = RGBColor(0xf0, 0xe4, 0x42);
const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
const VERMILION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
const PURPLE: RGBColor = RGBColor(0xcc, 0x79, 0xa7);

const COLOURS: [RGBColor; 8] =
    [SKY_BLUE, ORANGE, GREEN, YELLOW, BLUE, VERMILION, PURPLE, RGBColor(0xbb, 0xbb, 0xbb)];

/// Colours of lines, which stand on white: dark ones first, no yellow.
const LINES: [RGBColor; 7] = [BLUE, VERMILION, GREEN, PURPLE, SKY_BLUE, ORANGE, RGBColor(0x44, 0x44, 0x44)];

pub(super) const TEXT: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const QUIET: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub(super) const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
pub(super) const WARNING: RGBColor = RGBColor(0xb0, 0x3a, 0x00);

/// Directions of hatching: (x, y) steps along a line.
const HATCHES: [&[(i32, i32)]; 8] =
    [&[], &[(1, -1)], &[(1, 0)], &[(1, 1)], &[(1, 1), (1, -1)], &[], &[(0, 1)], &[(1, 0), (0, 1)]];

/// Draws lines from point to point.
pub(super) fn lines(area: &Area<'_>, points: impl Into<Vec<Pixel>>, colour: RGBColor, width: u32) -> Drawn {
    Ok(area.draw(&PathElement::new(points, colour.stroke_width(width)))?)
}

/// Draws the edge of a polygon, the first side twice, so that no corner lacks its tip.
pub(super) fn edge(area: &Area<'_>, corners: &[Pixel], colour: RGBColor, width: u32) -> Drawn {
    lines(area, [corners, &corners[..2]].concat(), colour, width)
}

/// Draws a rectangle, from its upper left to its lower right corner, in the look of a series.
pub(super) fn block(area: &Area<'_>, [from, to]: [Pixel; 2], index: usize) -> Drawn {
    let colour = COLOURS[index % COLOURS.len()];
    area.draw(&Rectangle::new([from, to], colour.filled()))?;
    let dark = matches!(index % COLOURS.len(), 2 | 4 | 5);
    for &direction in HATCHES[(index + index / COLOURS.len()) % HATCHES.len()] {
        hatch(area, [from, to], direction, if dark { WHITE } else { TEXT })?;
    }
    edge(area, &[from, (to.0, from.1), to, (from.0, to.1)], TEXT, 7)
}

/// Parallel lines across a rectangle; their places hang on the page, not on the rectangle.
fn hatch(
    area: &Area<'_>,
    [(left, top), (right, bottom)]: [Pixel; 2],
    (dx, dy): (i32, i32),
    ink: RGBColor,
) -> Drawn {
    // A line holds the points with `dy x - dx y = c`.
    let gap = if dx != 0 && dy != 0 { 71 } else { 50 };
    let corners = [(left, top), (right, top), (left, bottom), (right, bottom)].map(|(x, y)| dy * x - dx * y);
    let low = corners.into_iter().min().unwrap_or(0);
    let high = corners.into_iter().max().unwrap_or(0);
    let first = (low.div_euclid(gap) + 1) * gap;
    for c in (first..high).step_by(gap.unsigned_abs() as usize) {
        let ends = match (dx, dy) {
            (0, _) => [(c, top), (c, bottom)],
            (_, 0) => [(left, -c), (right, -c)],
            _ => {
                let at = |y: i32| dy * (y + c);
                let from = left.max(at(top).min(at(bottom)));
                let to = right.min(at(top).max(at(bottom)));
                [(from, dy * from - c), (to, dy * to - c)]
            }
        };
        lines(area, ends, ink, 8)?;
    }
    Ok(())
}

/// The colour of a series' line.
pub(super) fn colour(index: usize) -> RGBColor {
    LINES[index % LINES.len()]
}

/// Draws the line of a series.
pub(super) fn curve(area: &Area<'_>, points: Vec<Pixel>, index: usize) -> Drawn {
    dashed(area, points, (colour(index), 15), [0, 50, 20, 80][index % 4])
}

/// Draws the line of a known optimum, which is dark, thin and without markers.
pub(super) fn known(area: &Area<'_>, points: Vec<Pixel>, number: usize) -> Drawn {
    dashed(area, points, (TEXT, 10), [0, 40, 15][number % 3])
}

/// Dashes and the gaps between them are of this length; 0 is a whole line.
fn dashed(area: &Area<'_>, points: Vec<Pixel>, (colour, width): (RGBColor, u32), dash: i32) -> Drawn {
    match dash {
        0 => lines(area, points, colour, width),
        _ => Ok(area.draw(&DashedPathElement::new(points, dash, dash, colour.stroke_width(width)))?),
    }
}

/// Draws a band, through which what lies beneath shows.
pub(super) fn band(area: &Area<'_>, around: Vec<Pixel>, index: usize) -> Drawn {
    Ok(area.draw(&Polygon::new(around, colour(index).mix(0.18)))?)
}

/// Draws the marker of a series.
pub(super) fn marker(area: &Area<'_>, (x, y): Pixel, index: usize) -> Drawn {
    const R: i32 = 32;
    // Every other round of markers is hollow.
    let hollow = (index / 5) % 2 == 1;
    let (inside, around, width) = if hollow { (WHITE, colour(index), 14) } else { (colour(index), WHITE, 7) };
    let corners: &[Pixel] = match index % 5 {
        0 => {
            area.draw(&Circle::new((x, y), R, inside.filled()))?;
            return Ok(area.draw(&Circle::new((x, y), R, around.stroke_width(width)))?);
        }
        1 => &[(-R, -R), (R, -R), (R, R), (-R, R)],
        2 => &[(0, -40), (38, R), (-38, R)],
        3 => &[(0, -45), (45, 0), (0, 45), (-45, 0)],
        _ => &[(0, 40), (38, -R), (-38, -R)],
    };
    let corners: Vec<Pixel> = corners.iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
    area.draw(&Polygon::new(corners.clone(), inside))?;
    edge(area, &corners, around, width)
}

/// Draws a published value: a thin line that reads on any colour.
pub(super) fn published(area: &Area<'_>, (x, y): Pixel, half: i32) -> Drawn {
    for (colour, width) in [(WHITE, 28), (BLACK, 13)] {
        lines(area, [(x - half, y), (x + half, y)], colour, width)?;
    }
    Ok(())
}

/// Draws an error bar without a point at its middle, unlike plotters' own.
pub(super) fn capped(
    area: &Area<'_>,
    x: i32,
    ends: [i32; 2],
    cap: i32,
    (colour, width): (RGBColor, u32),
) -> Drawn {
    lines(area, ends.map(|y| (x, y)), colour, width)?;
    ends.into_iter().try_for_each(|y| lines(area, [(x - cap, y), (x + cap, y)], colour, width))
}

/// Draws an error bar over an area; the white beneath it makes it read on hatching.
pub(super) fn error_bar(area: &Area<'_>, x: i32, ends: [i32; 2], cap: i32) -> Drawn {
    capped(area, x, ends, cap, (WHITE, 26))?;
    capped(area, x, ends, cap, (TEXT, 11))
}
