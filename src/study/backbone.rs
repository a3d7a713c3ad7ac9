//! A backbone that the experts of a study share: FIBER, and how it is trained (Sections 4.4 and 4.5).
//!
//! Invariant: what is written here is part of every key of the study: a name or a default that changes gives other keys
//! (`engine::key`).

use serde::{Deserialize, Serialize};

/// A backbone that is run for all experts of a run; each has a head on the features of one of its passes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedBackbone {
    /// The modality that holds the images of an example.
    pub images: String,
    /// The modality that holds its text.
    pub text: String,
    /// The pretrained weights that it starts from, by name; absent for a fresh initialisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<String>,
    /// Whether it is trained with the heads, or frozen.
    pub trained: bool,
    /// Whether dropout and stochastic depth are on in training: in a frozen backbone, too (deviation V10).
    pub noise: bool,
    /// Its sizes.
    pub fiber: Fiber,
}

impl SharedBackbone {
    /// Whether the features of an example are the same in every epoch, where samples are not augmented.
    pub fn is_fixed(&self) -> bool {
        !self.trained && !self.noise
    }
}

/// A head on the features of one pass: linear, LayerNorm, GELU, linear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureHead {
    /// Which features.
    pub features: Pass,
    /// Units between the two linear layers.
    pub hidden: usize,
}

/// A way to run the backbone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pass {
    /// On the images alone.
    Image,
    /// On the text alone.
    Text,
    /// On both, with fusion.
    Fused,
}

impl Pass {
    /// All of them, in the order in which features are kept.
    pub const ALL: [Pass; 3] = [Pass::Image, Pass::Text, Pass::Fused];

    /// As study files call it.
    pub const fn name(self) -> &'static str {
        match self {
            Pass::Image => "image",
            Pass::Text => "text",
            Pass::Fused => "fused",
        }
    }
}

/// FIBER's sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fiber {
    /// Swin.
    pub image: Image,
    /// RoBERTa.
    pub text: TextSizes,
    /// How many of the last blocks and layers attend to each other.
    pub fused: usize,
}

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

/// Side of an image over that of a window in tokens.
const REDUCTION: usize = 32;

impl Fiber {
    /// Side of every window, in tokens: so that every stage has whole windows and the last one has one.
    pub fn window(&self) -> usize {
        self.image.side / REDUCTION
    }

    /// Features of a stage's tokens.
    pub fn width(&self, stage: usize) -> usize {
        self.image.width << stage
    }

    /// Blocks of all stages.
    pub fn blocks(&self) -> usize {
        self.image.depths.iter().sum()
    }

    /// Features that a pass gives for each image, or for the text.
    pub fn features(&self, pass: Pass) -> usize {
        match pass {
            Pass::Image | Pass::Text => self.text.hidden,
            Pass::Fused => 2 * self.text.hidden,
        }
    }

    /// Refuses sizes that do not fit each other.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self) -> Result<(), String> {
        let Fiber { image, text, fused } = self;
        if image.side == 0 || !image.side.is_multiple_of(REDUCTION) {
            return Err(format!(
                "the side of images must be a multiple of {REDUCTION}, found {}",
                image.side
            ));
        }
        for (stage, &heads) in image.heads.iter().enumerate() {
            if heads == 0 || !self.width(stage).is_multiple_of(heads) || image.depths[stage] == 0 {
                return Err(format!("stage {stage} has {} features and {heads} heads", self.width(stage)));
            }
        }
        if text.heads == 0 || !text.hidden.is_multiple_of(text.heads) || text.inner == 0 {
            return Err(format!("the text has {} features and {} heads", text.hidden, text.heads));
        }
        if *fused > text.layers || *fused > self.blocks() {
            return Err(format!("{fused} fused of {} layers and {} blocks", text.layers, self.blocks()));
        }
        if text.padding as usize >= text.vocabulary.min(text.positions) {
            return Err(format!("the padding {} has no row in the tables", text.padding));
        }
        let chances = [image.drop_path, text.dropout];
        if let Some(chance) = chances.iter().find(|chance| !(0.0..1.0).contains(*chance)) {
            return Err(format!("{chance} is no probability in [0, 1)"));
        }
        Ok(())
    }
}
