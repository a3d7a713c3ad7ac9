//! Identifiers: `dev-850-0-1` is the split, the set, the pair of images, and the sentence.
//!
//! Invariant: an identifier has these four parts, and is written again as it was read.

use std::fmt;
use std::str::FromStr;

/// What an example is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    /// The split, such as `test1`.
    pub split: String,
    /// The set of images that a sentence was written for.
    pub set: u32,
    /// The pair of images within the set.
    pub pair: u32,
    /// The sentence within the set.
    pub sentence: u32,
}

impl Identifier {
    /// File names of the left and the right image.
    pub fn images(&self) -> [String; 2] {
        let Identifier { split, set, pair, .. } = self;
        [0, 1].map(|side| format!("{split}-{set}-{pair}-img{side}.png"))
    }
}

impl FromStr for Identifier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('-').collect();
        let wrong = || format!("`{}`", text.escape_debug());
        let &[split, set, pair, sentence] = parts.as_slice() else { return Err(wrong()) };
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        let found = Identifier {
            split: split.to_owned(),
            set: number(set)?,
            pair: number(pair)?,
            sentence: number(sentence)?,
        };
        let plain = !split.is_empty() && split.bytes().all(|byte| byte.is_ascii_alphanumeric());
        // A name that is written otherwise would name other files.
        if plain && found.to_string() == text { Ok(found) } else { Err(wrong()) }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}-{}", self.split, self.set, self.pair, self.sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_four_parts_and_names_two_images() {
        let found: Identifier = "dev-850-2-1".parse().unwrap();
        assert_eq!((found.set, found.pair, found.sentence), (850, 2, 1));
        assert_eq!(found.images(), ["dev-850-2-img0.png", "dev-850-2-img1.png"]);
        for text in [
            "",
            "dev-850-2",
            "dev-850-2-1-0",
            "dev-850-2-x",
            "-1-2-3",
            "dev-01-2-3",
            "dev-+1-2-3",
            "../dev-1-2-3",
            "dev-1-2-4294967296",
        ] {
            assert!(text.parse::<Identifier>().is_err(), "{text}");
        }
    }
}
