//! Against RoBERTa's own tokenizer, and files that are not its own.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::files::{parse_merges, parse_vocabulary};
use super::*;
use crate::data::nlvr2::Examples;
use crate::data::{DataError, shared_data};
use crate::digest::Digest;

/// A folder of the shared real data; says so where there is none.
fn shared(folder: &str) -> Option<PathBuf> {
    let found = shared_data(folder);
    if found.is_none() {
        println!("skipped: the shared real data is not here");
    }
    found
}

fn roberta(length: usize) -> Option<Result<Tokenizer, DataError>> {
    let [vocabulary, merges] =
        ["vocab.json", "merges.txt"].map(|name| Some(shared("roberta_bpe")?.join(name)));
    Some(Tokenizer::open(&vocabulary?, &merges?, length))
}

#[derive(Deserialize)]
struct Golden {
    texts: Vec<(String, Vec<u32>)>,
    nlvr2: BTreeMap<String, File>,
}

#[derive(Deserialize)]
struct File {
    sentences: usize,
    longer: usize,
    sha256: String,
}

fn golden() -> Golden {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/tokens.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn texts_of_all_kinds_have_the_ids_of_robertas_own_tokenizer() {
    let Some(tokenizer) = roberta(Tokenizer::LENGTH).map(Result::unwrap) else { return };
    assert_eq!(tokenizer.vocabulary(), 50_265);
    let texts = golden().texts;
    assert_eq!(texts.len(), 230);
    for (text, mut expected) in texts {
        let found = tokenizer.encode(&text).unwrap();
        if !text.contains("<pad>") {
            assert_eq!(found.tokens, expected.len(), "{text:?}");
        }
        expected.resize(Tokenizer::LENGTH, Tokenizer::PAD);
        assert_eq!(found.ids, expected, "{text:?}");
    }
}

#[test]
fn every_sentence_of_nlvr2_has_the_ids_of_robertas_own_tokenizer() {
    let (Some(tokenizer), Some(folder)) = (roberta(Tokenizer::LENGTH), shared("nlvr2")) else { return };
    let tokenizer = tokenizer.unwrap();
    for (name, expected) in golden().nlvr2 {
        let examples = Examples::read(&folder.join(&name)).unwrap().list;
        let rows: Vec<Encoded> = examples.iter().map(|e| tokenizer.encode(&e.sentence).unwrap()).collect();
        let longer = rows.iter().filter(|row| row.cut).count();
        assert_eq!((rows.len(), longer), (expected.sentences, expected.longer), "{name}");
        let bytes: Vec<u8> = rows.iter().flat_map(|row| &row.ids).flat_map(|id| id.to_le_bytes()).collect();
        assert_eq!(Digest::of(&bytes).to_string(), expected.sha256, "{name}");
    }
}

#[test]
fn a_row_keeps_its_ends_whatever_its_length() {
    let Some(Err(error)) = roberta(1) else { return };
    assert!(matches!(error, DataError::Choice { .. }), "{error}");
    let encoded = |length| roberta(length).unwrap().unwrap().encode("Hello world!").unwrap();
    assert_eq!(encoded(6), Encoded { ids: vec![0, 31414, 232, 328, 2, 1], tokens: 5, cut: false });
    assert_eq!(encoded(4), Encoded { ids: vec![0, 31414, 232, 2], tokens: 4, cut: true });
    assert_eq!(encoded(2).ids, [0, 2]);
}

/// A vocabulary of the special tokens and all bytes, as RoBERTa writes them, and "he".
fn small() -> HashMap<String, u32> {
    let printable = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let bytes = (0..256u32).filter(|&byte| printable(byte)).chain(256..256 + 68);
    let tokens = ["<s>", "<pad>", "</s>", "<unk>", "he"].map(str::to_owned);
    let tokens = tokens.into_iter().chain(bytes.map(|byte| char::from_u32(byte).unwrap().to_string()));
    tokens.zip(0..).collect()
}

#[test]
fn files_that_are_not_robertas_are_refused() {
    let vocabulary = small();
    assert_eq!(vocabulary.len(), 261);
    let parsed = |change: &dyn Fn(&mut HashMap<String, u32>)| {
        let mut changed = small();
        change(&mut changed);
        parse_vocabulary("vocab.json", &serde_json::to_string(&changed).unwrap())
    };
    assert_eq!(parsed(&|_| ()).unwrap(), vocabulary);
    type Change = fn(&mut HashMap<String, u32>);
    fn put(v: &mut HashMap<String, u32>, token: &str, id: u32) {
        v.insert(token.to_owned(), id);
    }
    let changes: [(Change, &str); 5] = [
        (|v| v.retain(|token, _| token != "he"), "every id from 0 once"),
        (|v| put(v, "ha", 9), "262 tokens with 261 different ids"),
        (|v| put(v, "ha", u32::MAX), "every id from 0 once"),
        (|v| ["<s>", "<pad>"].iter().zip([1, 0]).for_each(|(token, id)| put(v, token, id)), "`<s>`"),
        (
            |v| {
                let id = v["a"];
                v.retain(|token, _| token != "a");
                put(v, "aa", id);
            },
            "a token for each byte",
        ),
    ];
    for (change, words) in changes {
        let error = parsed(&change).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("vocab.json"), "{error}");
    }
    for text in ["", "[]", "{\"a\": -1}", "{\"a\": \"b\"}", "{\"a\": 4294967296}"] {
        assert!(parse_vocabulary("vocab.json", text).is_err(), "{text}");
    }
    let merges = |text: &str| parse_merges("merges.txt", text, &vocabulary);
    assert_eq!(merges("#version: 0.2\nh e\n").unwrap(), [("h".to_owned(), "e".to_owned())]);
    for (text, row) in
        [("h e\nh e\n", 1), ("h\n", 0), ("h e x\n", 0), ("h e\n\n", 1), ("e h\n", 0), ("hx e\n", 0)]
    {
        let error = merges(text).unwrap_err();
        assert!(matches!(&error, DataError::Value { row: Some(found), .. } if *found == row), "{error}");
    }
    let nowhere = Path::new("nowhere");
    assert!(matches!(Tokenizer::open(nowhere, nowhere, 50), Err(DataError::Missing { .. })));
}

#[test]
fn a_small_vocabulary_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let [vocabulary, merges] = ["vocab.json", "merges.txt"].map(|name| folder.path().join(name));
    std::fs::write(&vocabulary, serde_json::to_string(&small()).unwrap()).unwrap();
    std::fs::write(&merges, "#version: 0.2\nh e\n").unwrap();
    let tokenizer = Tokenizer::open(&vocabulary, &merges, 8).unwrap();
    let ids = small();
    let expected = [0, 4, ids["h"], ids["Ġ"], 4, 2, 1, 1];
    assert_eq!(
        tokenizer.encode("heh he").unwrap(),
        Encoded { ids: expected.to_vec(), tokens: 6, cut: false }
    );
    std::fs::write(&merges, [b'h', 0xff]).unwrap();
    assert!(matches!(Tokenizer::open(&vocabulary, &merges, 8), Err(DataError::Malformed { .. })));
}
