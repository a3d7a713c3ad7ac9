//! VQA-VS as a whole: a small one in the published form, and what can be wrong with its files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::fixture::small;
use super::*;
use crate::data::{DataError, Dataset, Identity, Prepared, Source, Split, StatCache};
use crate::random::Seeds;

/// The folder of a small VQA-VS.
struct Folder(tempfile::TempDir);

/// A photograph of training questions.
const PHOTOGRAPH: &str = "coco/train2014/COCO_train2014_000000000001.jpg";

impl Folder {
    fn new(fixture: VqaFixture) -> Self {
        let folder = tempfile::tempdir().unwrap();
        small(fixture, folder.path());
        Folder(folder)
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn preparation(words: &[(&str, &str)]) -> crate::data::Preparation {
        let sizes = [("vocabulary", "fixture"), ("side", "64"), ("length", "16")];
        let words = sizes.iter().chain(words).map(|&(key, word)| (key.to_owned(), word.to_owned()));
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
        self.open(words).unwrap().view(ANSWER, None).unwrap()
    }

    /// Replaces text in a file.
    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.root().join(name)).unwrap();
        assert!(text.contains(from), "{name}: {from}");
        fs::write(self.root().join(name), text.replacen(from, to, 1)).unwrap();
    }
}

fn image(data: &dyn Dataset, split: Split, row: u32) -> Vec<f32> {
    let mut out = vec![0.0; 3 * 64 * 64];
    data.gather(split, 0, &[row], &mut out);
    out
}

fn augmented(data: &dyn Dataset, row: u32, seed: u64) -> Vec<f32> {
    let mut out = vec![0.0; 3 * 64 * 64];
    data.augmented(Split::Train, 0, row, &Seeds::root(seed), &mut out);
    out
}

#[test]
fn questions_stand_with_their_photographs_and_scores() {
    let folder = Folder::new(VqaFixture::Additive);
    let data = folder.data(&[]);
    let prepared = folder.open(&[]).unwrap();
    assert!(prepared.view("answers", None).is_none());
    let task = SPEC.task(ANSWER, &Folder::preparation(&[])).unwrap();
    assert_eq!((task.logits(), data.check(&task.target)), (8, Ok(())));
    assert_eq!(SPEC.task(ANSWER, &SPEC.defaults()).unwrap().logits(), 3129);
    // Rare answers are in no vocabulary: their questions are left out where answers are learnt, and kept where they are tested.
    let [train, valid, test] = [Split::Train, Split::Valid, Split::TEST].map(|split| data.len(split));
    assert!((400..420).contains(&train) && (35..=40).contains(&valid) && test == 80, "{train} {valid}");
    let notes = prepared.notes().join("\n");
    let left_out =
        format!("Training: {} questions without an answer of the vocabulary are left out", 420 - train);
    assert!(notes.contains(&left_out), "{notes}");
    let dropped = folder.data(&[("unanswerable", "dropped")]);
    assert!(dropped.len(Split::TEST) < 80);
    assert!(
        dropped.subsets().iter().zip(data.subsets()).all(|(fewer, all)| fewer.rows.len() < all.rows.len())
    );
    // Ids of words: begin, words, end, padding.
    let mut ids = vec![0.0; 16];
    data.gather(Split::Train, 1, &[3], &mut ids);
    assert!(ids[0] == 0.0 && ids[15] == 1.0 && ids.contains(&2.0) && ids.iter().all(|id| id.fract() == 0.0));
    // Four questions stand with one photograph, and rows with one sample have the same numbers.
    let samples: Vec<u32> = (0..8).map(|row| data.sample(Split::TEST, 0, row)).collect();
    assert!(
        samples[..4].iter().all(|sample| *sample == samples[0]) && samples[4] != samples[0],
        "{samples:?}"
    );
    assert_eq!(image(&*data, Split::TEST, 0), image(&*data, Split::TEST, 3));
    assert_ne!(image(&*data, Split::TEST, 0), image(&*data, Split::TEST, 4));
    let same = (1..train as u32).find(|&row| data.sample(Split::Train, 1, row) != row).unwrap();
    let mut other = ids.clone();
    data.gather(Split::Train, 1, &[same], &mut ids);
    data.gather(Split::Train, 1, &[data.sample(Split::Train, 1, same)], &mut other);
    assert_eq!(ids, other);
    // A batch has rows innermost, as for every other kind of data.
    let mut batch = vec![0.0; 2 * 16];
    data.gather(Split::Train, 1, &[0, same], &mut batch);
    assert!(batch.iter().skip(1).step_by(2).eq(&ids));
    prepared.read_all().unwrap();
    assert_eq!(data.fault(), None);
}

#[test]
fn sets_are_read_from_their_own_files_or_from_the_evaluations() {
    let own = Folder::new(VqaFixture::Additive);
    let listed = Folder::new(VqaFixture::Interaction);
    assert!(own.root().join("OOD-Test").is_dir() && !listed.root().join("OOD-Test").exists());
    for folder in [&own, &listed] {
        let data = folder.data(&[]);
        let names: Vec<&str> = data.subsets().iter().map(|subset| subset.name.as_str()).collect();
        assert_eq!(names, SPEC.subsets);
        assert_eq!(data.averages()[0].of, SPEC.subsets[..9]);
        assert!(
            data.subsets().iter().all(|subset| (10..=80).contains(&subset.rows.len()) && subset.test == 0)
        );
        assert!(
            folder
                .identity(&[])
                .unwrap()
                .files
                .iter()
                .any(|file| file.name.contains("test_annotations") || file.name.contains("OOD-Test"))
        );
    }
    // One question of a set that is no test question.
    let questions = fs::read_to_string(own.root().join("OOD-Test/KW+KO/OOD-Test-KW+KO-Ques.json")).unwrap();
    let id = questions.split("\"question_id\":").nth(1).unwrap().split('}').next().unwrap();
    own.edit("OOD-Test/KW+KO/OOD-Test-KW+KO-Ques.json", id, "7777777");
    let error = own.open(&[]).err().unwrap().to_string();
    assert!(error.contains("KW+KO") && error.contains("7777777"), "{error}");
}

#[test]
fn augmentation_depends_on_the_seeds_and_the_choice() {
    let folder = Folder::new(VqaFixture::Additive);
    let data = folder.data(&[]);
    assert!(data.augments());
    assert_eq!(augmented(&*data, 5, 1), augmented(&*data, 5, 1));
    assert_ne!(augmented(&*data, 5, 1), augmented(&*data, 5, 2));
    assert_ne!(augmented(&*data, 5, 1), image(&*data, Split::Train, 5));
    let none = folder.data(&[("augmentation", "none")]);
    assert!(!none.augments());
    assert_eq!(augmented(&*none, 5, 1), image(&*data, Split::Train, 5));
    let fixed = folder.data(&[("augmentation", "fixed")]);
    assert!((0..40).any(|seed| augmented(&*fixed, 5, seed) != augmented(&*data, 5, seed)));
    // From many threads at once, the same.
    let alone: Vec<Vec<f32>> = (0..64).map(|row| augmented(&*data, row, 3)).collect();
    let together: Vec<Vec<f32>> = (0..64u32).into_par_iter().map(|row| augmented(&*data, row, 3)).collect();
    assert_eq!(alone, together);
}

#[test]
fn an_identity_covers_photographs_and_choices() {
    let folder = Folder::new(VqaFixture::Additive);
    let first = folder.identity(&[]).unwrap();
    assert!(first.files.iter().any(|file| file.name == PHOTOGRAPH));
    for words in
        [("score", "official"), ("augmentation", "none"), ("unanswerable", "dropped"), ("side", "384")]
    {
        assert_ne!(folder.identity(&[words]).unwrap().digest, first.digest, "{words:?}");
    }
    fs::copy(
        folder.root().join(PHOTOGRAPH.replace('1', "2").replace("train2024", "train2014")),
        folder.root().join(PHOTOGRAPH),
    )
    .unwrap();
    assert_ne!(folder.identity(&[]).unwrap().digest, first.digest);
    assert!(matches!(first.unchanged(), Err(DataError::Changed { .. })));
}

#[test]
fn missing_photographs_stop_or_are_skipped_and_counted() {
    let folder = Folder::new(VqaFixture::Additive);
    let before = folder.data(&[]);
    fs::remove_file(folder.root().join(PHOTOGRAPH)).unwrap();
    for error in [folder.identity(&[]).err().unwrap(), folder.open(&[]).err().unwrap()] {
        let text = error.to_string();
        assert!(text.contains("1 of 135 images are missing") && text.contains("000000000001"), "{text}");
    }
    let skip = [("missing_images", "skip")];
    assert!(folder.identity(&skip).unwrap().files.iter().all(|file| file.name != PHOTOGRAPH));
    let prepared = folder.open(&skip).unwrap();
    let notes = prepared.notes().join("\n");
    assert!(notes.contains("1 of 135 images") && notes.contains("Training: 4 questions left out"), "{notes}");
    let data = prepared.view(ANSWER, None).unwrap();
    assert!(before.len(Split::Train) - data.len(Split::Train) <= 4);
    assert_eq!(
        image(&*data, Split::Train, 0),
        image(&*before, Split::Train, (before.len(Split::Train) - data.len(Split::Train)) as u32)
    );
    fs::remove_dir_all(folder.root().join("coco")).unwrap();
    assert!(folder.identity(&skip).err().unwrap().to_string().contains("a folder of images"));
}

#[test]
fn a_photograph_that_cannot_be_read_is_a_fault_and_its_numbers_are_none() {
    let folder = Folder::new(VqaFixture::Additive);
    let path = folder.root().join(PHOTOGRAPH);
    let whole = fs::read(&path).unwrap();
    let huge = {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend([0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 8, 2, 0, 0, 0]);
        png.extend([0; 64]);
        png
    };
    for (bytes, words) in [
        (&whole[..whole.len() / 2], "truncated"),
        (&b""[..], "empty"),
        (&b"<html>"[..], "web page"),
        (&huge[..], "COCO_train2014_000000000001.jpg"),
    ] {
        fs::write(&path, bytes).unwrap();
        folder.identity(&[]).unwrap();
        let prepared = folder.open(&[]).unwrap();
        let error = prepared.read_all().unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("000000000001.jpg"), "{error}");
        let data = prepared.view(ANSWER, None).unwrap();
        assert_eq!(data.fault(), None);
        assert!(augmented(&*data, 0, 0).iter().all(|value| value.is_nan()));
        assert!(image(&*data, Split::Train, 0).iter().all(|value| value.is_nan()));
        assert!(image(&*data, Split::Valid, 0).iter().all(|value| value.is_finite()));
        assert!(data.fault().unwrap().contains(words), "{:?}", data.fault());
    }
    let source = Source::Folder(folder.root().to_owned());
    let identity = folder.identity(&[]).unwrap();
    assert!(SPEC.verify(&source, &identity).is_err(), "a verified dataset can be read whole");
}

#[cfg(unix)]
#[test]
fn no_file_leads_out_of_the_folder() {
    let folder = Folder::new(VqaFixture::Additive);
    let outside = tempfile::tempdir().unwrap();
    for name in [PHOTOGRAPH, "Val/Val-Ans.json", "tokenizer/merges.txt"] {
        let (path, elsewhere) = (folder.root().join(name), outside.path().join("file"));
        fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        let error = folder.identity(&[]).err().unwrap();
        assert!(matches!(error, DataError::Outside { .. }), "{name}: {error}");
        assert!(matches!(folder.open(&[]).err().unwrap(), DataError::Outside { .. }), "{name}");
        fs::remove_file(&path).unwrap();
        fs::rename(&elsewhere, &path).unwrap();
    }
    folder.identity(&[]).unwrap();
}

#[test]
fn files_that_are_missing_or_disagree_are_named() {
    let folder = Folder::new(VqaFixture::Additive);
    let error = |words: &[(&str, &str)]| folder.open(words).err().unwrap().to_string();
    assert!(error(&[("vocabulary", "3129")]).contains("expected 3129 answers"));
    assert!(error(&[("vocabulary", "2486")]).contains("2486"));
    let [first, second] = ["\"question_id\":1000}", "\"question_id\":1001}"];
    folder.edit("Training/Training-Ques.json", first, second);
    assert!(error(&[]).contains("some that come again (1: 1001)"), "{}", error(&[]));
    folder.edit("Training/Training-Ques.json", second, first);
    folder.edit("Val/Val-Ans.json", "\"image_id\":106,", "\"image_id\":107,");
    assert!(error(&[]).contains("another image_id"), "{}", error(&[]));
    folder.edit("Val/Val-Ans.json", "\"image_id\":107,", "\"image_id\":106,");
    folder.open(&[]).unwrap();
    folder.edit("tokenizer/vocab.json", "\"<pad>\":1", "\"<pat>\":1");
    assert!(error(&[]).contains("`<pad>`"), "{}", error(&[]));
    for name in ["tokenizer/vocab.json", "OOD-Test/KO/OOD-Test-KO-Ques.json", "IID-Test/IID-Test-Ans.json"] {
        fs::remove_file(folder.root().join(name)).unwrap();
        let text = folder.identity(&[]).err().unwrap().to_string();
        assert!(
            text.contains(name.rsplit('/').next().unwrap()) && text.contains("data explain vqa-vs"),
            "{text}"
        );
    }
}
