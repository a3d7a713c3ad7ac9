//! Test logits of every expert on every test split, as Parquet.
//!
//! Schema version 1, wide by class: `index` (u32, position in the test split), `expert` (string), `logit_0` ...
//! `logit_{K-1}` (f32), head by head where there are several. Rows stand split by split and expert by expert, in the run's order.
//! An expert stands by its own name for the split called `test`, and as `<split>/<expert>` for any other, so a dataset with
//! that one test split is stored as it always was.
//!
//! Invariant: the digest is over names and values, not over a file's bytes, so it does not depend on the version of the Parquet
//! writer.

use std::borrow::Cow;
use std::io::Cursor;

use polars::prelude::*;

use crate::digest::{Digest, Hasher};
use crate::experiment::ExpertLogits;

/// The split whose name is left out.
const TEST: &str = "test";

/// What the logits of an expert on a split are called.
fn name(expert: &ExpertLogits) -> Cow<'_, str> {
    match &*expert.split {
        TEST => (&*expert.name).into(),
        split => format!("{split}/{}", expert.name).into(),
    }
}

/// Identity of names and values.
pub(crate) fn digest(logits: &[ExpertLogits]) -> Digest {
    let mut hasher = Hasher::new("i2m2 logits v1");
    for expert in logits {
        hasher.field(name(expert).as_bytes());
        hasher.field(&((expert.logits.len() * 4) as u64).to_le_bytes());
        for value in &expert.logits {
            hasher.raw(&value.to_le_bytes());
        }
    }
    hasher.finish()
}

/// As the bytes of a Parquet file. Every expert must have `classes` logits for the same number of examples.
pub(super) fn to_parquet(logits: &[ExpertLogits], classes: usize) -> PolarsResult<Vec<u8>> {
    let examples = |expert: &ExpertLogits| expert.logits.len() / classes.max(1);
    let index: Vec<u32> = logits.iter().flat_map(|e| 0..examples(e) as u32).collect();
    let names: Vec<Cow<'_, str>> = logits.iter().map(name).collect();
    let names = logits.iter().zip(&names).flat_map(|(e, name)| std::iter::repeat_n(&**name, examples(e)));
    let names = names.collect::<Vec<&str>>();
    let mut columns = vec![Column::new("index".into(), index), Column::new("expert".into(), names)];
    for class in 0..classes {
        let values: Vec<f32> =
            logits.iter().flat_map(|e| e.logits.iter().skip(class).step_by(classes).copied()).collect();
        columns.push(Column::new(format!("logit_{class}").into(), values));
    }
    let mut frame = DataFrame::new_infer_height(columns)?;
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Uncompressed)
        .set_parallel(false)
        .finish(&mut frame)?;
    Ok(bytes)
}

/// Reads back what [`to_parquet`] wrote.
pub(super) fn from_parquet(bytes: Vec<u8>) -> PolarsResult<Vec<ExpertLogits>> {
    let frame = ParquetReader::new(Cursor::new(bytes)).finish()?;
    let classes = frame.width().saturating_sub(2);
    let columns = (0..classes)
        .map(|class| Ok(frame.column(&format!("logit_{class}"))?.f32()?.rechunk().into_owned()))
        .collect::<PolarsResult<Vec<_>>>()?;
    let slices = columns.iter().map(ChunkedArray::cont_slice).collect::<PolarsResult<Vec<_>>>()?;
    let mut experts: Vec<ExpertLogits> = Vec::new();
    for (row, name) in frame.column("expert")?.str()?.iter().enumerate() {
        let name = name.unwrap_or_default();
        let (split, name) = name.split_once('/').unwrap_or((TEST, name));
        if experts.last().is_none_or(|last| (&*last.split, &*last.name) != (split, name)) {
            let (split, name) = (split.to_owned(), name.to_owned());
            experts.push(ExpertLogits { split, name, logits: Vec::new() });
        }
        if let Some(last) = experts.last_mut() {
            last.logits.extend(slices.iter().map(|column| column[row]));
        }
    }
    Ok(experts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(split: &str, name: &str, logits: &[f32]) -> ExpertLogits {
        ExpertLogits { split: split.to_owned(), name: name.to_owned(), logits: logits.to_vec() }
    }

    fn sample() -> Vec<ExpertLogits> {
        vec![
            of("test", "image", &[1.0, -0.0, 3.5, f32::MIN_POSITIVE, 5.0, 6.0]),
            of("test", "audio", &[-1.0, 2.0, -3.0, 4.0, -5.0, 1e-30]),
        ]
    }

    #[test]
    fn round_trips_bit_for_bit_for_any_number_of_classes() {
        for classes in [1, 2, 3, 6] {
            let read = from_parquet(to_parquet(&sample(), classes).unwrap()).unwrap();
            assert_eq!(digest(&read), digest(&sample()), "{classes}");
        }
    }

    #[test]
    fn splits_keep_their_names_and_lengths() {
        let mut logits = sample();
        logits.push(of("shifted", "image", &[7.0, 8.0]));
        logits.push(of("shifted", "audio", &[9.0, 10.0]));
        let read = from_parquet(to_parquet(&logits, 2).unwrap()).unwrap();
        let names: Vec<_> = read.iter().map(|e| (&*e.split, &*e.name, e.logits.len())).collect();
        let expected =
            [("test", "image", 6), ("test", "audio", 6), ("shifted", "image", 2), ("shifted", "audio", 2)];
        assert_eq!(names, expected);
        assert_eq!(digest(&read), digest(&logits));
        logits[2].split = "other".to_owned();
        assert_ne!(digest(&read), digest(&logits));
    }

    #[test]
    fn every_bit_and_every_name_counts() {
        let mut value = sample();
        value[0].logits[1] = 0.0;
        let mut name = sample();
        name[1].name = "inter".to_owned();
        assert_ne!(digest(&value), digest(&sample()));
        assert_ne!(digest(&name), digest(&sample()));
    }

    #[test]
    fn truncated_files_are_an_error() {
        let bytes = to_parquet(&sample(), 3).unwrap();
        assert!(from_parquet(bytes[..bytes.len() - 7].to_vec()).is_err());
    }
}
