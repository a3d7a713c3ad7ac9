//! The header of an npy file: a Python dictionary literal behind ten or twelve bytes.
//!
//! Invariant: parsing takes no more memory than the header has bytes, does not recurse, and yields only headers whose
//! number of elements fits the bytes that follow.

use super::element::Dtype;
use crate::data::DataError;

/// The first bytes of every npy file.
const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// numpy's own headers stay far below this; anything longer is refused.
const LONGEST: usize = 1 << 16;

/// What an npy file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::data::formats) struct Header {
    /// Type of the elements.
    pub dtype: Dtype,
    /// Whether the file's bytes are big-endian.
    pub big_endian: bool,
    /// Whether the first index runs fastest.
    pub fortran: bool,
    /// Dimensions; empty for a scalar.
    pub dims: Vec<usize>,
    /// Bytes before the first element.
    pub offset: usize,
}

impl Header {
    /// Bytes to read to know how long the header is.
    pub(crate) const PREFIX: usize = 12;

    /// How many bytes the header takes in all, from the first [`Header::PREFIX`] bytes (or all there are).
    pub(crate) fn length(file: &str, prefix: &[u8]) -> Result<usize, DataError> {
        if prefix.get(..6) != Some(MAGIC.as_slice()) {
            let found = match &prefix[..prefix.len().min(6)] {
                [] => "nothing (it is empty)".to_owned(),
                start => format!("`{}`", start.escape_ascii()),
            };
            return Err(DataError::BadMagic {
                file: file.to_owned(),
                expected: "an npy array".into(),
                found,
            });
        }
        let length = match prefix[6..] {
            [1, _, a, b, ..] => 10 + usize::from(u16::from_le_bytes([a, b])),
            [2 | 3, _, a, b, c, d] => 12usize.saturating_add(u32::from_le_bytes([a, b, c, d]) as usize),
            [major, _, ..] if major > 3 || major == 0 => {
                let found = format!("version {major}");
                return Err(malformed(file, "npy version 1, 2 or 3", found));
            }
            _ => return Err(malformed(file, "a whole npy header", "a file that ends within it".into())),
        };
        if length > LONGEST {
            let found = format!("{length} bytes");
            return Err(malformed(file, &format!("an npy header of at most {LONGEST} bytes"), found));
        }
        Ok(length)
    }

    /// Parses a whole header, as long as [`Header::length`] says; `available` is the number of bytes after it.
    pub(crate) fn parse(file: &str, header: &[u8], available: u64) -> Result<Self, DataError> {
        let offset = Self::length(file, &header[..header.len().min(Self::PREFIX)])?;
        let start = if header[6] == 1 { 10 } else { 12 };
        let text = header.get(start..offset).and_then(|text| std::str::from_utf8(text).ok());
        let fields = text.and_then(fields).ok_or_else(|| {
            malformed(file, "an npy header with descr, fortran_order and shape", "something else".into())
        })?;
        let (big_endian, dtype) = dtype(&fields.descr).ok_or_else(|| DataError::Dtype {
            file: file.to_owned(),
            expected: "bool, an integer of 8 to 64 bits, or a float of 32 or 64 bits".into(),
            found: fields.descr.clone(),
        })?;
        let elements = fields.dims.iter().try_fold(1u128, |product, &dim| product.checked_mul(dim as u128));
        let expected = elements.and_then(|n| n.checked_mul(dtype.size() as u128)).unwrap_or(u128::MAX);
        if expected != u128::from(available) {
            return Err(DataError::Truncated { file: file.to_owned(), expected, found: available });
        }
        Ok(Header { dtype, big_endian, fortran: fields.fortran, dims: fields.dims, offset })
    }

    /// The header that `numpy.save` writes for a C-order array of little-endian elements.
    pub(crate) fn write(dtype: Dtype, dims: &[usize]) -> Vec<u8> {
        let order = if dtype.size() == 1 { '|' } else { '<' };
        let shape = match dims {
            [one] => format!("({one},)"),
            _ => format!("({})", dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
        };
        let mut text =
            format!("{{'descr': '{order}{}', 'fortran_order': False, 'shape': {shape}, }}", dtype.code());
        if let Some(first) = dims.first() {
            // Room for the first dimension to grow in place.
            let digits = first.to_string().len();
            text.push_str(&" ".repeat(21usize.saturating_sub(digits)));
        }
        // Padded so that the data starts at a multiple of 64.
        let padding = 64 - (10 + text.len() + 1) % 64;
        text.push_str(&" ".repeat(padding));
        text.push('\n');
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        [MAGIC.as_slice(), &[1, 0], &length.to_le_bytes(), text.as_bytes()].concat()
    }
}

fn malformed(file: &str, expected: &str, found: String) -> DataError {
    DataError::Malformed { file: file.to_owned(), expected: expected.to_owned(), found }
}

fn dtype(descr: &str) -> Option<(bool, Dtype)> {
    let big_endian = match descr.as_bytes().first()? {
        b'<' | b'|' => false,
        b'=' => cfg!(target_endian = "big"),
        b'>' => true,
        _ => return None,
    };
    Some((big_endian, descr[1..].parse().ok()?))
}

struct Fields {
    descr: String,
    fortran: bool,
    dims: Vec<usize>,
}

/// `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }`, keys in any order, each once.
fn fields(text: &str) -> Option<Fields> {
    let mut scan = Scanner(text);
    let (mut descr, mut fortran, mut dims) = (None, None, None);
    scan.eat('{').then_some(())?;
    while !scan.eat('}') {
        let key = scan.string()?;
        scan.eat(':').then_some(())?;
        let repeated = match key {
            "descr" => descr.replace(scan.string()?.to_owned()).is_some(),
            "fortran_order" => fortran.replace(scan.truth()?).is_some(),
            "shape" => dims.replace(scan.tuple()?).is_some(),
            _ => true,
        };
        if repeated {
            return None;
        }
        if !scan.eat(',') {
            scan.eat('}').then_some(())?;
            break;
        }
    }
    scan.0.trim().is_empty().then_some(Fields { descr: descr?, fortran: fortran?, dims: dims? })
}

/// Reads the few Python literals of a header.
struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    fn eat(&mut self, token: char) -> bool {
        let rest = self.0.trim_start().strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn string(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (string, rest) = text[1..].split_once(quote)?;
        self.0 = rest;
        Some(string)
    }

    fn truth(&mut self) -> Option<bool> {
        let text = self.0.trim_start();
        [("True", true), ("False", false)].into_iter().find_map(|(word, value)| {
            self.0 = text.strip_prefix(word)?;
            Some(value)
        })
    }

    fn tuple(&mut self) -> Option<Vec<usize>> {
        let mut dims = Vec::new();
        self.eat('(').then_some(())?;
        while !self.eat(')') {
            let text = self.0.trim_start();
            let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            dims.push(text[..digits].parse().ok()?);
            // Python 2 wrote long integers with a suffix.
            self.0 = text[digits..].strip_prefix('L').unwrap_or(&text[digits..]);
            if !self.eat(',') {
                self.eat(')').then_some(())?;
                break;
            }
        }
        Some(dims)
    }
}
