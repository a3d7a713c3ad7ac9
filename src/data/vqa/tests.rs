//! Small files in the published form, and what can be wrong with them.

use std::fs;
use std::path::Path;

use super::*;
use crate::data::images::{ImageFolder, Limits};
use crate::data::mutations::mutations;

/// Ten answers, of which the first `n` are `answer`, the others `other`.
fn answers(answer: &str, n: usize, other: &str) -> String {
    let given = (0..10).map(|i| {
        let answer = if i < n { answer } else { other };
        format!(r#"{{"answer": "{answer}", "answer_confidence": "yes", "answer_id": {}}}"#, i + 1)
    });
    given.collect::<Vec<_>>().join(", ")
}

fn question(id: u64, text: &str) -> String {
    format!(r#"{{"image_id": {}, "question": "{text}", "question_id": {id}}}"#, id / 1000)
}

fn annotation(id: u64, answer: &str, n: usize) -> String {
    format!(
        r#"{{"question_type": "what", "multiple_choice_answer": "{answer}", "answers": [{}], "image_id": {}, "answer_type": "other", "question_id": {id}}}"#,
        answers(answer, n, "elephant"),
        id / 1000
    )
}

fn list(entries: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", entries.into_iter().collect::<Vec<_>>().join(", "))
}

fn questions(text: &str) -> Result<Questions, crate::data::DataError> {
    Questions::parse("Val-Ques.json", text.as_bytes())
}

fn annotations(text: &str) -> Result<Annotations, crate::data::DataError> {
    Annotations::parse("Val-Ans.json", text.as_bytes())
}

#[test]
fn questions_and_annotations_are_put_together_by_their_ids() {
    let asked = questions(&list([question(7001, "What?"), question(5000, "Which?")])).unwrap();
    let given = annotations(&list([annotation(5000, "dog", 3), annotation(7001, "cat", 10)])).unwrap();
    let examples = Examples::join(asked, given).unwrap();
    let first = &examples.list[0];
    assert_eq!((first.question.text.as_str(), first.question.image), ("What?", 7));
    assert_eq!(first.annotation.votes, [("cat".to_owned(), 10)]);
    assert_eq!(examples.list[1].annotation.votes, [("dog".to_owned(), 3), ("elephant".to_owned(), 7)]);
    assert_eq!(examples.list[1].annotation.kind, AnswerKind::Other);
    assert_eq!(examples.rows()[&5000], 1);
    // VQA v2 wraps its lists.
    let wrapped =
        format!(r#"{{"info": {{}}, "annotations": {}, "license": null}}"#, list([annotation(1, "x", 1)]));
    assert_eq!(annotations(&wrapped).unwrap().list.len(), 1);
}

#[test]
fn ids_that_clash_or_lead_nowhere_are_counted_and_named() {
    let asked = |ids: &[u64]| questions(&list(ids.iter().map(|&id| question(id, "?"))));
    let given = |ids: &[u64]| annotations(&list(ids.iter().map(|&id| annotation(id, "x", 5))));
    let join = |a: &[u64], b: &[u64]| Examples::join(asked(a).unwrap(), given(b).unwrap());
    assert!(join(&[1, 2], &[2, 1]).is_ok());
    let moved = annotations(&annotation(1000, "x", 5).replace("\"image_id\": 1", "\"image_id\": 2"));
    assert!(moved.is_err(), "no list");
    let moved = list([annotation(1000, "x", 5).replace("\"image_id\": 1", "\"image_id\": 2")]);
    for (error, words) in [
        (asked(&[4, 3, 4, 3, 9]).unwrap_err(), vec!["Val-Ques.json", "(2: 3, 4)"]),
        (given(&[8, 8]).unwrap_err(), vec!["Val-Ans.json", "(1: 8)"]),
        (join(&[1, 2, 3], &[2]).unwrap_err(), vec!["Val-Ques.json", "without an annotation (2: 1, 3)"]),
        (join(&[1], &[6, 5, 4, 3, 2, 1, 7]).unwrap_err(), vec!["Val-Ans.json", "(6: 2, 3, 4, 5, 6, ...)"]),
        (
            Examples::join(asked(&[1000]).unwrap(), annotations(&moved).unwrap()).unwrap_err(),
            vec!["another image_id (1: 1000)"],
        ),
        (
            annotations(&list([annotation(77, "x", 5).replacen(
                "{\"answer\": \"x\", \"answer_confidence\": \"yes\", \"answer_id\": 1}, ",
                "",
                1,
            )]))
            .unwrap_err(),
            vec!["10 answers", "(1: 77)"],
        ),
        (
            annotations(&list([annotation(1, "x", 5).replace("other", "colour")])).unwrap_err(),
            vec!["row 0", "colour"],
        ),
        (questions("[{\"question_id\": 1}]").unwrap_err(), vec!["row 0", "image_id"]),
        (questions("[{\"question_id\": -1}]").unwrap_err(), vec!["row 0", "-1"]),
        (questions("{\"annotations\": []}").unwrap_err(), vec!["missing field `questions`"]),
        (questions(&list([question(1, "?")])[..40]).unwrap_err(), vec!["row 0", "EOF"]),
        (questions("PK\u{3}\u{4}").unwrap_err(), vec!["Val-Ques.json", "expected value"]),
    ] {
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
    }
}

#[test]
fn a_vocabulary_has_what_is_the_answer_to_nine_questions() {
    let mut id = 0;
    let mut many = |answer: &str, count: usize| -> Vec<String> {
        let one = |_| {
            id += 1;
            annotation(id, answer, 4)
        };
        (0..count).map(one).collect()
    };
    let first = [many("dog", 8), many("Two", 5), many("cat", 9)].concat();
    let second = [many("2", 4), many("the dog", 1), many("bird", 8)].concat();
    let [first, second] = [first, second].map(|entries| annotations(&list(entries)).unwrap());
    let built = Vocabulary::build([&first, &second], VocabularyCount::Given).unwrap();
    assert_eq!(built.answers(), ["dog", "2", "cat"], "in the order in which they are met");
    assert_eq!((built.id("cat"), built.id("bird")), (Some(2), None));
    assert_eq!(Vocabulary::build([&first], VocabularyCount::Given).unwrap().answers(), ["cat"]);
    for (count, expected) in [(VocabularyCount::All, "3129"), (VocabularyCount::Training, "2486")] {
        let error = Vocabulary::build([&first, &second], count).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("found 3"), "{error}");
    }
    assert!(Vocabulary::build([], VocabularyCount::Given).is_err());

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.json");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        Vocabulary::read(&path)
    };
    assert_eq!(read(r#"["dog", "2", "cat"]"#).unwrap(), built);
    assert!(read(r#"["dog", "2", "dog"]"#).unwrap_err().to_string().contains("2 different ones of 3"));
    assert!(read("[]").is_err() && read("[1, 2]").is_err());

    // Scores of answers that are in it.
    let votes = |n| annotations(&list([annotation(1, "cat", n)])).unwrap().list.remove(0).votes;
    let target = SoftTarget::of(&votes(2), &built, Scoring::Table);
    assert_eq!((target.score(2), target.score(0), target.scores.len()), (0.6, 0.0, 1));
    let mut dense = [9.0; 3];
    target.write(&mut dense);
    assert_eq!(dense, [0.0, 0.0, 0.6]);
    assert_eq!(SoftTarget::of(&votes(2), &built, Scoring::Official).score(2), 2.0 / 3.0);
    assert!(
        !SoftTarget::of(&votes(0), &built, Scoring::Table).is_answerable(),
        "elephants are in no vocabulary"
    );
}

/// `test_annotations.json` of three questions.
fn test_annotations() -> String {
    let annotation = |id: u64| {
        format!(
            r#"{{"question_id": {id}, "answer_type": "number", "answer_count": {{"2": 7, "two": 3}}, "answers_word": ["2"]}}"#
        )
    };
    let keys = ["QT", "KW", "KWP", "QTKW", "KO", "KOP", "QTKO", "KWKO", "QTKWKO"];
    let lists: Vec<String> = keys
        .iter()
        .enumerate()
        .map(|(i, key)| format!(r#""{key}_qid": [{}, 30]"#, [10, 20][i % 2]))
        .collect();
    format!(r#"{{"annotations": {}, {}}}"#, list([10, 20, 30].map(annotation)), lists.join(", "))
}

#[test]
fn the_nine_sets_are_lists_of_annotated_test_questions() {
    let parse = |text: &str| TestAnnotations::parse("test_annotations.json", text.as_bytes());
    let found = parse(&test_annotations()).unwrap();
    assert_eq!(
        found.list[0].votes,
        [("2".to_owned(), 7)],
        "answers outside of the evaluation's vocabulary do not count"
    );
    assert_eq!(found.sets.ids(OodSet::Kw), [20, 30]);
    let rows = [(30, 0), (10, 1), (20, 2)].into();
    assert_eq!(found.sets.rows(OodSet::Qt, &rows).unwrap(), [1, 0]);
    let error = found.sets.rows(OodSet::Kw, &[(30, 0)].into()).unwrap_err().to_string();
    assert!(error.contains("KW") && error.contains("(1: 20)"), "{error}");
    for (from, to, words) in [
        ("\"QTKW_qid\": [20, 30]", "\"QTKW_qid\": [20, 20]", "QT+KW once"),
        ("\"QTKW_qid\": [20, 30]", "\"QTKW_qid\": [21, 31]", "(2: 21, 31)"),
        ("\"QTKW_qid\"", "\"QT+KW_qid\"", "missing field `QTKW_qid`"),
        ("\"question_id\": 20", "\"question_id\": 10", "(1: 10)"),
        ("\"answers_word\": [\"2\"]", "\"answers_word\": [\"3\"]", "(3: 10, 20, 30)"),
        ("{\"2\": 7", "{\"2\": -7", "-7"),
    ] {
        let error = parse(&test_annotations().replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(words), "{from}: {error}");
    }
    assert_eq!(OodSet::ALL.map(OodSet::questions).iter().sum::<usize>(), 218_943);
    assert_eq!(OodSet::QtKwKo.file(), "OOD-Test/QT+KW+KO/OOD-Test-QT+KW+KO-Ques.json");
    let groups = |group| OodSet::ALL.iter().filter(|set| set.group() == group).count();
    assert_eq!([OodGroup::Language, OodGroup::Visual, OodGroup::MultiModal].map(groups), [4, 2, 3]);
    assert_eq!(
        Part::ALL.map(Part::questions).iter().sum::<usize>(),
        658_111,
        "all of VQA v2 that has answers"
    );
}

fn write(root: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn a_part_and_its_images_are_read_from_the_published_layout() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let [asked, given] = Part::Validation.files();
    write(root, asked, list([question(7001, "What?"), question(12_000, "Which?")]));
    write(root, given, list([annotation(7001, "dog", 3), annotation(12_000, "dog", 3)]));
    let examples = Examples::read(root, Part::Validation).unwrap();
    assert_eq!(examples.list.len(), 2);
    assert!(Examples::read(root, Part::Training).unwrap_err().to_string().contains("Training-Ques.json"));
    for set in OodSet::ALL {
        write(root, &set.file(), list([question(7001, "What?")]));
    }
    let sets = OodSets::read(root).unwrap();
    assert_eq!(sets.rows(OodSet::Kop, &examples.rows()).unwrap(), [0]);
    write(root, "train2014/COCO_train2014_000000000007.jpg", "");
    write(root, "val2014/COCO_val2014_000000000012.jpg", "");
    let images = ImageFolder::open(root, Limits::default()).unwrap();
    let names = resolve(&images, examples.list.iter().map(|example| example.question.image)).unwrap();
    assert_eq!(names[&7], "train2014/COCO_train2014_000000000007.jpg");
    assert_eq!(names[&12], "val2014/COCO_val2014_000000000012.jpg");
    assert_eq!(find(&images, 13).unwrap(), None);
    let error = resolve(&images, [7, 13, 14]).unwrap_err().to_string();
    assert!(error.contains("2 of 3 images are missing") && error.contains("000000000013"), "{error}");
}

#[test]
fn mutations_of_json_are_errors_or_entries() {
    let asked = list([question(7001, "What?"), question(5000, "Wh\\u00e9ch?")]);
    let given = list([annotation(5000, "dog", 3), annotation(7001, "cat", 10)]);
    let (mut good, mut bad) = (0, 0);
    let mut count = |file: &str, result: Result<usize, crate::data::DataError>| match result {
        Ok(entries) => {
            assert!(entries <= 3);
            good += 1;
        }
        Err(error) => {
            assert!(error.to_string().contains(file), "{error}");
            bad += 1;
        }
    };
    for broken in mutations("questions", asked.as_bytes()) {
        count("ques", Questions::parse("ques", broken.as_slice()).map(|found| found.list.len()));
    }
    for broken in mutations("annotations", given.as_bytes()) {
        count("ans", Annotations::parse("ans", broken.as_slice()).map(|found| found.list.len()));
    }
    for broken in mutations("test annotations", test_annotations().as_bytes()) {
        count("test", TestAnnotations::parse("test", broken.as_slice()).map(|found| found.list.len()));
    }
    println!("{good} mutations are entries, {bad} are errors");
    assert!(good > 0 && bad > 0);
}
