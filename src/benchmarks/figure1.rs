//! Figure 1: the paper's generative model, tested (Sections 2 and 3).
//!
//! The paper draws the model and trains nothing on it. Here its selection strength is a knob: at 0 the modalities speak for the
//! label independently, and the larger it is, the more only both together tell. Every method is trained at every strength on
//! ever more rows, and stands beside the exact optimum (Eq. 2) and the best log-additive predictor f(x, y) + g(x', y), which
//! bounds intra-modality models.
//!
//! Invariant: with the same seed all methods of a point train on the same rows; columns differ in their number alone. Every
//! seed draws its own rows, so a band is about draws of that size, not about one of them.

use super::runs::generative::run;
use super::runs::pair::Model;
use super::{Benchmark, Chart, Column, Kind, Layout, Needs, Row, Status};
use crate::engine::plan::Planner;
use crate::protocol::{DatasetName, Protocol};

const FIRST: &str = "x alone";
const SECOND: &str = "x' alone";
const INTRA: &str = "Intra-modality";
const INTER: &str = "Inter-modality";
const I2M2: &str = "I2M2";

/// Figure 1.
pub static BENCHMARK: Benchmark = Benchmark {
    id: "figure1",
    title: "Figure 1",
    // The paper's caption is of a drawing.
    caption: "The data generating process with two modalities x, x′ and output y, tested: accuracy of each way to model \
              its dependencies.",
    shows: "accuracy on the paper's generative model against selection strength, for more and more training rows",
    needs: &[Needs::Dataset(DatasetName::Generative)],
    kind: Kind::Figure,
    layout: Layout {
        checks: &[],
        columns: &[
            Column::new("rows-250", "250 training rows"),
            Column::new("rows-1000", "1,000 training rows"),
            Column::new("rows-4000", "4,000 training rows"),
        ],
        rows: &[
            Row::new("first@0", "0").under(FIRST),
            Row::new("first@1", "1").under(FIRST),
            Row::new("first@2", "2").under(FIRST),
            Row::new("first@3", "3").under(FIRST),
            Row::new("first@4", "4").under(FIRST),
            Row::new("second@0", "0").under(SECOND),
            Row::new("second@1", "1").under(SECOND),
            Row::new("second@2", "2").under(SECOND),
            Row::new("second@3", "3").under(SECOND),
            Row::new("second@4", "4").under(SECOND),
            Row::new("intra@0", "0").under(INTRA),
            Row::new("intra@1", "1").under(INTRA),
            Row::new("intra@2", "2").under(INTRA),
            Row::new("intra@3", "3").under(INTRA),
            Row::new("intra@4", "4").under(INTRA),
            Row::new("inter@0", "0").under(INTER),
            Row::new("inter@1", "1").under(INTER),
            Row::new("inter@2", "2").under(INTER),
            Row::new("inter@3", "3").under(INTER),
            Row::new("inter@4", "4").under(INTER),
            Row::new("i2m2@0", "0").under(I2M2),
            Row::new("i2m2@1", "1").under(I2M2),
            Row::new("i2m2@2", "2").under(I2M2),
            Row::new("i2m2@3", "3").under(I2M2),
            Row::new("i2m2@4", "4").under(I2M2),
        ],
    },
    chart: Some(Chart::Curves { x: "Selection strength (nats)" }),
    status: Status::Registered(plan),
    values: None,
};

fn plan(figure: &Benchmark, planner: &mut Planner<'_>, protocol: &Protocol) {
    let seeds = figure.seeds(planner, protocol);
    for row in figure.layout.rows {
        for column in figure.layout.columns {
            let Some((model, point)) = point(row.id, column.id) else { continue };
            let cell = figure.measured((column.id, row.id), "test_accuracy", &seeds, |seed| {
                run(planner, protocol, point, model, seed)
            });
            planner.cell(cell);
        }
    }
}

/// What the ids of a row and a column say: a model, a selection strength and a number of rows.
fn point(row: &str, column: &str) -> Option<(Model, (f64, usize))> {
    let (model, strength) = row.split_once('@')?;
    let model = match model {
        "first" => Model::First,
        "second" => Model::Second,
        "intra" => Model::Intra,
        "inter" => Model::Inter,
        "i2m2" => Model::I2m2,
        _ => return None,
    };
    let rows = column.strip_prefix("rows-")?.parse().ok()?;
    Some((model, (strength.parse().ok()?, rows)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::Settings;

    /// The layout and the fixture's settings name the same strengths, and every point can be drawn.
    #[test]
    fn every_point_is_a_population_of_the_fixture() {
        let settings = Settings::embedded(DatasetName::Generative).unwrap();
        for row in BENCHMARK.layout.rows {
            for column in BENCHMARK.layout.columns {
                let (_, (strength, rows)) = point(row.id, column.id).unwrap();
                assert!(settings.strengths().contains(&strength), "{}", row.id);
                // Draws that overlap by more would not be draws of their own.
                assert!(5 * rows <= settings.split_rows()[0], "{}", column.id);
            }
        }
        let drawn = BENCHMARK.layout.rows.iter().filter(|row| row.id.starts_with("i2m2@")).count();
        assert_eq!(drawn, settings.strengths().len());
    }
}
