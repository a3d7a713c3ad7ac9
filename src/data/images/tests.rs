//! Against Pillow and OpenCV, on random images, on files of every kind, and on photographs where there are some.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::*;
use crate::data::DataError;
use crate::data::mutations::mutations;
use crate::digest::Digest;
use crate::random::Seeds;

/// What the decoder may be away from libjpeg-turbo, in grey levels: its transform rounds with 12 binary places instead of 13, and
/// half-sized colours are interpolated in one step instead of two. Measured on 621 files (28 photographs in 22 encodings each, and
/// five as they came): at most 4, and 0.343 in the mean of a file.
const JPEG_LARGEST: u8 = 4;
const JPEG_MEAN: f64 = 0.5;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/images")
}

fn json<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&fs::read(golden().join(name)).unwrap()).unwrap()
}

/// Bytes of a named stream, as `scripts/golden_images.py` draws them.
fn stream(name: &str, count: usize) -> Vec<u8> {
    let start =
        name.bytes().fold(0x811c_9dc5u32, |state, byte| (state ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let next = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*state >> 24) as u8)
    };
    std::iter::successors(Some(start), |_| None)
        .flat_map(|mut state| std::iter::from_fn(move || next(&mut state)))
        .take(count)
        .collect()
}

fn random_image(index: usize) -> Rgb {
    let sides: Vec<usize> =
        stream(&format!("sides {index}"), 2).iter().map(|&side| 1 + usize::from(side) % 150).collect();
    let mut pixels = stream(&format!("pixels {index}"), sides[0] * sides[1] * 3);
    for (place, value) in pixels.iter_mut().enumerate() {
        *value = match index % 3 {
            0 => *value,
            1 => *value / 9 + [0, 40, 200][place % 3],
            _ => {
                if *value > 127 {
                    255
                } else {
                    0
                }
            }
        };
    }
    Rgb::new(sides[0], sides[1], pixels).unwrap()
}

fn digest(image: &Rgb) -> String {
    let head = format!("{} {} ", image.width(), image.height());
    Digest::of(&[head.as_bytes(), image.bytes()].concat()).to_string()
}

fn sides(text: &str) -> (usize, usize) {
    let (width, height) = text.split_once('x').unwrap();
    (width.parse().unwrap(), height.parse().unwrap())
}

#[derive(Deserialize)]
struct Case {
    source: String,
    resized: BTreeMap<String, String>,
    #[serde(default)]
    augmented: BTreeMap<String, String>,
}

impl Case {
    /// What does not come of an image as it should: resized, and augmented from `square`.
    fn differences<'a>(&'a self, image: &'a Rgb, square: &'a Rgb) -> impl Iterator<Item = &'a String> {
        let resized = self.resized.iter().filter(|(target, expected)| {
            let (width, height) = sides(target);
            digest(&bicubic(image, width, height)) != **expected
        });
        let augmented = self.augmented.iter().filter(|(name, expected)| {
            let (op, variant) = op(name);
            digest(&applied(op, variant, square.clone())) != **expected
        });
        resized.chain(augmented).map(|(what, _)| what)
    }
}

fn op(name: &str) -> (Op, Variant) {
    let (name, variant) = match name.strip_suffix(" fixed") {
        Some(name) => (name, Variant::Fixed),
        None => (name, Variant::AsReleased),
    };
    let (name, value) =
        name.split_once(' ').map_or((name, 0.0), |(name, value)| (name, value.parse().unwrap()));
    let op = match name {
        "auto-contrast" => Op::AutoContrast,
        "equalize" => Op::Equalize,
        "brightness" => Op::Brightness(value),
        "sharpness" => Op::Sharpness(value),
        "shear-x" => Op::ShearX(value),
        "shear-y" => Op::ShearY(value),
        "translate-x" => Op::TranslateX(value),
        "translate-y" => Op::TranslateY(value),
        "rotate" => Op::Rotate(value),
        _ => panic!("{name}"),
    };
    (op, variant)
}

#[test]
fn random_images_are_resized_and_augmented_to_the_bits_of_pillow_and_opencv() {
    let cases: Vec<Case> = json("cases.json");
    assert_eq!(cases.len(), 200);
    let mut wrong = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let image = random_image(index);
        assert_eq!(digest(&image), case.source, "the source of case {index}");
        wrong.extend(case.differences(&image, &image).map(|what| format!("case {index}: {what}")));
    }
    assert!(wrong.is_empty(), "{} differ: {wrong:#?}", wrong.len());
}

/// Height, width, channels.
type Pixels = Vec<Vec<[u8; 3]>>;

fn image_of(pixels: &Pixels) -> Rgb {
    Rgb::new(pixels[0].len(), pixels.len(), pixels.iter().flatten().flatten().copied().collect()).unwrap()
}

#[derive(Deserialize)]
struct Transforms {
    src_hwc: Pixels,
    bicubic_to_4x4: Pixels,
    bicubic_to_16x16: Pixels,
    normalized_4x4_chw: Vec<Vec<Vec<f32>>>,
    randaug_level7: BTreeMap<String, Pixels>,
    equalize_32x32: Equalized,
}

#[derive(Deserialize)]
struct Equalized {
    sum_per_channel: [u64; 3],
    first_row_first8: Vec<[u8; 3]>,
    src_first_row_first8: Vec<[u8; 3]>,
}

#[test]
fn the_vectors_of_the_released_transforms_hold() {
    let golden: Transforms = json("transforms.json");
    let source = image_of(&golden.src_hwc);
    assert_eq!(bicubic(&source, 4, 4), image_of(&golden.bicubic_to_4x4));
    assert_eq!(bicubic(&source, 16, 16), image_of(&golden.bicubic_to_16x16));
    let found = Evaluation { side: 4 }.apply(&source);
    let expected: Vec<f32> = golden.normalized_4x4_chw.into_iter().flatten().flatten().collect();
    assert_eq!(found.len(), 48);
    assert!(found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() < 1e-6));
    for (name, expected) in &golden.randaug_level7 {
        let op = match name.as_str() {
            "AutoContrast" => Op::AutoContrast,
            "Equalize" => Op::Equalize,
            "Brightness_1.36" => Op::Brightness(1.36),
            "Sharpness_1.36" => Op::Sharpness(1.36),
            "ShearX_+0.21" => Op::ShearX(0.21),
            "ShearY_-0.21" => Op::ShearY(-0.21),
            "TranslateX_+7" => Op::TranslateX(7.0),
            "TranslateY_-7" => Op::TranslateY(-7.0),
            "Rotate_+21" => Op::Rotate(21.0),
            _ => panic!("{name}"),
        };
        assert_eq!(applied(op, Variant::AsReleased, source.clone()), image_of(expected), "{name}");
    }
    // The source: floor(((r + 1) / 2)^2 * 200) + 20, with r of 32 bits from the stream.
    let mut state =
        "pixels2".bytes().fold(0x811c_9dc5u32, |s, b| (s ^ u32::from(b)).wrapping_mul(0x0100_0193));
    let value = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let r = f64::from(state) / 4_294_967_296.0 * 2.0 - 1.0;
        (((r + 1.0) / 2.0).powi(2) * 200.0).floor() as u8 + 20
    };
    let source = Rgb::new(32, 32, std::iter::repeat_with(value).take(32 * 32 * 3).collect()).unwrap();
    let row = |image: &Rgb| (0..8).map(|x| image.pixel(x, 0)).collect::<Vec<_>>();
    assert_eq!(row(&source), golden.equalize_32x32.src_first_row_first8);
    let found = applied(Op::Equalize, Variant::AsReleased, source);
    assert_eq!(row(&found), golden.equalize_32x32.first_row_first8);
    let sum = |channel: usize| {
        found.bytes()[channel..].iter().step_by(3).map(|&value| u64::from(value)).sum::<u64>()
    };
    assert_eq!([sum(0), sum(1), sum(2)], golden.equalize_32x32.sum_per_channel);
}

fn read(path: &Path) -> Rgb {
    let bytes = fs::read(path).unwrap();
    decode(&path.display().to_string(), &bytes, &Limits::default()).unwrap()
}

/// Files of a folder with an ending, each beside what Pillow decodes.
fn pairs(folder: &Path, ending: &str) -> Vec<(PathBuf, PathBuf)> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = paths
        .filter(|path| {
            path.extension().is_some_and(|e| e == ending) && !path.to_string_lossy().contains(".expected.")
        })
        .map(|path| (path.with_extension("expected.png"), path))
        .map(|(expected, path)| (path, expected))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{}", folder.display());
    found
}

/// The largest and the mean difference.
fn difference(a: &Rgb, b: &Rgb) -> (u8, f64) {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let differences = a.bytes().iter().zip(b.bytes()).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = differences.clone().map(u64::from).sum();
    (differences.max().unwrap(), sum as f64 / a.bytes().len() as f64)
}

#[test]
fn every_kind_of_png_is_what_pillow_converts_it_to() {
    let pairs = pairs(&golden().join("png"), "png");
    assert_eq!(pairs.len(), 19);
    for (path, expected) in pairs {
        assert_eq!(read(&path), read(&expected), "{}", path.display());
    }
}

fn compare_jpegs(pairs: Vec<(PathBuf, PathBuf)>) {
    let (count, mut largest, mut means) = (pairs.len(), 0, 0.0f64);
    for (path, expected) in pairs {
        let (most, mean) = difference(&read(&path), &read(&expected));
        assert!(most <= JPEG_LARGEST && mean <= JPEG_MEAN, "{}: {most}, {mean}", path.display());
        (largest, means) = (largest.max(most), means.max(mean));
    }
    println!(
        "{count} JPEG files: at most {largest} grey levels from libjpeg-turbo, {means:.3} in the mean of a file"
    );
}

#[test]
fn every_kind_of_jpeg_is_close_to_libjpeg_turbo() {
    let pairs = pairs(&golden().join("jpeg"), "jpg");
    assert_eq!(pairs.len(), 22);
    compare_jpegs(pairs);
}

#[test]
fn photographs_are_decoded_and_resized_as_pillow_does_it() {
    let Some(folder) = std::env::var_os("I2M2_SAMPLE_IMAGES").map(PathBuf::from) else {
        println!("skipped: I2M2_SAMPLE_IMAGES names no folder that scripts/golden_images.py filled");
        return;
    };
    compare_jpegs(pairs(&folder, "jpg"));
    let golden: BTreeMap<String, Case> = json("photographs.json");
    let mut wrong = Vec::new();
    for (name, case) in &golden {
        let image = read(&folder.join(format!("{name}.expected.png")));
        let original = folder.join(format!("{name}.png"));
        if original.is_file() {
            assert_eq!(read(&original), image, "{name}");
        }
        assert_eq!(digest(&image), case.source, "{name}");
        wrong.extend(
            case.differences(&image, &bicubic(&image, 384, 384)).map(|what| format!("{name} {what}")),
        );
    }
    assert_eq!(golden.len(), 28);
    assert!(wrong.is_empty(), "{} differ: {wrong:#?}", wrong.len());
}

#[test]
fn what_is_no_whole_image_is_refused() {
    let error = |bytes: &[u8], limits: Limits| decode("image", bytes, &limits).unwrap_err();
    for (bytes, word) in [
        (&b""[..], "empty"),
        (b"GIF89a....", "GIF"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "WebP"),
        (b"<!DOCTYPE html>", "web page"),
        (b"12345678", "12345678"),
    ] {
        let error = error(bytes, Limits::default());
        assert!(matches!(&error, DataError::BadMagic { .. }) && error.to_string().contains(word), "{error}");
    }
    for (path, _) in [pairs(&golden().join("png"), "png"), pairs(&golden().join("jpeg"), "jpg")].concat() {
        let bytes = fs::read(&path).unwrap();
        for cut in (3..bytes.len()).step_by(1 + bytes.len() / 97) {
            let error = error(&bytes[..cut], Limits::default());
            let refused = matches!(
                &error,
                DataError::Malformed { .. } | DataError::BadMagic { .. } | DataError::TooLarge { .. }
            );
            assert!(refused, "{} cut to {cut}: {error}", path.display());
        }
    }
}

#[test]
fn bombs_are_refused_before_memory_is_taken() {
    let png = fs::read(golden().join("png/rgb-8.png")).unwrap();
    let jpeg = fs::read(golden().join("jpeg/444-q75.jpg")).unwrap();
    let refused = |bytes: &[u8], limits: Limits, words: &str| {
        let error = decode("image", bytes, &limits).unwrap_err();
        assert!(matches!(&error, DataError::TooLarge { .. }) && error.to_string().contains(words), "{error}");
    };
    let limits = Limits::default();
    for bytes in [&png, &jpeg] {
        refused(bytes, Limits { file_bytes: 20, ..limits }, "at most 20 bytes");
        refused(bytes, Limits { side: 12, ..limits }, "at most 12");
        refused(bytes, Limits { pixels: 64, ..limits }, "at most 64 pixels");
    }
    // A few bytes that claim to be 9000 x 9000 pixels.
    let mut bomb = png.clone();
    bomb[16..24].copy_from_slice(&[0, 0, 0x23, 0x28, 0, 0, 0x23, 0x28]);
    let checksum = crc(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&checksum.to_be_bytes());
    refused(&bomb, limits, "all that");
    let mut bomb = jpeg.clone();
    let frame = bomb.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    bomb[frame + 5..frame + 9].copy_from_slice(&[0x23, 0x28, 0x23, 0x28]);
    refused(&bomb, limits, "all that");
    bomb[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    assert!(decode("image", &bomb, &limits).is_err());
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

#[test]
fn mutations_of_images_are_errors_or_images() {
    let limits = Limits { pixels: 1 << 20, ..Limits::default() };
    let jpeg =
        ["420-q35", "422-q75-progressive", "grey", "cmyk", "restart"].map(|name| format!("jpeg/{name}.jpg"));
    let png = ["palette-4", "rgba-16", "grey-1"].map(|name| format!("png/{name}.png"));
    let (mut images, mut errors) = (0, 0);
    for name in jpeg.iter().chain(&png) {
        let bytes = fs::read(golden().join(name)).unwrap();
        for broken in mutations(name, &bytes) {
            match decode(name, &broken, &limits) {
                Ok(image) => {
                    assert_eq!(image.bytes().len(), image.width() * image.height() * 3);
                    images += 1;
                }
                Err(error) => {
                    let message = error.to_string();
                    assert!(message.contains(name.as_str()), "{message}");
                    assert!(!message.contains("stumbles"), "the decoder panics: {name}");
                    errors += 1;
                }
            }
        }
    }
    println!("{images} mutations are images, {errors} are errors");
    assert!(images > 0 && errors > 0);
}

#[test]
fn a_folder_gives_its_images_and_counts_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("images");
    fs::create_dir_all(root.join("below")).unwrap();
    let bytes = fs::read(golden().join("png/rgb-8.png")).unwrap();
    fs::write(root.join("below/a.jpg"), &bytes).unwrap();
    fs::write(folder.path().join("secret.png"), &bytes).unwrap();
    assert!(ImageFolder::open(&folder.path().join("nowhere"), Limits::default()).is_err());
    let images =
        ImageFolder::open(&root, Limits { file_bytes: bytes.len() as u64, ..Limits::default() }).unwrap();
    assert_eq!(images.read("below/a.jpg").unwrap().width(), 13, "the format is told by content");
    for name in ["../secret.png", "/etc/passwd", "below/../../secret.png"] {
        assert!(matches!(images.read(name), Err(DataError::Outside { .. })), "{name}");
        assert!(images.missing([name.to_owned()]).is_err());
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path().join("secret.png"), root.join("link.png")).unwrap();
        assert!(matches!(images.read("link.png"), Err(DataError::Outside { .. })));
    }
    fs::write(root.join("long.png"), [&bytes[..], b"more"].concat()).unwrap();
    assert!(matches!(images.read("long.png"), Err(DataError::TooLarge { .. })));
    let names = || ["below/a.jpg", "b", "c", "b", "d", "e", "f", "g"].map(str::to_owned);
    let missing = images.missing(names()).unwrap();
    assert_eq!((missing.asked, missing.names.len()), (7, 6));
    let error = images.expect_all(names()).unwrap_err().to_string();
    assert!(error.contains("6 of 7 images are missing: b, c, d, e, f, ..."), "{error}");
    assert!(images.expect_all(["below/a.jpg".to_owned()]).is_ok());
}

#[test]
fn training_images_depend_on_the_stream_and_have_the_networks_size() {
    let image = random_image(3);
    let training = Training { side: 32, policy: Policy::default() };
    let drawn = |seed: u64| training.apply(&image, &mut Seeds::root(seed).child("augment").stream());
    assert_eq!(drawn(1).len(), 3 * 32 * 32);
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
    // Part of every result: another digest is another draw.
    let bytes: Vec<u8> = (0..20)
        .flat_map(|seed| training.square(&image, &mut Seeds::root(seed).stream()).bytes().to_vec())
        .collect();
    let expected = "02b90350945b6483d18aa2731150b7fd5206b1449c6998a94f44070bb7721a49";
    assert_eq!(Digest::of(&bytes).to_string(), expected);
}
