//! The loader against numpy and CPython, broken files, and what errors may say.

use std::fmt::{Debug, Display};
use std::path::PathBuf;

use super::super::formats::npz::{NpzBuilder, Packing};
use super::*;

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/mimic")
}

/// All rows of a split, row after row.
fn rows(data: &MimicDataset, split: Split, modality: usize) -> Vec<f32> {
    let width = data.modalities()[modality].features();
    let len = data.len(split);
    let all: Vec<u32> = (0..len as u32).collect();
    let mut batch = vec![0.0; width * len];
    data.gather(split, modality, &all, &mut batch);
    (0..len * width).map(|i| batch[i % width * len + i / width]).collect()
}

const ORDER: [Split; 3] = [Split::Valid, Split::TEST, Split::Train];

#[test]
fn agrees_with_numpy_on_values_labels_and_splits() {
    let mut expected = Npz::open(&golden().join("expected.npz")).unwrap();
    for (on, name) in [(StandardiseOn::All, "all"), (StandardiseOn::Train, "train")] {
        let cohort = load(&golden(), on).unwrap();
        for (task, labels) in TASKS.into_iter().zip(["mortality", "y_icd9_1", "y_icd9_7"]) {
            let (task, classes) = task;
            let data = cohort.task(task).unwrap();
            assert_eq!(ORDER.map(|split| data.len(split)), [2, 2, 16]);
            let ours: Vec<u32> =
                ORDER.iter().flat_map(|&split| data.targets(split).labels().to_vec()).collect();
            let numpy = expected.array(labels, &[Dim::Is(20)]).unwrap().to_labels(classes).unwrap();
            assert_eq!(ours, numpy, "{labels}");
        }
        let data = cohort.task("mortality").unwrap();
        for (modality, array, dims) in [
            (0, "static", vec![Dim::Is(20), Dim::Is(5)]),
            (1, "series", vec![Dim::Is(20), Dim::Is(24), Dim::Is(12)]),
        ] {
            let ours: Vec<f32> = ORDER.iter().flat_map(|&split| rows(&data, split, modality)).collect();
            let numpy = expected.array(&format!("{array}_{name}"), &dims).unwrap().to_f32();
            assert_eq!(ours.len(), numpy.len());
            let worst = ours.iter().zip(&numpy).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= 2e-7, "{array} {name}: {worst}");
        }
    }
}

#[test]
fn batches_are_gathered_batch_innermost() {
    let data = load(&golden(), StandardiseOn::All).unwrap().task("mortality").unwrap();
    let all = rows(&data, Split::Train, 0);
    let mut batch = vec![0.0; 5 * 3];
    data.gather(Split::Train, 0, &[7, 0, 15], &mut batch);
    for (i, row) in [7, 0, 15].into_iter().enumerate() {
        for feature in 0..5 {
            assert_eq!(batch[feature * 3 + i], all[row * 5 + feature]);
        }
    }
}

#[test]
fn the_papers_cohort_splits_as_the_paper_says() {
    assert_eq!(
        [Split::Train, Split::Valid, Split::TEST].map(|split| part(36_212, split).len()),
        [28_970, 3_621, 3_621]
    );
}

#[test]
fn tasks_share_one_copy_of_the_rows() {
    let cohort = load(&golden(), StandardiseOn::All).unwrap();
    let _tasks: Vec<MimicDataset> = TASKS.iter().filter_map(|(task, _)| cohort.task(task)).collect();
    assert_eq!(Arc::strong_count(&cohort), 4);
    assert!(cohort.task("digits").is_none());
}

#[test]
fn the_identity_tells_the_standardisation() {
    let cache = StatCache::in_memory();
    let of = |on| identity(&golden(), on, &cache).unwrap().digest;
    assert_ne!(of(StandardiseOn::All), of(StandardiseOn::Train));
}

/// Rows have no way to a log: this fails to compile when a type that holds them gets one of these traits, because the
/// call is then ambiguous.
#[test]
fn rows_cannot_be_printed_or_serialised() {
    trait Unless<Marker> {
        fn holds() {}
    }
    impl<T> Unless<()> for T {}
    struct Debugs;
    struct Displays;
    struct Serialises;
    impl<T: Debug> Unless<Debugs> for T {}
    impl<T: Display> Unless<Displays> for T {}
    impl<T: serde::Serialize> Unless<Serialises> for T {}
    <Cohort as Unless<_>>::holds();
    <MimicDataset as Unless<_>>::holds();
}

/// A file of 10 rows, every value 777 or what `change` makes of it.
struct File {
    static_: Vec<f64>,
    series: Vec<f64>,
    labels: Vec<i64>,
    icd9: Vec<i64>,
    rows: usize,
}

fn load_changed(change: impl Fn(&mut File)) -> Result<Arc<Cohort>, DataError> {
    let mut file = File {
        static_: (0..50).map(|i| 777.0 + f64::from(i % 7)).collect(),
        series: (0..2880).map(|i| 777.0 + f64::from(i % 7)).collect(),
        labels: vec![0; 60],
        icd9: vec![1; 200],
        rows: 10,
    };
    change(&mut file);
    let mut npz = NpzBuilder::new(Packing::Deflated);
    npz.add("ep_tdata", &[file.series.len() / 288, 24, 12], &file.series).unwrap();
    npz.add("adm_features_all", &[file.rows, 5], &file.static_).unwrap();
    npz.add("adm_labels_all", &[file.labels.len() / 6, 6], &file.labels).unwrap();
    npz.add("y_icd9", &[file.icd9.len() / 20, 20], &file.icd9).unwrap();
    let folder = tempfile::tempdir().unwrap();
    npz.write(&folder.path().join(FILE)).unwrap();
    load(folder.path(), StandardiseOn::All)
}

/// The message of a refusal, which names file and array and holds none of the rows' values.
fn refusal(change: impl Fn(&mut File)) -> String {
    let message = load_changed(change).err().expect("must be refused").to_string();
    assert!(message.contains("im.npz["), "{message}");
    assert!(!message.contains("777") && !message.contains("row "), "{message}");
    message
}

#[test]
fn bad_files_are_refused_without_telling_their_content() {
    assert!(load_changed(|_| {}).is_ok());
    let bad_label = refusal(|file| file.labels[32] = 9);
    assert!(
        bad_label.contains("[adm_labels_all]: expected labels from 0 to 1, found another value"),
        "{bad_label}"
    );
    assert!(refusal(|file| file.icd9[27] = -7770).contains("[y_icd9]: expected labels"));
    assert!(
        refusal(|file| file.series.truncate(288 * 9))
            .contains("[ep_tdata]: expected shape [10, 24, 12], found [9, 24, 12]")
    );
    assert!(refusal(|file| file.static_[5] = 1e308).contains("[adm_features_all]: expected values that can"));
    assert!(
        refusal(|file| {
            file.rows = 9;
            file.static_.truncate(45);
        })
        .contains("at least 10 rows")
    );
    // Columns that no task reads may hold anything.
    assert!(load_changed(|file| file.icd9[2] = 5).is_ok());
    assert!(load_changed(|file| file.labels[0] = 5).is_ok());
}

#[test]
fn values_that_are_not_finite_become_zero_in_raw_units() {
    let change = |value: f64| load_changed(move |file| file.series[300] = value).unwrap();
    let zero = change(0.0);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(change(value).series == zero.series);
    }
}

#[test]
fn a_missing_array_or_file_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let missing = load(folder.path(), StandardiseOn::All).err().unwrap();
    assert!(matches!(missing, DataError::Missing { .. }));
    assert!(missing.to_string().contains("i2m2 data explain mimic"), "{missing}");
    let mut npz = NpzBuilder::new(Packing::Stored);
    npz.add("adm_features_all", &[10, 5], &[0_u8; 50]).unwrap();
    npz.write(&folder.path().join(FILE)).unwrap();
    let missing = load(folder.path(), StandardiseOn::All).err().unwrap().to_string();
    assert!(missing.contains("`adm_labels_all`, found adm_features_all"), "{missing}");
}
