//! The power curve of the self-test as a figure, with the numbers behind it as CSV.

use std::path::{Path, PathBuf};

use crate::cli::failure::Failure;
use crate::cli::files::picture;
use crate::files;
use crate::report::figure::{self, Caption, Figure, Mean, Panel, Row, Series, XLabel};
use crate::results::self_test::{Found, LEARNING_RATE, Point};

/// Writes `power.svg`, `power.png` and `power.csv` to `<out>/self-test.<selection>/`; returns the folder. Nothing is written
/// where no fault was put in.
pub(super) fn write(found: &Found, selection: &str, out: &Path) -> Result<Option<PathBuf>, Failure> {
    if found.curve.is_empty() {
        return Ok(None);
    }
    let folder = out.join(format!("self-test.{selection}"));
    picture(&folder, "power", &curves(found, selection))?;
    let numbers = csv(&found.curve)?;
    files::write(&folder.join("power.csv"), numbers)?;
    Ok(Some(folder))
}

fn curves(found: &Found, selection: &str) -> Figure {
    let shares: Vec<&Point> = found.curve.iter().filter(|point| point.fault != LEARNING_RATE).collect();
    let series = shares.chunk_by(|a, b| a.fault == b.fault).map(|points| Series {
        label: points[0].fault.to_owned(),
        points: points
            .iter()
            .map(|point| figure::Point {
                x: 100.0 * point.size,
                value: Some(Mean { mean: point.rate(), std: None, n: 0 }),
                ..figure::Point::default()
            })
            .collect(),
        known: None,
    });
    let panel = Panel { title: String::new(), items: series.collect() };
    Figure {
        caption: Caption {
            title: format!("Self-test of the gate: {selection}"),
            subtitle: format!(
                "How often expected ranges catch a fault that is put into a share of the test split of {} cells",
                found.cells
            ),
            warning: None,
        },
        x: Some(XLabel { text: "Share of the test split that is at fault (%)".to_owned(), factors: true }),
        rows: vec![Row { y_label: "caught (%)".to_owned(), panels: vec![panel] }],
    }
}

fn csv(curve: &[Point]) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["fault", "size", "caught", "injected", "moved"])?;
    for point in curve {
        let Point { fault, size, caught, injected, moved } = point;
        writer.write_record([
            (*fault).to_owned(),
            size.to_string(),
            caught.to_string(),
            injected.to_string(),
            moved.to_string(),
        ])?;
    }
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
