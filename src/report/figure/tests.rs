//! What is drawn of made-up numbers, and of numbers and labels that nobody should draw.

use std::collections::BTreeSet;

use tiny_skia::Pixmap;

use super::scale::Scale;
use super::scene::{Anchor, Area, Colour, Mark, Scene, Step};
use super::*;

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

fn bar(label: &str, value: Option<Mean>, reference: Option<f64>) -> Bar {
    Bar { label: label.to_owned(), value, reference }
}

fn bars(items: Vec<Bar>) -> Figure {
    let panel = Panel { title: "ACL".to_owned(), items };
    Figure::Bars(Bars {
        caption: caption(),
        rows: vec![Row { y_label: "AUROC (%)".to_owned(), panels: vec![panel] }],
    })
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
    Figure::Bars(Bars {
        caption: caption(),
        rows: vec![row("AUROC (%)", 0.0), row("Balanced accuracy (%)", -60.0)],
    })
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
    Figure::Curves(Curves {
        factors: false,
        caption: Caption { warning: None, ..caption() },
        x_label: "Rician noise (%)".to_owned(),
        rows: vec![Row { y_label: "AUROC (%)".to_owned(), panels }],
    })
}

/// Figures that nobody should ask for.
fn odd() -> Vec<Figure> {
    let values = [f64::NAN, f64::INFINITY, -f64::INFINITY, 1e300, f64::MIN_POSITIVE, -0.0, 0.0, -3.5, 1e9];
    let stds = [None, Some(0.0), Some(-1.0), Some(f64::NAN), Some(f64::INFINITY), Some(1e300), Some(2.0)];
    let mut figures = vec![
        Figure::Bars(Bars::default()),
        Figure::Curves(Curves::default()),
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
                let (rows, x_label) = (rows.clone(), "x ".repeat(200));
                figures.push(Figure::Curves(Curves { caption: caption(), x_label, factors, rows }));
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
        let document = roxmltree::Document::parse(&text).unwrap();
        assert_eq!(document.root_element().tag_name().name(), "svg");
        assert!(!text.contains("NaN") && !text.contains("inf\""), "{text}");
        Pixmap::decode_png(&png(figure, 0.5).unwrap()).unwrap();
    }
}

#[test]
fn labels_are_read_back_from_the_svg_as_they_are() {
    let label = "<b> & \"I2M2\" 's ]]>";
    let text = svg(&bars(vec![bar(label, mean(1.0, 0.1), None)]));
    let document = roxmltree::Document::parse(&text).unwrap();
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
        assert_eq!(png(&figure, 2.0).unwrap(), png(&figure, 2.0).unwrap());
    }
}

fn pixels(figure: &Figure, scale: f64) -> Pixmap {
    Pixmap::decode_png(&png(figure, scale).unwrap()).unwrap()
}

#[test]
fn a_png_has_the_svgs_size_and_colours() {
    for figure in [small_bars(), small_curves()] {
        let text = svg(&figure);
        let document = roxmltree::Document::parse(&text).unwrap();
        let side = |name| document.root_element().attribute(name).unwrap().parse::<f64>().unwrap();
        let picture = pixels(&figure, 2.0);
        assert_eq!(f64::from(picture.width()), (2.0 * side("width")).ceil());
        assert!((f64::from(picture.height()) - 2.0 * side("height")).abs() <= 1.0);
        let seen: BTreeSet<u32> =
            picture.pixels().iter().map(|p| u32::from_be_bytes([0, p.red(), p.green(), p.blue()])).collect();
        for node in document.descendants().filter(|node| node.has_tag_name("path")) {
            // A line that is thinner than a pixel may be blended everywhere; an area cannot.
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
        let message = png(&small_bars(), scale).unwrap_err().to_string();
        assert!(message.contains("16384") && message.contains(&scale.to_string()), "{message}");
    }
}

/// Left, top, right and bottom of what a mark covers.
fn cover(mark: &Mark) -> Area {
    let points: Vec<(f64, f64)> = match mark {
        Mark::Path(path) => path
            .steps
            .iter()
            .filter_map(|step| match *step {
                Step::Move(x, y) | Step::Line(x, y) | Step::Curve([.., x, y]) => Some((x, y)),
                Step::Close => None,
            })
            .collect(),
        Mark::Text(text) => {
            let width = font::width(&text.content, text.size, text.bold);
            let start = match text.anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => -width / 2.0,
                Anchor::End => -width,
            };
            let along = [start, start + width];
            let across = [-0.75 * text.size, 0.25 * text.size];
            let places = along.iter().flat_map(|&a| across.map(|c| (a, c)));
            places
                .map(|(a, c)| if text.upward { (text.x + c, text.y - a) } else { (text.x + a, text.y + c) })
                .collect()
        }
    };
    let (xs, ys) = (points.iter().map(|p| p.0), points.iter().map(|p| p.1));
    Area {
        left: xs.clone().fold(f64::INFINITY, f64::min),
        top: ys.clone().fold(f64::INFINITY, f64::min),
        right: xs.fold(f64::NEG_INFINITY, f64::max),
        bottom: ys.fold(f64::NEG_INFINITY, f64::max),
    }
}

#[test]
fn nothing_is_drawn_outside_of_the_page() {
    for figure in odd().iter().chain(&[small_bars(), small_curves()]) {
        let scene = page::compose(figure);
        for mark in &scene.marks {
            let Area { left, top, right, bottom } = cover(mark);
            assert!(left >= -0.5 && top >= -0.5, "{mark:?} at {left}, {top}");
            assert!(
                right <= scene.width + 0.5 && bottom <= scene.height + 0.5,
                "{mark:?} to {right}, {bottom}"
            );
        }
    }
}

/// Areas of a colour that are taller than a legend's sample.
fn areas(scene: &Scene, colour: u32) -> Vec<Area> {
    let filled = scene.marks.iter().filter(|mark| match mark {
        Mark::Path(path) => path.fill == Some(Colour(colour)),
        Mark::Text(_) => false,
    });
    filled.map(cover).filter(|area| area.bottom - area.top > 11.5).collect()
}

#[test]
fn bars_are_as_tall_as_their_values() {
    let scene = page::compose(&bars(vec![bar("a", mean(20.0, 1.0), None), bar("b", mean(80.0, 1.0), None)]));
    let height = |colour| {
        let areas = areas(&scene, colour);
        assert_eq!(areas.len(), 1);
        areas[0].bottom - areas[0].top
    };
    assert!((height(0xe6_9f_00) / height(0x56_b4_e9) - 4.0).abs() < 1e-9);
}

#[test]
fn a_bar_that_is_not_measured_leaves_a_gap_that_says_so() {
    let text = svg(&small_bars());
    assert_eq!(text.matches(">not measured<").count(), 4);
    let scene = page::compose(&small_bars());
    assert_eq!((areas(&scene, 0x56_b4_e9).len(), areas(&scene, 0xe6_9f_00).len()), (4, 0));
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

#[test]
fn a_line_stops_where_a_point_is_not_measured() {
    let lines = |figure: &Figure| {
        let scene = page::compose(figure);
        let marks = scene.marks.into_iter();
        let lines = marks.filter(|mark| match mark {
            Mark::Path(path) => path.fill.is_none() && path.stroke.is_some_and(|stroke| stroke.width == 1.5),
            Mark::Text(_) => false,
        });
        lines.count() - 2 // The legend's samples.
    };
    // Inter-modality has a point alone after its gap; I2M2 is whole in one panel and lacks its first point in the other.
    assert_eq!(lines(&small_curves()), 3);
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
            let words: BTreeSet<String> = scale.ticks.iter().map(|&tick| scale.word(tick)).collect();
            assert_eq!(words.len(), scale.ticks.len(), "{a} {b} {scale:?}");
        }
    }
    let scale = Scale::around([81.0, 92.5].into_iter(), true);
    assert_eq!((scale.low, &scale.ticks[..2], scale.decimals), (80.0, &[80.0, 85.0][..], 0));
    assert_eq!(Scale::around([10.0, 92.5].into_iter(), true).low, 0.0);
    let factors = Scale::over_factors([0.5, 0.0, 2.0, 100.0].into_iter());
    assert_eq!(factors.ticks.len(), 8);
    let words: Vec<String> = factors.ticks.iter().map(|&tick| factors.word(tick)).collect();
    assert_eq!(words, ["0.5", "1", "2", "5", "10", "20", "50", "100"]);
    assert!((factors.place(5.0, 0.0, 1.0) - factors.place(50.0, 0.0, 1.0)).abs() > 0.43);
    assert_eq!((factors.place(0.0, 0.0, 1.0), factors.place(100.0, 0.0, 1.0)), (0.0, 1.0));
    assert_eq!(Scale::around([30.0, 92.5].into_iter(), false).low, 20.0);
    assert_eq!(Scale::around([1.0, 92.5].into_iter(), false).low, 0.0);
}
