//! What is drawn of made-up numbers, and of numbers and labels that nobody should draw.

use std::collections::BTreeSet;

use plotters::coord::ranged1d::Ranged;
use resvg::tiny_skia::Pixmap;
use resvg::usvg::{Group, Node, Rect, Tree};
use roxmltree::Document;

use super::scale::Scale;
use super::*;

/// The figure as SVG.
fn svg(figure: &Figure) -> String {
    super::svg(figure).unwrap()
}

fn mean(mean: f64, std: f64) -> Option<Mean> {
    Some(Mean { mean, std: Some(std), n: 5 })
}

fn caption() -> Caption {
    Caption {
        title: "Figure 0: made-up numbers.".to_owned(),
        subtitle: "protocol paper; cpu; 5 seeds".to_owned(),
        warning: Some("smoke tier: synthetic fixtures, never comparable with the paper".to_owned()),
    }
}

fn bar(label: &str, value: Option<Mean>, reference: Option<f64>) -> Series {
    Series::bar(label.to_owned(), value, reference)
}

fn bars(items: Vec<Series>) -> Figure {
    let panel = Panel { title: "ACL".to_owned(), items };
    Figure {
        caption: caption(),
        x: None,
        rows: vec![Row { y_label: "AUROC (%)".to_owned(), panels: vec![panel] }],
    }
}

fn small_bars() -> Figure {
    let items = |shift: f64| {
        vec![
            bar("Magnitude-only", mean(84.0 + shift, 0.5), Some(84.5)),
            bar("Inter-modality", None, Some(86.0 + shift)),
            bar("I2M2", mean(88.5 + shift, 0.25), None),
        ]
    };
    let panel = |title: &str, shift| Panel { title: title.to_owned(), items: items(shift) };
    let row = |name: &str, shift| Row {
        y_label: name.to_owned(),
        panels: vec![panel("ACL", shift), panel("Meniscus", shift + 1.0)],
    };
    Figure {
        caption: caption(),
        x: None,
        rows: vec![row("AUROC (%)", 0.0), row("Balanced accuracy (%)", -60.0)],
    }
}

fn small_curves() -> Figure {
    let series = |label: &str, start: f64, gap: usize| Series {
        label: label.to_owned(),
        points: [0.0, 2.0, 5.0, 10.0, 25.0]
            .into_iter()
            .enumerate()
            .map(|(i, x)| Point {
                x,
                value: if i == gap { None } else { mean(start - x, 0.5) },
                band: (i != gap).then_some([start - x - 0.7, start - x + 0.7]),
                reference: None,
            })
            .collect(),
        known: None,
    };
    let known = |number: usize, label: &str, value: f64| Series {
        label: label.to_owned(),
        points: [0.0, 25.0].map(|x| Point { x, value: mean(value, 0.0), ..Point::default() }).to_vec(),
        known: Some(number),
    };
    let items = vec![
        series("Inter-modality", 90.0, 3),
        series("I2M2", 92.0, 9),
        known(0, "Bayes", 95.0),
        known(1, "log-additive", 88.0),
    ];
    let panels = vec![
        Panel { title: "ACL".to_owned(), items },
        Panel { title: "Others".to_owned(), items: vec![series("I2M2", 91.0, 0)] },
    ];
    Figure {
        caption: Caption { warning: None, ..caption() },
        x: Some(XLabel { text: "Rician noise (%)".to_owned(), factors: false }),
        rows: vec![Row { y_label: "AUROC (%)".to_owned(), panels }],
    }
}

/// Figures that nobody should ask for.
fn odd() -> Vec<Figure> {
    let values = [f64::NAN, f64::INFINITY, -f64::INFINITY, 1e300, f64::MIN_POSITIVE, -0.0, 0.0, -3.5, 1e9];
    let stds = [None, Some(0.0), Some(-1.0), Some(f64::NAN), Some(f64::INFINITY), Some(1e300), Some(2.0)];
    let mut figures = vec![
        Figure::default(),
        Figure { x: Some(XLabel::default()), ..Figure::default() },
        bars(Vec::new()),
        bars(vec![bar("one", mean(90.0, 1.0), None)]),
        bars(vec![bar("none", None, None); 3]),
        bars(vec![bar("published alone", None, Some(80.0))]),
        bars((0..300).map(|i| bar(&format!("method {i}"), mean(f64::from(i), 1.0), None)).collect()),
        bars(vec![bar("same", mean(1.0, 0.1), None), bar("same", mean(2.0, 0.1), None)]),
        bars(vec![bar(&"very long ".repeat(60), mean(1.0, 0.1), None), bar(&"W".repeat(400), None, None)]),
        bars(vec![bar("<&>\"'\u{0}\u{1b}\u{ffff}\n\t]]> 漢字 🦴 \u{202e}", mean(1.0, 0.1), None)]),
    ];
    for value in values {
        for std in stds {
            let value = Some(Mean { mean: value, std, n: 0 });
            figures.push(bars(vec![
                bar("odd", value, Some(value.map_or(0.0, |v| v.mean))),
                bar("sound", mean(90.0, 1.0), None),
            ]));
            let points = [f64::NAN, 0.0, 1e300, 7.0, 7.0]
                .map(|x| {
                    let band = std.map(|std| [-std, std]);
                    Point { x, value, band, reference: Some(1.0) }
                })
                .to_vec();
            let panels = vec![
                Panel {
                    title: String::new(),
                    items: vec![
                        Series { label: String::new(), points: points.clone(), known: None },
                        Series { label: "known".to_owned(), points, known: Some(0) },
                    ]
                };
                9
            ];
            let rows = vec![Row { y_label: "y".repeat(200), panels }];
            for factors in [false, true] {
                let x = Some(XLabel { text: "x ".repeat(200), factors });
                figures.push(Figure { caption: caption(), x, rows: rows.clone() });
            }
        }
    }
    figures
}

#[test]
fn figures_are_drawn_as_reviewed() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../snapshots/figures");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::assert_snapshot!("bars.svg", svg(&small_bars()));
        insta::assert_snapshot!("curves.svg", svg(&small_curves()));
    });
}

#[test]
fn every_svg_is_well_formed_and_every_png_can_be_read() {
    for figure in odd().iter().chain(&[small_bars(), small_curves()]) {
        let text = svg(figure);
        let document = Document::parse(&text).unwrap();
        let root = document.root_element();
        assert_eq!((root.tag_name().name(), root.attribute("role")), ("svg", Some("img")));
        assert!(root.first_element_child().unwrap().has_tag_name("title"));
        assert!(!text.contains("NaN") && !text.contains("inf\""), "{text}");
        Pixmap::decode_png(&png(&text, 0.5).unwrap()).unwrap();
    }
}

#[test]
fn labels_are_read_back_from_the_svg_as_they_are() {
    let label = "<b> & \"I2M2\" 's ]]>";
    let text = svg(&bars(vec![bar(label, mean(1.0, 0.1), None)]));
    let document = Document::parse(&text).unwrap();
    assert!(
        document
            .descendants()
            .any(|node| node.has_tag_name("text") == (node.text() == Some(label))
                && node.text() == Some(label))
    );
}

#[test]
fn the_same_figure_gives_the_same_bytes() {
    for figure in [small_bars(), small_curves()] {
        assert_eq!(svg(&figure), svg(&figure));
        let picture = || png(&svg(&figure), 2.0).unwrap();
        assert_eq!(picture(), picture());
    }
}

fn pixels(figure: &Figure, scale: f64) -> Pixmap {
    Pixmap::decode_png(&png(&svg(figure), scale).unwrap()).unwrap()
}

#[test]
fn a_png_has_the_svgs_size_and_colours() {
    for figure in [small_bars(), small_curves()] {
        let text = svg(&figure);
        let document = Document::parse(&text).unwrap();
        let side = |name| document.root_element().attribute(name).unwrap().parse::<f64>().unwrap();
        let picture = pixels(&figure, 2.0);
        assert_eq!(f64::from(picture.width()), (2.0 * side("width")).ceil());
        assert!((f64::from(picture.height()) - 2.0 * side("height")).abs() <= 1.0);
        let seen: BTreeSet<u32> =
            picture.pixels().iter().map(|p| u32::from_be_bytes([0, p.red(), p.green(), p.blue()])).collect();
        // A line that is thinner than a pixel may be blended everywhere, and what shows through is; an area cannot.
        let areas = document.descendants().filter(|node| !node.has_tag_name("text"));
        for node in areas.filter(|node| node.attribute("opacity").is_none()) {
            if let Some(fill) = node.attribute("fill").filter(|&fill| fill != "none") {
                let colour = u32::from_str_radix(&fill[1..], 16).unwrap();
                assert!(seen.contains(&colour), "{fill} is in the SVG and not in the PNG");
            }
        }
        assert!(seen.len() > 20, "text and lines are smooth");
    }
}

#[test]
fn a_size_without_sense_is_refused() {
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e6] {
        let message = png(&svg(&small_bars()), scale).unwrap_err().to_string();
        assert!(message.contains("16384") && message.contains(&scale.to_string()), "{message}");
    }
}

/// What every mark covers, text as it is drawn.
fn covers(group: &Group, found: &mut Vec<Rect>) {
    for node in group.children() {
        match node {
            Node::Group(group) => covers(group, found),
            node => found.push(node.abs_stroke_bounding_box()),
        }
    }
}

#[test]
fn nothing_is_drawn_outside_of_the_page() {
    let mut marks = 0;
    for figure in odd().iter().chain(&[small_bars(), small_curves()]) {
        let tree = Tree::from_str(&svg(figure), &png::options()).unwrap();
        let (width, height) = (tree.size().width(), tree.size().height());
        let mut found = Vec::new();
        covers(tree.root(), &mut found);
        marks += found.len();
        for mark in found {
            assert!(mark.left() >= -0.5 && mark.top() >= -0.5, "{mark:?}");
            assert!(
                mark.right() <= width + 0.5 && mark.bottom() <= height + 0.5,
                "{mark:?} on {width} x {height}"
            );
        }
    }
    assert!(marks > 10_000, "{marks}");
}

/// Heights in pixels of rectangles of a colour that are taller than a legend's sample.
fn heights(text: &str, colour: &str) -> Vec<f64> {
    let document = Document::parse(text).unwrap();
    let bars = document
        .descendants()
        .filter(|node| node.has_tag_name("rect") && node.attribute("fill") == Some(colour));
    let height =
        |node: roxmltree::Node<'_, '_>| node.attribute("height").unwrap().parse::<f64>().unwrap() / 10.0;
    bars.map(height).filter(|&height| height > 11.5).collect()
}

#[test]
fn bars_are_as_tall_as_their_values() {
    let text = svg(&bars(vec![bar("a", mean(20.0, 1.0), None), bar("b", mean(80.0, 1.0), None)]));
    let (low, high) = (heights(&text, "#56B4E9"), heights(&text, "#E69F00"));
    assert_eq!((low.len(), high.len()), (1, 1));
    // A step of the canvas is a tenth of a pixel, and each end of a bar is rounded to one.
    assert!((high[0] - 4.0 * low[0]).abs() <= 0.5, "{low:?} {high:?}");
}

#[test]
fn a_bar_that_is_not_measured_leaves_a_gap_that_says_so() {
    let text = svg(&small_bars());
    assert_eq!(text.matches(">not measured<").count(), 4);
    assert_eq!((heights(&text, "#56B4E9").len(), heights(&text, "#E69F00").len()), (4, 0));
}

#[test]
fn an_axis_that_does_not_begin_at_zero_says_so() {
    let says = |low: f64, high: f64| {
        svg(&bars(vec![bar("a", mean(low, 0.1), None), bar("b", mean(high, 0.1), None)]))
            .contains("does not begin at 0")
    };
    assert!(says(90.0, 95.0) && says(-95.0, -90.0));
    assert!(!says(10.0, 95.0) && !says(-5.0, 5.0));
}

/// The lines of a colour and width, as their points.
fn lines(text: &str, colour: &str, width: &str) -> Vec<Vec<(i32, i32)>> {
    let document = Document::parse(text).unwrap();
    let drawn = document.descendants().filter(|node| {
        node.has_tag_name("polyline")
            && node.attribute("stroke") == Some(colour)
            && node.attribute("stroke-width") == Some(width)
    });
    let point = |point: &str| {
        let (x, y) = point.split_once(',').unwrap();
        (x.parse().unwrap(), y.parse().unwrap())
    };
    drawn.map(|node| node.attribute("points").unwrap().split_whitespace().map(point).collect()).collect()
}

#[test]
fn a_line_stops_where_a_point_is_not_measured() {
    let text = svg(&small_curves());
    // Inter-modality is a whole line; it has a point alone after its gap, and the legend's sample.
    let points: Vec<usize> = lines(&text, "#0072B2", "15").iter().map(Vec::len).collect();
    assert_eq!(points, [3, 2]);
    // I2M2 is dashed; it is whole in one panel and lacks its first point in the other. Markers are edged in white.
    let mut dashes = lines(&text, "#D55E00", "15");
    let sample = dashes.pop().unwrap()[0].1;
    dashes.retain(|dash| dash[0].1 != sample);
    let document = Document::parse(&text).unwrap();
    let squares = document
        .descendants()
        .filter(|node| node.has_tag_name("polygon") && node.attribute("fill") == Some("#D55E00"));
    let markers: Vec<i32> = squares
        .filter(|node| node.attribute("opacity").is_none())
        .map(|node| node.attribute("points").unwrap().split(',').next().unwrap().parse::<i32>().unwrap() + 32)
        .collect();
    assert_eq!(markers.len(), 5 + 4 + 1);
    let inside = |ends: &[i32]| {
        let within =
            |dash: &&Vec<(i32, i32)>| dash.iter().all(|&(x, _)| x >= ends[0] && x <= ends[ends.len() - 1]);
        dashes.iter().filter(within).count()
    };
    assert_eq!(inside(&markers[..5]) + inside(&markers[5..9]), dashes.len());
    assert!(inside(&markers[..5]) > 8 && inside(&markers[5..9]) > 5);
}

#[test]
fn a_known_optimum_is_a_dark_line_without_markers() {
    let text = svg(&small_curves());
    // The first is whole, the second dashed; the legend has a sample of each.
    let drawn = lines(&text, "#222222", "10");
    assert_eq!(drawn.iter().filter(|line| line[1].0 - line[0].0 > 50).count(), 2, "{drawn:?}");
    assert!(drawn.len() > 20 && drawn.iter().all(|line| line.iter().all(|point| point.1 == line[0].1)));
    let dark = Document::parse(&text).unwrap().descendants().any(|node| {
        (node.has_tag_name("polygon") || node.has_tag_name("circle"))
            && node.attribute("fill") == Some("#222222")
    });
    assert!(!dark);
}

#[test]
fn numbers_are_short() {
    let long =
        |text: &str| text.split(|c: char| !c.is_ascii_digit() && c != '.').any(|number| number.len() > 6);
    for figure in odd().iter().chain(&[small_bars(), small_curves()]) {
        for node in Document::parse(&svg(figure)).unwrap().descendants() {
            let found = node.attributes().find(|attribute| long(attribute.value()));
            assert!(found.is_none(), "{found:?}");
        }
    }
}

#[test]
fn the_footnote_says_how_many_runs_and_what_error_bars_are() {
    assert!(svg(&small_bars()).contains("Means over 5 runs; error bars: ± 1 standard deviation."));
    let single = bars(vec![bar("a", Some(Mean { mean: 1.0, std: None, n: 1 }), None)]);
    let text = svg(&single);
    assert!(text.contains("Single runs.") && !text.contains("deviation"));
}

#[test]
fn ticks_are_round_and_the_values_lie_between_the_ends() {
    let mut random = crate::random::Seeds::root(7).child("figure/scale").stream();
    for _ in 0..2000 {
        let size = 10f64.powf(random.uniform() * 12.0 - 6.0);
        let (a, b) = (size * (random.uniform() - 0.5), size * (random.uniform() - 0.5));
        for scale in [Scale::around([a, b].into_iter(), true), Scale::over([a, b].into_iter())] {
            assert!(scale.low <= a.min(b) && scale.high >= a.max(b), "{a} {b} {scale:?}");
            assert!((3..=12).contains(&scale.ticks.len()), "{a} {b} {scale:?}");
            let words: BTreeSet<&String> = scale.ticks.iter().map(|(_, word)| word).collect();
            assert_eq!(words.len(), scale.ticks.len(), "{a} {b} {scale:?}");
        }
    }
    let scale = Scale::around([81.0, 92.5].into_iter(), true);
    assert_eq!(
        (scale.low, &scale.ticks[..2]),
        (80.0, &[(80.0, "80".to_owned()), (85.0, "85".to_owned())][..])
    );
    assert_eq!(Scale::around([10.0, 92.5].into_iter(), true).low, 0.0);
    let factors = Scale::over_factors([0.5, 0.0, 2.0, 100.0].into_iter());
    let words: Vec<&str> = factors.ticks.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(words, ["0.5", "1", "2", "5", "10", "20", "50", "100"]);
    let place = |value: f64| factors.map(&value, (0, 1000));
    assert!(place(50.0) - place(5.0) > 430);
    assert_eq!((place(0.0), place(100.0)), (0, 1000));
    assert_eq!(Scale::around([30.0, 92.5].into_iter(), false).low, 20.0);
    assert_eq!(Scale::around([1.0, 92.5].into_iter(), false).low, 0.0);
}

#[test]
fn numbers_of_an_axis_do_not_touch() {
    text::register().unwrap();
    for factors in [false, true] {
        let values = [0.01, 4000.0].into_iter();
        let scale = if factors { Scale::over_factors(values) } else { Scale::over(values) };
        for length in [300, 700, 1500, 6000] {
            let fitted = scale.clone().fitted(100, length, block::TICK);
            assert!(fitted.low < scale.low && fitted.high > scale.high);
            let shown: Vec<(i32, i32)> = (fitted.ticks.iter().filter(|(_, word)| !word.is_empty()))
                .map(|(tick, word)| (fitted.map(tick, (0, length)), block::TICK.width(word) / 2))
                .collect();
            assert!(!shown.is_empty());
            assert!(shown.windows(2).all(|pair| pair[0].0 + pair[0].1 < pair[1].0 - pair[1].1), "{shown:?}");
        }
    }
}

#[test]
fn long_labels_end_in_an_ellipsis_and_captions_are_wrapped() {
    text::register().unwrap();
    let font = block::LABEL;
    let short = font.shorten(&"very long ".repeat(60), 1000);
    assert!(short.ends_with('…') && font.width(&short) <= 1000 && font.width(&short) > 900, "{short}");
    let lines = font.wrap(&"a few words ".repeat(20), 1000);
    assert!(lines.len() > 3 && lines.iter().all(|line| font.width(line) <= 1000), "{lines:?}");
    assert_eq!(font.wrap(&"W".repeat(400), 1000).len(), 1);
}
