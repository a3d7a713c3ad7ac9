//! The published files, and lines that are no examples.

use std::collections::BTreeSet;

use super::*;
use crate::data::mutations::mutations;
use crate::data::{DataError, shared_data};

const LINE: &str = r#"{"sentence": "One dog.", "label": "True", "identifier": "dev-0-1-2", "writer": "7", "validation": {"1": "True"}}"#;

fn parse(text: &str) -> Result<Examples, DataError> {
    Examples::parse("dev.json", text.as_bytes())
}

#[test]
fn a_line_is_an_example() {
    let found = parse(&format!("{LINE}\n{}\n", LINE.replace("0-1-2", "0-2-2").replace("True", "False")))
        .unwrap()
        .list;
    assert_eq!((found.len(), found[0].label, found[1].label), (2, true, false));
    assert_eq!(found[0].sentence, "One dog.");
    assert_eq!(found[0].images(), ["dev/dev-0-1-img0.png", "dev/dev-0-1-img1.png"]);
    let train = LINE.replace("dev", "train").replace("\"writer\"", "\"directory\": 42, \"writer\"");
    let train = parse(&train).unwrap().list;
    assert_eq!(train[0].images()[1], "images/train/42/train-0-1-img1.png");
}

#[test]
fn what_is_no_example_is_named_with_its_line() {
    for (line, words) in [
        (
            LINE.replace("\"True\", \"id", "\"true\", \"id"),
            "row 1: expected the label True or False, found `true`",
        ),
        (LINE.replace("\"True\", \"id", "true, \"id"), "row 1"),
        (LINE.replace("dev-0-1-2", "dev-0-1"), "`dev-0-1`"),
        (LINE.replace("\"sentence\"", "\"text\""), "missing field `sentence`"),
        ("[1]".to_owned(), "row 1"),
        (LINE[..50].to_owned(), "EOF"),
        (LINE.replace("One", "\\ud800"), "row 1"),
        (LINE.replace("dev-", "test1-"), "examples of one split"),
        (LINE.replace("dev-", "train-"), "row 1: expected the directory of images for training"),
        (LINE.to_owned(), "1: dev-0-1-2"),
    ] {
        let error = parse(&format!("{LINE}\n{line}")).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("dev.json"), "{line}: {error}");
    }
    let error = Examples::parse("dev.json", &b"\xff\xfe{}"[..]).unwrap_err();
    assert!(matches!(error, DataError::Value { row: Some(0), .. }), "{error}");
    assert!(parse("\n\n").unwrap_err().to_string().contains("at least one"));
}

#[test]
fn a_sentence_is_consistent_where_all_its_pairs_are_right() {
    let line = |id: &str| LINE.replace("dev-0-1-2", id) + "\n";
    let text: String = ["dev-0-0-0", "dev-0-1-0", "dev-1-0-0", "dev-0-0-1", "dev-0-2-0"].map(line).concat();
    let groups = groups(&parse(&text).unwrap().list);
    assert_eq!(groups, [0, 0, 1, 2, 0]);
    assert_eq!(consistency(&groups, &[true; 5]), Some(1.0));
    assert_eq!(consistency(&groups, &[true, true, true, false, false]), Some(1.0 / 3.0));
    assert_eq!(consistency(&[], &[]), None);
}

#[test]
fn the_published_files_have_the_published_counts() {
    let Some(folder) = shared_data("nlvr2") else {
        println!("skipped: the shared real data is not here");
        return;
    };
    // Examples, pairs of images, sentences, true ones; and groups: some sentences were written for several sets.
    for (file, expected, sets) in
        [("dev.json", [6982, 4051, 2004, 3551], 2018), ("test1.json", [6967, 4041, 1987, 3558], 1995)]
    {
        let list = Examples::read(&folder.join(file)).unwrap().list;
        let split = file.trim_end_matches(".json");
        assert!(list.iter().all(|example| example.identifier.split == split && example.directory.is_none()));
        let pairs: BTreeSet<_> = list.iter().map(Example::images).collect();
        let sentences: BTreeSet<_> = list.iter().map(|example| &example.sentence).collect();
        let labels = list.iter().filter(|example| example.label).count();
        assert_eq!([list.len(), pairs.len(), sentences.len(), labels], expected, "{file}");
        assert_eq!(groups(&list).iter().collect::<BTreeSet<_>>().len(), sets, "{file}");
    }
}

#[test]
fn mutations_of_lines_are_errors_or_examples() {
    let text = format!("{LINE}\n{}\n", LINE.replace("0-1-2", "0-2-2"));
    let (mut good, mut bad) = (0, 0);
    for broken in mutations("nlvr2", text.as_bytes()).chain(mutations("nlvr2 short", LINE.as_bytes())) {
        match Examples::parse("dev.json", broken.as_slice()) {
            Ok(examples) => {
                assert!(examples.list.len() <= 3);
                good += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("dev.json"));
                bad += 1;
            }
        }
    }
    println!("{good} mutations are examples, {bad} are errors");
    assert!(good > 0 && bad > 0);
}
