//! An answer in the form in which answers are counted for a vocabulary.
//!
//! Invariant: this is the evaluation of VQA, with its oddities: what happens to a sign depends on the answer as it was given, a point
//! stays only before a digit, and the last comma goes at the very end.

use super::contractions::CONTRACTIONS;

/// Signs that are taken out, or become spaces.
const SIGNS: [char; 21] = [
    ';', '/', '[', ']', '"', '{', '}', '(', ')', '=', '+', '\\', '_', '-', '>', '<', '@', '`', ',', '?', '!',
];
/// Points that are taken out of one answer, at most.
const POINTS: usize = 32;
/// Numbers as words; `none` is one of them.
const NUMBERS: [(&str, &str); 12] = [
    ("none", "0"),
    ("zero", "0"),
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
];
const ARTICLES: [&str; 3] = ["a", "an", "the"];

/// The normalised form of an answer.
pub fn normalised(answer: &str) -> String {
    let parted = without_points(&without_signs(answer)).to_lowercase();
    // Python's white space has four control characters that Unicode's does not.
    let space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    let words = parted.split(space).filter(|word| !word.is_empty());
    let words = words.map(|word| from(&NUMBERS, word)).filter(|word| !ARTICLES.contains(word));
    let words: Vec<&str> = words.map(|word| from(&CONTRACTIONS, word)).collect();
    words.join(" ").replace(',', "")
}

/// What a table has for a word; the word itself where it has nothing.
fn from<'a>(table: &[(&str, &'a str)], word: &'a str) -> &'a str {
    table.iter().find(|(known, _)| *known == word).map_or(word, |(_, becomes)| becomes)
}

fn without_signs(answer: &str) -> String {
    let chars: Vec<char> = answer.chars().collect();
    let thousands = chars
        .windows(3)
        .any(|three| three[0].is_ascii_digit() && three[1] == ',' && three[2].is_ascii_digit());
    let by_a_space = |sign: char| chars.windows(2).any(|two| two == [sign, ' '] || two == [' ', sign]);
    let goes = SIGNS.map(|sign| thousands || by_a_space(sign));
    let mut out = String::with_capacity(answer.len());
    for c in chars {
        match SIGNS.iter().position(|&sign| sign == c) {
            None => out.push(c),
            Some(place) if !goes[place] => out.push(' '),
            Some(_) => {}
        }
    }
    out
}

fn without_points(text: &str) -> String {
    let mut left = POINTS;
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let goes = c == '.' && left > 0 && !chars.peek().is_some_and(char::is_ascii_digit);
        if goes {
            left -= 1;
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_normalised_as_the_evaluation_does_it() {
        for (answer, expected) in [
            ("The red, white, and blue", "red white and blue"),
            ("1,000 dollars", "1000 dollars"),
            ("U.S.A.", "usa"),
            ("3.5", "3.5"),
            ("1.5.", "1.5"),
            ("t-shirt", "t shirt"),
            ("5'5\"", "5'5"),
            ("one way", "1 way"),
            ("N/A", "n"),
            ("...", ""),
            ("dont know", "don't know"),
            ("10:30", "10:30"),
            ("", ""),
            ("none", "0"),
            ("Yes - no", "yes no"),
            ("a\u{1f}b", "b"),
        ] {
            assert_eq!(normalised(answer), expected, "{answer}");
        }
        assert_eq!(normalised(&".".repeat(40)), ".".repeat(8), "32 points and no more");
    }

    #[test]
    fn answers_are_normalised_as_the_released_code_does_it() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/answers.json");
        let pairs: Vec<(String, String)> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(pairs.len(), 1503);
        for (answer, expected) in pairs {
            assert_eq!(normalised(&answer), expected, "{answer:?}");
        }
    }
}
