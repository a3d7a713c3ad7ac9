//! FIBER's sizes, as the network's parts ask for them, and those that are published.
//!
//! Invariant: sizes stand in a study file; what is here are the published ones, and small ones for tests.

use crate::study::{Image, TextSizes};

pub use crate::study::Fiber as Config;

/// Side of a patch in pixels.
pub(super) const PATCH: usize = 4;
/// Channels of an image.
pub(super) const CHANNELS: usize = 3;

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

    /// Side of a stage's grid, in tokens.
    pub fn grid(&self, stage: usize) -> usize {
        (self.image.side / PATCH) >> stage
    }
}
