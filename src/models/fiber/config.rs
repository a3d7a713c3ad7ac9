//! FIBER's sizes.
//!
//! Invariant: a window's side is the image's side over 32, so that every stage has whole windows and the last one has one.

use serde::{Deserialize, Serialize};

use super::FiberError;

/// Side of a patch in pixels.
pub(super) const PATCH: usize = 4;
/// Channels of an image.
pub(super) const CHANNELS: usize = 3;
/// Pixels per side of a window's token in the last stage.
const REDUCTION: usize = 32;

/// Sizes of Swin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Side of the square images in pixels, a multiple of 32.
    pub side: usize,
    /// Features of a token in the first stage; each stage doubles them.
    pub width: usize,
    /// Blocks of each of the four stages.
    pub depths: [usize; 4],
    /// Heads of each stage.
    pub heads: [usize; 4],
    /// Stochastic depth of the last block; it grows linearly from 0.
    pub drop_path: f64,
}

/// Sizes of RoBERTa.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSizes {
    /// Features of a token, and of the features that all passes give.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of a layer.
    pub heads: usize,
    /// Features between the two linear layers of a layer.
    pub inner: usize,
    /// Rows of the table of tokens.
    pub vocabulary: usize,
    /// Rows of the table of positions.
    pub positions: usize,
    /// The token that fills up short texts, and its position.
    pub padding: u32,
    /// Dropout of embeddings, outputs and probabilities.
    pub dropout: f64,
}

/// Sizes of the whole backbone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Swin.
    pub image: Image,
    /// RoBERTa.
    pub text: TextSizes,
    /// How many of the last blocks and layers attend to each other.
    pub fused: usize,
}

impl Config {
    /// The published backbone (Swin-Base and RoBERTa-Base) for images of this side: 384, or 576 for VQA.
    pub fn base(side: usize) -> Self {
        Config {
            image: Image { side, width: 128, depths: [2, 2, 18, 2], heads: [4, 8, 16, 32], drop_path: 0.1 },
            text: TextSizes {
                hidden: 768,
                layers: 12,
                heads: 12,
                inner: 3072,
                vocabulary: 50_265,
                positions: 514,
                padding: 1,
                dropout: 0.1,
            },
            fused: 6,
        }
    }

    /// A backbone of the same depth that is small enough for tests, for images of this side.
    pub fn tiny(side: usize) -> Self {
        let base = Config::base(side);
        Config {
            image: Image { width: 16, heads: [1, 2, 4, 8], ..base.image },
            text: TextSizes { hidden: 24, heads: 3, inner: 96, vocabulary: 60, positions: 20, ..base.text },
            fused: base.fused,
        }
    }

    /// Side of every window, in tokens.
    pub fn window(&self) -> usize {
        self.image.side / REDUCTION
    }

    /// Side of a stage's grid, in tokens.
    pub fn grid(&self, stage: usize) -> usize {
        (self.image.side / PATCH) >> stage
    }

    /// Features of a stage's tokens.
    pub fn width(&self, stage: usize) -> usize {
        self.image.width << stage
    }

    /// Blocks of all stages.
    pub fn blocks(&self) -> usize {
        self.image.depths.iter().sum()
    }

    /// Refuses sizes that do not fit.
    pub(super) fn check(&self) -> Result<(), FiberError> {
        let Config { image, text, fused } = self;
        let wrong = |reason: String| Err(FiberError::Config(reason));
        if image.side == 0 || !image.side.is_multiple_of(REDUCTION) {
            return wrong(format!(
                "the side of images must be a multiple of {REDUCTION}, found {}",
                image.side
            ));
        }
        for (stage, &heads) in image.heads.iter().enumerate() {
            if heads == 0 || !self.width(stage).is_multiple_of(heads) || image.depths[stage] == 0 {
                return wrong(format!("stage {stage} has {} features and {heads} heads", self.width(stage)));
            }
        }
        if text.heads == 0 || !text.hidden.is_multiple_of(text.heads) || text.inner == 0 {
            return wrong(format!("the text has {} features and {} heads", text.hidden, text.heads));
        }
        if *fused > text.layers || *fused > self.blocks() {
            return wrong(format!("{fused} fused of {} layers and {} blocks", text.layers, self.blocks()));
        }
        if text.padding as usize >= text.vocabulary.min(text.positions) {
            return wrong(format!("the padding {} has no row in the tables", text.padding));
        }
        let chances = [image.drop_path, text.dropout];
        if let Some(chance) = chances.iter().find(|chance| !(0.0..1.0).contains(*chance)) {
            return wrong(format!("{chance} is no probability in [0, 1)"));
        }
        Ok(())
    }
}
