//! How series look: colour, hatching and marker together, so that one survives where another is lost.
//!
//! Invariant: colours are Okabe and Ito's, which people with any colour vision tell apart; hatching tells neighbours
//! apart in grey, and after the colours have been used up it goes on with other combinations.

use super::scene::{Area, BLACK, Colour, Path, Scene, Step, WHITE};

const COLOURS: [Colour; 8] = [
    Colour(0x56_b4_e9),
    Colour(0xe6_9f_00),
    Colour(0x00_9e_73),
    Colour(0xf0_e4_42),
    Colour(0x00_72_b2),
    Colour(0xd5_5e_00),
    Colour(0xcc_79_a7),
    Colour(0xbb_bb_bb),
];

/// Colours of lines, which stand on white: dark ones first, no yellow.
const LINES: [Colour; 7] = [
    Colour(0x00_72_b2),
    Colour(0xd5_5e_00),
    Colour(0x00_9e_73),
    Colour(0xcc_79_a7),
    Colour(0x56_b4_e9),
    Colour(0xe6_9f_00),
    Colour(0x44_44_44),
];

pub(super) const TEXT: Colour = Colour(0x22_22_22);
pub(super) const QUIET: Colour = Colour(0x66_66_66);
pub(super) const GRID: Colour = Colour(0xdd_dd_dd);
pub(super) const WARNING: Colour = Colour(0xb0_3a_00);

/// Directions of hatching: (x, y) steps along a line.
const HATCHES: [&[(f64, f64)]; 8] = [
    &[],
    &[(1.0, -1.0)],
    &[(1.0, 0.0)],
    &[(1.0, 1.0)],
    &[(1.0, 1.0), (1.0, -1.0)],
    &[],
    &[(0.0, 1.0)],
    &[(1.0, 0.0), (0.0, 1.0)],
];

/// Draws an area in the look of a series, with its outline.
pub(super) fn area(scene: &mut Scene, area: Area, index: usize) {
    let colour = COLOURS[index % COLOURS.len()];
    scene.path(area.path().filled(colour));
    let dark = matches!(index % COLOURS.len(), 2 | 4 | 5);
    let ink = if dark { WHITE } else { TEXT };
    let hatch = HATCHES[(index + index / COLOURS.len()) % HATCHES.len()];
    let mut lines = Path::default();
    for &direction in hatch {
        hatching(&mut lines.steps, area, direction);
    }
    scene.path(lines.stroked(ink, 0.8));
    scene.path(area.path().stroked(TEXT, 0.7));
}

/// Parallel lines across an area, clipped to it; their places hang on the page, not on the area.
fn hatching(steps: &mut Vec<Step>, area: Area, (dx, dy): (f64, f64)) {
    const APART: f64 = 5.0;
    // A line holds the points with `dy x - dx y = c`.
    let corners =
        [(area.left, area.top), (area.right, area.top), (area.left, area.bottom), (area.right, area.bottom)];
    let offsets = corners.map(|(x, y)| dy * x - dx * y);
    let low = offsets.iter().copied().fold(f64::INFINITY, f64::min);
    let high = offsets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let gap = if dx != 0.0 && dy != 0.0 { APART * std::f64::consts::SQRT_2 } else { APART };
    let mut c = libm::ceil(low / gap) * gap;
    while c < high {
        let ends = if dx == 0.0 {
            Some(((c / dy, area.top), (c / dy, area.bottom)))
        } else {
            // y = (dy x - c) / dx, over the x at which it lies inside.
            let y = |x: f64| (dy * x - c) / dx;
            let at = |y: f64| (dx * y + c) / dy;
            let (mut from, mut to) = (area.left, area.right);
            if dy != 0.0 {
                let (a, b) = (at(area.top), at(area.bottom));
                from = from.max(a.min(b));
                to = to.min(a.max(b));
            }
            (to > from).then(|| ((from, y(from)), (to, y(to))))
        };
        if let Some((from, to)) = ends {
            steps.extend([Step::Move(from.0, from.1), Step::Line(to.0, to.1)]);
        }
        c += gap;
    }
}

/// The colour of a series' line.
pub(super) fn line(index: usize) -> Colour {
    LINES[index % LINES.len()]
}

/// Length of a line's dashes; 0 for a whole line.
pub(super) fn dash(index: usize) -> f64 {
    [0.0, 5.0, 2.0, 8.0][index % 4]
}

/// Length of the dashes of a known optimum's line, which is dark and without markers.
pub(super) fn known_dash(number: usize) -> f64 {
    [0.0, 4.0, 1.5][number % 3]
}

/// Draws the marker of a series.
pub(super) fn marker(scene: &mut Scene, (x, y): (f64, f64), index: usize) {
    const R: f64 = 3.2;
    let shape = match index % 5 {
        0 => Path::circle((x, y), R),
        1 => Path::polygon(&[(x - R, y - R), (x + R, y - R), (x + R, y + R), (x - R, y + R)]),
        2 => Path::polygon(&[(x, y - 1.25 * R), (x + 1.2 * R, y + R), (x - 1.2 * R, y + R)]),
        3 => Path::polygon(&[(x, y - 1.4 * R), (x + 1.4 * R, y), (x, y + 1.4 * R), (x - 1.4 * R, y)]),
        _ => Path::polygon(&[(x, y + 1.25 * R), (x + 1.2 * R, y - R), (x - 1.2 * R, y - R)]),
    };
    // Every other round of markers is hollow.
    let hollow = (index / 5) % 2 == 1;
    let shape = if hollow {
        shape.filled(WHITE).stroked(line(index), 1.4)
    } else {
        shape.filled(line(index)).stroked(WHITE, 0.7)
    };
    scene.path(shape);
}

/// Draws a published value: a thin line that reads on any colour.
pub(super) fn reference(scene: &mut Scene, from: f64, to: f64, y: f64) {
    scene.path(Path::lines(&[(from, y), (to, y)]).stroked(WHITE, 2.8));
    scene.path(Path::lines(&[(from, y), (to, y)]).stroked(BLACK, 1.3));
}

/// An error bar with caps.
pub(super) fn capped(x: f64, (top, bottom): (f64, f64), cap: f64) -> Path {
    let mut path = Path::lines(&[(x, top), (x, bottom)]);
    for y in [top, bottom] {
        path.steps.extend([Step::Move(x - cap, y), Step::Line(x + cap, y)]);
    }
    path
}

/// Draws an error bar over an area; the white beneath it makes it read on hatching.
pub(super) fn error_bar(scene: &mut Scene, x: f64, ends: (f64, f64), cap: f64) {
    scene.path(capped(x, ends, cap).stroked(WHITE, 2.6));
    scene.path(capped(x, ends, cap).stroked(TEXT, 1.1));
}
