//! What verdicts promise, by simulation over thousands of tables, and properties of every verdict.

use super::*;
use crate::metric::Unit;
use crate::random::{Seeds, Stream};

const CELLS: usize = 7;
const MARGIN: f64 = 1.0;

/// One cell of a made-up table: our values, and a published mean and deviation to two digits.
struct Cell {
    ours: Vec<f64>,
    published: Published,
}

fn cell(ours: Vec<f64>, theirs: &[f64], by_n: bool, decimals: usize) -> Cell {
    let summary = Summary::of(theirs).unwrap();
    let std = if by_n { summary.population_std() } else { summary.std }.unwrap();
    let round = |value: f64| format!("{value:.decimals$}").parse::<f64>().unwrap();
    let published = Published {
        mean: round(summary.mean),
        std: Some(round(std)),
        n: Some(theirs.len()),
        printed: format!("{:.decimals$}", summary.mean),
        decimals,
        metric: "accuracy".to_owned(),
        unit: Unit::Percent,
        place: "a made-up table".to_owned(),
        calibrated: None,
        tuned: false,
    };
    Cell { ours, published }
}

fn draw(stream: &mut Stream, n: usize, mean: f64, std: f64) -> Vec<f64> {
    (0..n).map(|_| mean + std * stream.normal()).collect()
}

fn judged(cells: &[Cell]) -> Vec<Verdict> {
    let cases: Vec<Case<'_>> = cells
        .iter()
        .map(|cell| Case {
            ours: &cell.ours,
            declared: cell.ours.len(),
            published: Some(&cell.published),
            calibrated: false,
            margin: Some(MARGIN),
        })
        .collect();
    verdicts(&cases, Tier::Paper, cases.len()).iter().map(|judgement| judgement.verdict).collect()
}

/// Share of 10,000 tables of seven cells in which at least one cell has this verdict, where every true difference is `apart`.
fn share(wanted: Verdict, apart: f64, std: f64, ratio: f64, by_n: bool) -> f64 {
    let seeds = Seeds::root(11).child("tables");
    let tables = 10_000u64;
    let hits = (0..tables).filter(|&table| {
        let mut stream = seeds.child(table).stream();
        let cells: Vec<Cell> = (0..CELLS)
            .map(|_| {
                let ours = draw(&mut stream, 5, 70.0 + apart, std * ratio);
                cell(ours, &draw(&mut stream, 5, 70.0, std), by_n, 2)
            })
            .collect();
        judged(&cells).contains(&wanted)
    });
    hits.count() as f64 / tables as f64
}

#[test]
fn where_the_truth_is_equal_a_table_is_rarely_called_different() {
    // With deviations beyond the margin, so that no cell is saved by being reproduced.
    for ratio in [1.0, 3.0, 1.0 / 3.0] {
        for by_n in [false, true] {
            let found = share(Verdict::Different, 0.0, 3.0, ratio, by_n);
            assert!(found <= ALPHA + 0.01, "std ratio {ratio}: {found}");
        }
    }
}

#[test]
fn where_the_truth_is_at_the_margin_a_table_is_rarely_called_reproduced() {
    for ratio in [1.0, 3.0, 1.0 / 3.0] {
        for std in [0.05, 0.5] {
            for by_n in [false, true] {
                let found = share(Verdict::Reproduced, MARGIN, std, ratio, by_n);
                assert!(found <= ALPHA + 0.01, "std {std}, ratio {ratio}: {found}");
            }
        }
    }
}

/// And where there is something to find, it is found: the tests are not merely careful.
#[test]
fn large_differences_and_close_agreement_are_found() {
    assert!(share(Verdict::Reproduced, 0.0, 0.2, 1.0, false) > 0.99);
    assert!(share(Verdict::Different, 3.0, 0.3, 1.0, false) > 0.99);
}

/// Tables of any scale, with deviations that differ by up to ten times.
fn tables() -> impl Iterator<Item = (Stream, f64)> {
    let seeds = Seeds::root(12).child("properties");
    (0..2000u64).map(move |number| {
        let mut stream = seeds.child(number).stream();
        let std = libm::pow(10.0, stream.uniform_in(-2.0, 1.0));
        (stream, std)
    })
}

#[test]
fn a_table_against_itself_is_never_different() {
    for (mut stream, std) in tables() {
        let n = 2 + stream.below(9) as usize;
        let ours = draw(&mut stream, n, 70.0, std);
        let cells = [cell(ours.clone(), &ours, false, 6)];
        assert_ne!(judged(&cells)[0], Verdict::Different);
    }
}

#[test]
fn five_deviations_apart_is_always_different_with_five_seeds() {
    for (mut stream, std) in tables() {
        let theirs = draw(&mut stream, 5, 70.0, std);
        let summary = Summary::of(&theirs).unwrap();
        let shift = 5.0 * summary.std.unwrap();
        let ours: Vec<f64> = theirs.iter().map(|value| value + shift).collect();
        // Within the margin it may count as the same.
        if shift >= MARGIN {
            assert_eq!(judged(&[cell(ours, &theirs, false, 6)])[0], Verdict::Different, "{shift}");
        }
    }
}

#[test]
fn verdicts_do_not_depend_on_the_order_of_rows_or_seeds() {
    for (mut stream, std) in tables().take(300) {
        let mut cells: Vec<Cell> = (0..CELLS)
            .map(|row| {
                let ours = draw(&mut stream, 5, 70.0 + 0.4 * row as f64, std);
                cell(ours, &draw(&mut stream, 5, 70.0, std), false, 2)
            })
            .collect();
        let mut before = judged(&cells);
        cells.reverse();
        cells.iter_mut().for_each(|cell| cell.ours.sort_by(f64::total_cmp));
        before.reverse();
        assert_eq!(judged(&cells), before);
    }
}

/// The other cells of the table are tests, too: what is different alone may not be among many.
#[test]
fn a_larger_family_never_makes_a_verdict_bolder() {
    for (mut stream, std) in tables().take(300) {
        let (ours, theirs) = (draw(&mut stream, 5, 71.0, std), draw(&mut stream, 5, 70.0, std));
        let cell = cell(ours, &theirs, false, 2);
        let case = Case {
            ours: &cell.ours,
            declared: cell.ours.len(),
            published: Some(&cell.published),
            calibrated: false,
            margin: Some(MARGIN),
        };
        let among = |family: usize| verdicts(&[case], Tier::Paper, family).swap_remove(0);
        let (alone, among) = (among(1), among(30));
        for (alone, among) in alone.readings.iter().zip(&among.readings) {
            assert!(among.p_equal >= alone.p_equal && among.p_apart >= alone.p_apart);
            assert_eq!((among.raw_p_equal, among.raw_p_apart), (alone.raw_p_equal, alone.raw_p_apart));
        }
    }
}
