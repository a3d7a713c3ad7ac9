//! Figure 1: the paper's generative model, tested (Sections 2 and 3).
//!
//! The paper draws the model and trains nothing on it. Here its selection strength is a knob: at 0 the modalities speak for the
//! label independently, and the larger it is, the more only both together tell. Every method is trained at every strength on
//! ever more rows, and stands beside the exact optimum (Eq. 2) and the best log-additive predictor f(x, y) + g(x', y), which
//! bounds intra-modality models.
//!
//! Invariant: with the same seed all methods of a point train on the same rows; columns differ in their number alone. Every
//! seed draws its own rows, so a band is about draws of that size, not about one of them.

use super::layout::points;
use super::{Benchmark, Chart, Column, Layout, ModelCell, Row, Source};
use crate::metric::{ACCURACY, Metric};

/// By method and selection strength.
static CURVES: [[Row; 5]; 5] = [
    points!("first", "x alone", "", [0, 1, 2, 3, 4]),
    points!("second", "x' alone", "", [0, 1, 2, 3, 4]),
    points!("intra", "Intra-modality", "", [0, 1, 2, 3, 4]),
    points!("inter", "Inter-modality", "", [0, 1, 2, 3, 4]),
    points!("i2m2", "I2M2", "", [0, 1, 2, 3, 4]),
];

/// Figure 1.
pub(super) static BENCHMARK: Benchmark = Benchmark {
    id: "figure1",
    title: "Figure 1",
    // The paper's caption is of a drawing.
    caption: "The data generating process with two modalities x, x′ and output y, tested: accuracy of each way to model \
              its dependencies.",
    shows: "accuracy on the paper's generative model against selection strength, for more and more training rows",
    studies: &["generative"],
    layout: Layout {
        checks: &[],
        columns: &[
            Column::new("rows-250", "250 training rows"),
            Column::new("rows-1000", "1,000 training rows"),
            Column::new("rows-4000", "4,000 training rows"),
        ],
        rows: CURVES.as_flattened(),
    },
    chart: Some(Chart::Curves { x: "Selection strength (nats)" }),
    source,
    ..Benchmark::BLANK
};

/// What the ids of a row and a column say: a model, a selection strength and a number of training rows.
fn source(row: &'static str, column: &'static str) -> Option<Source> {
    let (model, strength) = row.split_once('@')?;
    let rows = column.strip_prefix("rows-")?.parse().ok()?;
    Some(Source::Model(ModelCell {
        study: "generative",
        model,
        task: "generated",
        metric: Metric::test(&ACCURACY),
        population: Some((strength.parse().ok()?, rows)),
        noise: 0.0,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::generative::fixture::Vectors;
    use crate::data::synthetic::FixtureSettings;

    /// The layout and the fixture's settings name the same strengths, and every point can be drawn.
    #[test]
    fn every_point_is_a_population_of_the_fixture() {
        let settings = FixtureSettings::<Vectors>::embedded().unwrap();
        for row in BENCHMARK.layout.rows {
            for column in BENCHMARK.layout.columns {
                let Some(Source::Model(ModelCell { population: Some((strength, rows)), .. })) =
                    source(row.id, column.id)
                else {
                    panic!("{} {} is no point", row.id, column.id)
                };
                assert!(settings.rendering.strengths.contains(&strength), "{}", row.id);
                // Draws that overlap by more would not be draws of their own.
                assert!(5 * rows <= settings.rendering.rows[0], "{}", column.id);
            }
        }
        let drawn = BENCHMARK.layout.rows.iter().filter(|row| row.id.starts_with("i2m2@")).count();
        assert_eq!(drawn, settings.rendering.strengths.len());
    }
}
