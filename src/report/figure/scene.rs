//! What both writers draw: filled and stroked paths, and text.
//!
//! Invariant: everything is already in its place, in pixels at scale 1 from the top left; a writer decides nothing.

/// Everything on the page, the lowest first.
pub(super) struct Scene {
    pub width: f64,
    pub height: f64,
    /// What a reader who cannot see it is told.
    pub title: String,
    pub marks: Vec<Mark>,
}

/// A colour as it is written in SVG: 0xRRGGBB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour(pub u32);

pub(super) const BLACK: Colour = Colour(0x00_00_00);
pub(super) const WHITE: Colour = Colour(0xff_ff_ff);

#[derive(Clone, Debug)]
pub(super) enum Mark {
    Path(Path),
    Text(Text),
}

/// How much of a faint fill covers.
pub(super) const FAINT: f64 = 0.18;

/// A path, filled first and stroked then.
#[derive(Clone, Debug, Default)]
pub(super) struct Path {
    pub steps: Vec<Step>,
    pub fill: Option<Colour>,
    /// Whether what lies beneath shows through the fill.
    pub faint: bool,
    pub stroke: Option<Stroke>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Move(f64, f64),
    Line(f64, f64),
    /// Two control points and the end.
    Curve([f64; 6]),
    Close,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Stroke {
    pub colour: Colour,
    pub width: f64,
    /// Length of dashes and of the gaps between them; 0 for a whole line.
    pub dash: f64,
}

/// One line of text.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// Of its anchor, on the baseline.
    pub x: f64,
    pub y: f64,
    pub content: String,
    pub size: f64,
    pub bold: bool,
    pub colour: Colour,
    pub anchor: Anchor,
    /// Reads from the bottom up.
    pub upward: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A rectangle by its left, top, right and bottom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Area {
    pub fn middle(&self) -> (f64, f64) {
        (f64::midpoint(self.left, self.right), f64::midpoint(self.top, self.bottom))
    }

    pub fn path(&self) -> Path {
        let corners = [
            (self.left, self.top),
            (self.right, self.top),
            (self.right, self.bottom),
            (self.left, self.bottom),
        ];
        Path::polygon(&corners)
    }
}

impl Path {
    pub fn lines(points: &[(f64, f64)]) -> Self {
        let steps = points.iter().enumerate().map(|(i, &(x, y))| match i {
            0 => Step::Move(x, y),
            _ => Step::Line(x, y),
        });
        Path { steps: steps.collect(), ..Path::default() }
    }

    pub fn polygon(points: &[(f64, f64)]) -> Self {
        let mut path = Path::lines(points);
        path.steps.push(Step::Close);
        path
    }

    pub fn circle((x, y): (f64, f64), radius: f64) -> Self {
        // Four cubic curves; the constant makes their middles lie on the circle.
        let (r, k) = (radius, radius * 0.552_284_749_831);
        let steps = vec![
            Step::Move(x + r, y),
            Step::Curve([x + r, y + k, x + k, y + r, x, y + r]),
            Step::Curve([x - k, y + r, x - r, y + k, x - r, y]),
            Step::Curve([x - r, y - k, x - k, y - r, x, y - r]),
            Step::Curve([x + k, y - r, x + r, y - k, x + r, y]),
            Step::Close,
        ];
        Path { steps, ..Path::default() }
    }

    pub fn filled(self, colour: Colour) -> Self {
        Path { fill: Some(colour), ..self }
    }

    /// Filled so that what lies beneath shows through.
    pub fn washed(self, colour: Colour) -> Self {
        Path { fill: Some(colour), faint: true, ..self }
    }

    pub fn stroked(self, colour: Colour, width: f64) -> Self {
        Path { stroke: Some(Stroke { colour, width, dash: 0.0 }), ..self }
    }

    pub fn dashed(mut self, dash: f64) -> Self {
        if let Some(stroke) = &mut self.stroke {
            stroke.dash = dash;
        }
        self
    }
}

impl Text {
    pub fn new((x, y): (f64, f64), content: &str, size: f64, anchor: Anchor) -> Self {
        Text { x, y, content: content.to_owned(), size, bold: false, colour: BLACK, anchor, upward: false }
    }
}

impl Scene {
    pub fn path(&mut self, path: Path) {
        if !path.steps.is_empty() {
            self.marks.push(Mark::Path(path));
        }
    }

    pub fn text(&mut self, text: Text) {
        if !text.content.is_empty() {
            self.marks.push(Mark::Text(text));
        }
    }
}
