//! What FIBER reads: images and texts.
//!
//! Invariant: every text has at least one token that is no padding, the first.

use std::sync::Arc;

use dfdx::prelude::Tensor;

use super::FiberError;

/// Images `(batch, channels, side, side)`, row-major, normalised.
pub type Images<E, D> = Tensor<(usize, usize, usize, usize), E, D>;

/// A batch of texts as tokens, filled up to one length.
#[derive(Clone, Debug)]
pub struct Text {
    pub(super) ids: Vec<u32>,
    /// Which tokens are no padding.
    pub(super) real: Arc<[bool]>,
    pub(super) length: usize,
}

impl Text {
    /// Tokens of texts of one length, text by text, and which of them are no padding.
    ///
    /// # Errors
    /// [`FiberError::Input`] if these are no whole texts, or a text begins with padding.
    pub fn new(ids: Vec<u32>, real: Vec<bool>, length: usize) -> Result<Self, FiberError> {
        let input =
            |expected: String, found: String| Err(FiberError::Input { what: "text", expected, found });
        if length == 0 || ids.is_empty() || !ids.len().is_multiple_of(length) || real.len() != ids.len() {
            let expected = format!("texts of {length} tokens (at least one), with as many decisions");
            return input(expected, format!("{} tokens and {} decisions", ids.len(), real.len()));
        }
        if let Some(text) = real.chunks(length).position(|real| !real[0]) {
            return input(
                "texts that begin with a token".to_owned(),
                format!("padding first in text {text}"),
            );
        }
        Ok(Text { ids, real: real.into(), length })
    }

    /// The texts of a batch from numbers: ids of tokens, filled up with `padding`.
    ///
    /// # Errors
    /// As [`Text::new`], and numbers that are no ids.
    pub fn from_numbers(numbers: &[f64], padding: u32, length: usize) -> Result<Self, FiberError> {
        let id = |&number: &f64| {
            let id = number as u32;
            (f64::from(id) == number).then_some(id).ok_or_else(|| FiberError::Input {
                what: "text",
                expected: "ids of tokens".to_owned(),
                found: number.to_string(),
            })
        };
        let ids = numbers.iter().map(id).collect::<Result<Vec<u32>, _>>()?;
        let real = ids.iter().map(|&id| id != padding).collect();
        Text::new(ids, real, length)
    }

    /// Texts that say nothing yet: a batch to be filled.
    ///
    /// # Errors
    /// As [`Text::new`].
    pub(crate) fn of_zeros(batch: usize, length: usize) -> Result<Self, FiberError> {
        Text::new(vec![0; batch * length], vec![true; batch * length], length)
    }

    /// Tokens of a text, with what fills it up.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Each text so many times, one after the other.
    #[must_use]
    pub fn repeated(&self, times: usize) -> Self {
        let ids = self.ids.chunks(self.length).flat_map(|text| text.repeat(times)).collect();
        let real: Vec<bool> = self.real.chunks(self.length).flat_map(|real| real.repeat(times)).collect();
        Text { ids, real: real.into(), length: self.length }
    }

    /// Number of texts.
    pub fn batch(&self) -> usize {
        self.ids.len() / self.length
    }

    /// Positions: those of tokens other than `padding` count up from one after it, and padding stays there.
    pub(super) fn positions(&self, padding: u32) -> Vec<u32> {
        let mut positions = Vec::with_capacity(self.ids.len());
        for ids in self.ids.chunks(self.length) {
            let mut last = padding;
            for &id in ids {
                last += u32::from(id != padding);
                positions.push(if id == padding { padding } else { last });
            }
        }
        positions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_begin_after_the_padding() {
        let text = Text::new(vec![0, 7, 1, 0, 9, 2], vec![true, true, false, true, true, true], 3).unwrap();
        assert_eq!(text.positions(1), [2, 3, 1, 2, 3, 4]);
        assert_eq!(text.batch(), 2);
    }

    #[test]
    fn texts_that_are_none_are_refused() {
        for (ids, real, length) in [
            (vec![], vec![], 2),
            (vec![0; 3], vec![true; 3], 2),
            (vec![0; 2], vec![true; 1], 2),
            (vec![0], vec![true], 0),
        ] {
            assert!(Text::new(ids, real, length).is_err());
        }
        assert!(Text::new(vec![1, 0], vec![false, true], 2).is_err());
    }
}
