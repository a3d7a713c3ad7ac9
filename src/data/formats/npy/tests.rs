//! Arrays of every type and order, and files that lie.

use std::path::PathBuf;

use super::*;

/// A file of these bytes; keep the folder until it has been read.
fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("array.npy");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// The error of reading these bytes, which must be that of mapping them.
fn error(bytes: &[u8]) -> DataError {
    let (_folder, path) = file(bytes);
    let read = Npy::read(&path).err().expect("a broken file must not be read");
    let mapped = Npy::map(&path).err().expect("a broken file must not be mapped");
    assert_eq!(read.to_string(), mapped.to_string());
    assert!(read.to_string().contains("array.npy"), "{read}");
    read
}

fn saved<T: Element>(dims: &[usize], values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, dims, values).unwrap();
    bytes
}

/// A file with any header text.
fn with_header(text: &str, data: &[u8]) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", (text.len() as u16).to_le_bytes().as_slice(), text.as_bytes(), data].concat()
}

fn round_trip<T: Element + PartialEq + std::fmt::Debug>(values: &[T]) {
    let (_folder, path) = file(&saved(&[values.len()], values));
    for npy in [Npy::read(&path).unwrap(), Npy::map(&path).unwrap()] {
        assert_eq!((npy.dtype(), npy.dims()), (T::DTYPE, [values.len()].as_slice()));
        let read: Vec<T> = npy.bytes().chunks(T::DTYPE.size()).map(|b| T::from_le(b).unwrap()).collect();
        assert_eq!(read, values);
        let mut wide = vec![0.0; values.len()];
        npy.read_f64(0, &mut wide);
        assert!(wide.iter().zip(values).all(|(wide, value)| wide.to_bits() == value.as_f64().to_bits()));
        let narrow = npy.to_f32();
        assert!(
            narrow.iter().zip(values).all(|(narrow, value)| narrow.to_bits() == value.as_f32().to_bits())
        );
    }
}

#[test]
fn every_type_round_trips() {
    round_trip(&[true, false]);
    round_trip(&[i8::MIN, -1, i8::MAX]);
    round_trip(&[i16::MIN, -1, i16::MAX]);
    round_trip(&[i32::MIN, -1, i32::MAX]);
    round_trip(&[i64::MIN, -1, i64::MAX]);
    round_trip(&[0, 1, u8::MAX]);
    round_trip(&[0, 1, u16::MAX]);
    round_trip(&[0, 1, u32::MAX]);
    round_trip(&[0, 1, u64::MAX]);
    round_trip(&[-0.0, f32::MIN_POSITIVE, f32::INFINITY]);
    round_trip(&[-0.0, f64::MIN_POSITIVE, 1e300]);
}

#[test]
fn writes_what_numpy_writes() {
    let expected = |shape: &str, descr: &str, spaces: usize| {
        let text = format!(
            "{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}{}\n",
            " ".repeat(spaces)
        );
        with_header(&text, &[])
    };
    // Taken from numpy 2.4: all headers of this size end at byte 128.
    assert_eq!(Header::write(Dtype::F32, &[2, 3]), expected("(2, 3)", "<f4", 58));
    assert_eq!(Header::write(Dtype::U8, &[5]), expected("(5,)", "|u1", 60));
    assert_eq!(Header::write(Dtype::F64, &[]), expected("()", "<f8", 62));
    assert_eq!(Header::write(Dtype::F64, &[3, 24, 12]), expected("(3, 24, 12)", "<f8", 53));
}

#[test]
fn maps_without_a_copy() {
    let (_folder, path) = file(&saved(&[2, 2], &[1.0_f32, 2.0, 3.0, 4.0]));
    let npy = Npy::map(&path).unwrap();
    assert_eq!(npy.as_f32().unwrap(), [1.0, 2.0, 3.0, 4.0]);
    let mut row = [0.0; 2];
    npy.read_f32(2, &mut row);
    assert_eq!(row, [3.0, 4.0]);
}

#[test]
fn files_cut_anywhere_are_errors() {
    let bytes = saved(&[3, 2], &[1_i32, 2, 3, 4, 5, 6]);
    for end in 0..bytes.len() {
        let error = error(&bytes[..end]);
        let fits = matches!(
            error,
            DataError::BadMagic { .. } | DataError::Malformed { .. } | DataError::Truncated { .. }
        );
        assert!(fits, "{end}: {error}");
    }
    assert!(error(b"").to_string().contains("it is empty"));
    assert!(matches!(
        error(&[bytes, vec![0]].concat()),
        DataError::Truncated { expected: 24, found: 25, .. }
    ));
}

#[test]
fn other_files_are_told_by_their_first_bytes() {
    assert!(matches!(error(b"PK\x03\x04 and so on"), DataError::BadMagic { .. }));
    let mut bytes = saved(&[1], &[0_u8]);
    bytes[6] = 9;
    assert!(error(&bytes).to_string().contains("version 9"));
}

#[test]
fn a_header_that_claims_the_world_takes_no_memory() {
    for shape in ["(1000000000000000,)", "(18446744073709551615, 18446744073709551615, 9)"] {
        let text = format!("{{'descr': '<f8', 'fortran_order': True, 'shape': {shape}, }}\n");
        assert!(matches!(error(&with_header(&text, &[0; 16])), DataError::Truncated { found: 16, .. }));
    }
    // A version 2 header that says it is 4 GB long.
    let bytes = [b"\x93NUMPY\x02\x00".as_slice(), &[0xff; 4], b"{'descr'"].concat();
    assert!(matches!(error(&bytes), DataError::Malformed { .. }));
}

#[test]
fn broken_headers_are_errors() {
    let deep = format!("{{'shape': {}", "(".repeat(60_000));
    for text in [
        "",
        "{}",
        "{'descr': '<f8', 'fortran_order': False}",
        "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': Maybe, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1.0,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)} + exit()",
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}",
        deep.as_str(),
    ] {
        let error = error(&with_header(text, &[0; 8]));
        assert!(matches!(error, DataError::Malformed { .. }), "{text}: {error}");
    }
}

#[test]
fn types_that_could_run_code_or_are_unknown_are_refused() {
    for descr in ["|O", "<c16", "<U3", "<M8[ns]", "", "f8", "<f2"] {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,), }}\n");
        assert!(matches!(error(&with_header(&text, &[0; 8])), DataError::Dtype { .. }), "{descr}");
    }
}

#[test]
fn older_headers_are_read() {
    let text = "{\"shape\": (2L, 1L),\"fortran_order\":False , \"descr\": \"=u1\"}";
    let (_folder, path) = file(&with_header(text, &[7, 8]));
    assert_eq!(Npy::read(&path).unwrap().to_f32(), [7.0, 8.0]);
}

#[test]
fn dimensions_are_checked() {
    let (_folder, path) = file(&saved(&[3, 2], &[0_u8; 6]));
    let npy = Npy::read(&path).unwrap();
    npy.expect(&[Dim::UpTo(3), Dim::Is(2)]).unwrap();
    for wrong in [vec![Dim::UpTo(2), Dim::Is(2)], vec![Dim::UpTo(9), Dim::Is(3)], vec![Dim::Is(6)]] {
        let error = npy.expect(&wrong).unwrap_err();
        assert!(matches!(error, DataError::Shape { .. }) && error.to_string().contains("[3, 2]"), "{error}");
    }
}

#[test]
fn labels_out_of_range_name_their_row() {
    let labels = |bytes: &[u8]| {
        let (_folder, path) = file(bytes);
        Npy::read(&path).unwrap().to_labels(10)
    };
    assert_eq!(labels(&saved(&[3], &[0_i64, 9, 5])).unwrap(), [0, 9, 5]);
    for bad in [saved(&[3], &[0_i64, 10, 5]), saved(&[3], &[0_i64, -1, 5]), saved(&[3], &[0, u64::MAX, 5])] {
        assert!(matches!(labels(&bad), Err(DataError::Label { row: Some(1), classes: 10, .. })));
    }
    assert!(matches!(labels(&saved(&[1], &[1.0_f32])), Err(DataError::Dtype { .. })));
}

#[test]
fn a_missing_file_and_a_folder_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Npy::read(&folder.path().join("none.npy")), Err(DataError::Missing { .. })));
    assert!(matches!(Npy::map(folder.path()), Err(DataError::Io { .. })));
}
