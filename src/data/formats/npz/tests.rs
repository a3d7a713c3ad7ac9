//! Archives of every packing, and archives that lie.

use std::path::PathBuf;

use super::*;
use crate::data::formats::npy::Dtype;

fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arrays.npz");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

const SHAPE: [Dim; 2] = [Dim::UpTo(100), Dim::Is(2)];

/// Opens these bytes and reads the array `a` of shape (up to 100, 2).
fn read(bytes: &[u8]) -> Result<Vec<f32>, DataError> {
    let (_folder, path) = file(bytes);
    let result = Npz::open(&path).and_then(|mut npz| npz.array("a", &SHAPE));
    if let Err(error) = &result {
        assert!(error.to_string().contains("arrays.npz"), "{error}");
    }
    result.map(|array| array.to_f32())
}

fn saved(packing: Packing) -> Vec<u8> {
    let mut npz = NpzBuilder::new(packing);
    npz.add("b", &[1], &[true]).unwrap();
    npz.add("a", &[50, 2], &[1.5_f64; 100]).unwrap();
    npz.finish().unwrap()
}

/// Where `pattern` stands in `bytes`, the last time.
fn last(bytes: &[u8], pattern: &[u8]) -> usize {
    bytes.windows(pattern.len()).rposition(|window| window == pattern).unwrap()
}

#[test]
fn reads_every_type_and_order_that_numpy_saves() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/arrays.npz");
    let mut npz = Npz::open(&path).unwrap();
    assert_eq!(npz.names().len(), 19);
    for name in npz.names() {
        let shape: &[Dim] = match name.as_str() {
            "b1" => &[Dim::Is(2)],
            "scalar" => &[],
            "none" => &[Dim::Is(0), Dim::Is(4)],
            _ => &[Dim::Is(2), Dim::Is(3), Dim::Is(4)],
        };
        let array = npz.array(&name, shape).unwrap();
        let expected: Vec<f32> = (0..array.elements()).map(|i| i as f32).collect();
        assert_eq!(array.to_f32(), expected, "{name}");
        if name == "fortran_big" {
            assert_eq!(array.dtype(), Dtype::I32);
        }
    }
}

#[test]
fn round_trips_and_bytes_depend_on_content_alone() {
    for packing in [Packing::Stored, Packing::Deflated] {
        assert_eq!(read(&saved(packing)).unwrap(), [1.5; 100]);
        assert_eq!(saved(packing), saved(packing));
    }
    assert!(saved(Packing::Deflated).len() < saved(Packing::Stored).len());
}

#[test]
fn files_cut_anywhere_are_errors() {
    for packing in [Packing::Stored, Packing::Deflated] {
        let bytes = saved(packing);
        for end in (0..bytes.len()).step_by(13).chain(bytes.len() - 30..bytes.len()) {
            assert!(read(&bytes[..end]).is_err(), "{end}");
        }
    }
    assert!(matches!(read(b""), Err(DataError::BadMagic { .. })));
    assert!(matches!(read(b"\x93NUMPY"), Err(DataError::BadMagic { .. })));
}

#[test]
fn no_flipped_byte_goes_unnoticed() {
    for packing in [Packing::Stored, Packing::Deflated] {
        let bytes = saved(packing);
        let start = last(&bytes, b"PK\x03\x04");
        let end = last(&bytes, b"PK\x01\x02");
        for position in (start..end).step_by(5) {
            let mut bytes = bytes.clone();
            bytes[position] ^= 0x20;
            if let Ok(values) = read(&bytes) {
                assert_eq!(values, [1.5; 100], "byte {position}");
            }
        }
    }
}

#[test]
fn a_missing_array_is_named_beside_those_that_are_there() {
    let (_folder, path) = file(&saved(Packing::Stored));
    let error = Npz::open(&path).unwrap().array("ep_tdata", &SHAPE).err().unwrap();
    assert!(matches!(error, DataError::MissingArray { .. }));
    assert!(error.to_string().contains("`ep_tdata`") && error.to_string().contains("a, b"), "{error}");
}

#[test]
fn dimensions_are_checked_before_the_data_is_read() {
    let (_folder, path) = file(&saved(Packing::Deflated));
    let mut npz = Npz::open(&path).unwrap();
    assert!(matches!(npz.array("a", &[Dim::UpTo(10), Dim::Is(2)]), Err(DataError::Shape { .. })));
    assert_eq!(npz.dims("a", &SHAPE).unwrap(), [50, 2]);
}

/// Sets the uncompressed size of the last entry in the directory.
fn declare(bytes: &mut [u8], size: u32) {
    let directory = last(bytes, b"PK\x01\x02");
    bytes[directory + 24..directory + 28].copy_from_slice(&size.to_le_bytes());
}

#[test]
fn sizes_that_lie_are_found_before_memory_is_taken() {
    for packing in [Packing::Stored, Packing::Deflated] {
        for size in [0, 10, 128, 900, 929, 2_000_000_000] {
            let mut bytes = saved(packing);
            declare(&mut bytes, size);
            assert!(read(&bytes).is_err(), "{packing:?} {size}");
        }
    }
    let mut bytes = saved(Packing::Deflated);
    declare(&mut bytes, 2_000_000_000);
    assert!(matches!(read(&bytes), Err(DataError::TooLarge { .. })));
}

#[test]
fn names_are_never_paths() {
    let mut npz = NpzBuilder::new(Packing::Stored);
    npz.add("../../escape", &[1, 2], &[1.0_f32, 2.0]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arrays.npz");
    npz.write(&path).unwrap();
    let array = Npz::open(&path).unwrap().array("../../escape", &SHAPE).unwrap();
    assert_eq!(array.to_f32(), [1.0, 2.0]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
