//! Builds and loads of small sets in the true formats, and of the real sources where they are.

use std::fs;
use std::path::{Path, PathBuf};

use super::build::{BuildOptions, NoiseOptions, build};
use super::dataset::{AvmnistDataset, identity, is_rebuilt, load};
use super::*;
use crate::data::formats::npy::{Dim, Npy};
use crate::data::formats::npz::Npz;
use crate::data::identity::StatCache;
use crate::data::{DataError, Dataset, Split};
use crate::random::Seeds;

/// The shared real data, where there is any.
pub(crate) fn shared() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(|parent| parent.join("shared/data"));
    let found = std::env::var_os("I2M2_SHARED_DATA").map(PathBuf::from).or_else(beside)?;
    found.join("fsdd").is_dir().then_some(found)
}

fn write_npy<T: crate::data::formats::npy::Element>(path: &Path, dims: &[usize], values: &[T]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    crate::data::formats::npy::write(&mut fs::File::create(path).unwrap(), dims, values).unwrap();
}

/// MNIST's four files with few rows, and one speaker's recordings.
struct Sources(tempfile::TempDir);

impl Sources {
    fn new() -> Self {
        let sources = Sources(tempfile::tempdir().unwrap());
        for (stem, rows) in [("train", 96), ("t10k", 20)] {
            let mut stream = Seeds::root(1).child(stem).stream();
            let labels: Vec<u8> = (0..rows).map(|_| stream.below(10) as u8).collect();
            let mut images = vec![0u8; rows * 784];
            for (image, label) in images.chunks_exact_mut(784).zip(&labels) {
                for pixel in &mut image[usize::from(*label) * 60..][..200] {
                    *pixel = stream.below(256) as u8;
                }
            }
            let header = |dims: &[usize]| {
                let mut header = vec![0, 0, 8, dims.len() as u8];
                dims.iter().for_each(|&dim| header.extend((dim as u32).to_be_bytes()));
                header
            };
            let write = |name: &str, dims: &[usize], bytes: &[u8]| {
                fs::write(sources.path(name), [header(dims).as_slice(), bytes].concat()).unwrap();
            };
            write(&format!("{stem}-images-idx3-ubyte"), &[rows, 28, 28], &images);
            write(&format!("{stem}-labels-idx1-ubyte"), &[rows], &labels);
        }
        fs::create_dir(sources.path("recordings")).unwrap();
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        for digit in 0..10 {
            for take in 0..50 {
                let mut stream = Seeds::root(2).child(digit).child(take).stream();
                let path = sources.path(&format!("recordings/{digit}_ada_{take}.wav"));
                let mut writer = hound::WavWriter::create(path, spec).unwrap();
                for _ in 0..600 + 37 * digit + take {
                    writer.write_sample(stream.below(20_000) as i16 - 10_000).unwrap();
                }
                writer.finalize().unwrap();
            }
        }
        sources
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn options(&self, out: &str) -> BuildOptions {
        let folder = self.0.path().to_owned();
        let mut options = BuildOptions::new(folder.clone(), folder, self.path(out));
        options.speakers = vec!["ada".into()];
        options.aligned_share = 0.5;
        options
    }

    fn error(&self) -> DataError {
        let error = build(&self.options("broken"), &|_| ()).unwrap_err();
        let left: Vec<_> =
            fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(
            !left.iter().any(|name| name.to_string_lossy().contains("broken")),
            "a failed build leaves nothing: {left:?}"
        );
        error
    }
}

/// All rows of a split, as the training loop sees them.
fn batch(dataset: &AvmnistDataset, split: Split, modality: usize) -> Vec<u32> {
    let rows: Vec<u32> = (0..dataset.len(split) as u32).rev().collect();
    let mut out = vec![-1.0f32; rows.len() * dataset.modalities()[modality].features()];
    dataset.gather(split, modality, &rows, &mut out);
    assert!(dataset.fault().is_none());
    out.into_iter().map(f32::to_bits).collect()
}

#[test]
fn the_same_sources_give_the_same_bytes_and_other_choices_other_ones() {
    let sources = Sources::new();
    let first = build(&sources.options("first"), &|_| ()).unwrap();
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let again = one_thread.install(|| build(&sources.options("second"), &|_| ()).unwrap());
    assert_eq!(first.manifest, again.manifest);
    let bytes = |out: &str, file: &str| fs::read(sources.path(out).join(file)).unwrap();
    for file in ["manifest.json", "spectrograms.npy", "train/sounds.npy", "test/scores.npy"] {
        assert_eq!(bytes("first", file), bytes("second", file), "{file}");
    }
    let cache = StatCache::in_memory();
    assert_eq!(identity(&sources.path("first"), &cache).unwrap().digest, first.digest);

    // In place of the earlier build, with every row beside its own recording.
    let mut aligned = sources.options("second");
    aligned.aligned_share = 1.0;
    let aligned = build(&aligned, &|_| ()).unwrap();
    assert_ne!(aligned.digest, first.digest);
    assert_eq!((aligned.manifest.train.agreement, aligned.manifest.test.agreement), (1.0, 1.0));
    assert!(first.manifest.train.agreement < 0.8);
    assert_eq!(aligned.manifest.files["spectrograms.npy"], first.manifest.files["spectrograms.npy"]);
    let sounds = |out: &str| Npy::read(&sources.path(out).join("train/sounds.npy")).unwrap().to_f32();
    let moved = sounds("first").iter().zip(sounds("second")).filter(|(a, b)| **a != *b).count();
    assert!((20..70).contains(&moved), "{moved} of 96");
}

#[test]
fn both_forms_of_the_same_data_give_the_same_batches() {
    let sources = Sources::new();
    build(&sources.options("compact"), &|_| ()).unwrap();
    let compact = sources.path("compact");
    let published = sources.path("published");
    let spectrograms = Npy::read(&compact.join("spectrograms.npy")).unwrap();
    for part in ["train", "test"] {
        let read = |name: &str| Npy::read(&compact.join(part).join(name)).unwrap();
        let (scores, bases) = (read("scores.npy").to_f32(), read("bases.npy").to_f32());
        let rows = scores.len() / 4;
        let mut images = vec![0.0f64; rows * 784];
        for (image, scores) in images.chunks_exact_mut(784).zip(scores.chunks_exact(4)) {
            for (basis, &score) in bases.chunks_exact(784).zip(scores) {
                image.iter_mut().zip(basis).for_each(|(x, &b)| *x += f64::from(score) * f64::from(b));
            }
        }
        let mut audio = Vec::new();
        for number in read("sounds.npy").to_f32() {
            audio.extend_from_slice(&spectrograms.bytes()[number as usize * 12544..][..12544]);
        }
        let labels: Vec<i64> = read("labels.npy").to_f32().iter().map(|&label| label as i64).collect();
        write_npy(&published.join(format!("image/{part}_data.npy")), &[rows, 784], &images);
        write_npy(&published.join(format!("audio/{part}_data.npy")), &[rows, 112, 112], &audio);
        write_npy(&published.join(format!("{part}_labels.npy")), &[rows], &labels);
    }
    assert!(is_rebuilt(&compact) && !is_rebuilt(&published));
    let [a, b] = [&compact, &published].map(|root| load(root).unwrap());
    assert_eq!([Split::Train, Split::Valid, Split::TEST].map(|split| a.len(split)), [88, 8, 20]);
    for split in [Split::Train, Split::Valid, Split::TEST] {
        assert_eq!(a.targets(split).labels(), b.targets(split).labels());
        for modality in 0..2 {
            assert_eq!(a.modalities()[modality], b.modalities()[modality]);
            assert!(batch(&a, split, modality) == batch(&b, split, modality), "{split:?} {modality:?}");
        }
    }
}

/// The published layout with 24 training and 12 test rows of 8 x 8 spectrograms.
fn published() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (part, rows) in [("train", 24), ("test", 12)] {
        let ramp = |count: usize| (0..count).map(|i| (i % 256) as u8);
        let images: Vec<f32> = ramp(rows * 784).map(|value| f32::from(value) - 99.5).collect();
        let audio: Vec<u8> = ramp(rows * 64).collect();
        let labels: Vec<u8> = (0..rows).map(|row| (row % 10) as u8).collect();
        write_npy(&folder.path().join(format!("image/{part}_data.npy")), &[rows, 784], &images);
        write_npy(&folder.path().join(format!("audio/{part}_data.npy")), &[rows, 8, 8], &audio);
        write_npy(&folder.path().join(format!("{part}_labels.npy")), &[rows], &labels);
    }
    folder
}

#[test]
fn pixels_are_divided_by_255_sides_come_from_the_shapes_and_the_last_twelfth_validates() {
    let folder = published();
    let data = load(folder.path()).unwrap();
    assert_eq!(data.modalities()[0].dims, [1, 28, 28]);
    assert_eq!(data.modalities()[1].dims, [1, 8, 8]);
    assert_eq!((data.len(Split::Train), data.len(Split::Valid), data.len(Split::TEST)), (22, 2, 12));
    assert_eq!(data.targets(Split::Valid).labels(), [2, 3]);
    let mut out = vec![0.0; 2 * 64];
    data.gather(Split::Valid, 1, &[1, 0], &mut out);
    // Row 23 begins with value 23 * 64 mod 256 = 192, row 22 with 128.
    assert_eq!(out[..4], [192.0 / 255.0, 128.0 / 255.0, 193.0 / 255.0, 129.0 / 255.0]);
    let mut out = vec![0.0; 784];
    data.gather(Split::Train, 0, &[0], &mut out);
    assert_eq!(out[..2], [-99.5f32 / 255.0, -98.5 / 255.0]);
}

#[test]
fn a_broken_file_gives_one_clear_error() {
    let error = |spoil: &dyn Fn(&Path)| {
        let folder = published();
        spoil(folder.path());
        load(folder.path()).err().expect("an error")
    };
    macro_rules! expect {
        ($pattern:pat, $words:expr, $spoil:expr) => {
            let error = error(&$spoil);
            let text = error.to_string();
            assert!(matches!(error, $pattern), "{text}");
            for word in $words {
                assert!(text.contains(word), "`{word}` in: {text}");
            }
        };
    }
    let images = "image/train_data.npy";
    for file in [images, "audio/test_data.npy", "test_labels.npy"] {
        expect!(DataError::Missing { .. }, ["npy"], |root: &Path| fs::remove_file(root.join(file)).unwrap());
        expect!(DataError::BadMagic { .. }, [file, "empty"], |root: &Path| fs::write(root.join(file), b"")
            .unwrap());
        expect!(DataError::BadMagic { .. }, [file], |root: &Path| fs::write(
            root.join(file),
            b"PK\x03\x04...."
        )
        .unwrap());
        expect!(DataError::Truncated { .. }, [file, "bytes"], |root: &Path| {
            let file = fs::File::options().write(true).open(root.join(file)).unwrap();
            file.set_len(file.metadata().unwrap().len() - 1).unwrap();
        });
    }
    expect!(DataError::Dtype { .. }, ["test_labels.npy", "f4"], |root: &Path| {
        write_npy(&root.join("test_labels.npy"), &[12], &[1.0f32; 12]);
    });
    expect!(DataError::Label { .. }, ["train_labels.npy, row 7", "0 to 9", "10"], |root: &Path| {
        let mut labels = [3u8; 24];
        labels[7] = 10;
        write_npy(&root.join("train_labels.npy"), &[24], &labels);
    });
    expect!(DataError::Shape { .. }, ["train_labels.npy", "[24]", "[23]"], |root: &Path| {
        write_npy(&root.join("train_labels.npy"), &[23], &[3u8; 23]);
    });
    expect!(DataError::Shape { .. }, [images, "784", "783"], |root: &Path| {
        write_npy(&root.join(images), &[24, 783], &[0.0f32; 24 * 783]);
    });
    expect!(DataError::Shape { .. }, ["audio/train_data.npy", "square"], |root: &Path| {
        write_npy(&root.join("audio/train_data.npy"), &[24, 8, 4], &[0u8; 24 * 32]);
    });
    expect!(DataError::Shape { .. }, ["8 x 8", "4 x 4"], |root: &Path| {
        write_npy(&root.join("audio/test_data.npy"), &[12, 4, 4], &[0u8; 12 * 16]);
    });
    for bad in [f64::NAN, f64::INFINITY] {
        expect!(DataError::Value { .. }, [images, "row 5", &bad.to_string()], |root: &Path| {
            let mut values = vec![0.5; 24 * 784];
            values[5 * 784 + 783] = bad;
            write_npy(&root.join(images), &[24, 784], &values);
        });
    }
    expect!(DataError::Missing { .. }, ["data build avmnist"], |root: &Path| {
        fs::remove_dir_all(root.join("image")).unwrap();
    });
}

#[test]
fn broken_sources_and_choices_are_refused_and_leave_nothing() {
    let spoiled = |name: &str, change: &dyn Fn(&Path)| {
        let sources = Sources::new();
        change(&sources.path(name));
        sources.error()
    };
    let error = spoiled("recordings/3_ada_41.wav", &|path| fs::remove_file(path).unwrap());
    assert!(matches!(&error, DataError::Missing { path, .. } if path.ends_with("3_ada_41.wav")), "{error}");
    let error = spoiled("t10k-images-idx3-ubyte", &|path| {
        fs::File::options().write(true).open(path).unwrap().set_len(1000).unwrap();
    });
    assert!(matches!(&error, DataError::Truncated { .. }), "{error}");
    let error = spoiled("train-labels-idx1-ubyte", &|path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[8 + 50] = 11;
        fs::write(path, bytes).unwrap();
    });
    assert!(matches!(&error, DataError::Label { row: Some(50), .. }), "{error}");
    let error = spoiled("train-labels-idx1-ubyte", &|path| {
        fs::write(path, [&[0, 0, 8, 1, 0, 0, 0, 1][..], &[1]].concat()).unwrap();
    });
    assert!(matches!(&error, DataError::Shape { .. }), "{error}");
    let error = spoiled("t10k-images-idx3-ubyte", &|path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[16..].fill(9);
        fs::write(path, bytes).unwrap();
    });
    assert!(matches!(&error, DataError::Value { .. }), "{error}");

    let sources = Sources::new();
    let refused = |change: &dyn Fn(&mut BuildOptions)| {
        let mut options = sources.options("out");
        change(&mut options);
        build(&options, &|_| ()).unwrap_err().to_string()
    };
    assert!(refused(&|options| options.aligned_share = 1.5).contains("0 to 1"));
    assert!(refused(&|options| options.aligned_share = f64::NAN).contains("0 to 1"));
    assert!(refused(&|options| options.components = 785).contains("784"));
    assert!(refused(&|options| options.speakers.clear()).contains("speaker"));
    let esc = sources.path("no such folder");
    assert!(
        refused(&|options| options.noise = Some(NoiseOptions { esc: esc.clone(), power: -1.0 }))
            .contains("noise")
    );
    assert!(
        refused(&|options| options.noise = Some(NoiseOptions { esc: esc.clone(), power: 1.0 }))
            .contains("ESC-10")
    );
    // A folder with something else in it is not ours to replace.
    fs::create_dir(sources.path("out")).unwrap();
    fs::write(sources.path("out/thesis.tex"), "years of work").unwrap();
    assert!(refused(&|_| ()).contains("--out"));
    assert_eq!(fs::read(sources.path("out/thesis.tex")).unwrap(), b"years of work");
}

#[test]
fn a_changed_build_is_not_what_its_manifest_says() {
    let sources = Sources::new();
    build(&sources.options("out"), &|_| ()).unwrap();
    let root = sources.path("out");
    let change = |file: &str, place: usize, value: u8| {
        let path = root.join(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[place] = value;
        fs::write(path, bytes).unwrap();
    };
    change("train/labels.npy", 128 + 4, 9);
    change("train/labels.npy", 128 + 5, 8);
    let error = identity(&root, &StatCache::in_memory()).unwrap_err().to_string();
    assert!(error.contains("train/labels.npy") && error.contains("manifest"), "{error}");
    change("test/sounds.npy", 128 + 4 * 3 + 2, 1);
    let error = load(&root).err().unwrap();
    assert!(matches!(&error, DataError::Value { row: Some(3), .. }), "{error}");
    change("test/sounds.npy", 128 + 4 * 3 + 2, 0);
    change("test/scores.npy", 128 + 16 * 6 + 3, 0x7f);
    change("test/scores.npy", 128 + 16 * 6 + 2, 0xc0);
    let error = load(&root).err().unwrap();
    assert!(matches!(&error, DataError::Value { row: Some(6), .. }), "{error}");
    fs::write(root.join("manifest.json"), "{}").unwrap();
    let error = identity(&root, &StatCache::in_memory()).unwrap_err();
    assert!(matches!(&error, DataError::Malformed { .. }), "{error}");
}

#[test]
fn a_file_cut_while_training_gives_nan_and_a_fault() {
    let folder = published();
    let path = folder.path().join("image/train_data.npy");
    // Larger than what is read into memory.
    let rows = (70 << 20) / (784 * 8);
    write_npy(&path, &[rows, 784], &vec![1.0f64; rows * 784]);
    write_npy(&folder.path().join("audio/train_data.npy"), &[rows, 8, 8], &vec![0u8; rows * 64]);
    write_npy(&folder.path().join("train_labels.npy"), &[rows], &vec![1u8; rows]);
    let data = load(folder.path()).unwrap();
    let mut out = vec![0.0; 2 * 784];
    data.gather(Split::Train, 0, &[9, 10], &mut out);
    assert!(out.iter().all(|&x| x == 1.0 / 255.0) && data.fault().is_none());
    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
    data.gather(Split::Train, 0, &[9, 10_000], &mut out);
    assert!(out.iter().all(|x| x.is_nan()) && data.fault().is_some());
}

#[test]
fn principal_components_agree_with_numpy() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/components.npz");
    let mut golden = Npz::open(&golden).unwrap();
    let images = golden.array("images", &[Dim::Is(60), Dim::Is(30)]).unwrap();
    let found = components::project(images.bytes(), 30, 4).unwrap();
    let mut expected = vec![0.0; 60 * 30];
    golden.array("reconstruction", &[Dim::Is(60), Dim::Is(30)]).unwrap().read_f64(0, &mut expected);
    for (row, scores) in found.scores.chunks_exact(4).enumerate() {
        for pixel in 0..30 {
            let terms = scores.iter().enumerate().map(|(k, &score)| score * found.bases[k * 30 + pixel]);
            let value = f64::from(terms.sum::<f32>());
            assert!((value - expected[row * 30 + pixel]).abs() < 1e-4, "row {row}, pixel {pixel}");
        }
    }
    let mut explained = [0.0; 4];
    golden.array("explained", &[Dim::Is(4)]).unwrap().read_f64(0, &mut explained);
    assert!(found.explained.iter().zip(explained).all(|(a, b)| (a - b).abs() < 1e-12));
    assert!(components::project(images.bytes(), 30, 31).is_none());
    assert!(components::project(&[7; 300], 30, 4).is_none());
}

/// The default build of the real sources, to the bit: another digest means that every run on it has another key.
#[test]
fn the_real_sources_give_the_pinned_digest() {
    let Some(shared) = shared() else {
        println!("skipped: the shared real data is not here");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("avmnist");
    let options = BuildOptions::new(shared.join("mnist"), shared.join("fsdd"), out.clone());
    let report = build(&options, &|_| ()).unwrap();
    assert!(report.bytes < 30_000_000, "{}", report.bytes);
    assert_eq!(report.manifest.spectrograms, 2000);
    // The recipe's explained variance, and a share in place of 0.335 + 0.665 / 10.
    let close = |found: &[f64], expected: [f64; 4]| {
        let mut sum = 0.0;
        found.iter().zip(expected).all(|(share, total)| {
            sum += share;
            (sum - total).abs() < 1e-4
        })
    };
    assert!(close(&report.manifest.train.explained, [0.0970, 0.1680, 0.2297, 0.2836]));
    assert!(close(&report.manifest.test.explained, [0.1005, 0.1759, 0.2373, 0.2916]));
    assert!((report.manifest.train.agreement - 0.4015).abs() < 0.01);
    let data = load(&out).unwrap();
    assert_eq!(
        [Split::Train, Split::Valid, Split::TEST].map(|split| data.len(split)),
        [55_000, 5_000, 10_000]
    );
    assert_eq!(report.digest.to_string(), "e6c1f375baae121a1ce93631a6abf17261fdad9bee9d9a028fff74e66ea685f0");
}
