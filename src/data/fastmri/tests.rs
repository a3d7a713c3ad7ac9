//! Builds of small volumes in the true format, and everything that can be wrong with them.

use std::fs;
use std::path::{Path, PathBuf};

use hdf5_pure::{CompoundTypeBuilder, FileBuilder};

use super::*;
use crate::data::formats::npy::Dim;
use crate::data::{DataError, Dataset, Split, StatCache};
use crate::random::Seeds;

const GEOMETRY: Geometry = Geometry { rows: 12, columns: 10, side: 6 };
const HEAD: &str = "file,slice,study_level,x,y,width,height,label\n";

/// Random k-space of a volume, and its RSS.
fn values(seed: usize, slices: usize, columns: usize) -> (Vec<f32>, Vec<f32>) {
    let mut stream = Seeds::root(3).child(seed).stream();
    let mut draw = |count: usize| (0..count).map(|_| stream.normal() as f32).collect();
    (draw(slices * 12 * columns * 2), draw(slices * 36))
}

fn complex(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A volume as fastMRI's are.
fn volume(kspace: &[f32], rss: &[f32], columns: usize) -> Vec<u8> {
    let slices = (kspace.len() / (24 * columns)) as u64;
    let mut file = FileBuilder::new();
    let kind = CompoundTypeBuilder::new().f32_field("r").f32_field("i").build().unwrap();
    file.create_dataset("kspace")
        .with_compound_data(kind, complex(kspace), (kspace.len() / 2) as u64)
        .with_shape(&[slices, 12, columns as u64]);
    file.create_dataset("reconstruction_rss").with_f32_data(rss).with_shape(&[slices, 6, 6]);
    file.create_dataset("reconstruction_esc").with_f32_data(rss).with_shape(&[slices, 6, 6]);
    file.finish().unwrap()
}

struct Sources(tempfile::TempDir);

impl Sources {
    /// Ten volumes of two or three slices, of widths 7 to 10, and one of 11.
    fn new() -> Self {
        let sources = Sources(tempfile::tempdir().unwrap());
        fs::create_dir_all(sources.0.path().join("volumes")).unwrap();
        for seed in 0..11 {
            let (slices, columns) = (2 + seed % 2, if seed == 4 { 11 } else { 7 + seed % 4 });
            let (kspace, rss) = values(seed, slices, columns);
            sources.put(seed, &volume(&kspace, &rss, columns));
        }
        sources.annotate(
            "v1,0,Yes,,,,,artifact\nv1,1,No,1,2,3,4,Meniscus Tear\nv3,1,No,1,2,3,4,Ligament - ACL High Grade Sprain\n",
        );
        sources
    }

    fn put(&self, seed: usize, bytes: &[u8]) {
        fs::write(self.0.path().join(format!("volumes/v{seed}.h5")), bytes).unwrap();
    }

    fn annotate(&self, rows: &str) {
        fs::write(self.0.path().join("knee.csv"), format!("{HEAD}{rows}")).unwrap();
    }

    fn options(&self) -> BuildOptions {
        let path = |name: &str| self.0.path().join(name);
        BuildOptions {
            volumes: path("volumes"),
            annotations: path("knee.csv"),
            file_list: None,
            space: Space::Image,
            geometry: GEOMETRY,
            out: path("cache"),
        }
    }

    fn build(&self) -> Result<Built, DataError> {
        build(&self.options(), &NoProgress, &StatCache::in_memory())
    }

    fn cache(&self) -> PathBuf {
        self.0.path().join("cache")
    }

    fn load(&self, magnitude_norm: MagnitudeNorm) -> KneeDataset {
        load(&self.cache(), Choices { magnitude_norm, study_level: StudyLevel::Slice0 }).unwrap()
    }
}

/// Every file of a folder, with its bytes.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| match path.is_dir() {
            true => contents(&path),
            false => vec![(path.display().to_string(), fs::read(&path).unwrap())],
        })
        .collect();
    found.sort();
    found
}

#[test]
fn a_build_gives_every_slice_its_split_and_findings() {
    let sources = Sources::new();
    let built = sources.build().unwrap();
    assert_eq!((built.volumes, built.dropped, built.reused), (10, 1, 0));
    assert_eq!(built.slices.iter().sum::<usize>(), 25);
    assert_eq!(built.findings, [1, 1, 1, 0]);
    let data = sources.load(MagnitudeNorm::None);
    assert_eq!([Split::Train, Split::Valid, Split::TEST].map(|split| data.len(split)), built.slices);
    let all =
        [Split::Train, Split::Valid, Split::TEST].map(|split| data.targets(split).labels().to_vec()).concat();
    let mut findings = all.into_iter().filter(|&label| label > 0).collect::<Vec<_>>();
    findings.sort_unstable();
    assert_eq!(findings, [0b1, 0b10, 0b100]);
    let without = Choices { study_level: StudyLevel::Ignore, ..Choices::default() };
    let without = load(&sources.cache(), without).unwrap();
    let all = [Split::Train, Split::Valid, Split::TEST]
        .map(|split| without.targets(split).labels().to_vec())
        .concat();
    assert!(all.iter().all(|&label| label & 1 == 0), "annotations of whole studies count for nothing");
    // The choices are part of the identity, and the cache is the same.
    let digest = |choices| identity(&sources.cache(), choices, &StatCache::in_memory()).unwrap().digest;
    assert_eq!(digest(Choices::default()), built.digest);
    let other = Choices { magnitude_norm: MagnitudeNorm::None, ..Choices::default() };
    assert_ne!(digest(other), built.digest);
}

/// scripts/golden_fastmri.py: volumes that h5py stored in four ways, of widths odd, even and as wide as the padding.
const H5PY: [(&str, usize); 4] = [("contiguous", 17), ("gzip", 15), ("shuffled", 20), ("chunked", 18)];
const H5PYS: Geometry = Geometry { rows: 32, columns: 20, side: 16 };

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/fastmri").join(name)
}

#[test]
fn slices_are_numpys() {
    let mut npz = crate::data::formats::npz::Npz::open(&golden("slices.npz")).unwrap();
    for (name, columns) in H5PY {
        let volume = Volume::open(&golden(&format!("{name}.h5")), H5PYS).unwrap();
        assert_eq!((volume.slices, volume.columns), (2, columns));
        let mut read = |part: &str, dims: &[Dim]| {
            let array = npz.array(&format!("{name}_{part}"), dims).unwrap();
            let mut values = vec![0.0; array.elements()];
            array.read_f64(0, &mut values);
            values
        };
        let centre = [Dim::Is(2), Dim::Is(16), Dim::Is(16)];
        for (space, of) in [(Space::Image, "image"), (Space::Kspace, "kspace")] {
            let real = read(&format!("{of}_real"), &centre);
            let imaginary = read(&format!("{of}_imaginary"), &centre);
            let peaks = read(&format!("{of}_peak"), &[Dim::Is(2)]);
            let mut transform = transform::Transform::new(H5PYS, space);
            for slice in 0..2 {
                let found = transform.centre(&volume.kspace(slice).unwrap(), columns);
                let near = |found: f32, expected: f64| {
                    let apart = (f64::from(found) - expected).abs();
                    assert!(
                        apart <= 1e-6 * expected.abs() + 1e-15,
                        "{name} {of} {slice}: {found} {expected}"
                    );
                };
                for n in 0..256 {
                    near(found.real[n], real[256 * slice + n]);
                    near(found.imaginary[n], imaginary[256 * slice + n]);
                }
                near(found.peak, peaks[slice]);
            }
        }
        let rss = read("rss", &centre);
        let found = (0..2).flat_map(|slice| volume.rss(slice).unwrap()).map(f64::from);
        assert!(found.eq(rss), "{name}");
    }
}

#[test]
fn modalities_are_magnitude_phase_and_rss() {
    let sources = Sources::new();
    sources.build().unwrap();
    let gather = |data: &dyn Dataset, modality| {
        let rows: Vec<u32> = (0..data.len(Split::Train) as u32).collect();
        let mut out = vec![f32::NAN; 36 * rows.len()];
        data.gather(Split::Train, modality, &rows, &mut out);
        assert!(out.iter().all(|value| value.is_finite()));
        (out, rows.len())
    };
    let raw = sources.load(MagnitudeNorm::None);
    let (magnitude, rows) = gather(&raw, 0);
    let (phase, _) = gather(&raw, 1);
    assert!(magnitude.iter().all(|&value| value >= 0.0));
    assert!(phase.iter().all(|&value| (-std::f32::consts::PI..=std::f32::consts::PI).contains(&value)));
    let column =
        |values: &[f32], n: usize| values.iter().skip(n).step_by(rows).copied().collect::<Vec<f32>>();
    let (scaled, _) = gather(&sources.load(MagnitudeNorm::SliceMax), 0);
    let (by_volume, _) = gather(&sources.load(MagnitudeNorm::VolumeMax), 0);
    let (standard, _) = gather(&sources.load(MagnitudeNorm::SliceZscore), 0);
    let most = |values: &[f32]| values.iter().copied().fold(0.0, f32::max);
    for n in 0..rows {
        assert!((most(&column(&scaled, n)) - 1.0).abs() < 1e-6);
        let standard = column(&standard, n);
        let mean: f32 = standard.iter().sum::<f32>() / 36.0;
        let variance: f32 = standard.iter().map(|v| v * v).sum::<f32>() / 36.0;
        assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4);
        // A volume's first row of three or two: its largest magnitude is 1 in one of its slices, less in others.
        assert!(most(&column(&by_volume, n)) <= 1.0 + 1e-6);
    }
    let (rss, _) = gather(&raw, 2);
    assert_ne!(rss, magnitude);
}

#[test]
fn noise_is_gaussian_in_both_parts_and_the_same_for_all_who_ask() {
    let sources = Sources::new();
    sources.build().unwrap();
    let data = sources.load(MagnitudeNorm::None);
    let seeds = Seeds::root(5);
    let rows: Vec<u32> = (0..data.len(Split::Train) as u32).collect();
    let gather = |data: &dyn Dataset, modality| {
        let mut out = vec![0.0; 36 * rows.len()];
        data.gather(Split::Train, modality, &rows, &mut out);
        out
    };
    let complex = |data: &dyn Dataset| -> Vec<[f64; 2]> {
        let (magnitude, phase) = (gather(data, 0), gather(data, 1));
        let part =
            |(&m, &p): (&f32, &f32)| [f64::from(m) * f64::from(p).cos(), f64::from(m) * f64::from(p).sin()];
        magnitude.iter().zip(&phase).map(part).collect()
    };
    let clean = complex(&data);
    let under = |percent| complex(&*data.noisy(percent, &seeds).unwrap());
    let (ten, twenty) = (under(10.0), under(20.0));
    assert_eq!(ten, under(10.0));
    let (mut squares, mut count) = (0.0, 0.0);
    let place = |n: usize| data.peak_of(Split::Train, n % rows.len());
    for (n, ((clean, ten), twenty)) in clean.iter().zip(&ten).zip(&twenty).enumerate() {
        for part in 0..2 {
            let (small, large) = (ten[part] - clean[part], twenty[part] - clean[part]);
            assert!((2.0 * small - large).abs() < 1e-5, "the draws of every level are the same");
            squares += (small / (0.1 * f64::from(place(n)))).powi(2);
            count += 1.0;
        }
    }
    // Variance 1 of the standardised draws; four standard errors of a variance.
    assert!((squares / count - 1.0).abs() < 4.0 * (2.0 / count).sqrt(), "{}", squares / count);
    let other = complex(&*data.noisy(10.0, &Seeds::root(6)).unwrap());
    assert_ne!(ten, other);
    assert!(data.loaded().is_some() && data.noisy(10.0, &seeds).unwrap().loaded().is_none());
}

#[test]
fn a_build_goes_on_where_it_stopped() {
    let (whole, broken) = (Sources::new(), Sources::new());
    whole.build().unwrap();
    broken.build().unwrap();
    let strip = |sources: &Sources| -> Vec<(String, Vec<u8>)> {
        let root = sources.cache().display().to_string();
        contents(&sources.cache()).into_iter().map(|(name, bytes)| (name.replace(&root, ""), bytes)).collect()
    };
    let expected = strip(&whole);
    assert_eq!(strip(&broken), expected);
    let cache = broken.cache();
    // Killed before the index; between slices and record; with a file cut off; with a byte altered.
    fs::remove_file(cache.join("index.json")).unwrap();
    fs::remove_file(cache.join("volumes/v0.json")).unwrap();
    fs::write(cache.join("volumes/v1.npy"), b"cut").unwrap();
    let mut altered = fs::read(cache.join("volumes/v2.npy")).unwrap();
    *altered.last_mut().unwrap() ^= 1;
    fs::write(cache.join("volumes/v2.npy"), altered).unwrap();
    fs::write(cache.join("volumes/v3.json"), b"{").unwrap();
    let built = broken.build().unwrap();
    assert_eq!((built.volumes, built.reused), (10, 6));
    assert_eq!(strip(&broken), expected);
    assert_eq!(broken.build().unwrap().reused, 10);
    // Another choice, or another raw file, is built anew.
    let options = BuildOptions { space: Space::Kspace, ..broken.options() };
    assert_eq!(build(&options, &NoProgress, &StatCache::in_memory()).unwrap().reused, 0);
    let (kspace, rss) = values(77, 2, 7);
    whole.put(0, &volume(&kspace, &rss, 7));
    assert_eq!(whole.build().unwrap().reused, 9);
}

#[test]
fn a_cache_that_is_a_mixture_is_refused() {
    let sources = Sources::new();
    sources.build().unwrap();
    let cache = sources.cache();
    let identity = || identity(&cache, Choices::default(), &StatCache::in_memory());
    identity().unwrap();
    // Slices of another build under the same name.
    let path = cache.join("volumes/v2.npy");
    let kept = fs::read(&path).unwrap();
    let mut other = kept.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(&path, &other).unwrap();
    let error = identity().unwrap_err().to_string();
    assert!(error.contains("v2.npy") && error.contains("mixture"), "{error}");
    fs::write(&path, &kept[..kept.len() - 4]).unwrap();
    assert!(load(&cache, Choices::default()).err().unwrap().to_string().contains("v2.npy"));
    fs::remove_file(&path).unwrap();
    assert!(matches!(load(&cache, Choices::default()).err().unwrap(), DataError::Missing { .. }));
    fs::write(&path, &kept).unwrap();
    // An index that was edited, cut, or is of another version.
    let index = cache.join("index.json");
    let text = fs::read_to_string(&index).unwrap();
    for (edited, word) in [
        (text.replacen("\"split\":\"train\"", "\"split\":\"test\"", 1), "changed after"),
        (text.replacen("\"version\":1", "\"version\":2", 1), "version 2"),
        (text[..text.len() / 2].to_owned(), "index.json"),
        (String::new(), "index.json"),
    ] {
        assert_ne!(edited, text);
        fs::write(&index, edited).unwrap();
        let error = load(&cache, Choices::default()).err().unwrap().to_string();
        assert!(error.contains(word), "{error}");
    }
    fs::remove_file(&index).unwrap();
    let error = load(&cache, Choices::default()).err().unwrap().to_string();
    assert!(error.contains("data explain fastmri"), "{error}");
}

#[test]
fn what_is_wrong_with_a_volume_is_said() {
    let (kspace, rss) = values(0, 2, 7);
    let f32s = |file: &mut FileBuilder, name: &str, shape: &[u64]| {
        let count = shape.iter().product::<u64>() as usize;
        file.create_dataset(name).with_f32_data(&vec![0.5; count]).with_shape(shape);
    };
    let complexes = |file: &mut FileBuilder, shape: &[u64]| {
        let count = shape.iter().product::<u64>();
        let kind = CompoundTypeBuilder::new().f32_field("r").f32_field("i").build().unwrap();
        let data = file.create_dataset("kspace");
        data.with_compound_data(kind, vec![0; count as usize * 8], count).with_shape(shape);
    };
    let with = |fill: &dyn Fn(&mut FileBuilder)| {
        let mut file = FileBuilder::new();
        fill(&mut file);
        file.finish().unwrap()
    };
    let good = volume(&kspace, &rss, 7);
    let mut nan = kspace.clone();
    nan[5] = f32::NAN;
    let cases: [(&str, Vec<u8>, &str); 13] = [
        ("no HDF5", b"not an HDF5 file at all".to_vec(), "HDF5"),
        ("empty", Vec::new(), "HDF5"),
        ("cut in the header", good[..100].to_vec(), "v0.h5"),
        ("cut in the data", good[..good.len() / 2].to_vec(), "v0.h5"),
        ("no k-space", with(&|file| f32s(file, "reconstruction_rss", &[2, 6, 6])), "`kspace`"),
        ("no RSS", with(&|file| complexes(file, &[2, 12, 7])), "`reconstruction_rss`"),
        (
            "k-space of floats",
            with(&|file| {
                f32s(file, "kspace", &[2, 12, 7]);
                f32s(file, "reconstruction_rss", &[2, 6, 6]);
            }),
            "complex64",
        ),
        (
            "rank",
            with(&|file| {
                complexes(file, &[24, 7]);
                f32s(file, "reconstruction_rss", &[2, 6, 6]);
            }),
            "[24, 7]",
        ),
        (
            "rows",
            with(&|file| {
                complexes(file, &[2, 14, 7]);
                f32s(file, "reconstruction_rss", &[2, 6, 6]);
            }),
            "(slices, 12, columns)",
        ),
        (
            "slices",
            with(&|file| {
                complexes(file, &[2, 12, 7]);
                f32s(file, "reconstruction_rss", &[3, 6, 6]);
            }),
            "[3, 6, 6]",
        ),
        (
            "no slices",
            with(&|file| {
                complexes(file, &[0, 12, 7]);
                f32s(file, "reconstruction_rss", &[0, 6, 6]);
            }),
            "none of them 0",
        ),
        (
            "integers",
            with(&|file| {
                complexes(file, &[2, 12, 7]);
                file.create_dataset("reconstruction_rss").with_i32_data(&[1; 72]).with_shape(&[2, 6, 6]);
            }),
            "32-bit floats",
        ),
        ("NaN", volume(&nan, &rss, 7), "slice 0"),
    ];
    let sources = Sources::new();
    for (case, bytes, word) in cases {
        sources.put(0, &bytes);
        let error = sources.build().unwrap_err().to_string();
        assert!(error.contains("v0.h5") && error.contains(word), "{case}: {error}");
        assert!(
            !sources.cache().join("index.json").exists(),
            "{case}: nothing half-built is taken for a cache"
        );
    }
    sources.put(0, &good);
    sources.build().unwrap();
}

fn read(bytes: &[u8]) -> Result<(), DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v0.h5");
    fs::write(&path, bytes).unwrap();
    let volume = Volume::open(&path, H5PYS)?;
    for slice in 0..volume.slices {
        volume.kspace(slice)?;
        volume.rss(slice)?;
    }
    Ok(())
}

/// Every place of these bytes.
fn places(bytes: &[u8], of: &[u8]) -> Vec<usize> {
    (0..=bytes.len() - of.len()).filter(|&at| bytes[at..].starts_with(of)).collect()
}

#[test]
fn a_volume_that_ends_early_is_an_error_wherever_it_ends() {
    for (name, _) in H5PY {
        let bytes = fs::read(golden(&format!("{name}.h5"))).unwrap();
        read(&bytes).unwrap();
        // The last bytes may belong to nothing that is read.
        for end in (0..bytes.len() - 100).step_by(397) {
            let error = read(&bytes[..end]).unwrap_err().to_string();
            assert!(error.contains("v0.h5"), "{error}");
        }
    }
}

/// The library would allocate what the index says before it reads.
#[test]
fn a_chunk_larger_than_the_file_is_refused_before_memory_is_taken() {
    let sound = fs::read(golden("chunked.h5")).unwrap();
    // The B-tree's key of the first chunk: its bytes, no filter masked, the offsets (0, 0, 0) and that of the element.
    let key = [&(8u32 * 18 * 8).to_le_bytes()[..], &[0; 4 + 8 * 4]].concat();
    let [place] = places(&sound, &key)[..] else { panic!("one key") };
    let mut bytes = sound;
    bytes[place..place + 4].copy_from_slice(&(1u32 << 30).to_le_bytes());
    assert!(matches!(read(&bytes).unwrap_err(), DataError::Truncated { .. }));
}

/// The library would read zeros.
#[test]
fn k_space_that_was_never_written_whole_is_refused() {
    let gone = u64::MAX.to_le_bytes();
    let mut bytes = fs::read(golden("contiguous.h5")).unwrap();
    // The layout message: version 3, contiguous, then address and size of the data.
    let size = (2u64 * 32 * 17 * 8).to_le_bytes();
    let [place] =
        places(&bytes, &size).into_iter().filter(|&at| bytes[at - 10..at - 8] == [3, 1]).collect::<Vec<_>>()
            [..]
    else {
        panic!("one layout")
    };
    bytes[place - 8..place].copy_from_slice(&gone);
    let error = read(&bytes).unwrap_err().to_string();
    assert!(error.contains("kspace") && error.contains("never written"), "{error}");
    // A B-tree that knows of fewer chunks than there should be.
    let mut bytes = fs::read(golden("chunked.h5")).unwrap();
    let [tree] = places(&bytes, b"TREE\x01\x00\x08\x00")[..] else { panic!("one tree of eight chunks") };
    bytes[tree + 6] = 7;
    let error = read(&bytes).unwrap_err().to_string();
    assert!(error.contains("expected 8 chunks") && error.contains("found 7"), "{error}");
}

#[test]
fn annotations_and_lists_must_agree_with_the_volumes() {
    let sources = Sources::new();
    sources.annotate("v99,0,No,1,2,3,4,Meniscus Tear\n");
    let error = sources.build().unwrap_err().to_string();
    assert!(error.contains("v99") && error.contains("knee.csv"), "{error}");
    sources.annotate("v1,9,No,1,2,3,4,Meniscus Tear\n");
    let error = sources.build().unwrap_err().to_string();
    assert!(error.contains("slice 9") && error.contains("v1"), "{error}");
    sources.annotate("v1,1,No,1,2,3,4,Meniscus Tear\n");
    let list = sources.0.path().join("list.csv");
    let options = BuildOptions { file_list: Some(list.clone()), ..sources.options() };
    fs::write(&list, "v1\nv2\nv3\nv4\nKnee data\n").unwrap();
    let built = build(&options, &NoProgress, &StatCache::in_memory()).unwrap();
    assert_eq!((built.volumes, built.dropped, built.unlisted), (3, 1, 7));
    fs::write(&list, "v1\nv77\n").unwrap();
    let error = build(&options, &NoProgress, &StatCache::in_memory()).unwrap_err().to_string();
    assert!(error.contains("v77"), "{error}");
    fs::write(&list, "../v1\n").unwrap();
    assert!(build(&options, &NoProgress, &StatCache::in_memory()).unwrap_err().to_string().contains("../v1"));
    let nowhere = BuildOptions { volumes: sources.0.path().join("nowhere"), ..sources.options() };
    assert!(
        build(&nowhere, &NoProgress, &StatCache::in_memory()).unwrap_err().to_string().contains("nowhere")
    );
    let empty = BuildOptions { volumes: sources.0.path().join("cache"), ..sources.options() };
    assert!(
        build(&empty, &NoProgress, &StatCache::in_memory()).unwrap_err().to_string().contains("--volumes")
    );
}
