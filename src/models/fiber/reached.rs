//! Which tensors of the backbone an expert's gradient reaches.
//!
//! Invariant: what no gradient reaches is left as it is by an optimizer, without weight decay, too: PyTorch's skip it.

use super::{Composition, Config};
use crate::study::Pass;

/// Which passes of a backbone are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    /// On the images alone.
    pub image: bool,
    /// On the text alone.
    pub text: bool,
    /// On both, with fusion.
    pub fused: bool,
}

impl Passes {
    /// Whether a pass is among them.
    pub fn has(self, pass: Pass) -> bool {
        match pass {
            Pass::Image => self.image,
            Pass::Text => self.text,
            Pass::Fused => self.fused,
        }
    }
}

impl FromIterator<Pass> for Passes {
    fn from_iter<I: IntoIterator<Item = Pass>>(passes: I) -> Self {
        passes.into_iter().fold(Passes::default(), |all, pass| match pass {
            Pass::Image => Passes { image: true, ..all },
            Pass::Text => Passes { text: true, ..all },
            Pass::Fused => Passes { fused: true, ..all },
        })
    }
}

impl From<Composition> for Passes {
    fn from(composition: Composition) -> Self {
        let (image, text, fused) = match composition {
            Composition::Image => (true, false, false),
            Composition::Text => (false, true, false),
            Composition::Intra => (true, true, false),
            Composition::Inter => (false, false, true),
            Composition::All => (true, true, true),
        };
        Passes { image, text, fused }
    }
}

/// Whether training on the features of these passes moves the backbone's tensor of this name.
pub(super) fn is_reached(config: &Config, passes: Passes, name: &str) -> bool {
    let Passes { image, text, fused } = passes;
    if let Some(end) = name.strip_prefix("cross_modal_") {
        return match (end.starts_with("image_"), end.contains("_itc.")) {
            (true, true) => image,
            (false, true) => text,
            (_, false) => fused,
        };
    }
    if let Some(part) = name.strip_prefix("vit_model.") {
        let gate = part.contains("_i2t");
        return if gate { fused } else { image || fused && !part.starts_with("norm.") };
    }
    let Some(part) = name.strip_prefix("text_transformer.") else { return false };
    let layer = part.strip_prefix("encoder.layer.").and_then(|part| part.split_once('.'));
    let Some((number, part)) = layer else {
        return !part.starts_with("pooler.") && (text || fused);
    };
    let number = number.parse().unwrap_or(0);
    if part == "alpha_t2i" {
        return fused && number + config.fused >= config.text.layers;
    }
    if part.starts_with("crossattention_t2i.") {
        return fused && !part.starts_with("crossattention_t2i.output.LayerNorm.");
    }
    // The fused pass ends without the last layer's norm.
    let last = number + 1 == config.text.layers && config.fused > 0 && part.starts_with("output.LayerNorm.");
    text || fused && !last
}
