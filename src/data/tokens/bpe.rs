//! Byte-level BPE, by the library that RoBERTa's users run.
//!
//! Invariant: text is taken as it is: no lower case, no stripping, no space put before it. Special tokens that stand in a text
//! are themselves, as in RoBERTa's own tokenizer.

use tokenizers::decoders::DecoderWrapper;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::{AddedToken, TokenizerImpl};

use super::files::{Files, MASK, SPECIAL};

/// From text to ids.
pub(super) struct Bpe {
    inner: TokenizerImpl<BPE, NormalizerWrapper, ByteLevel, PostProcessorWrapper, DecoderWrapper>,
}

impl Bpe {
    pub(super) fn new(Files { vocabulary, merges }: Files) -> Result<Self, String> {
        let has_mask = vocabulary.contains_key(MASK);
        let words = |error: tokenizers::Error| error.to_string();
        let model = BPE::builder()
            .vocab_and_merges(vocabulary.into_iter().collect::<Vocab>(), merges)
            .unk_token("<unk>".to_owned())
            .build()
            .map_err(words)?;
        let mut inner = TokenizerImpl::new(model);
        inner.with_pre_tokenizer(Some(ByteLevel::default().add_prefix_space(false)));
        let mut special: Vec<AddedToken> =
            SPECIAL.iter().map(|(token, _)| AddedToken::from(*token, true)).collect();
        // It takes the space before it.
        special.extend(has_mask.then(|| AddedToken::from(MASK, true).lstrip(true)));
        inner.add_special_tokens(special).map_err(words)?;
        Ok(Bpe { inner })
    }

    pub(super) fn ids(&self, text: &str) -> Result<Vec<u32>, String> {
        let encoded = self.inner.encode_fast(text, false).map_err(|error| error.to_string())?;
        Ok(encoded.get_ids().to_vec())
    }

    pub(super) fn size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }
}
