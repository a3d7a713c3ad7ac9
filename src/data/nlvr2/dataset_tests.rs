//! NLVR2 as a whole: a small one in the published form, and what can be wrong with its files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::fixture::small;
use super::*;
use crate::data::{DataError, Dataset, Identity, Prepared, Source, Split, StatCache};
use crate::random::Seeds;

/// The folder of a small NLVR2.
struct Folder(tempfile::TempDir);

/// The left image of the first test pair.
const PHOTOGRAPH: &str = "test1/test1-0-0-img0.png";
/// Numbers of an image.
const IMAGE: usize = 3 * 64 * 64;

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        Folder(folder)
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn preparation(words: &[(&str, &str)]) -> crate::data::Preparation {
        let words = [("side", "64"), ("length", "16")].iter().chain(words);
        let words = words.map(|&(key, word)| (key.to_owned(), word.to_owned()));
        SPEC.prepare(&words.collect::<BTreeMap<_, _>>()).unwrap()
    }

    fn identity(&self, words: &[(&str, &str)]) -> Result<Identity, DataError> {
        let source = Source::Folder(self.root().to_owned());
        SPEC.identify(&source, &Folder::preparation(words), &StatCache::in_memory())
    }

    fn open(&self, words: &[(&str, &str)]) -> Result<Arc<dyn Prepared>, DataError> {
        SPEC.open(&Source::Folder(self.root().to_owned()), &Folder::preparation(words))
    }

    fn data(&self, words: &[(&str, &str)]) -> Arc<dyn Dataset> {
        self.open(words).unwrap().view(TRUTH, None).unwrap()
    }
}

fn images(data: &dyn Dataset, split: Split, row: u32) -> Vec<f32> {
    let mut out = vec![0.0; 2 * IMAGE];
    data.gather(split, 0, &[row], &mut out);
    out
}

#[test]
fn sentences_stand_with_both_images_left_first() {
    let folder = Folder::new();
    let prepared = folder.open(&[]).unwrap();
    assert!(prepared.view("truths", None).is_none() && prepared.notes().is_empty());
    let data = prepared.view(TRUTH, None).unwrap();
    let task = SPEC.task(TRUTH, &SPEC.defaults()).unwrap();
    assert_eq!(data.check(&task.target), Ok(()));
    assert_eq!([Split::Train, Split::Valid, Split::TEST].map(|split| data.len(split)), [24, 12, 16]);
    let both = images(&*data, Split::TEST, 0);
    // Exchanging the files exchanges the halves.
    let [left, right] =
        [PHOTOGRAPH.to_owned(), PHOTOGRAPH.replace("img0", "img1")].map(|name| folder.root().join(name));
    let bytes = [&left, &right].map(|path| fs::read(path).unwrap());
    fs::write(&left, &bytes[1]).unwrap();
    fs::write(&right, &bytes[0]).unwrap();
    let exchanged = images(&*data, Split::TEST, 0);
    assert!(both[..IMAGE] == exchanged[IMAGE..] && both[IMAGE..] == exchanged[..IMAGE] && both != exchanged);
    // A set's four rows have one sentence.
    let samples = |modality| (0..5).map(|row| data.sample(Split::Train, modality, row)).collect::<Vec<u32>>();
    assert_eq!((samples(1)[..4].to_vec(), samples(0)), (vec![0; 4], vec![0, 1, 2, 3, 4]));
    // Each image is augmented on its own.
    let augmented = |seed| {
        let mut out = vec![0.0; 2 * IMAGE];
        data.augmented(Split::Train, 0, 1, &Seeds::root(seed), &mut out);
        out
    };
    assert!(data.augments() && augmented(1) == augmented(1) && augmented(1) != augmented(2));
    let same = Folder::new();
    let [left, right] =
        ["img0", "img1"].map(|side| same.root().join(format!("images/train/0/train-0-1-{side}.png")));
    fs::copy(left, right).unwrap();
    let data = same.data(&[]);
    let plain = images(&*data, Split::Train, 1);
    let mut twice = vec![0.0; 2 * IMAGE];
    data.augmented(Split::Train, 0, 1, &Seeds::root(4), &mut twice);
    assert!(plain[..IMAGE] == plain[IMAGE..] && twice[..IMAGE] != twice[IMAGE..]);
    let none = same.data(&[("augmentation", "none")]);
    none.augmented(Split::Train, 0, 1, &Seeds::root(4), &mut twice);
    assert!(!none.augments() && twice == plain);
    prepared.read_all().unwrap();
}

#[test]
fn missing_and_broken_images_are_counted_named_or_skipped() {
    let folder = Folder::new();
    let whole = folder.identity(&[]).unwrap();
    assert_eq!(whole.files.len(), 3 + 2 + 2 * (24 + 12 + 16));
    let path = folder.root().join(PHOTOGRAPH);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let prepared = folder.open(&[]).unwrap();
    let error = prepared.read_all().unwrap_err().to_string();
    assert!(error.contains(PHOTOGRAPH), "{error}");
    let data = prepared.view(TRUTH, None).unwrap();
    let found = images(&*data, Split::TEST, 0);
    assert!(
        found[..IMAGE].iter().all(|value| value.is_nan()) && found[IMAGE..].iter().all(|v| v.is_finite())
    );
    assert!(data.fault().unwrap().contains(PHOTOGRAPH));
    assert_ne!(folder.identity(&[]).unwrap().digest, whole.digest);
    fs::remove_file(&path).unwrap();
    for error in [folder.identity(&[]).err().unwrap(), folder.open(&[]).err().unwrap()] {
        let text = error.to_string();
        assert!(text.contains("1 of 104 images are missing: test1/test1-0-0-img0.png"), "{text}");
    }
    let skip = [("missing_images", "skip")];
    assert_eq!(folder.identity(&skip).unwrap().files.len(), whole.files.len() - 1);
    let prepared = folder.open(&skip).unwrap();
    assert_eq!(prepared.view(TRUTH, None).unwrap().len(Split::TEST), 15);
    assert!(prepared.notes()[1].contains("test1: 1 sentences left out"), "{:?}", prepared.notes());
}

#[test]
fn files_of_another_split_and_names_that_lead_elsewhere_are_refused() {
    let folder = Folder::new();
    let [dev, test] = ["dev", "test1"].map(|split| folder.root().join(files::file(split)));
    let text = fs::read_to_string(&dev).unwrap();
    fs::copy(&test, &dev).unwrap();
    let error = folder.identity(&[]).err().unwrap().to_string();
    assert!(error.contains("examples of the split dev") && error.contains("test1-0-0-0"), "{error}");
    fs::write(&dev, format!("{text}{}", text.lines().next().unwrap())).unwrap();
    let error = folder.open(&[]).err().unwrap().to_string();
    assert!(error.contains("some that come again (1: dev-0-0-0)"), "{error}");
    fs::remove_file(&dev).unwrap();
    let error = folder.identity(&[]).err().unwrap().to_string();
    assert!(error.contains("dev.json") && error.contains("data explain nlvr2"), "{error}");
    fs::write(&dev, text).unwrap();
    #[cfg(unix)]
    {
        let outside = tempfile::tempdir().unwrap();
        let path = folder.root().join(PHOTOGRAPH);
        fs::rename(&path, outside.path().join("image.png")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("image.png"), &path).unwrap();
        assert!(matches!(folder.identity(&[]).err().unwrap(), DataError::Outside { .. }));
        assert!(matches!(folder.open(&[]).err().unwrap(), DataError::Outside { .. }));
    }
}
